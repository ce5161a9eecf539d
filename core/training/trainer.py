"""One leg of a run, from its folder to its end: reads what is asked, writes the log, checkpoints and evaluations.

The caller holds the run's lock (`jobs.hold`). Records are yielded after they are written, so that a command line can
show them. In order: `Preparing` while every pair is read and the preflight tries what is to come, `RunStarted`, the
training, `RunEnded`.
"""

import dataclasses
import platform
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torchvision

import core
from core.data.dataset import Dataset, fingerprint, open_dataset
from core.errors import CheckpointError, CoreError, DataError, RunError
from core.files import replacing
from core.jobs import is_stop_requested
from core.metrics.scores import floor_of_pixels
from core.model.architectures import count_parameters
from core.model.checkpoint import CheckpointMeta, OpenedCheckpoint, open_checkpoint, save_checkpoint, verify_checkpoint
from core.model.device import choose_device, device_name
from core.training import evaluations
from core.training.config import TrainingConfig
from core.training.distributed import ALONE, World, ended_together
from core.training.follower import lead
from core.training.loop import TrainingLoop
from core.training.preflight import preflight
from core.training.records import (
    Checkpoint,
    Epoch,
    LogWriter,
    Preflight,
    Preparing,
    Record,
    RunEnded,
    RunLog,
    RunStarted,
    Warned,
    read_log,
)
from core.training.runs import Run, next_target
from core.training.sinks import NO_TENSORBOARD, has_tensorboard, open_sinks

NUM_SAMPLES = 4
"""Validation photos whose masks are kept after every epoch, to watch the training."""


HALF_WRITTEN = (".*.pt.part*", ".log.csv.*.part", "samples/*/.*.part")
"""What a leg that was killed may leave; it is deleted at the beginning of the next."""

READING = "Reading every photo and mask once"
COMPUTING = "Computing the backbone's features of every photo once"
TELL_EVERY_S = 1.0

