"""Progress on the terminal: a bar on stderr, if that is one, and a line for each event."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from core import jobs
from core.jobs import OnProgress
from core.training.run.records import (
    Checkpoint,
    Epoch,
    Preflight,
    Preparing,
    Record,
    RunEnded,
    RunStarted,
    Step,
    Validating,
    Warned,
)
from core.wording import count


@contextmanager
def closed_pipe_ignored(stream: TextIO) -> Iterator[None]:
    """Ignore that the reader of stdout or stderr has gone, as `| head` does; later output is discarded."""
    try:
        yield
        stream.flush()
    except BrokenPipeError:  # Python flushes again at exit and would print an error
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(line: str) -> None:
    """Print a line to stderr; stdout is for the result."""
    with closed_pipe_ignored(sys.stderr):
        tqdm.write(line, file=sys.stderr)  # above a bar that is drawn


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[OnProgress]:
    """Yield a callback for progress that moves a bar on stderr, if that is a terminal; bytes (B) are shown as MB."""
    with tqdm(desc=what, unit=unit, unit_scale=unit == "B", disable=None, file=sys.stderr, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


@contextmanager
def reporting(what: str, unit: str, job: Path | None) -> Iterator[OnProgress]:
    """Yield a callback for progress that moves a bar and, given a job's folder, writes the job's progress."""
    with progress_bar(what, unit) as show, jobs.running(job) if job else nullcontext() as note:

        def on_progress(done: int, total: int) -> None:
            show(done, total)
            if note:
                note(done, total)

        yield on_progress


class TrainingProgress:
    """Shows the records of a training: a bar over all steps, a line for every other event."""

    def __init__(self, name: str) -> None:
        self._bar: tqdm[Any] = tqdm(desc=name, unit="step", disable=None, file=sys.stderr, leave=False)
        self._floor: float | None = None
        self._epochs = 0

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

    def show(self, record: Record) -> None:
        """Show one record."""
        match record:
            case Preparing():
                self._bar.set_postfix_str(f"{record.doing}: {record.done}/{record.total}")
            case Preflight():
                say(f"A step, a checkpoint and an evaluation were tried in {record.seconds:.0f} s")
            case RunStarted():
                self._start(record)
            case Step():
                self._bar.update(record.step - self._bar.n)
                self._bar.set_postfix(loss=f"{record.loss:.3f}", images_per_s=f"{record.images_per_second:.1f}")
            case Validating():
                self._bar.set_postfix(validating=f"{record.image}/{record.images}")
            case Epoch():
                say(self._epoch_line(record))
            case Checkpoint():
                say(f"  {record.file} saved and verified, {record.size_bytes / 1e6:.0f} MB")
            case Warned():
                say(f"  warning: {record.message}")
            case RunEnded():
                say(f"{record.outcome}: {record.reason}")

    def advise(self, sentence: str) -> None:
        """Show a sentence about the run's health."""
        say(f"  health: {sentence}")

    def _start(self, started: RunStarted) -> None:
        self._epochs = int(started.config["epochs"])
        self._floor = started.floor["miou"]
        self._bar.total = self._epochs * started.steps_per_epoch
        self._bar.update(started.steps_done)
        say(
            f"{started.num_train_images:,} training and {count(started.num_val_images, 'validation photo')}, "
            f"{count(started.num_params, 'parameter')}, {started.precision} on {started.device}"
        )

    def _epoch_line(self, epoch: Epoch) -> str:
        floor = "" if self._floor is None else f" (floor {percent(self._floor)})"
        return (
            f"epoch {epoch.epoch}/{self._epochs}  loss {epoch.train_loss:.3f}  "
            f"mIoU {percent(epoch.miou)}{floor}  {epoch.images_per_second:.1f} photos/s  {epoch.seconds:.0f} s"
        )


def percent(fraction: float | None) -> str:
    """Return a fraction in percent, a dash for None."""
    return "-" if fraction is None else f"{100 * fraction:.1f} %"
