"""The loop, on real photos drawn small and a real model: it learns, stops, freezes and refuses to go on into NaN."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.classes import VOC_CLASSES
from core.data.dataset import Sample, open_dataset
from core.errors import DataError, RunError
from core.model.predictor import Predictor
from core.training.config import TrainingConfig
from core.training.evaluation import evaluate
from core.training.evaluations import summarize
from core.training.loop import TrainingLoop
from core.training.records import Epoch, Record, Step
from tests.small_data import write_voc

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32, "batch_size": 2,
    "precision": "fp32", "epochs": 1, "learning_rate": 1e-3,
}  # fmt: skip


def loop_on(root: Path, **settings: Any) -> TrainingLoop:
    dataset = open_dataset(root)
    return TrainingLoop(
        TrainingConfig(**SMALL | settings), dataset.split("train"), dataset.split("val"), VOC_CLASSES, CPU
    )


def never() -> bool:
    return False


def epochs_of(records: Sequence[Record]) -> list[Epoch]:
    return [record for record in records if isinstance(record, Epoch)]


def test_it_learns_four_photos_by_heart(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc", num_train=4, num_val=2)
    for split in ("train", "val"):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("photo_0\nphoto_1\nphoto_2\nphoto_3\n")
    loop = loop_on(root, epochs=10, batch_size=4, image_size=64, learning_rate=3e-3)
    epochs = epochs_of(list(loop.epochs(never)))
    assert [record.epoch for record in epochs] == list(range(1, 11))
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
    loop = loop_on(tiny_voc, freeze="backbone", learning_rate=0.1, optimizer="adamw", weight_decay=0.5)
    backbone = copy.deepcopy(loop.model.backbone.state_dict())
    head = copy.deepcopy(loop.model.classifier.state_dict())
    list(loop.epochs(never))
    assert all(torch.equal(backbone[key], value) for key, value in loop.model.backbone.state_dict().items())
    assert not any(
        torch.equal(head[key], value) for key, value in loop.model.classifier.state_dict().items() if "weight" in key
    )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_moves_every_weight(tiny_voc: Path, optimizer: str) -> None:
    loop = loop_on(tiny_voc, optimizer=optimizer, aux_weight=0.5)
    before = {key: value.clone() for key, value in loop.model.named_parameters()}
    next(iter(loop.epochs(never)))
    still = [key for key, value in loop.model.named_parameters() if torch.equal(value, before[key])]
    assert len(still) < 0.1 * len(before)
    assert not [key for key in still if key.startswith(("classifier.", "aux_classifier."))]


def test_a_stop_is_heard_within_one_step_and_the_rest_is_trained_later_exactly_so(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc", num_train=8, num_val=2)
    whole = loop_on(root, flip=True, scale_min=0.5, scale_max=1.5)
    whole_epoch = epochs_of(list(whole.epochs(never)))[0]

    first = loop_on(root, flip=True, scale_min=0.5, scale_max=1.5)
    asked: list[int] = []

    def stop_after_two() -> bool:
        asked.append(first.progress.steps_done)
        return first.progress.steps_done >= 2

    list(first.epochs(stop_after_two))
    assert (first.progress.steps_done, first.progress.step_in_epoch, first.progress.epochs_done) == (2, 2, 0)
    assert asked == [0, 1, 2]
    second = loop_on(root, flip=True, scale_min=0.5, scale_max=1.5)
    second.load_state(first.model.state_dict(), copy.deepcopy(first.state()))
    torch.manual_seed(99)
    records = list(second.epochs(never))
    assert second.progress.steps_done == 4
    state = whole.model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in second.model.state_dict().items())
    resumed_epoch = epochs_of(records)[0]
    for name in ("epoch", "step", "train_loss", "val_loss", "miou", "iou", "is_best"):
        assert getattr(resumed_epoch, name) == getattr(whole_epoch, name)


def test_a_stop_in_validation_leaves_the_epoch_unfinished(tiny_voc: Path) -> None:
    loop = loop_on(tiny_voc)
    records = list(loop.epochs(lambda: len(loop.results) == 1))
    assert epochs_of(records) == []
    assert (loop.progress.epochs_done, loop.progress.step_in_epoch) == (0, 2)
    rest = list(loop.epochs(never))
    assert [record.epoch for record in epochs_of(rest)] == [1]
    assert loop.progress.steps_done == 2, "nothing is trained twice"


@pytest.mark.parametrize(("batch_size", "says"), [(2, "The loss became"), (4, "The validation loss became")])
def test_a_loss_that_runs_away_ends_in_one_sentence(tiny_voc: Path, batch_size: int, says: str) -> None:
    """With one step an epoch it is validation that sees the ruined weights first: that ended as a bug in the log."""
    loop = loop_on(tiny_voc, learning_rate=10.0, optimizer="sgd", batch_size=batch_size)
    for group in loop._optimizer.param_groups:
        group["weight_decay"] = -1e38  # beyond what a config allows, so that one step is enough
    with pytest.raises(RunError, match=rf"{says} (nan|inf).*smaller learning_rate") as caught:
        list(loop.epochs(never))
    assert "\n" not in str(caught.value)


def test_the_same_seed_trains_the_same_and_another_does_not(tiny_voc: Path) -> None:
    losses = [epochs_of(list(loop_on(tiny_voc, seed=seed).epochs(never)))[0].train_loss for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_the_schedule_moves_the_learning_rate_from_step_to_step(tiny_voc: Path) -> None:
    loop = loop_on(tiny_voc, epochs=1, schedule="poly", schedule_epochs=4, learning_rate=0.01)
    rates = []
    loop._optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    list(loop.epochs(never))
    assert rates == pytest.approx([0.01, 0.01 * (1 - 1 / 8) ** 0.9])


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
    forward = list(evaluate(predictor, samples, VOC_CLASSES))
    backward = list(evaluate(predictor, samples[::-1], VOC_CLASSES))
    scores = [replace(summarize(results, VOC_CLASSES.names), conventions={}) for results in (forward, backward)]
    assert scores[0] == scores[1]
    assert [result.loss for result in forward] == [result.loss for result in backward[::-1]]
