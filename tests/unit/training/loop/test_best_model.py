"""The best model between two savings: it waits in memory, and every end but a kill writes it."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models.segmentation import DeepLabV3

from core import jobs
from core.errors import CheckpointError, RunError
from core.model.checkpoint.checkpoint_file import CheckpointMeta, open_checkpoint
from core.training.loop import saving
from core.training.loop.leg import TrainingLeg
from core.training.loop.progress import RunProgress
from core.training.loop.step import TrainingStep
from core.training.loop.trainer import train
from core.training.run.folders import Run
from core.training.run.log import read_log
from core.training.run.records import Checkpoint, Epoch, Record, RunEnded
from tests.unit.training.loop.legs import leg

pytestmark = pytest.mark.slow

RARELY = {"checkpoint_seconds": 1000.0}
BEST_EPOCH, EPOCHS = 2, 4


@pytest.fixture
def make_run(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Make runs whose second epoch is the best: the real scores of so small a training are as they come."""
    count = RunProgress.finish_epoch

    def finish_epoch(progress: RunProgress, _: float | None) -> bool:
        return count(progress, 0.1 * (progress.epochs_done + 1) if progress.epochs_done < BEST_EPOCH else 0.05)

    monkeypatch.setattr(RunProgress, "finish_epoch", finish_epoch)
    return make_run


def saved(records: Sequence[Record]) -> list[tuple[str, int]]:
    return [(record.file, record.epoch) for record in records if isinstance(record, Checkpoint)]


def test_the_best_model_is_written_when_it_is_time_as_it_was_after_its_epoch(make_run: Callable[..., Run]) -> None:
    run = make_run(epochs=EPOCHS, **RARELY)
    records = leg(run)
    assert saved(records) == [("best.pt", 1), ("last.pt", 1), ("best.pt", 2), ("epoch_004.pt", 4), ("last.pt", 4)]

    best = open_checkpoint(run.path / "best.pt")
    assert best.meta.epoch == BEST_EPOCH
    best_record = next(record for record in records if isinstance(record, Epoch) and record.epoch == BEST_EPOCH)
    assert (best.meta.scores["miou"], best.meta.scores["pixel_accuracy"]) == (
        best_record.miou,
        best_record.pixel_accuracy,
    )

    shorter = make_run(epochs=BEST_EPOCH)
    leg(shorter)
    as_it_was = open_checkpoint(shorter.path / "epoch_002.pt").state
    assert all(torch.equal(as_it_was[key], value) for key, value in best.state.items())


def test_where_every_epoch_is_saved_so_is_its_best(make_run: Callable[..., Run]) -> None:
    assert saved(leg(make_run(epochs=EPOCHS, checkpoint_seconds=0)))[:5] == [
        ("best.pt", 1), ("last.pt", 1), ("best.pt", 2), ("last.pt", 2), ("last.pt", 3),
    ]  # fmt: skip


def spoil_after_the_best(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Let the loss become NaN in the epoch after the best, and the weights in training with it."""
    take = TrainingStep.take

    def spoil(step: TrainingStep, *arguments: Any, **named: Any) -> float:
        if len(read_log(run.log_path).epochs) == BEST_EPOCH:
            next(step.model.parameters()).data.fill_(torch.nan)
            raise RunError("The loss became nan.")
        return take(step, *arguments, **named)

    monkeypatch.setattr(TrainingStep, "take", spoil)


def test_a_run_that_fails_leaves_its_best_model(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(epochs=EPOCHS, **RARELY)
    spoil_after_the_best(monkeypatch, run)
    with pytest.raises(RunError, match="became nan"):
        leg(run)
    assert saved(read_log(run.log_path).checkpoints) == [("best.pt", 1), ("last.pt", 1), ("best.pt", 2)]
    assert open_checkpoint(run.path / "best.pt").meta.epoch == BEST_EPOCH


def test_why_a_run_failed_is_told_even_where_its_best_model_cannot_be_saved(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(epochs=EPOCHS, **RARELY)
    spoil_after_the_best(monkeypatch, run)
    write = saving.save_checkpoint

    def write_on_a_full_disk(path: Path, model: DeepLabV3, meta: CheckpointMeta, training: Any) -> None:
        if meta.epoch == BEST_EPOCH:
            raise CheckpointError(f"Cannot write {path} (No space left on device).")
        write(path, model, meta, training)

    monkeypatch.setattr(saving, "save_checkpoint", write_on_a_full_disk)
    with pytest.raises(RunError, match="became nan"):
        leg(run)
    log = read_log(run.log_path)
    assert isinstance(log.last, RunEnded)
    assert "became nan" in log.last.reason
    assert [warned.message for warned in log.warnings] == [
        f"The best model was not saved either: Cannot write {run.path / 'best.pt'} (No space left on device)."
    ]
    assert open_checkpoint(run.path / "best.pt").meta.epoch == 1


def test_an_epoch_whose_samples_cannot_be_written_leaves_its_model(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(epochs=EPOCHS, **RARELY)
    keep = TrainingLeg._save_samples

    def keep_until_the_best(at: TrainingLeg, epoch: int) -> None:
        if epoch == BEST_EPOCH:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        keep(at, epoch)

    monkeypatch.setattr(TrainingLeg, "_save_samples", keep_until_the_best)
    with pytest.raises(RunError, match="No space left"):
        leg(run)
    assert open_checkpoint(run.path / "best.pt").meta.epoch == BEST_EPOCH


def test_a_run_that_is_asked_to_end_in_mid_epoch_saves_its_best_model_first(make_run: Callable[..., Run]) -> None:
    run = make_run(epochs=EPOCHS, **RARELY)
    records: list[Record] = []
    with jobs.hold(run.path):
        for record in train(run, was_ended=lambda: records[-1].kind == "epoch" and len(saved(records)) == 2):
            records.append(record)  # noqa: PERF402 - what came is asked for on the way
    assert saved(records)[2:] == [("best.pt", 2), ("last.pt", 2)]


def test_what_a_killed_run_goes_on_from_knows_no_better_model_than_best_pt(make_run: Callable[..., Run]) -> None:
    """best.pt used to be written after every better epoch, and last.pt, which a run goes on from, once a minute."""
    run = make_run(epochs=EPOCHS, **RARELY)
    with jobs.hold(run.path):
        for record in train(run):
            if isinstance(record, Epoch) and record.epoch == BEST_EPOCH + 1:
                break  # as a kill would: nothing is written any more
    assert open_checkpoint(run.path / "best.pt").meta.epoch == 1
    ended = leg(run)[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.outcome, ended.best_epoch) == ("finished", BEST_EPOCH)
    assert open_checkpoint(run.path / "best.pt").meta.epoch == BEST_EPOCH
