"""Features that are stored: those of the backbone, of every photo and its mirror image, and a training on them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.classes import VOC_CLASSES
from core.data.dataset import open_dataset
from core.data.loading import array_cache
from core.data.loading.loader import TrainingPairs, seeded
from core.data.loading.transforms import normalize
from core.errors import ConfigError, RunError
from core.model.architectures import EFFICIENTNET, MOBILENET, split_backbone
from core.training.features import NUM_SCALED, FeaturePairs, HeadPredictor, TrainingFeatures, transform_of
from core.training.loop.loop import TrainingLoop
from core.training.run.records import Epoch, Record
from core.training.settings.config import TrainingConfig, with_settings
from tests.small_data import write_voc

CPU = torch.device("cpu")
CONFIG = TrainingConfig(
    architecture="deeplabv3_mobilenet_v3_large", output_stride=16, image_size=64, batch_size=4, precision="fp32",
    epochs=3, freeze="backbone", store_features=True, flip=True,
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_voc(tmp_path / "eight" / "VOC2012", num_train=8, num_val=3)


def loop_on(data: Path, **settings: Any) -> TrainingLoop:
    dataset = open_dataset(data)
    config = with_settings(CONFIG, settings)
    return TrainingLoop(config, dataset.split("train"), dataset.split("val"), dataset.classes, CPU)


def trained(loop: TrainingLoop) -> list[Record]:
    return list(loop.epochs(lambda: False))


def epochs_of(records: list[Record]) -> list[Epoch]:
    return [record for record in records if isinstance(record, Epoch)]


def features_of(loop: TrainingLoop) -> FeaturePairs:
    assert loop.features is not None
    return loop.features


SCALED = {"scale_min": 0.5, "scale_max": 1.5}


@pytest.mark.parametrize("settings", [{"flip": False}, {}, SCALED, SCALED | {"flip": False}])
def test_features_are_those_of_the_backbone_in_bf16(data: Path, settings: dict[str, Any]) -> None:
    """Of the photo and its mirror image; with random scales, those of the first epochs, each also mirrored."""
    loop = loop_on(data, **settings)
    store = features_of(loop)
    list(loop.compute_features())
    transform, forms = transform_of(loop.config), []
    for epoch in range(1, loop.config.epochs + 1 if transform.has_scales else 2):
        with seeded(loop.config.seed, epoch, 3):
            drawn = transform.draw()
        for is_flipped in (False, True)[: 1 + transform.has_flips]:
            form = drawn._replace(is_flipped=is_flipped)
            photo_3SS, ids_SS = loop.train_pairs[3]
            forms.append((transform.photo_as(form, photo_3SS), transform.mask_as(form, ids_SS)))
    assert store.num_forms == len(forms)
    backbone = loop.model.backbone.eval()
    for number, (picture_3SS, expected_SS) in enumerate(forms):
        features_Chw, mask_SS = store.pair(3, number)
        with torch.inference_mode():
            expected_Chw = backbone(normalize(picture_3SS)[None])["out"][0]
        assert features_Chw.dtype == torch.bfloat16
        torch.testing.assert_close(features_Chw.float(), expected_Chw, rtol=2**-7, atol=1e-5)
        assert torch.equal(mask_SS, expected_SS)


def test_with_random_scales_the_first_epochs_have_their_own_forms_and_later_ones_any(data: Path) -> None:
    store = features_of(loop_on(data, **SCALED | {"epochs": 9}))
    list(store.cache())
    pairs = TrainingFeatures(store, seed=0)

    def features_in(epochs: Iterable[int]) -> list[list[float]]:
        return [pairs[epoch, 2][0].permute(2, 0, 1).flatten().tolist() for epoch in epochs]

    forms = [store.pair(2, form)[0].flatten().tolist() for form in range(store.num_forms)]
    assert len(forms) == 2 * NUM_SCALED
    sides = [forms[2 * number : 2 * number + 2] for number in range(NUM_SCALED)]
    drawn = [TrainingPairs(store.pairs, store.transform, 0)[epoch, 2][1] for epoch in range(1, NUM_SCALED + 1)]
    assert all(torch.equal(pairs[epoch, 2][1], drawn[epoch - 1]) for epoch in range(1, NUM_SCALED + 1))
    first = features_in(range(1, NUM_SCALED + 1))
    assert all(features in both for features, both in zip(first, sides, strict=True))
    later = features_in(range(NUM_SCALED + 1, 80))
    assert all(form in later for form in forms)
    assert all(features in forms for features in later)


def test_kept_features_are_those_computed_on_the_way_and_are_found_again(data: Path) -> None:
    loop = loop_on(data)
    store = features_of(loop)
    on_the_way = [store.pair(index, 1)[0] for index in range(len(store))]
    assert [done for done, _ in loop.compute_features()] == list(range(1, 12))
    assert list(loop.compute_features()) == [], "they are there"
    assert all(torch.equal(store.pair(index, 1)[0], on_the_way[index]) for index in range(len(store)))
    other = loop_on(data, epochs=9)
    assert features_of(other).open_cached()
    assert torch.equal(features_of(other).pair(5)[0], store.pair(5)[0])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"seed": 1}),
        ({}, {"image_size": 32}),
        ({}, {"geometry": "fit"}),
        ({}, {"flip": False}),
        ({}, {"freeze": "early"}),
        ({"architecture": EFFICIENTNET}, {"architecture": EFFICIENTNET, "output_stride": 8}),
        ({}, SCALED),
        (SCALED, SCALED | {"scale_max": 1.4}),
        (SCALED | {"epochs": 2}, SCALED | {"epochs": 4, "flip": False}),  # four forms both
    ],
)
def test_other_weights_sizes_geometries_flips_scales_or_stages_are_other_features(
    data: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    list(loop_on(data, **first).compute_features())
    assert features_of(loop_on(data, **first)).open_cached()
    assert not features_of(loop_on(data, **second)).open_cached()


def test_another_seed_draws_other_scales_for_the_same_weights(data: Path) -> None:
    loop = loop_on(data, **SCALED)
    list(loop.compute_features())
    other = with_settings(loop.config, {"seed": 1})
    assert not FeaturePairs(loop.train_pairs, lambda: loop.backbone, other).open_cached()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        SCALED,
        {"freeze": "early", "freeze_batchnorm": True, "backbone_lr_mult": 0.2},
        SCALED | {"architecture": EFFICIENTNET, "freeze": "middle"},
        SCALED | {"architecture": EFFICIENTNET, "freeze": "most"},
    ],
)
def test_it_is_the_training_without_storing_but_for_rounding(data: Path, settings: dict[str, Any]) -> None:
    """Also the same photos are mirrored, and the last validation, whose masks are kept, is the whole model's."""
    stored, computed = loop_on(data, **settings), loop_on(data, store_features=False, **settings)
    list(stored.compute_features())
    first, second = epochs_of(trained(stored)), epochs_of(trained(computed))
    for one, other in zip(first, second, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.02)
        assert one.val_loss == pytest.approx(other.val_loss, rel=0.05)
    assert first[-1].train_loss < first[0].train_loss
    frozen, _ = split_backbone(stored.model, stored.config.architecture, stored.config.freeze)
    others = dict(split_backbone(computed.model, stored.config.architecture, stored.config.freeze)[0].state_dict())
    assert len(frozen) > 1
    for key, value in frozen.state_dict().items():
        assert torch.equal(value, others[key]), key


