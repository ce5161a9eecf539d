"""One leg of a run: preparation, epochs, checkpoints and samples after each, and the end."""

import math
import platform
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray

import core
from core.data.dataset import Dataset, fingerprint
from core.errors import DataError
from core.files import replacing
from core.metrics.image_scores import summarize
from core.metrics.scores import floor_of_pixels
from core.model.architectures import count_parameters
from core.model.checkpoint.checkpoint_file import CheckpointMeta, OpenedCheckpoint
from core.model.device import device_name
from core.training.loop.compiled import compile_if_worth
from core.training.loop.loop import TrainingLoop
from core.training.loop.preflight import data_warnings, preflight
from core.training.loop.saving import Snapshot, rename_old_best, save, write
from core.training.run import evaluations, machine
from core.training.run.changes import CHANGED_MEANWHILE, changed_data, stretched_schedule
from core.training.run.folders import Run
from core.training.run.milestones import epoch_name, milestone
from core.training.run.records import Checkpoint, Epoch, Preflight, Preparing, Record, RunEnded, RunStarted, Warned
from core.training.run.sinks import NO_TENSORBOARD, has_tensorboard
from core.wording import duration

NUM_SAMPLES = 4
"""Validation photos whose masks are saved after every epoch, for the live view."""

READING = "Reading every photo and mask once"
COMPUTING = "Computing the backbone's features of every photo once"
REPORT_EVERY_S = 1.0
LONG_GAP_S = 600.0
"""A gap this long, and ten times as long as a step, is a warning: the machine slept, or the process was stopped."""


