"""A leg from its folder to its end, in this process: what it writes, what it warns of, and what it refuses."""

import copy
import dataclasses
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core import jobs
from core.data.dataset import fingerprint, open_dataset
from core.data.images import write_mask
from core.errors import CheckpointError, CoreError, RunError
from core.model.checkpoint import open_checkpoint, save_checkpoint
from core.training import evaluations, silence
from core.training.config import TrainingConfig
from core.training.evaluation import evaluate_checkpoint
from core.training.leg import READING
from core.training.log import read_log
from core.training.records import Checkpoint, Preflight, Preparing, Record, RunEnded, RunStarted, Step, Warned
from core.training.runs import Run, create_run, run_state
from core.training.silence import Silence
from core.training.step import TrainingStep
from core.training.trainer import train
from core.voc import CLASS_NAMES

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32, "batch_size": 2,
    "precision": "fp32", "epochs": 1,
}  # fmt: skip


@pytest.fixture
def make_run(tiny_voc: Path) -> Callable[..., Run]:
    return lambda **settings: create_run("first", tiny_voc, "report", TrainingConfig(**SETTINGS | settings))


def leg(run: Run, extend_to: int | None = None) -> list[Record]:
    with jobs.hold(run.path):
        return list(train(run, extend_to=extend_to))


def warnings_of(records: list[Record]) -> list[str]:
    return [record.message for record in records if isinstance(record, Warned)]


def test_a_leg_writes_what_it_tells(make_run: Callable[..., Run], tiny_voc: Path) -> None:
    run = make_run()
    records = leg(run)
    assert isinstance(records[0], Preparing)
    (started,) = (record for record in records if isinstance(record, RunStarted))
    assert isinstance(records[-1], RunEnded)
    lines = [json.loads(line) for line in run.log_path.read_text().splitlines()]
    assert [line["kind"] for line in lines] == [record.kind for record in records]
    assert started.config == run.config.as_dict()
    assert (started.num_train_images, started.num_val_images, started.steps_per_epoch) == (4, 2, 2)
    dataset = open_dataset(tiny_voc)
    assert started.fingerprint == fingerprint((*dataset.split("train"), *dataset.split("val")))
    assert 0 < (started.floor["miou"] or 0) < 0.5

    meta = open_checkpoint(run.path / "epoch_001.pt").meta
    assert meta.epoch == 1
    assert meta.config == run.config.as_dict()
    kept = evaluations.scores_of(
        run.eval_dir, run.path / "epoch_001.pt", "val", fingerprint(open_dataset(run.data).split("val"))
    )
    assert kept is not None
    assert meta.scores["miou"] == kept["miou"] == read_log(run.log_path).epochs[0].miou
    assert meta.scores["floor_miou"] == kept["floor"]["miou"]


def test_evaluating_a_milestone_later_gives_what_the_training_stored(
    make_run: Callable[..., Run], tiny_voc: Path
) -> None:
    run = make_run()
    leg(run)
    file = run.path / "epoch_001.pt"
    (before,) = (evaluations.load(path) for path in evaluations.stored(run.eval_dir))
    evaluated = evaluate_checkpoint(file, open_dataset(tiny_voc), "val")
    assert evaluations.summarize(evaluated.results, CLASS_NAMES) == before.scores
    (after,) = (evaluations.load(path) for path in evaluations.stored(run.eval_dir))
    assert (after.path, after.scores) == (before.path, before.scores)


def test_data_that_changed_between_two_legs_is_warned_of(make_run: Callable[..., Run], tiny_voc: Path) -> None:
    run = make_run()
    assert warnings_of(leg(run)) == []
    sample = open_dataset(tiny_voc).split("val")[0]
    write_mask(sample.mask, torch.zeros(40, 48, dtype=torch.uint8).numpy())
    assert "data has changed" in "".join(warnings_of(leg(run, extend_to=2)))


@pytest.mark.parametrize(("schedule_epochs", "warned"), [(0, 1), (2, 0)])
def test_a_schedule_that_an_extension_stretches_is_warned_of(
    make_run: Callable[..., Run], schedule_epochs: int, warned: int
) -> None:
    """yolov5#292: the learning rate jumped on resuming, and nobody said so."""
    run = make_run(schedule="poly", schedule_epochs=schedule_epochs)
    leg(run)
    told = warnings_of(leg(run, extend_to=2))
    assert len(told) == warned
    assert all("learning rate jumps" in message for message in told)


def test_what_cannot_be_extended_stays_finished(make_run: Callable[..., Run]) -> None:
    """A mistyped number of epochs made a finished run a failed one."""
    run = make_run()
    leg(run)
    before = run.log_path.read_bytes()
    for extend_to in (None, 1, 0, -5, 10_001):
        with pytest.raises(CoreError) as caught:
            leg(run, extend_to)
        assert "\n" not in str(caught.value)
        assert run.log_path.read_bytes() == before
    assert run_state(run, read_log(run.log_path)) == "finished"


