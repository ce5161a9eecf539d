"""The trainer: opens a run folder, trains one leg and writes its records; an early end is recorded as failed.

The caller holds the run's lock (`jobs.hold`). Records are yielded after they are written, for the command line to show.
In order: `Preparing` while every pair is read and the preflight runs, `RunStarted`, the training, `RunEnded`.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.data.dataset import fingerprint, open_dataset
from core.errors import CheckpointError, CoreError, DataError, RunError
from core.jobs import is_stop_requested
from core.model.checkpoint.checkpoint_file import OpenedCheckpoint, open_checkpoint
from core.training.distributed import ALONE, World, ended_together
from core.training.loop.leg import TrainingLeg
from core.training.loop.loop import TrainingLoop
from core.training.loop.other_ranks import share_start
from core.training.loop.trial import training_device
from core.training.run.changes import changed_settings
from core.training.run.folders import Run, next_target
from core.training.run.log import LogWriter, RunLog, read_log
from core.training.run.milestones import milestones
from core.training.run.records import Preparing, Record, RunEnded
from core.training.run.sinks import open_sinks
from core.training.settings.config import TrainingConfig

OPENING = "Opening the data and the last checkpoint"

HALF_WRITTEN = (".*.pt.part*", ".log.csv.*.part", "samples/*/.*.part")
"""Files that a killed leg may leave; the next leg deletes them first."""


def train(
    run: Run,
    *,
    extend_to: int | None = None,
    was_ended: Callable[[], bool] = lambda: False,
    world: World | None = None,
) -> Iterator[Record]:
    """Train a run to its planned epochs, or to `extend_to`, from last.pt if it exists.

    It saves and stops once `was_ended` returns True or the run folder has a stop request. A run with nothing left to
    do, unusable data or missing weights raise `CoreError`; so does any early end, after it is in the log. Rank 0 of a
    `world` trains with the other ranks (`other_ranks`).
    """
    world = world or ALONE
    log = read_log(run.log_path)
    config = dataclasses.replace(run.config, epochs=next_target(run, log, extend_to))
    writer = LogWriter(run.log_path)
    sinks = open_sinks(run.path, log, tensorboard=config.tensorboard)
    try:
        with _disk_errors_in_words(run), ended_together(world):
            for record in _records(run, config, world, lambda: was_ended() or is_stop_requested(run.path)):
                timed = dataclasses.replace(record, uptime_s=time.monotonic())
                writer.write(timed)
                for sink in sinks:
                    sink.take(timed)
                yield timed
    except Exception as error:
        # Anything but a CoreError is a bug: the log says that the run is over, the traceback goes to trainer.log.
        reason = str(error) if isinstance(error, CoreError) else f"{type(error).__name__}: {error}"
        with suppress(RunError):  # if the disk is too full for this record, stderr still gets the error
            writer.write_last(_failed(reason, log))
        raise
    finally:
        for sink in sinks:
            with suppress(OSError):  # earlier writes have raised already
                sink.close()
        writer.close()


def _records(run: Run, config: TrainingConfig, world: World, should_stop: Callable[[], bool]) -> Iterator[Record]:
    """Record the target epochs before anything can fail, so that a resume has the same target; then train."""
    yield Preparing(doing=OPENING, done=0, total=0, epochs=config.epochs)
    yield from _begin(run, config, world).records(should_stop)


@contextmanager
def _disk_errors_in_words(run: Run) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{error.filename or run.path} cannot be read or written: {error.strerror or error}; fix that and resume "
            "the run, whose last checkpoint is intact."
        ) from error


def _begin(run: Run, config: TrainingConfig, world: World) -> TrainingLeg:
    """Open the data and last.pt, if it exists, and build the loop that continues from it."""
    for pattern in HALF_WRITTEN:
        for file in run.path.glob(pattern):
            file.unlink(missing_ok=True)
    last = _last_checkpoint(run)
    dataset = open_dataset(run.data)  # the same split as in every command and page, whatever the run's seed
    train_samples, val_samples = dataset.split("train"), dataset.split("val")
    if last and not dataset.is_of(last.meta.class_names):
        raise DataError(f"The classes of {dataset.root} are no longer those of {last.path}; restore its classes.txt.")
    edits = changed_settings(run, last.meta.config, config) if last else []
    is_named_otherwise = last and last.meta.class_names != dataset.class_names
    classes = last.meta.classes if last and is_named_otherwise else dataset.classes
    device, why = training_device(config.device, world)
    loop = TrainingLoop(config, train_samples, val_samples, classes, device, is_resumed=last is not None, world=world)
    if last and last.training:
        loop.load_state(last.state, last.training)
    loop.notes += [*([why] if why else []), *edits]
    is_best_reset = loop.progress.score_on(fingerprint(val_samples))
    share_start(loop, dataset)
    return TrainingLeg(run, loop, dataset, last, is_best_reset=is_best_reset)


def _last_checkpoint(run: Run) -> OpenedCheckpoint | None:
    """Open last.pt if it exists; if it cannot be resumed from, the `CheckpointError` names a checkpoint that opens."""
    file = run.path / "last.pt"
    if not file.exists():
        return None
    try:
        last = open_checkpoint(file)
        if not last.training:
            raise CheckpointError(f"{file} holds no state of a training.")
    except CheckpointError as error:
        whole = _newest_whole(run)
        serves = f"; {whole.name} is whole and serves as before" if whole else ""
        raise CheckpointError(
            f"{str(error).removesuffix('.')}: only from it can the run go on, so put a copy of it back or start a new "
            f"run{serves}."
        ) from error
    return last


def _newest_whole(run: Run) -> Path | None:
    """Return the newest milestone that opens, else best.pt if it opens."""
    for file in [*reversed(milestones(run.path)), run.path / "best.pt"]:
        with suppress(CheckpointError):
            open_checkpoint(file)
            return file
    return None


def _failed(reason: str, log: RunLog) -> RunEnded:
    log.read_new()
    best = log.best_epoch
    return RunEnded(
        outcome="failed",
        reason=reason,
        epochs_done=log.epochs_done,
        best_epoch=best.epoch if best else None,
        best_miou=best.miou if best else None,
    )
