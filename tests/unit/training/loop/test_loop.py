"""The loop, on real photos drawn small and a real model: it learns, freezes and refuses to go on into NaN."""

import copy
import math
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.classes import VOC_CLASSES
from core.data.dataset import Sample, open_dataset
from core.data.loading.decoded_pairs import SquarePairs, WholePair
from core.errors import DataError, RunError
from core.metrics.image_scores import summarize
from core.model.architectures import count_parameters, split_backbone
from core.model.predict.predictor import Predictor
from core.training.evaluation import NUM_THREADS, evaluate
from core.training.loop import memory
from core.training.loop.loop import TrainingLoop
from core.training.run.records import Step, Warned
from core.training.settings.config import TrainingConfig
from tests.small_data import write_voc
from tests.unit.training.loop.loops import CPU, SMALL, contents, epochs_of, loop_on, never


def test_it_learns_four_photos_by_heart(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc", num_train=4, num_val=2)
    for split in ("train", "val"):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("photo_0\nphoto_1\nphoto_2\nphoto_3\n")
    loop = loop_on(root, epochs=20, batch_size=4, image_size=64, learning_rate=1e-2)
    epochs = epochs_of(list(loop.epochs(never)))
    assert [record.epoch for record in epochs] == list(range(1, 21))
    assert epochs[-1].train_loss < 0.4 * epochs[0].train_loss
    best = max(record.miou or 0 for record in epochs)
    floor = summarize(loop.results, VOC_CLASSES.names).floor.miou or 1
    assert best > 1.2 * floor, "above predicting background everywhere"
    assert loop.progress.best_miou == best
    told_best = [record.epoch for record in epochs if record.is_best]
    assert told_best[-1] == loop.progress.best_epoch
    assert all(0 <= value <= 1 for record in epochs for value in record.iou if value is not None)


def test_the_records_count_photos_steps_and_epochs(tiny_voc: Path) -> None:
    loop = loop_on(tiny_voc, epochs=2)
    assert (loop.steps_per_epoch, loop.batch_size) == (2, 2)
    records = list(loop.epochs(never))
    assert [record.step for record in epochs_of(records)] == [2, 4]
    steps = [record.step for record in records if isinstance(record, Step)]
    assert steps == sorted(set(steps))
    assert {2, 4} <= set(steps)
    assert [result.name for result in loop.results] == ["photo_4", "photo_5"]
    assert list(loop.epochs(never)) == [], "nothing is left to do"


def test_a_frozen_backbone_changes_neither_weights_nor_batchnorm_statistics(tiny_voc: Path) -> None:
    """Also in the second epoch, once validation has put the whole model into evaluation and back."""
    loop = loop_on(tiny_voc, freeze="backbone", learning_rate=0.1, optimizer="adamw", weight_decay=0.5, epochs=2)
    backbone = copy.deepcopy(loop.model.backbone.state_dict())
    head = copy.deepcopy(loop.model.classifier.state_dict())
    list(loop.epochs(never))
    assert any(key.endswith("running_var") for key in backbone)
    assert all(torch.equal(backbone[key], value) for key, value in loop.model.backbone.state_dict().items())
    moved = loop.model.classifier.state_dict()
    assert not any(torch.equal(head[key], moved[key]) for key in head if key.endswith("running_mean"))
    assert not any(
        torch.equal(head[key], value) for key, value in loop.model.classifier.state_dict().items() if "weight" in key
    )


def test_early_stages_stay_and_the_statistics_of_the_others_if_asked(tiny_voc: Path) -> None:
    settings = {"freeze": "early", "freeze_batchnorm": True, "learning_rate": 0.1, "optimizer": "adamw", "epochs": 2}
    loop = loop_on(tiny_voc, **settings)
    frozen, trained = split_backbone(loop.model, loop.config.architecture, "early")
    before = [copy.deepcopy(part.state_dict()) for part in (frozen, trained)]
    list(loop.epochs(never))
    assert all(torch.equal(before[0][key], value) for key, value in frozen.state_dict().items())
    for key, value in trained.state_dict().items():
        assert torch.equal(before[1][key], value) == ("running" in key or "num_batches" in key), key
    assert [*loop.model.backbone.keys()] == [*(name for part in (frozen, trained) for name, _ in part.named_children())]


def test_the_backbone_has_a_learning_rate_of_its_own(tiny_voc: Path) -> None:
    """A hundredth of it: after one step of plain SGD its weights have moved a hundredth as far."""
    settings = {"optimizer": "sgd", "batch_size": 4, "aux_weight": 0.5}
    loops = [loop_on(tiny_voc, **settings, backbone_lr_mult=mult) for mult in (1.0, 0.01)]
    before = copy.deepcopy(loops[0].model.state_dict())
    rates = [[record.learning_rate for record in loop.epochs(never) if isinstance(record, Step)] for loop in loops]
    assert rates[0] == rates[1], "the logged rate is the heads'"
    for part, expected in (("backbone", 0.01), ("classifier", 1.0), ("aux_classifier", 1.0)):
        names = [name for name, _ in loops[0].model.named_parameters() if name.startswith(f"{part}.")]
        ways = [sum(float((loop.model.state_dict()[name] - before[name]).norm()) for name in names) for loop in loops]
        assert ways[1] / ways[0] == pytest.approx(expected, rel=0.05), part


def test_losses_and_scores_do_not_depend_on_the_number_of_loading_processes(tiny_voc: Path) -> None:
    alone, helped = (loop_on(tiny_voc, num_workers=number, flip=True, epochs=2) for number in (0, 2))
    records = [list(loop.epochs(never)) for loop in (alone, helped)]
    assert contents(records[0]) == contents(records[1])
    assert [result.name for result in alone.results] == [result.name for result in helped.results]
    assert all(
        (one.counts_KK == other.counts_KK).all() for one, other in zip(alone.results, helped.results, strict=True)
    )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_moves_every_weight(tiny_voc: Path, optimizer: str) -> None:
    loop = loop_on(tiny_voc, optimizer=optimizer, aux_weight=0.5)
    before = {key: value.clone() for key, value in loop.model.named_parameters()}
    next(iter(loop.epochs(never)))
    still = [key for key, value in loop.model.named_parameters() if torch.equal(value, before[key])]
    assert len(still) < 0.1 * len(before)
    assert not [key for key in still if key.startswith(("classifier.", "aux_classifier."))]


def test_a_batch_size_of_zero_takes_what_fits_and_keeps_it_on_a_smaller_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_voc(tmp_path / "voc", num_train=8, num_val=2)
    photo = memory.photo_bytes(TrainingConfig(**SMALL), 21, "fp32")
    weights = 4 * 4 * count_parameters(loop_on(root, batch_size=2).model)
    monkeypatch.setattr(memory, "available_bytes", lambda _: int((weights + 5 * photo) / memory.SAFE_SHARE))
    loop = loop_on(root, batch_size=0, epochs=2)
    assert (loop.batch_size, loop.steps_per_epoch) == (4, 2)
    (note,) = loop.notes
    assert note.startswith("A batch size of 4 was chosen: a photo takes about 0.")
    list(loop.epochs(lambda: loop.progress.epochs_done == 1))

    monkeypatch.setattr(memory, "available_bytes", lambda _: 10**12)
    assert loop_on(root, batch_size=0).batch_size == 8, "as many as there are"
    dataset, config = open_dataset(root), loop.config
    second = TrainingLoop(config, dataset.split("train"), dataset.split("val"), VOC_CLASSES, CPU, is_resumed=True)
    second.load_state(loop.model.state_dict(), copy.deepcopy(loop.state()))
    assert (second.batch_size, second.steps_per_epoch, second.notes) == (4, 2, [])


def test_a_batch_the_machine_would_be_killed_for_is_split_before_the_first_step(
    tiny_voc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux grants memory that is not there, and ends whoever uses it: no error ever comes that could be caught."""
    photo = memory.photo_bytes(TrainingConfig(**SMALL), 21, "fp32")
    monkeypatch.setattr(memory, "available_bytes", lambda _: 3 * photo)
    loop = loop_on(tiny_voc, batch_size=4)
    records = list(loop.epochs(never))
    assert isinstance(records[0], Warned)
    assert "A batch of 4 does not fit in memory: continues with 2 x 2" in records[0].message
    monkeypatch.setattr(memory, "available_bytes", lambda _: photo)
    with pytest.raises(RunError, match="Even 2 photos of 32 px"):
        loop_on(tiny_voc, batch_size=4)


@pytest.mark.parametrize(("batch_size", "says"), [(2, "The loss became"), (4, "The validation loss became")])
def test_a_loss_that_runs_away_ends_in_one_sentence(tiny_voc: Path, batch_size: int, says: str) -> None:
    """With one step an epoch it is validation that sees the ruined weights first: that ended as a bug in the log."""
    loop = loop_on(tiny_voc, learning_rate=10.0, optimizer="sgd", batch_size=batch_size)
    for group in loop._step.optimizer.param_groups:
        group["weight_decay"] = -1e38  # beyond what a config allows, so that one step is enough
    with pytest.raises(RunError, match=rf"{says} (nan|inf).*smaller learning_rate") as caught:
        list(loop.epochs(never))
    assert "\n" not in str(caught.value)


def test_the_same_seed_trains_the_same_and_another_does_not(tiny_voc: Path) -> None:
    losses = [epochs_of(list(loop_on(tiny_voc, seed=seed).epochs(never)))[0].train_loss for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1.0, 1.0]),
        ("poly", [1.0, (1 - 1 / 8) ** 0.9]),
        ("cosine", [1.0, (1 + math.cos(math.pi / 8)) / 2]),
        # From 1/25 to 1 in the first 30 % of 8 steps, that is 2.4 of them.
        ("one-cycle", [0.04, 1 - 0.96 * (1 + math.cos(math.pi / 2.4)) / 2]),
    ],
)
def test_the_schedule_moves_the_learning_rate_from_step_to_step(
    tiny_voc: Path, schedule: str, factors: list[float]
) -> None:
    """Two steps of eight: the schedule spans four epochs, of which one is trained."""
    loop = loop_on(tiny_voc, epochs=1, schedule=schedule, schedule_epochs=4, learning_rate=0.01)
    rates = []
    loop._step.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    list(loop.epochs(never))
    assert rates == pytest.approx([0.01 * factor for factor in factors])


def test_a_fraction_of_the_photos_is_trained_on(tiny_voc: Path) -> None:
    loop = loop_on(tiny_voc, train_fraction=0.5)
    assert len(loop.train_samples) == 2
    with pytest.raises(DataError, match="at least 2 photos"):
        loop_on(tiny_voc, train_fraction=0.1)


def test_score_and_loss_do_not_depend_on_the_order_of_the_photos(tmp_path: Path) -> None:
    """Also the void of one photo must not weigh on another: counts are added, never averaged."""
    root = write_voc(tmp_path / "voc", num_train=2, num_val=5)
    loop = loop_on(root)
    samples: list[Sample] = list(loop.val_samples)
    predictor = Predictor(loop.model, image_size=32, device=CPU)
    forward, backward = (
        list(evaluate(predictor, SquarePairs(each, 21, 32), VOC_CLASSES)) for each in (samples, samples[::-1])
    )
    scores = [replace(summarize(results, VOC_CLASSES.names), conventions={}) for results in (forward, backward)]
    assert scores[0] == scores[1]
    assert [result.loss for result in forward] == [result.loss for result in backward[::-1]]
    between_epochs = evaluate(predictor, SquarePairs(samples, 21, 32), VOC_CLASSES, is_whole=False)
    for brief, whole in zip(between_epochs, forward, strict=True):
        same = ("name", "loss", "mask_png", "void_pixels")
        assert [getattr(brief, key) for key in same] == [getattr(whole, key) for key in same]
        np.testing.assert_array_equal(brief.counts_KK, whole.counts_KK)
        assert not any(counts.any() for counts in (brief.boundary_3K, brief.contour_4K, brief.errors_4, brief.bins_3B))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_photos_are_evaluated_ahead_but_come_and_fail_in_turn(
    tmp_path: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are ahead, so that memory is bounded; one who stops early leaves no thread behind."""
    samples = open_dataset(write_voc(tmp_path / "voc", num_train=2, num_val=20)).split("val")
    predictor = Predictor(loop_on(tmp_path / "voc").model, image_size=32, device=CPU)
    pairs = SquarePairs(samples, 21, 32)
    read: list[int] = []
    with_truth, threads = pairs.with_truth, threading.active_count()

    def note_and_read(index: int) -> WholePair:
        read.append(index)
        return with_truth(index)

    monkeypatch.setattr(pairs, "with_truth", note_and_read)

    stopped = evaluate(predictor, pairs, VOC_CLASSES, batch_size=batch_size)
    assert next(stopped).name == samples[0].name
    assert threading.active_count() > threads
    stopped.close()  # type: ignore[attr-defined]
    assert threading.active_count() == threads
    assert batch_size < len(read) <= 3 * batch_size + NUM_THREADS

    samples[16].mask.write_bytes(b"torn")
    found: list[str] = []
    with pytest.raises(DataError, match=samples[16].mask.name):
        found.extend(result.name for result in evaluate(predictor, pairs, VOC_CLASSES, batch_size=batch_size))
    assert found == [sample.name for sample in samples[: 16 // batch_size * batch_size]]
    assert threading.active_count() == threads