def test_without_its_last_pt_a_run_does_not_begin_anew_over_its_milestones(make_run: Callable[..., Run]) -> None:
    """Whoever deleted the largest file to save space lost epoch_001.pt on extending."""
    run = make_run()
    leg(run)
    milestone = (run.path / "epoch_001.pt").read_bytes()
    (run.path / "last.pt").unlink()
    with pytest.raises(RunError, match=r"last\.pt is gone, .* put a copy of it back .* epoch_001\.pt, best\.pt can be"):
        leg(run, extend_to=2)
    assert (run.path / "epoch_001.pt").read_bytes() == milestone
    assert run_state(run, read_log(run.log_path)) == "finished"


@pytest.mark.parametrize("damage", ["torn", "empty", "half", "without training"])
def test_a_damaged_last_pt_fails_in_words_and_names_what_is_whole(
    make_run: Callable[..., Run], damage: str, one_sentence: Callable[[object, Path], str]
) -> None:
    """Of one without the state of a training, the run began anew over its milestones."""
    run = make_run()
    leg(run)
    last = run.path / "last.pt"
    whole = {"torn": b"torn", "empty": b"", "half": last.read_bytes()[: last.stat().st_size // 2]}
    last.write_bytes(whole.get(damage) or (b"" if damage == "empty" else (run.path / "best.pt").read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        leg(run, extend_to=2)
    assert "epoch_001.pt is whole" in one_sentence(caught.value, last)
    ended = read_log(run.log_path).last
    assert isinstance(ended, RunEnded)
    assert ended.outcome == "failed"
    assert ended.epochs_done == 1


def test_going_on_needs_no_pretrained_weights(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run from ImageNet weights could not be resumed without a network, though last.pt has every weight."""
    run = make_run()
    leg(run)
    pretrained = dataclasses.replace(run, config=dataclasses.replace(run.config, init="imagenet"))
    monkeypatch.setattr("core.training.loop.initialize", lambda *_: pytest.fail("looked for pretrained weights"))
    assert isinstance(leg(pretrained, extend_to=2)[-1], RunEnded)


def test_a_checkpoint_that_reads_back_otherwise_is_never_told_as_saved(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report lost 24 hours of training to a checkpoint that could not be opened again."""

    def save_on_a_bad_disk(path: Path, model: torch.nn.Module, *rest: Any) -> None:
        spoiled = copy.deepcopy(model)
        next(spoiled.parameters()).data[0, 0, 0, 0] += 1
        save_checkpoint(path, spoiled, *rest)

    run = make_run()
    monkeypatch.setattr("core.training.leg.save_checkpoint", save_on_a_bad_disk)
    with pytest.raises(CheckpointError, match="other weights"):
        leg(run)
    assert [file.name for file in run.path.glob("*.pt*")] == [], "nothing takes the place of a good one"
    log = read_log(run.log_path)
    assert log.checkpoints == []
    assert isinstance(log.last, RunEnded)
    assert log.last.outcome == "failed"


# --- getting ready --------------------------------------------------------------------------------------------------


def leg_ended_at(run: Run, kind: type[Record], doing: str = "") -> list[Record]:
    """Train a leg that is asked to end when a record of this kind comes, and of this `doing` if it is a `Preparing`."""
    records: list[Record] = []
    with jobs.hold(run.path):
        for record in train(run, was_ended=lambda: isinstance(records[-1], kind) and is_met(records[-1], doing)):
            records.append(record)  # noqa: PERF402 - what came is asked for on the way
    return records


def is_met(record: Record, doing: str) -> bool:
    return not isinstance(record, Preparing) or doing in record.doing


def outcome(records: list[Record]) -> str:
    assert isinstance(records[-1], RunEnded)
    return records[-1].outcome


def test_before_the_training_all_pairs_are_read_and_everything_is_tried(make_run: Callable[..., Run]) -> None:
    run = make_run()
    records = leg(run)
    kinds = [record.kind for record in records]
    assert kinds[: kinds.index("run_started") + 1] == ["preparing"] * 4 + ["preflight", "run_started"]
    told = read_log(run.log_path).preflight
    assert told in records
    assert told is not None
    assert 0 < told.step_seconds < told.seconds
    assert told.eval_seconds_per_image > 0
    assert 0.9 < told.checkpoint_bytes / (run.path / "last.pt").stat().st_size < 1.1
    assert told.checkpoint_bytes < told.needed_disk_bytes < told.free_disk_bytes
    assert told.free_memory_bytes > 0
    assert told.peak_memory_bytes > 0
    assert not list(run.path.glob(".*")), "nothing half written is left"


def test_reading_thousands_of_photos_is_told_about(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 3,000 photos the run was silent for minutes before its first record."""
    monkeypatch.setattr("core.training.leg.TELL_EVERY_S", 0.0)
    records = leg_ended_at(make_run(), Preflight)
    reading = [record for record in records if isinstance(record, Preparing) and record.doing == READING]
    assert [(record.done, record.total) for record in reading] == [(done, 6) for done in range(7)]


@pytest.mark.parametrize("doing", ["Reading", "step", "checkpoint", "evaluation"])
def test_asked_to_end_while_it_gets_ready_a_run_ends_as_stopped(make_run: Callable[..., Run], doing: str) -> None:
    run = make_run()
    records = leg_ended_at(run, Preparing, doing)
    assert outcome(records) == "stopped"
    assert run_state(run, read_log(run.log_path)) == "stopped"
    assert sorted(path.name for path in run.path.iterdir()) == ["config.json", "lock", "log.jsonl"]
    assert outcome(leg(run)) == "finished"
    assert [epoch.epoch for epoch in read_log(run.log_path).epochs] == [1]


def test_a_stop_before_the_first_step_of_a_leg_leaves_last_pt_as_it_is(make_run: Callable[..., Run]) -> None:
    run = make_run(epochs=2)
    leg_ended_at(run, Checkpoint)
    before = (run.path / "last.pt").stat()
    for kind in (Preparing, RunStarted):
        assert outcome(leg_ended_at(run, kind)) == "stopped"
        assert (run.path / "last.pt").stat().st_mtime_ns == before.st_mtime_ns
    assert outcome(leg(run)) == "finished"


def test_a_finished_leg_that_was_killed_before_it_said_so_says_so_now(make_run: Callable[..., Run]) -> None:
    run = make_run()
    leg(run)
    lines = run.log_path.read_bytes().splitlines(keepends=True)
    run.log_path.write_bytes(b"".join(lines[:-1]))
    records = leg(run)
    assert outcome(records) == "finished"
    assert not [record for record in records if isinstance(record, Preflight)], "nothing is left to try"


# --- what happens on the way ----------------------------------------------------------------------------------------


def test_a_log_with_garbage_and_half_a_line_goes_on(make_run: Callable[..., Run]) -> None:
    """LlamaFactory#10715: half a line of JSON crashed the monitor."""
    run = make_run()
    leg(run)
    lines = run.log_path.read_bytes().splitlines(keepends=True)
    lines.insert(3, b"\xff\x00 no json\n")
    run.log_path.write_bytes(b"".join(lines) + b'{"kind":"step","epo')
    assert outcome(leg(run, extend_to=2)) == "finished"
    log = read_log(run.log_path)
    assert len(log.bad_lines) == 2
    assert [epoch.epoch for epoch in log.epochs] == [1, 2]
    assert [started.epochs_done for started in log.legs] == [0, 1]


def test_weights_that_are_no_numbers_never_take_the_place_of_good_ones(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, one_sentence: Callable[[object, Path], str]
) -> None:
    """A step can spoil the weights, and somebody ask for an end before the next one's loss shows it."""
    run = make_run(epochs=2, checkpoint_seconds=0)
    leg_ended_at(run, Checkpoint)
    good = (run.path / "last.pt").read_bytes()
    ask = TrainingStep.take

    def spoil(step: TrainingStep, *arguments: Any, **named: Any) -> float:
        loss = ask(step, *arguments, **named)
        if named["steps_done"] == 3:
            next(step.model.parameters()).data[0] = torch.nan
        return loss

    monkeypatch.setattr(TrainingStep, "take", spoil)
    with pytest.raises(CheckpointError) as caught:
        leg_ended_at(run, Step)
    assert "NaN" in one_sentence(caught.value, run.path)
    assert (run.path / "last.pt").read_bytes() == good
    assert run_state(run, read_log(run.log_path)) == "failed"


def test_a_learning_rate_far_too_high_fails_in_words(make_run: Callable[..., Run]) -> None:
    run = make_run(optimizer="sgd", learning_rate=10.0, epochs=50, checkpoint_seconds=0)
    with pytest.raises(CoreError, match="smaller learning_rate"):
        leg(run)
    assert run_state(run, read_log(run.log_path)) == "failed"
    for file in run.checkpoints():
        assert all(value.isfinite().all() for value in open_checkpoint(file).build().state_dict().values())


def test_a_folder_that_vanishes_in_mid_run_is_told_in_words(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, one_sentence: Callable[[object, Path], str]
) -> None:
    """An OSError from writing samples or an evaluation was taken for a bug, with a traceback."""
    run = make_run(epochs=2)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(evaluations, "store", fail)
    with pytest.raises(RunError) as caught:
        leg(run)
    assert "No space left" in one_sentence(caught.value, run.path)


def test_a_machine_that_slept_is_told(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(epochs=2)
    clock = {"now": 0.0}
    monkeypatch.setattr(silence, "seconds_awake_and_asleep", lambda: clock["now"])
    take = TrainingStep.take

    def sleep_and_take(step: TrainingStep, *arguments: Any, **named: Any) -> float:
        clock["now"] += 11_520 if named["steps_done"] == 2 else 30
        return take(step, *arguments, **named)

    monkeypatch.setattr(TrainingStep, "take", sleep_and_take)
    (told,) = warnings_of(leg(run))
    assert told == "No progress for 3 h 12 min: the machine slept or was stopped; the training goes on."


def test_slow_steps_are_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 700.0, 1000.0, 1650.0])
    monkeypatch.setattr(silence, "seconds_awake_and_asleep", lambda: next(times))
    clock = Silence(900.0)
    assert list(clock.told_gap()) == []
    clock = Silence(0.0)
    assert [told.message[:22] for told in clock.told_gap()] == ["No progress for 11 min"]