LONG_GAP_S = 600.0
"""Nothing for so long, and for ten times a step, is worth a word: the machine slept, or the process was stopped."""


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
    early, after the log says so. The first process of a `world` trains with its others (`follower`).
    """
    world = world or ALONE
    log = read_log(run.log_path)
    config = dataclasses.replace(run.config, epochs=next_target(run, log, extend_to))
    writer = LogWriter(run.log_path)
    sinks = open_sinks(run.path, log, tensorboard=config.tensorboard)
    try:
        with _disk_errors_in_words(run), ended_together(world):
            for record in _begin(run, config, world).records(lambda: was_ended() or is_stop_requested(run.path)):
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


def _begin(run: Run, config: TrainingConfig, world: World) -> "_Leg":
    """Open the data and the last checkpoint, if there is one, and build the loop that goes on from it."""
    for pattern in HALF_WRITTEN:
        for file in run.path.glob(pattern):
            file.unlink(missing_ok=True)
    last = _last_checkpoint(run)
    dataset = open_dataset(run.data)  # the one split that every command and page sees, whatever the run's seed
    train_samples, val_samples = dataset.split("train"), dataset.split("val")
    if last and last.meta.class_names != dataset.class_names:
        raise DataError(f"The classes of {dataset.root} are no longer those of {last.path}; restore its classes.txt.")
    loop = TrainingLoop(
        config, train_samples, val_samples, dataset.classes, choose_device(), is_resumed=last is not None, world=world
    )
    if last and last.training:
        loop.load_state(last.state, last.training)
    lead(loop, dataset)
    return _Leg(run, loop, dataset, last)


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
    for file in [*sorted(run.path.glob("epoch_*.pt"), reverse=True), run.path / "best.pt"]:
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


class _Leg:
    """One continuous stretch of training of a run."""

    def __init__(self, run: Run, loop: TrainingLoop, dataset: Dataset, last: OpenedCheckpoint | None) -> None:
        self._run = run
        self._loop = loop
        self._dataset = dataset
        self._val = dataset.split("val")
        self._val_fingerprint = fingerprint(self._val)
        self._fingerprint = fingerprint((*loop.train_samples, *self._val))
        self._last_meta = last.meta if last else None
        self._began_with = dict(vars(loop.progress))
        self._step_seconds = 0.0
        self._saved_s = time.monotonic()

    def records(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        """Train, and yield every record of the leg in order."""
        with closing(self._preparation()) as preparation:
            for record in preparation:
                yield record
                if should_stop():
                    preparation.close()  # puts the loop back to where it was
                    yield self._ended()
                    return
        yield self._started()
        yield from self._warnings()
        clock = _Clock(10 * self._step_seconds)
        for record in self._loop.epochs(should_stop):
            yield from clock.told_gap()
            yield record
            if isinstance(record, Epoch):
                yield from self._after_epoch(record)
            clock.go_on()
        yield from self._end()

    def _preparation(self) -> Generator[Record, None, None]:
        """Find out what would end the leg later: read every pair, and try what is to come."""
        yield from self._read_pairs()
        if self._loop.is_over:
            return
        files = {"best.pt": False, f"epoch_{self._loop.config.epochs:03d}.pt": False, "last.pt": True}
        for record in preflight(self._loop, self._run.path, lambda path: self._write(path, with_training=True), files):
            if isinstance(record, Preflight):
                self._step_seconds = record.step_seconds
            yield record
        yield from _told_by_the_second(COMPUTING, self._loop.keep_features())

    def _read_pairs(self) -> Iterator[Record]:
        """Read every pair once: a damaged photo is found and named now, not hours later. Fills the floor."""
        train, val = self._loop.squashed, self._loop.squashed_val
        pixels_K, total = np.zeros(self._dataset.num_classes, dtype=np.int64), len(train) + len(val)

        def read() -> Iterator[tuple[int, int]]:
            for done, of_this_K in enumerate(chain(train.keep(), val.keep()), start=1):
                if done > len(train):
                    np.add(pixels_K, of_this_K, out=pixels_K)
                yield done, total

        yield Preparing(doing=READING, done=0, total=total)
        yield from _told_by_the_second(READING, read())
        self._floor = floor_of_pixels(pixels_K)

    def _started(self) -> RunStarted:
        loop, progress = self._loop, self._loop.progress
        return RunStarted(
            config=loop.config.as_dict(),
            device=device_name(loop.device),
            precision=loop.precision,
            num_params=count_parameters(loop.model),
            num_train_images=len(loop.train_samples),
            num_val_images=len(self._val),
            steps_per_epoch=loop.steps_per_epoch,
            epochs_done=progress.epochs_done,
            steps_done=progress.steps_done,
            class_names=list(loop.classes.names),
            class_colors=list(loop.classes.colors),
            floor=vars(self._floor),
            versions=versions(),
            fingerprint=self._fingerprint,
            num_processes=loop.world.size,
        )

    def _warnings(self) -> Iterator[Warned]:
        for note in self._loop.notes:
            yield Warned(message=f"{note}.")
        if self._loop.config.tensorboard and not has_tensorboard():
            yield Warned(message=NO_TENSORBOARD)
        if self._last_meta and self._last_meta.fingerprint != self._fingerprint:
            yield Warned(message="The data has changed since the last leg; scores before and after do not compare.")
        before = (self._last_meta.config if self._last_meta else {}).get("epochs")
        config = self._loop.config
        if (
            before
            and config.schedule != "constant"
            and config.total_schedule_epochs > max(before, config.schedule_epochs)
        ):
            yield Warned(
                message=f"The {config.schedule} schedule was planned for {before} epochs and is now stretched over "
                f"{config.epochs}: the learning rate jumps."
            )

    def _after_epoch(self, epoch: Epoch) -> Iterator[Record]:
        self._save_samples(epoch.epoch)
        is_last = self._loop.is_over
        if epoch.is_best:
            yield self._save("best.pt")
        if is_last:
            yield self._save(f"epoch_{epoch.epoch:03d}.pt")
            self._store_evaluation(f"epoch_{epoch.epoch:03d}.pt", epoch.seconds - epoch.train_seconds)
        if is_last or time.monotonic() - self._saved_s >= self._loop.config.checkpoint_seconds:
            yield self._save("last.pt", with_training=True)
            self._saved_s = time.monotonic()

    def _end(self) -> Iterator[Record]:
        if not self._loop.is_over and vars(self._loop.progress) != self._began_with:
            yield self._save("last.pt", with_training=True)
        yield self._ended()

    def _ended(self) -> RunEnded:
        progress, is_over = self._loop.progress, self._loop.is_over
        return RunEnded(
            outcome="finished" if is_over else "stopped",
            reason=self._loop.end_reason if is_over else "asked to stop",
            epochs_done=progress.epochs_done,
            best_epoch=progress.best_epoch,
            best_miou=progress.best_miou,
        )

    def _save(self, name: str, *, with_training: bool = False) -> Checkpoint:
        """Write a checkpoint, open it again and compare: only then does it take the place of the one before."""
        path = self._run.path / name
        written = path.with_name(f".{name}.part")
        try:
            self._write(written, with_training=with_training)
            written.replace(path)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(str(written), str(path))) from error
        finally:
            written.unlink(missing_ok=True)
        size = path.stat().st_size
        return Checkpoint(file=name, epoch=self._loop.progress.epochs_done, verified=True, size_bytes=size)

    def _write(self, path: Path, *, with_training: bool) -> None:
        save_checkpoint(path, self._loop.model, self._meta(), self._loop.state() if with_training else None)
        verify_checkpoint(path, self._loop.model)

    def _meta(self) -> CheckpointMeta:
        loop, config = self._loop, self._loop.config
        epochs_done = loop.progress.epochs_done
        earlier = self._last_meta.lineage if self._last_meta else (f"{config.init} weights",)
        return CheckpointMeta(
            architecture=config.architecture,
            class_names=loop.classes.names,
            class_colors=loop.classes.colors,
            output_stride=config.output_stride,
            has_aux_head=config.aux_weight > 0,
            image_size=config.image_size,
            epoch=epochs_done,
            scores=self._scores(),
            config=config.as_dict(),
            data=str(self._dataset.root),
            fingerprint=self._fingerprint,
            versions=versions(),
            lineage=(*earlier, f"{self._run.path.name}, epoch {epochs_done}"),
        )

    def _scores(self) -> dict[str, float | None]:
        if self._loop.progress.step_in_epoch or len(self._loop.results) != len(self._val):
            return {}  # in mid-epoch the results are of other weights
        scores = evaluations.summarize(self._loop.results, self._loop.classes.names)
        floor = scores.floor
        return {
            "miou": scores.miou,
            "pixel_accuracy": scores.pixel_accuracy,
            "floor_miou": floor.miou,
            "floor_pixel_accuracy": floor.pixel_accuracy,
        }

    def _store_evaluation(self, name: str, seconds: float) -> None:
        evaluations.store(
            self._run.eval_dir,
            checkpoint=name,
            checkpoint_hash=evaluations.file_hash(self._run.path / name),
            epoch=self._loop.progress.epochs_done,
            split="val",
            data=str(self._dataset.root),
            fingerprint=self._val_fingerprint,
            results=self._loop.results,
            class_names=self._loop.classes.names,
            images_per_second=len(self._val) / seconds,
            number_format=self._loop.number_format,
        )

    def _save_samples(self, epoch: int) -> None:
        folder = self._run.path / "samples" / f"epoch_{epoch:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        for result in self._loop.results[:NUM_SAMPLES]:
            with replacing(folder / f"{result.name}.png") as file:
                file.write(result.mask_png)


def _told_by_the_second(doing: str, steps: Iterator[tuple[int, int]]) -> Iterator[Preparing]:
    """Take (done, total) after every step of a preparation, and tell one a second."""
    told_s = time.monotonic()
    for done, total in steps:
        if time.monotonic() - told_s >= TELL_EVERY_S:
            told_s = time.monotonic()
            yield Preparing(doing=doing, done=done, total=total)


def versions() -> dict[str, str]:
    """Return the versions that decide what a training computes."""
    return {
        "atrous": core.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a subclass of str that checkpoints would pickle
        "torchvision": str(torchvision.__version__),
    }


class _Clock:
    """Notices that a leg was silent for long: it counts the machine's sleep, and no change of the time of day.

    A gap is long above `LONG_GAP_S` and above `usual_s`, seconds.
    """

    def __init__(self, usual_s: float) -> None:
        self._long_s = max(LONG_GAP_S, usual_s)
        self.go_on()

    def go_on(self) -> None:
        """Count from now."""
        self._since_s = seconds_awake_and_asleep()

    def told_gap(self) -> Iterator[Warned]:
        """Yield a warning if the time since `go_on` is long."""
        gap_s = seconds_awake_and_asleep() - self._since_s
        if gap_s > self._long_s:
            minutes = round(gap_s / 60)
            words = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
            yield Warned(message=f"No progress for {words}: the machine slept or was stopped; the training goes on.")


def seconds_awake_and_asleep() -> float:
    """Return a count of seconds that goes on while the machine sleeps, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
