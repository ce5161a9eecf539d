"""One leg of a run, from its folder to its end: reads what is asked, writes the log, checkpoints and evaluations.

The caller holds the run's lock (`runs.hold`). Records are yielded after they are written, so that a command line can
show them.
"""

import dataclasses
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
import torchvision

import core
from core.data.dataset import Dataset, fingerprint, open_dataset
from core.data.stats import count_pixels
from core.errors import CoreError, DataError
from core.files import replacing
from core.jobs import is_stop_requested
from core.metrics.scores import floor_of_pixels
from core.model.architectures import count_parameters
from core.model.checkpoint import CheckpointMeta, OpenedCheckpoint, open_checkpoint, save_checkpoint, verify_checkpoint
from core.model.device import choose_device, device_name
from core.training import evaluations
from core.training.config import TrainingConfig
from core.training.loop import TrainingLoop
from core.training.records import Checkpoint, Epoch, LogWriter, Record, RunEnded, RunLog, RunStarted, Warned, read_log
from core.training.runs import Run, next_target

NUM_SAMPLES = 4
"""Validation photos whose masks are kept after every epoch, to watch the training."""


def train(run: Run, *, extend_to: int | None = None) -> Iterator[Record]:
    """Train a run to its planned epochs, or to `extend_to`, going on from last.pt where there is one.

    A run that has nothing left to do, data that cannot be used or weights that cannot be had raise a `CoreError`;
    so does whatever ends the training early, after the log says so.
    """
    log = read_log(run.log_path)
    config = dataclasses.replace(run.config, epochs=next_target(run, log, extend_to))
    writer = LogWriter(run.log_path)
    try:
        for record in _begin(run, config).records():
            writer.write(record)
            yield record
    except CoreError as error:
        writer.write(_failed(str(error), log))
        raise
    except Exception as error:
        # A bug: the log says that the run is over, the traceback goes to trainer.log.
        writer.write(_failed(f"{type(error).__name__}: {error}", log))
        raise
    finally:
        writer.close()


def _begin(run: Run, config: TrainingConfig) -> "_Leg":
    """Open the data and the last checkpoint, if there is one, and build the loop that goes on from it."""
    last_file = run.path / "last.pt"
    last = open_checkpoint(last_file) if last_file.exists() else None
    dataset = open_dataset(run.data)  # the one split that every command and page sees, whatever the run's seed
    training = last.training if last else None
    train_samples, val_samples = dataset.split("train"), dataset.split("val")
    if last and last.meta.class_names != dataset.class_names:
        raise DataError(f"The classes of {dataset.root} are no longer those of {last_file}; restore its classes.txt.")
    loop = TrainingLoop(
        config, train_samples, val_samples, dataset.classes, choose_device(), is_resumed=training is not None
    )
    if last and training:
        loop.load_state(last.state, training)
    return _Leg(run, loop, dataset, last)


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
        # Reads every pair once: a damaged photo is found and named now, not hours later.
        count_pixels(loop.train_samples, dataset.num_classes)
        self._floor = floor_of_pixels(count_pixels(self._val, dataset.num_classes))
        self._last_meta = last.meta if last else None
        self._saved_s = time.monotonic()

    def records(self) -> Iterator[Record]:
        """Train, and yield every record of the leg in order."""
        yield self._started()
        yield from self._warnings()
        with _ending_signals() as was_ended:
            for record in self._loop.epochs(lambda: was_ended() or is_stop_requested(self._run.path)):
                yield record
                if isinstance(record, Epoch):
                    yield from self._after_epoch(record)
        yield from self._end()

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
        )

    def _warnings(self) -> Iterator[Warned]:
        for note in self._loop.notes:
            yield Warned(message=f"{note}.")
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
        is_last = epoch.epoch == self._loop.config.epochs
        if epoch.is_best:
            yield self._save("best.pt")
        if is_last:
            yield self._save(f"epoch_{epoch.epoch:03d}.pt")
            self._store_evaluation(f"epoch_{epoch.epoch:03d}.pt", epoch.seconds - epoch.train_seconds)
        if is_last or time.monotonic() - self._saved_s >= self._loop.config.checkpoint_seconds:
            yield self._save("last.pt", with_training=True)
            self._saved_s = time.monotonic()

    def _end(self) -> Iterator[Record]:
        progress = self._loop.progress
        is_finished = progress.epochs_done >= self._loop.config.epochs
        if not is_finished:
            yield self._save("last.pt", with_training=True)
        yield RunEnded(
            outcome="finished" if is_finished else "stopped",
            reason=f"{progress.epochs_done} epochs done" if is_finished else "asked to stop",
            epochs_done=progress.epochs_done,
            best_epoch=progress.best_epoch,
            best_miou=progress.best_miou,
        )

    def _save(self, name: str, *, with_training: bool = False) -> Checkpoint:
        """Write a checkpoint, open it again and compare: only then does it take the place of the one before."""
        path = self._run.path / name
        written = path.with_name(f".{name}.part")
        try:
            save_checkpoint(written, self._loop.model, self._meta(), self._loop.state() if with_training else None)
            verify_checkpoint(written, self._loop.model)
            written.replace(path)
        finally:
            written.unlink(missing_ok=True)
        size = path.stat().st_size
        return Checkpoint(file=name, epoch=self._loop.progress.epochs_done, verified=True, size_bytes=size)

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
        )

    def _save_samples(self, epoch: int) -> None:
        folder = self._run.path / "samples" / f"epoch_{epoch:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        for result in self._loop.results[:NUM_SAMPLES]:
            with replacing(folder / f"{result.name}.png") as file:
                file.write(result.mask_png)


def versions() -> dict[str, str]:
    """Return the versions that decide what a training computes."""
    return {
        "atrous": core.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a subclass of str that checkpoints would pickle
        "torchvision": str(torchvision.__version__),
    }


@contextmanager
def _ending_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and Ctrl-C into a request to save and leave; gives a function that tells whether one came."""
    came = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True

    before: dict[int, Any] = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
