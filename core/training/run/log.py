"""The file `log.jsonl` of a run: its one writer, and the reader that follows it.

The trainer is the only writer. A reader keeps a byte offset, so that following a run costs only what is new.
"""

import errno
import math
import os
import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from core.errors import RunError
from core.training.run.records import (
    Checkpoint,
    Epoch,
    Preflight,
    Preparing,
    Record,
    RunStarted,
    Step,
    Warned,
    from_line,
    to_line,
)

BEGIN = b'{"kind":"step",'
END = b"}"
NUMBER = re.compile(rb'"step":(\d+)')

LIMIT = 6000
"""More lines than this are thinned: every other one of the older half goes, and curves have 2,000 points at most."""

RESERVE_BYTES = 64 * 1024
"""Room kept free while a leg goes on, so that on a full disk its end can still be told."""

T = TypeVar("T")


def is_step(line: bytes) -> bool:
    """Tell whether a line is a step record, and whole, without reading it."""
    return line.startswith(BEGIN) and line.endswith(END)


class StepLines:
    """Lines that are only appended, and read once asked for; a copy made by `until` shares what was read."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self._lines = list(lines)
        self._records: list[Step | None] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def append(self, line: bytes) -> None:
        """Add a line."""
        self._lines.append(line)

    def first(self, count: int) -> list[Step]:
        """Return the first records, reading those that nobody has asked for yet; a line that cannot be is left out."""
        with self._lock:  # sessions of the dashboard share what was read
            self._records += [self._record(line) for line in self._lines[len(self._records) : count]]
        return [record for record in self._records[:count] if record is not None]

    def last(self) -> Step | None:
        """Return the last record, reading that line alone."""
        return self._record(self._lines[-1])

    def _record(self, line: bytes) -> Step | None:
        try:
            record = from_line(line.decode())
        except ValueError:
            return None
        assert isinstance(record, Step)  # noqa: S101 - `is_step` told so
        return record

    def until(self, step: int) -> "StepLines":
        """Return those up to a step, by their number."""
        numbers = (NUMBER.search(line) for line in self._lines)
        kept = (line for line, found in zip(self._lines, numbers, strict=True) if found and int(found[1]) <= step)
        return StepLines(kept)

    def thinned(self) -> "StepLines":
        """Return these lines, or where there are more than `LIMIT` fewer of the older half."""
        if len(self._lines) <= LIMIT:
            return self
        half = len(self._lines) // 2
        return StepLines([*self._lines[:half:2], *self._lines[half:]]).thinned()


class LogWriter:
    """Appends records to a log, each whole or not at all. A log that cannot be written raises `RunError`.

    A half line that a killed writer left is closed first, so that it stays alone. While the writer is open, a file
    beside the log keeps a little room for the last record of all, which tells the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserve = path.with_name(f".{path.name}.reserve")
        try:
            is_torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
            self._file = path.open("ab", buffering=0)
            self._reserve.write_bytes(b"\0" * RESERVE_BYTES)
            if is_torn:
                self._append(b"\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, record: Record) -> None:
        """Append one record and hand it to the operating system at once."""
        try:
            self._append(to_line(record).encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def write_last(self, record: Record) -> None:
        """Append the record that tells the end, in the room that was kept for it."""
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)
        self.write(record)

    def _append(self, line: bytes) -> None:
        end = os.fstat(self._file.fileno()).st_size
        if self._file.write(line) != len(line):  # the disk is full: a half line would spoil the next
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"The log {self._path} cannot be written: {error.strerror}; see to that and resume the run, whose last "
            "checkpoint is intact."
        )

    def close(self) -> None:
        """Close the file and give the reserve back."""
        self._file.close()
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)


