"""A leg of a run begun from its folder, its records written down, and told as failed if something ends it early.

The caller holds the run's lock (`jobs.hold`). Records are yielded after they are written, so that a command line can
show them. In order: `Preparing` while every pair is read and the preflight tries what is to come, `RunStarted`, the
training, `RunEnded`.
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
from core.model.device import choose_device
from core.training.distributed import ALONE, World, ended_together
from core.training.loop.leg import Leg
from core.training.loop.loop import TrainingLoop
from core.training.loop.other_ranks import lead
from core.training.run.changes import changed_settings
from core.training.run.folders import Run, next_target
from core.training.run.log import LogWriter, RunLog, read_log
from core.training.run.milestones import milestones
from core.training.run.records import Preparing, Record, RunEnded
from core.training.run.sinks import open_sinks
from core.training.settings.config import TrainingConfig

OPENING = "Opening the data and the last checkpoint"

HALF_WRITTEN = (".*.pt.part*", ".log.csv.*.part", "samples/*/.*.part")
"""What a leg that was killed may leave; it is deleted at the beginning of the next."""


def train(
    run: Run,
    *,
    extend_to: int | None = None,
    was_ended: Callable[[], bool] = lambda: False,
    world: World | None = None,
) -> Iterator[Record]:
    """Train a run to its planned epochs, or to `extend_to`, going on from last.pt where there is one.

    It saves and leaves once `was_ended` or somebody asked for it in the run's folder. A run that has nothing left to
    do, data that cannot be used or weights that cannot be had raise a `CoreError`; so does whatever ends the training
    early, after the log says so. The first process of a `world` trains with its others (`other_ranks`).
    """
    world = world or ALONE
    log = read_log(run.log_path)
    config = dataclasses.replace(run.config, epochs=next_target(run, log, extend_to))
    writer = LogWriter(run.log_path)
    sinks = open_sinks(run.path, log, tensorboard=config.tensorboard)
    try:
        with _disk_errors_in_words(run), ended_together(world):
            for record in _records(run, config, world, lambda: was_ended() or is_stop_requested(run.path)):
                told = dataclasses.replace(record, uptime_s=time.monotonic())
                writer.write(told)
                for sink in sinks:
                    sink.take(told)
                yield told
    except CoreError as error:
        _tell_failure(writer, str(error), log)
        raise
    except Exception as error:
        # A bug: the log says that the run is over, the traceback goes to trainer.log.
        _tell_failure(writer, f"{type(error).__name__}: {error}", log)
        raise
    finally:
        for sink in sinks:
            with suppress(OSError):  # what it could not write was told before
                sink.close()
        writer.close()


def _records(run: Run, config: TrainingConfig, world: World, should_stop: Callable[[], bool]) -> Iterator[Record]:
    """Say how far the run is to come before anything can go wrong, so that a resume goes as far; then train."""
    yield Preparing(doing=OPENING, done=0, total=0, epochs=config.epochs)
    yield from _begin(run, config, world).records(should_stop)


@contextmanager
def _disk_errors_in_words(run: Run) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{error.filename or run.path} cannot be read or written: {error.strerror or error}; see to that and go on "
            "with the run, whose last checkpoint is intact."
        ) from error


def _tell_failure(writer: LogWriter, reason: str, log: RunLog) -> None:
    with suppress(RunError):  # on a disk so full that not even this can be written, the error itself goes to stderr
        writer.write_last(_failed(reason, log))


def _begin(run: Run, config: TrainingConfig, world: World) -> Leg:
    """Open the data and the last checkpoint, if there is one, and build the loop that goes on from it."""
    for pattern in HALF_WRITTEN:
        for file in run.path.glob(pattern):
            file.unlink(missing_ok=True)
    last = _last_checkpoint(run)
    dataset = open_dataset(run.data)  # the one split that every command and page sees, whatever the run's seed
    train_samples, val_samples = dataset.split("train"), dataset.split("val")
    if last and not dataset.is_of(last.meta.class_names):
        raise DataError(f"The classes of {dataset.root} are no longer those of {last.path}; restore its classes.txt.")
    edits = changed_settings(run, last.meta.config, config) if last else []
    is_named_otherwise = last and last.meta.class_names != dataset.class_names
    classes = last.meta.classes if last and is_named_otherwise else dataset.classes
    loop = TrainingLoop(
        config, train_samples, val_samples, classes, choose_device(), is_resumed=last is not None, world=world
    )
    if last and last.training:
        loop.load_state(last.state, last.training)
    loop.notes += edits
    is_best_anew = loop.progress.score_on(fingerprint(val_samples))
    lead(loop, dataset)
    return Leg(run, loop, dataset, last, is_best_anew=is_best_anew)


def _last_checkpoint(run: Run) -> OpenedCheckpoint | None:
    """Open last.pt if there is one; where nothing can go on from it, `CheckpointError` tells what is left."""
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
    """Return the newest milestone that opens, or best.pt."""
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
        epochs_done=log.epochs[-1].epoch if log.epochs else 0,
        best_epoch=best.epoch if best else None,
        best_miou=best.miou if best else None,
    )