@pytest.mark.parametrize("settings", [{}, SCALED])
def test_kept_or_not_the_training_is_the_same_bit_for_bit(data: Path, settings: dict[str, Any]) -> None:
    kept_loop, computed = loop_on(data, **settings), loop_on(data, **settings)
    list(kept_loop.compute_features())
    results = [
        [(epoch.train_loss, epoch.val_loss, epoch.iou) for epoch in epochs_of(trained(loop))]
        for loop in (kept_loop, computed)
    ]
    assert results[0] == results[1]


def test_extended_from_two_epochs_to_six_it_is_a_run_of_six_bit_for_bit(data: Path) -> None:
    """The first leg stores two scales of each photo, the second four, which the last two epochs draw from."""
    whole, first, second = (loop_on(data, **SCALED, schedule_epochs=6, epochs=epochs) for epochs in (6, 2, 6))
    list(whole.compute_features())
    list(first.compute_features())
    assert (features_of(first).num_forms, features_of(whole).num_forms) == (4, 8)
    losses = [epoch.train_loss for epoch in epochs_of(trained(first))]
    second.load_state(first.model.state_dict(), first.state())
    list(second.compute_features())
    losses += [epoch.train_loss for epoch in epochs_of(trained(second))]
    assert losses == [epoch.train_loss for epoch in epochs_of(trained(whole))]


@pytest.mark.parametrize(("architecture", "freeze", "geometry"), [
    (MOBILENET, "backbone", "resize"), (MOBILENET, "early", "resize"), (MOBILENET, "early", "fit"),
    (MOBILENET, "most", "resize"), (EFFICIENTNET, "middle", "resize"), (EFFICIENTNET, "most", "resize"),
])  # fmt: skip
def test_what_follows_the_features_answers_as_the_whole_model(
    data: Path, architecture: str, freeze: str, geometry: str
) -> None:
    loop = loop_on(data, architecture=architecture, freeze=freeze, geometry=geometry)
    assert loop.features_val is not None
    head, pairs = loop.validation_predictor(is_last=False)
    whole, photos = loop.validation_predictor(is_last=True)
    assert isinstance(head, HeadPredictor)
    assert head.geometry == whole.geometry == geometry
    for index in range(3):
        one = head.logits_of(pairs.pair(index)[0][None])
        other = whole.logits_of(photos.with_truth(index).photo_3SS[None])
        assert one.shape == other.shape == (1, len(VOC_CLASSES), 64, 64)
        assert float((one - other).abs().max()) < 0.03 * float(other.abs().max())


def test_without_room_a_run_says_what_it_would_take(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_cache, "make_room", lambda *_: False)
    with pytest.raises(RunError, match=r"The features of 11 photos take 0\.0 GB, .* smaller image_size"):
        list(loop_on(data).compute_features())


@pytest.mark.parametrize(("freeze", "first"), [("early", "stage4"), ("middle", "stage6"), ("most", "stage7")])
def test_what_is_frozen_of_efficientnet(data: Path, freeze: str, first: str) -> None:
    loop = loop_on(data, architecture=EFFICIENTNET, freeze=freeze)
    _, trained_stages = split_backbone(loop.model, EFFICIENTNET, freeze)
    assert next(iter(dict(trained_stages.named_children()))) == first
    assert all(weight.requires_grad for weight in trained_stages.parameters())


@pytest.mark.parametrize("settings", [{"freeze": "none"}, {"aux_weight": 0.5}])
def test_what_changes_with_every_step_cannot_be_stored(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="store_features=true needs freeze=early, middle, most or backbone, and aux"):
        with_settings(CONFIG, settings)
