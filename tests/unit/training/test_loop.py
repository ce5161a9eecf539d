"""The loop, on real photos drawn small and a real model: it learns, stops, freezes and refuses to go on into NaN."""

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.classes import VOC_CLASSES
from core.data.dataset import Sample, open_dataset
from core.data.pixels import SquashedPairs
from core.errors import DataError, RunError
from core.model.predictor import Predictor
from core.training import memory
from core.training.config import TrainingConfig, from_dict
from core.training.evaluation import evaluate
from core.training.evaluations import summarize
from core.training.loop import TrainingLoop
from core.training.progress import Progress
from core.training.records import Epoch, Record, Step, Warned, from_line, to_line
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


def test_losses_and_scores_do_not_depend_on_the_number_of_loading_processes(tiny_voc: Path) -> None:
    alone, helped = (loop_on(tiny_voc, num_workers=number, flip=True, epochs=2) for number in (0, 2))
    records = [list(loop.epochs(never)) for loop in (alone, helped)]
    assert told(records[0]) == told(records[1])
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


def is_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], value) for key, value in second.items())


def told(records: Sequence[Record]) -> list[tuple[Any, ...]]:
    return [(each.step, each.train_loss, each.val_loss, each.miou, each.iou) for each in epochs_of(records)]


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
    assert warned.startswith("A batch of 4 does not fit in memory: goes on with 2 x 2 and accumulated gradients;")
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
    assert told([*first_records, *second_records]) == told(records)
    assert is_same(whole.model.state_dict(), second.model.state_dict())
    assert is_same(whole._step.model.state_dict(), second._step.model.state_dict())
    assert not is_same(whole.model.state_dict(), second._step.model.state_dict()), "the average is another model"


def test_validation_and_what_is_saved_are_of_the_averaged_weights(tiny_voc: Path) -> None:
    plain, averaged = loop_on(tiny_voc), loop_on(tiny_voc, ema_decay=0.5)
    records = [list(loop.epochs(never)) for loop in (plain, averaged)]
    assert is_same(plain.model.state_dict(), averaged._step.model.state_dict()), "training itself is the same"
    assert not is_same(plain.model.state_dict(), averaged.model.state_dict())
    predictor = Predictor(averaged.model, image_size=32, device=CPU)
    results = list(evaluate(predictor, averaged.squashed_val, VOC_CLASSES))
    assert [result.loss for result in results] == [result.loss for result in averaged.results]
    assert told(records[0])[0][1] == told(records[1])[0][1]
    assert told(records[0])[0][2] != told(records[1])[0][2]


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
    assert len(told(list(loops[0].epochs(lambda: loops[0].progress.epochs_done == 1)))) == 1
    state = copy.deepcopy({"optimizer": loops[0].state()["optimizer"], "progress": OLD_PROGRESS})
    assert loops[0].progress.steps_done == OLD_PROGRESS["steps_done"]
    loops[1].load_state(copy.deepcopy(loops[0].model.state_dict()), state)
    ends = [told(list(loop.epochs(never))) for loop in loops]
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


def test_patience_ends_training_after_so_many_epochs_without_a_better_score(tiny_voc: Path) -> None:
    loop = loop_on(tiny_voc, epochs=9, patience=2)
    loop.progress = Progress(best_miou=1.0)
    assert len(epochs_of(list(loop.epochs(never)))) == 2
    assert loop.is_over
    assert loop.end_reason == "no better validation mIoU for 2 epochs: ended after 2"
    loop.progress.best_epoch = 1
    assert not loop.is_over
    assert len(epochs_of(list(loop.epochs(never)))) == 1
    assert loop.end_reason == "no better validation mIoU than in epoch 1 for 2 epochs: ended after 3"


def test_a_stop_in_between_uses_no_patience_up_and_going_on_after_the_end_renews_it(tiny_voc: Path) -> None:
    loop = loop_on(tiny_voc, epochs=9, patience=2)
    loop.progress = Progress(best_miou=1.0)
    assert len(epochs_of(list(loop.epochs(lambda: loop.progress.epochs_done == 1)))) == 1
    for epochs_done in (2, 4):
        resumed = loop_on(tiny_voc, epochs=9, patience=2)
        resumed.load_state(loop.model.state_dict(), copy.deepcopy(loop.state()))
        assert not resumed.is_over
        list(resumed.epochs(never))
        assert (resumed.progress.epochs_done, resumed.is_over) == (epochs_done, True)
        loop = resumed


def test_without_patience_or_at_the_last_epoch_all_epochs_are_done(tiny_voc: Path) -> None:
    for patience in (0, 2):
        loop = loop_on(tiny_voc, epochs=2, patience=patience)
        loop.progress = Progress(best_miou=1.0)
        assert len(epochs_of(list(loop.epochs(never)))) == 2
        assert loop.end_reason == "2 epochs done"


def test_what_patience_ends_was_validated_one_photo_at_a_time(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its evaluation is stored beside the milestone, and must be what `evaluate` gives."""
    loop = loop_on(tiny_voc, epochs=9, patience=1)
    loop.progress = Progress(best_miou=1.0)
    sizes: list[int] = []
    logits_of = Predictor.logits_of

    def noted(predictor: Predictor, photos: torch.Tensor) -> torch.Tensor:
        sizes.append(len(photos))
        return logits_of(predictor, photos)

    monkeypatch.setattr(Predictor, "logits_of", noted)
    list(loop.epochs(never))
    assert sizes == [1, 1]


def test_a_batch_size_of_zero_takes_what_fits_and_keeps_it_on_a_smaller_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_voc(tmp_path / "voc", num_train=8, num_val=2)
    photo = memory.photo_bytes(TrainingConfig(**SMALL), 21, "fp32")
    weights = 4 * 4 * 11_000_000
    monkeypatch.setattr(memory, "available_bytes", lambda _: int((weights + 5 * photo) / memory.SAFE_SHARE))
    loop = loop_on(root, batch_size=0, epochs=2)
    assert (loop.batch_size, loop.steps_per_epoch) == (4, 2)
    (note,) = loop.notes
    assert note.startswith("A batch size of 4 was chosen: a photo takes about 1.")
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
    assert "A batch of 4 does not fit in memory: goes on with 2 x 2" in records[0].message
    monkeypatch.setattr(memory, "available_bytes", lambda _: photo)
    with pytest.raises(RunError, match="Even 2 photos of 32 px"):
        loop_on(tiny_voc, batch_size=4)


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
        list(evaluate(predictor, SquashedPairs(each, 21, 32), VOC_CLASSES)) for each in (samples, samples[::-1])
    )
    scores = [replace(summarize(results, VOC_CLASSES.names), conventions={}) for results in (forward, backward)]
    assert scores[0] == scores[1]
    assert [result.loss for result in forward] == [result.loss for result in backward[::-1]]
