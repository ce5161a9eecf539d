"""The file `log.jsonl` of a run: its only writer, the trainer, and the reader that follows it.

A reader keeps a byte offset, so that each look at a run reads only the new lines.
"""

import errno
import functools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import RunError
from core.files import Stamp, stamp
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
NUMBER = re.compile(rb'"step":(\d+)')

RECENT = 20
"""Steps by which a stalled run is known."""
LIMIT = 6000
"""Step lines in memory: with more, the newest third stays, and of the others a third; curves draw 2,000 points."""

RESERVE_BYTES = 64 * 1024
"""Room kept free during a leg, so that a full disk still takes the record of its end."""

BLOCK_BYTES = 8 * 1024**2
"""A log is read in such parts: a million steps are 160 MB, and took 370 MB in memory at once."""


@functools.lru_cache(maxsize=10 * LIMIT)
def _step(line: bytes) -> Step | None:
    """Return the step record in a line, None if it is damaged; the sessions of the dashboard share the cache."""
    with suppress(ValueError):
        record = from_line(line.decode())
        return record if isinstance(record, Step) else None
    return None


@functools.lru_cache(maxsize=64)
def _steps(lines: tuple[bytes, ...]) -> tuple[Step, ...]:
    """Return the records in step lines; a page asks for those of one log many times."""
    return tuple(record for line in lines if (record := _step(line)))


def _number(line: bytes) -> int:
    """Return the step in a step line without parsing the rest; more than any step if it has none."""
    found = NUMBER.search(line)
    return int(found[1]) if found else sys.maxsize


def _thinned(lines: Sequence[bytes]) -> list[bytes]:
    """Return the newest lines, and of the older ones the first of every so many steps.

    The width is a power of two, so that lines that were thinned before stay evenly spread: when every other one of the
    older half was dropped each time, a run of a million steps kept the first and the last twenty thousand.
    """
    older = [(_number(line), line) for line in lines[: -LIMIT // 3]]
    width = 1
    while len(older) > LIMIT // 3:
        first_of: dict[int, tuple[int, bytes]] = {}
        for number, line in older:
            first_of.setdefault(number // width, (number, line))
        older = list(first_of.values())
        width *= 2
    return [*(line for _, line in older), *lines[-LIMIT // 3 :]]


def _ends_whole(path: Path) -> bool:
    """Return whether a log, which is not empty, ends with a whole line."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _blocks_of_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a file in blocks of whole lines; a last one without its newline is left out."""
    begun = b""
    while block := file.read(BLOCK_BYTES):
        whole, newline, begun = (begun + block).rpartition(b"\n")
        if newline:
            yield whole + newline


class LogWriter:
    """Appends records to a log, each whole or not at all. A log that cannot be written raises `RunError`.

    A half line from a killed writer gets its newline first, so that it spoils no other line. While the writer is open,
    a file beside the log reserves room for the last record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserve = path.with_name(f".{path.name}.reserve")
        try:
            is_torn = path.exists() and path.stat().st_size > 0 and not _ends_whole(path)
            self._file = path.open("ab", buffering=0)
            self._reserve.write_bytes(b"\0" * RESERVE_BYTES)
            if is_torn:
                self._append(b"\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, record: Record) -> None:
        """Append one record, unbuffered."""
        try:
            self._append(to_line(record).encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def write_last(self, record: Record) -> None:
        """Append the last record, in the reserved room."""
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
            f"The log {self._path} cannot be written: {error.strerror}; fix that and resume the run, whose last "
            "checkpoint is intact."
        )

    def close(self) -> None:
        """Close the file and delete the reserve."""
        self._file.close()
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)


class RunLog:
    """The records of a run read so far, in the order in which the surviving training happened.

    A leg starts from a checkpoint; what the leg before trained after that checkpoint is lost, and dropped here too, so
    every epoch and step appears once. Step lines are parsed on demand, so a folder of long runs opens at once. A
    shallow copy does not grow with the original's steps.
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
        self._step_lines: tuple[bytes, ...] = ()
        self.epochs: list[Epoch] = []
        self.checkpoints: list[Checkpoint] = []
        self.warnings: list[Warned] = []
        self.preflight: Preflight | None = None
        self._last: Record | None = None
        self._is_step_last = False
        self.bad_lines: list[str] = []

    def read_new(self) -> int:
        """Read the whole lines that were appended since the last call, and return their number.

        A log that is gone, or that this user may not read, has none.
        """
        self.is_readable = True
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_size < self._offset or status.st_ino != self._inode:
                    self._reset()  # another file has taken its place
                    self._inode = status.st_ino
                file.seek(self._offset)
                return sum(map(self._take_whole, _blocks_of_lines(file)))
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError:
            self.is_readable = False
            return 0

    def _take_whole(self, text: bytes) -> int:
        """Take the lines of a text that ends with one, and return their number."""
        self._offset += len(text)
        lines = [line for line in text.split(b"\n") if line.strip()]
        if lines:
            self.take(lines)
        return len(lines)

    def newest(self) -> Record | None:
        """Return the last record in the file now, and leave this log as it is."""
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
        return list(_steps(self._step_lines))

    def forget_steps(self) -> None:
        """Drop all but the `RECENT` steps, which are most of a log."""
        self._step_lines = self._step_lines[-RECENT:]

    @property
    def last(self) -> Record | None:
        """The last record that could be read."""
        return (_step(self._step_lines[-1]) if self._is_step_last else None) or self._last

    def take(self, lines: Iterable[bytes]) -> None:
        """Take whole lines of the log."""
        steps = list(self._step_lines)
        for line in lines:
            self._is_step_last = line.startswith(BEGIN) and line.endswith(b"}")
            if self._is_step_last:
                steps.append(line)
                continue
            record = self._take_record(line.decode("utf-8", errors="replace"))
            if isinstance(record, RunStarted):
                steps = [step for step in steps if _number(step) <= record.steps_done]
        self._step_lines = tuple(_thinned(steps) if len(steps) > LIMIT else steps)

    def _take_record(self, line: str) -> Record | None:
        try:
            record = from_line(line)
        except ValueError:
            self.bad_lines.append(line)
            return None
        self._last = record
        match record:
            case RunStarted():
                self.legs.append(record)
                self.asked_epochs = record.config.get("epochs")  # logs from elsewhere may lack it
                self.epochs = [epoch for epoch in self.epochs if epoch.epoch <= record.epochs_done]
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
        return record

    def saved(self, file: str) -> Checkpoint | None:
        """Return the newest record of a checkpoint of this name."""
        return next((record for record in reversed(self.checkpoints) if record.file == file), None)

    @property
    def epochs_done(self) -> int:
        """The number of epochs that the run has done."""
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def comparable_epochs(self) -> list[Epoch]:
        """The epochs scored on the validation photos of the latest leg."""
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


def known_log(path: Path) -> RunLog:
    """Return a log with its `RECENT` steps alone; an unchanged file is not read again. Shared: leave it as it is."""
    file = stamp(path)
    return _known(file) if file.mtime_ns else read_log(path)


@functools.lru_cache(maxsize=1024)  # the runs of the largest study: with fewer, each would push out the next
def _known(file: Stamp) -> RunLog:
    log = read_log(Path(file.path))
    log.forget_steps()
    return log