class TrainingLeg:
    """One continuous stretch of training of a run."""

    def __init__(
        self, run: Run, loop: TrainingLoop, dataset: Dataset, last: OpenedCheckpoint | None, *, is_best_reset: bool
    ) -> None:
        self._run = run
        self._loop = loop
        self._dataset = dataset
        self._val = dataset.split("val")
        self._val_fingerprint = loop.progress.scored_on
        self._is_best_reset = is_best_reset
        self._has_val_changed = False
        self._fingerprint = fingerprint((*loop.train_samples, *self._val))
        self._last_meta = last.meta if last else None
        self._began_with = dict(vars(loop.progress))
        self._data_warnings: list[str] = []
        self._step_seconds = 0.0
        self._unsaved_best: Snapshot | None = None
        self._saved_s = -math.inf

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
        try:
            yield from self._epochs(should_stop)
        except Exception:  # whatever it is, the best model is saved
            yield from self._rescue_best()
            raise
        yield from self._end()

    def _epochs(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        last_s = machine.seconds_with_sleep()
        for record in self._loop.epochs(should_stop):
            gap_s = machine.seconds_with_sleep() - last_s
            if gap_s > max(LONG_GAP_S, 10 * self._step_seconds):
                gap = f"No progress for {duration(gap_s)}"
                yield Warned(message=f"{gap}: the machine slept or was stopped; the training goes on.")
            yield record
            if isinstance(record, Epoch):
                yield from self._after_epoch(record)
            last_s = machine.seconds_with_sleep()

    def _preparation(self) -> Generator[Record, None, None]:
        """Find what would end the leg later: read every pair, and run the preflight."""
        yield from self._read_pairs()
        if self._loop.is_over:
            return
        files = {"best.pt": False, f"{epoch_name(self._loop.config.epochs)}.pt": False, "last.pt": True}
        if self._is_best_reset:
            files["the best.pt before"] = False  # stays beside the new one
        for record in preflight(self._loop, self._run.path, self._write_last, files):
            if isinstance(record, Preflight):
                self._step_seconds = record.step_seconds
            yield record
        yield from compile_if_worth(self._loop, self._step_seconds)
        yield from _once_a_second(COMPUTING, self._loop.compute_features())

    def _read_pairs(self) -> Iterator[Record]:
        """Read every pair once, to find a damaged photo now and not hours later; sets the floor and data warnings."""
        train, val = self._loop.train_pairs, self._loop.val_pairs
        counts: list[NDArray[np.int64]] = []
        total = len(train) + len(val)

        def read() -> Iterator[tuple[int, int]]:
            for pixels_K in chain(train.cache(), val.cache()):
                counts.append(pixels_K)
                yield len(counts), total

        yield Preparing(doing=READING, done=0, total=total)
        yield from _once_a_second(READING, read())
        train_NK, val_MK = np.split(np.array(counts), [len(train)])
        self._data_warnings = data_warnings(train.samples, val.samples, train_NK, val_MK, self._loop.classes)
        self._floor = floor_of_pixels(val_MK.sum(axis=0))

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
            best_since=progress.best_since,
            class_names=list(loop.classes.names),
            class_colors=list(loop.classes.colors),
            floor=vars(self._floor),
            versions=versions(),
            fingerprint=self._fingerprint,
            num_processes=loop.world.size,
            init=loop.init,
        )

    def _warnings(self) -> Iterator[Warned]:
        for message in (*(f"{note}." for note in self._loop.notes), *self._data_warnings):
            yield Warned(message=message)
        if self._loop.config.tensorboard and not has_tensorboard():
            yield Warned(message=NO_TENSORBOARD)
        if self._last_meta and self._last_meta.fingerprint != self._fingerprint:
            renamed = rename_old_best(self._run.path) if self._is_best_reset else None
            yield Warned(message=changed_data(self._last_meta.fingerprint, renamed, is_best_reset=self._is_best_reset))
        if jump := stretched_schedule(self._last_meta.config if self._last_meta else {}, self._loop.config):
            yield Warned(message=jump)

    def _warn_of_change(self) -> Iterator[Warned]:
        """Warn once if the validation photos or masks have changed since the beginning of the leg."""
        with suppress(DataError):  # a deleted file raises where it is read
            if not self._has_val_changed and fingerprint(self._val) != self._val_fingerprint:
                self._has_val_changed = True
                yield Warned(message=CHANGED_MEANWHILE)

    def _after_epoch(self, epoch: Epoch) -> Iterator[Record]:
        is_last = self._loop.is_over
        is_due = is_last or time.monotonic() - self._saved_s >= self._loop.config.checkpoint_seconds
        yield from self._warn_of_change()
        if epoch.is_best:
            # Early epochs are nearly all the best so far; writing and verifying each would cost a tenth of the time.
            self._unsaved_best = self._snapshot() if is_due else self._snapshot().copied()
        self._save_samples(epoch.epoch)
        if is_due:
            yield from self._save_best()
        if is_last:
            file = milestone(self._run.path, epoch.epoch)
            yield save(file, self._snapshot())
            if not self._has_val_changed:  # else it fits neither the old nor the new photos
                self._store_evaluation(file, epoch.seconds - epoch.train_seconds)
        if is_due:
            yield self._save_last()
            self._saved_s = time.monotonic()

    def _end(self) -> Iterator[Record]:
        yield from self._save_best()
        if not self._loop.is_over and vars(self._loop.progress) != self._began_with:
            yield self._save_last()
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

    def _save_best(self) -> Iterator[Checkpoint]:
        """Write best.pt if it is outdated; always before last.pt, which names the best epoch."""
        if self._unsaved_best:
            yield save(self._run.path / "best.pt", self._unsaved_best)
            self._unsaved_best = None

    def _rescue_best(self) -> Iterator[Record]:
        """Write best.pt, if possible, when the leg fails; another failure here must not hide the first."""
        try:
            yield from self._save_best()
        except Exception as error:  # noqa: BLE001 - the caller raises the first failure
            yield Warned(message=f"The best model was not saved either: {error}")

    def _save_last(self) -> Checkpoint:
        return save(self._run.path / "last.pt", self._snapshot(), self._loop.state())

    def _write_last(self, path: Path) -> None:
        write(path, self._snapshot(), self._loop.state())

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._loop.model, self._meta())

    def _meta(self) -> CheckpointMeta:
        loop, config = self._loop, self._loop.config
        epochs_done, step_in_epoch = loop.progress.epochs_done, loop.progress.step_in_epoch
        place = f"in epoch {epochs_done + 1}" if step_in_epoch else f"epoch {epochs_done}"
        earlier = self._last_meta.lineage if self._last_meta else (f"{loop.init} weights",)
        return CheckpointMeta(
            architecture=config.architecture,
            class_names=loop.classes.names,
            class_colors=loop.classes.colors,
            output_stride=config.output_stride,
            has_aux_head=config.aux_weight > 0,
            image_size=config.image_size,
            geometry=config.geometry,
            epoch=epochs_done,
            step_in_epoch=step_in_epoch,
            scores=self._scores(),
            config=config.as_dict(),
            data=str(self._dataset.root),
            fingerprint=self._fingerprint,
            versions=versions(),
            lineage=(*earlier, f"{self._run.path.name}, {place}"),
        )

    def _scores(self) -> dict[str, float | None]:
        if self._loop.progress.step_in_epoch or len(self._loop.results) != len(self._val):
            return {}  # in mid-epoch the results are of other weights
        scores = summarize(self._loop.results, self._loop.classes.names)
        return {
            "miou": scores.miou,
            "pixel_accuracy": scores.pixel_accuracy,
            "floor_miou": scores.floor.miou,
            "floor_pixel_accuracy": scores.floor.pixel_accuracy,
        }

    def _store_evaluation(self, file: Path, seconds: float) -> None:
        evaluations.store(
            self._run.eval_dir,
            checkpoint=file.name,
            checkpoint_hash=evaluations.file_hash(file),
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
        folder = self._run.path / "samples" / epoch_name(epoch)
        folder.mkdir(parents=True, exist_ok=True)
        for result in self._loop.results[:NUM_SAMPLES]:
            with replacing(folder / f"{result.name}.png") as file:
                file.write(result.mask_png)


def _once_a_second(doing: str, steps: Iterator[tuple[int, int]]) -> Iterator[Preparing]:
    """Turn the (done, total) of each step of a preparation into at most one record a second."""
    reported_s = time.monotonic()
    for done, total in steps:
        if time.monotonic() - reported_s >= REPORT_EVERY_S:
            reported_s = time.monotonic()
            yield Preparing(doing=doing, done=done, total=total)


def versions() -> dict[str, str]:
    """Return the versions that affect the numbers of a training."""
    return {
        "atrous": core.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a subclass of str that checkpoints would pickle
        "torchvision": str(torchvision.__version__),
    }
