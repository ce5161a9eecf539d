"""A leg that gets ready, and what happens to it on the way: asked to end, killed, asleep, out of numbers."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core import jobs
from core.data.dataset import open_dataset
from core.errors import CheckpointError, CoreError, RunError
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training.evaluation import evaluate_checkpoint
from core.training.loop import leg as leg_module
from core.training.loop.leg import READING
from core.training.loop.preflight import preflight
from core.training.loop.step import TrainingStep
from core.training.loop.trainer import train
from core.training.run import evaluations, machine
from core.training.run.folders import Run, run_state
from core.training.run.log import read_log
from core.training.run.records import Checkpoint, Preflight, Preparing, Record, RunEnded, RunStarted, Step
from tests.unit.training.loop.legs import leg, warnings_of

pytestmark = pytest.mark.slow

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
    assert kinds[: kinds.index("run_started") + 1] == ["preparing"] * 5 + ["preflight", "run_started"]
    tried = read_log(run.log_path).preflight
    assert tried in records
    assert tried is not None
    assert 0 < tried.step_seconds < tried.seconds
    assert tried.eval_seconds_per_image > 0
    assert 0.9 < tried.checkpoint_bytes / (run.path / "last.pt").stat().st_size < 1.1
    assert tried.checkpoint_bytes < tried.needed_disk_bytes < tried.free_disk_bytes
    assert tried.free_memory_bytes > 0
    assert tried.peak_memory_bytes > 0
    assert not list(run.path.glob(".*")), "nothing half written is left"


def test_reading_thousands_of_photos_is_told_about(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 3,000 photos the run was silent for minutes before its first record."""
    monkeypatch.setattr("core.training.loop.leg.REPORT_EVERY_S", 0.0)
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


@pytest.mark.parametrize(("last_step", "place"), [(2, (0, 2)), (3, (1, 1)), (4, (1, 2))])
def test_a_checkpoint_of_mid_epoch_says_so(
    make_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    tiny_voc: Path,
    last_step: int,
    place: tuple[int, int],
) -> None:
    """A stop in epoch 2 saved its weights as those of epoch 1, with whose mIoU every list then showed them."""
    monkeypatch.setattr("core.training.loop.progress.RECORD_EVERY_S", 0.0)
    run = make_run(epochs=2)
    steps: list[int] = []
    with jobs.hold(run.path):
        for record in train(run, was_ended=lambda: last_step in steps):
            steps.extend([record.step] if isinstance(record, Step) else [])
    file = run.path / "last.pt"
    saved, meta = read_log(run.log_path).saved(file.name), open_checkpoint(file).meta
    assert saved is not None
    assert (saved.epoch, saved.step_in_epoch) == (meta.epoch, meta.step_in_epoch) == place
    assert meta.scores == {}
    assert meta.lineage[-1] == f"{run.path.name}, in epoch {place[0] + 1}"
    evaluate_checkpoint(file, open_dataset(run.data), "val")
    (stored,) = (evaluations.load(path) for path in evaluations.stored(run.eval_dir))
    assert (stored.epoch, stored.step_in_epoch) == place
    leg(run)
    saved, meta = read_log(run.log_path).saved(file.name), open_checkpoint(file).meta
    assert saved is not None
    assert (saved.epoch, saved.step_in_epoch) == (meta.epoch, meta.step_in_epoch) == (2, 0)


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
    run = make_run(optimizer="sgd", learning_rate=10.0, weight_decay=0.25, epochs=50, checkpoint_seconds=0)
    with pytest.raises(CoreError, match="smaller learning_rate"):
        leg(run)
    assert run_state(run, read_log(run.log_path)) == "failed"
    assert run.checkpoints()
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


@pytest.mark.parametrize("step_s", [30.0, 1200.0])
def test_a_machine_that_slept_is_told(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """A gap of less than ten steps is none, however slow they are."""
    run = make_run(epochs=2)
    monkeypatch.setattr(
        leg_module,
        "preflight",
        lambda *arguments: (
            replace(record, step_seconds=step_s) if isinstance(record, Preflight) else record
            for record in preflight(*arguments)
        ),
    )
    clock = {"now": 0.0}
    monkeypatch.setattr(machine, "seconds_with_sleep", lambda: clock["now"])
    take = TrainingStep.take

    def sleep_and_take(step: TrainingStep, *arguments: Any, **named: Any) -> float:
        clock["now"] += 11_520 if named["steps_done"] == 2 else 30
        return take(step, *arguments, **named)

    monkeypatch.setattr(TrainingStep, "take", sleep_and_take)
    slept = "No progress for 3 h 12 min: the machine slept or was stopped; the training goes on."
    assert warnings_of(leg(run)) == ([slept] if step_s == 30 else [])