class RunLog:
    """The records of a run as far as they are read, in the order in which the surviving training happened.

    Steps are read once somebody looks at them, so that a folder of long runs opens at once. What a leg trained after
    the checkpoint that the next leg started from is lost, and dropped here too: every epoch and step appears once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_readable = True
        self._reset()

    def _reset(self) -> None:
        self._offset = 0
        self._inode = 0
        self.legs: list[RunStarted] = []
        self.asked_epochs: int | None = None
        self._steps = StepLines()
        self._num_steps = 0
        self.epochs: list[Epoch] = []
        self.checkpoints: list[Checkpoint] = []
        self.warnings: list[Warned] = []
        self.preflight: Preflight | None = None
        self._last: Record | None = None
        self._is_step_last = False
        self.bad_lines: list[str] = []

    def read_new(self) -> int:
        """Read what was appended since the last call and return the number of records; the rest waits for its end.

        A log that is gone, or that this user may not read, has nothing new.
        """
        self.is_readable = True
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size < self._offset or status.st_ino != self._inode:
                    self._reset()  # another file has taken its place
                    self._inode = status.st_ino
                file.seek(self._offset)
                text = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError:
            self.is_readable = False
            return 0
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = [line for line in whole.split(b"\n") if line.strip()]
        for line in lines:
            self.take(line)
        self._steps = self._steps.thinned()
        self._num_steps = len(self._steps)
        return len(lines)

    def newest(self) -> Record | None:
        """Return the last record in the file by now, reading what was appended since, and take none of it."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                lines = file.read().split(b"\n")[:-1]
        except OSError:
            lines = []
        for line in reversed(lines):
            with suppress(ValueError):
                return from_line(line.decode("utf-8", errors="replace"))
        return self.last

    @property
    def steps(self) -> list[Step]:
        """The steps so far; of very many, fewer of the older ones."""
        return self._steps.first(self._num_steps)

    @property
    def last(self) -> Record | None:
        """The last record that could be read."""
        return (self._steps.last() if self._is_step_last else None) or self._last

    def take(self, line: bytes) -> None:
        """Take one whole line of the log."""
        self._is_step_last = is_step(line)
        if self._is_step_last:
            self._steps.append(line)
            self._num_steps += 1
        else:
            self._take_record(line.decode("utf-8", errors="replace"))

    def _take_record(self, line: str) -> None:
        try:
            record = from_line(line)
        except ValueError:
            self.bad_lines.append(line)
            return
        self._last = record
        match record:
            case RunStarted():
                self._begin_leg(record)
            case Epoch():
                self.epochs.append(record)
            case Checkpoint():
                self.checkpoints.append(record)
            case Warned():
                self.warnings.append(record)
            case Preflight():
                self.preflight = record
            case Preparing(epochs=int(epochs)):
                self.asked_epochs = epochs

    def _begin_leg(self, started: RunStarted) -> None:
        self.legs.append(started)
        self.asked_epochs = started.config.get("epochs")  # which logs from elsewhere may lack
        self._steps = self._steps.until(started.steps_done)
        self._num_steps = len(self._steps)
        self.epochs = [epoch for epoch in self.epochs if epoch.epoch <= started.epochs_done]

    def saved(self, file: str) -> Checkpoint | None:
        """Return the newest record of a checkpoint of this name."""
        return next((record for record in reversed(self.checkpoints) if record.file == file), None)

    @property
    def comparable_epochs(self) -> list[Epoch]:
        """The epochs that were scored on the validation photos of the latest leg."""
        since = self.legs[-1].best_since if self.legs else 0
        return [epoch for epoch in self.epochs if epoch.epoch > since]

    @property
    def best_epoch(self) -> Epoch | None:
        """The epoch with the highest validation mIoU so far, on the photos of the latest leg."""
        scored = [epoch for epoch in self.comparable_epochs if epoch.miou is not None]
        return max(scored, key=lambda epoch: epoch.miou or 0.0, default=None)


def read_log(path: Path) -> RunLog:
    """Read a whole log; a missing file gives an empty one."""
    log = RunLog(path)
    log.read_new()
    return log


def thin(points: Sequence[T], limit: int = 2000) -> list[T]:
    """Return at most about `limit` of the points, evenly spread, the first and the last among them."""
    if len(points) <= limit:
        return list(points)
    stride = math.ceil(len(points) / (limit - 1))
    thinned = list(points[::stride])
    return thinned if thinned[-1] is points[-1] else [*thinned, points[-1]]
