"""The loop that is stopped and goes on: the rest is trained exactly so, average, settings of old runs and all."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.classes import VOC_CLASSES
from core.data.dataset import open_dataset
from core.model.predict.predictor import Predictor
from core.training.evaluation import evaluate
from core.training.loop.loop import TrainingLoop
from core.training.run.records import Epoch, Warned, from_line, to_line
from core.training.settings.config import TrainingConfig, from_dict
from tests.small_data import write_voc
from tests.unit.training.loop.loops import CPU, SMALL, contents, epochs_of, is_same, loop_on, never


def fail_above(loop: TrainingLoop, photos: int) -> None:
    """Let memory run out in a training step of more photos; validation takes less and goes on."""
    model = loop._step.model
    forward = model.classifier.forward

    def fails(features: Tensor) -> Tensor:
        if model.training and len(features) > photos:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
        result: Tensor = forward(features)
        return result

    model.classifier.forward = fails


ALL_AT_ONCE: dict[str, Any] = {
    "epochs": 4, "batch_size": 4, "ema_decay": 0.9, "clip_norm": 0.5, "class_weighting": "balanced", "flip": True,
    "scale_min": 0.5, "optimizer": "adamw", "schedule": "one-cycle", "schedule_epochs": 4, "aux_weight": 0.4,
}  # fmt: skip


def test_two_and_two_epochs_are_four_with_average_clipping_weights_and_parts(tmp_path: Path) -> None:
    """The second leg has memory enough, and must train in the first one's parts all the same."""
    root = write_voc(tmp_path / "voc", num_train=8, num_val=2)
    whole, first = loop_on(root, **ALL_AT_ONCE), loop_on(root, **ALL_AT_ONCE | {"epochs": 2})
    for loop in (whole, first):
        fail_above(loop, 2)
    records = list(whole.epochs(never))
    (warned,) = (record.message for record in records if isinstance(record, Warned))
    assert warned.startswith("A batch of 4 does not fit in memory: continues with 2 x 2 and accumulated gradients;")
    first_records = list(first.epochs(never))

    saved = tmp_path / "last.pt"
    torch.save({"model": first.model.state_dict(), "training": first.state()}, saved)
    document = torch.load(saved, weights_only=True)
    dataset = open_dataset(root)
    config = TrainingConfig(**SMALL | ALL_AT_ONCE)
    second = TrainingLoop(config, dataset.split("train"), dataset.split("val"), VOC_CLASSES, CPU, is_resumed=True)
    second.load_state(document["model"], document["training"])
    second_records = list(second.epochs(never))
    assert not any(isinstance(record, Warned) for record in second_records)
    assert contents([*first_records, *second_records]) == contents(records)
    assert is_same(whole.model.state_dict(), second.model.state_dict())
    assert is_same(whole._step.model.state_dict(), second._step.model.state_dict())
    assert not is_same(whole.model.state_dict(), second._step.model.state_dict()), "the average is another model"


def test_validation_and_what_is_saved_are_of_the_averaged_weights(tiny_voc: Path) -> None:
    plain, averaged = loop_on(tiny_voc), loop_on(tiny_voc, ema_decay=0.5)
    records = [list(loop.epochs(never)) for loop in (plain, averaged)]
    assert is_same(plain.model.state_dict(), averaged._step.model.state_dict()), "training itself is the same"
    assert not is_same(plain.model.state_dict(), averaged.model.state_dict())
    predictor = Predictor(averaged.model, image_size=32, device=CPU)
    results = list(evaluate(predictor, averaged.val_pairs, VOC_CLASSES))
    assert [result.loss for result in results] == [result.loss for result in averaged.results]
    assert contents(records[0])[0][1] == contents(records[1])[0][1]
    assert contents(records[0])[0][2] != contents(records[1])[0][2]


def test_balanced_classes_change_the_training_loss_alone(tiny_voc: Path) -> None:
    plain, balanced = (loop_on(tiny_voc, class_weighting=name, learning_rate=1e-8) for name in ("none", "balanced"))
    first, second = (epochs_of(list(loop.epochs(never)))[0] for loop in (plain, balanced))
    assert first.train_loss != pytest.approx(second.train_loss, rel=1e-3)
    assert first.val_loss == pytest.approx(second.val_loss, rel=1e-3)


# A run of version 0.1.0, before batches could be split, weights averaged and training ended early.
OLD_SETTINGS = {
    "epochs": 2, "batch_size": 2, "image_size": 32, "learning_rate": 0.001, "optimizer": "adam", "weight_decay": 0.0,
    "schedule": "constant", "schedule_epochs": 0, "architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16,
    "init": "random", "aux_weight": 0.0, "freeze": "none", "precision": "fp32", "num_workers": 0,
    "checkpoint_seconds": 60.0, "flip": False, "scale_min": 1.0, "scale_max": 1.0, "train_fraction": 1.0, "seed": 0,
}  # fmt: skip
OLD_PROGRESS = {"epochs_done": 1, "steps_done": 2, "step_in_epoch": 0, "loss_sum": 0.0, "best_epoch": 1,
                "best_miou": 0.02}  # fmt: skip


def test_an_old_run_opens_and_goes_on_as_it_would_have(tiny_voc: Path) -> None:
    dataset = open_dataset(tiny_voc)
    loops = [
        TrainingLoop(from_dict(OLD_SETTINGS), dataset.split("train"), dataset.split("val"), VOC_CLASSES, CPU)
        for _ in range(2)
    ]
    assert len(contents(list(loops[0].epochs(lambda: loops[0].progress.epochs_done == 1)))) == 1
    state = copy.deepcopy({"optimizer": loops[0].state()["optimizer"], "progress": OLD_PROGRESS})
    assert loops[0].progress.steps_done == OLD_PROGRESS["steps_done"]
    loops[1].load_state(copy.deepcopy(loops[0].model.state_dict()), state)
    ends = [contents(list(loop.epochs(never))) for loop in loops]
    assert ends[0] == ends[1]
    assert ends[0][0][0] == 4
    assert is_same(loops[0].model.state_dict(), loops[1].model.state_dict())


def test_an_old_line_of_a_log_has_waited_for_no_data(tiny_voc: Path) -> None:
    (epoch,) = epochs_of(list(loop_on(tiny_voc).epochs(never)))
    assert 0 < epoch.data_seconds < epoch.train_seconds
    line = json.loads(to_line(epoch))
    del line["data_seconds"]
    old = from_line(json.dumps(line))
    assert isinstance(old, Epoch)
    assert old.data_seconds == 0


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
