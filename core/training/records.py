"""What a run tells: the records of `log.jsonl`, one JSON object a line, and the reader that follows the file.

The trainer is the only writer. A reader keeps a byte offset, so that following a run costs only what is new.
"""

import errno
import json
import math
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from core.classes import Classes, classes_of
from core.errors import RunError
from core.training.step_lines import StepLines, is_step

SCHEMA = 1
"""Version of the record format, told by every `run_started`."""

RESERVE_BYTES = 64 * 1024
"""Room kept free while a leg goes on, so that on a full disk its end can still be told."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A line of the log; `time_s` is seconds since 1970, and jumps when somebody sets the clock.

    `uptime_s` is the machine's own count of seconds (`time.monotonic`), which neither jumps nor counts its sleep; it
    compares within one start of the machine, and is None in logs from before there was one.
    """

    kind: ClassVar[str]
    time_s: float = field(default_factory=time.time)
    uptime_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Preparing(Record):
    """A leg gets ready, before any training: what it is `doing` in words, and how much of that is done."""

    kind = "preparing"
    doing: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Preflight(Record):
    """One step, a checkpoint and an evaluation were tried, and nothing of it was kept.

    `seconds` is all of it, `step_seconds` the step with the loading of its batch and the next. `checkpoint_bytes` is
    the size of a last.pt, `needed_disk_bytes` what the leg's checkpoints still need. Memory is the GPU's where there is
    one; else what is free is the machine's, after the step, and the peak that of this process.
    """

    kind = "preflight"
    seconds: float
    step_seconds: float
    eval_seconds_per_image: float
    checkpoint_bytes: int
    needed_disk_bytes: int
    free_disk_bytes: int
    free_memory_bytes: int
    peak_memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class RunStarted(Record):
    """A leg begins: what is asked, on what machine and data, and how far earlier legs came."""

    kind = "run_started"
    config: dict[str, Any]
    device: str
    precision: str
    num_params: int
    num_train_images: int
    num_val_images: int
    steps_per_epoch: int
    epochs_done: int
    class_names: list[str]
    floor: dict[str, float | None]
    versions: dict[str, str]
    fingerprint: str
    steps_done: int = 0
    schema: int = SCHEMA
    num_processes: int = 1
    class_colors: list[str] = field(default_factory=list)

    @property
    def classes(self) -> Classes:
        """Names and colours of the classes; VOC's colours where the record tells none."""
        return classes_of(self.class_names, self.class_colors)


@dataclass(frozen=True, kw_only=True)
class Step(Record):
    """Training goes on: `step` counts from 1 over the whole run, `loss` is the mean since the last such record."""

    kind = "step"
    epoch: int
    step: int
    loss: float
    learning_rate: float
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class Validating(Record):
    """Validation goes on: `image` of `images` done."""

    kind = "validating"
    epoch: int
    image: int
    images: int


@dataclass(frozen=True, kw_only=True)
class Epoch(Record):
    """An epoch is over: its losses and validation scores as fractions; `iou` is null for an absent class.

    `data_seconds` is the part of `train_seconds` in which training waited for photos.
    """

    kind = "epoch"
    epoch: int
    step: int
    train_loss: float
    val_loss: float | None
    miou: float | None
    pixel_accuracy: float | None
    iou: list[float | None]
    seconds: float
    train_seconds: float
    images_per_second: float
    peak_memory_bytes: int
    is_best: bool
    data_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Record):
    """A checkpoint was written; `verified` says it was reopened in a fresh model and gave the same logits."""

    kind = "checkpoint"
    file: str
    epoch: int
    verified: bool
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Warned(Record):
    """Something a person should know that did not end the run."""

    kind = "warning"
    message: str


@dataclass(frozen=True, kw_only=True)
class RunEnded(Record):
    """A leg is over; `outcome` is finished, stopped or failed."""

    kind = "run_ended"
    outcome: str
    reason: str
    epochs_done: int
    best_epoch: int | None
    best_miou: float | None


KINDS: dict[str, type[Record]] = {
    record.kind: record
    for record in (Preparing, Preflight, RunStarted, Step, Validating, Epoch, Checkpoint, Warned, RunEnded)
}


def to_line(record: Record) -> str:
    """Return a record as one line of JSON; a NaN or an infinity raises `ValueError`."""
    return json.dumps({"kind": record.kind, **asdict(record)}, allow_nan=False, separators=(",", ":")) + "\n"


def from_line(line: str) -> Record:
    """Read one line; keys this version does not know are ignored, anything else wrong raises `ValueError`."""
    values = json.loads(line)
    if not isinstance(values, dict) or values.get("kind") not in KINDS:
        raise ValueError(f"not a record: {line[:80]!r}")
    record = KINDS[values["kind"]]
    known = {declared.name for declared in fields(record)}
    try:
        return record(**{name: value for name, value in values.items() if name in known})
    except TypeError as error:
        raise ValueError(f"not a whole {record.kind} record: {error}") from None


def _step_from_line(line: str) -> Step:
    record = from_line(line)
    assert isinstance(record, Step)  # noqa: S101 - `is_step` told so
    return record


def seconds_between(earlier: Record, later: Record) -> float:
    """Return the seconds from one record to another of the same leg, whatever was done to the clock meanwhile."""
    if earlier.uptime_s is not None and later.uptime_s is not None:
        return later.uptime_s - earlier.uptime_s
    return later.time_s - earlier.time_s


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
        self._reset()

    def _reset(self) -> None:
        self._offset = 0
        self.legs: list[RunStarted] = []
        self._steps: StepLines[Step] = StepLines(_step_from_line)
        self._num_steps = 0
        self.epochs: list[Epoch] = []
        self.checkpoints: list[Checkpoint] = []
        self.warnings: list[Warned] = []
        self.preflight: Preflight | None = None
        self._last: Record | None = None
        self._is_step_last = False
        self.bad_lines: list[str] = []

    def read_new(self) -> int:
        """Read what was appended since the last call and return the number of records; the rest waits for its end."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return 0
        if size < self._offset:
            self._reset()
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
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
        except FileNotFoundError:
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

    def _begin_leg(self, started: RunStarted) -> None:
        self.legs.append(started)
        self._steps = self._steps.until(started.steps_done)
        self._num_steps = len(self._steps)
        self.epochs = [epoch for epoch in self.epochs if epoch.epoch <= started.epochs_done]

    @property
    def best_epoch(self) -> Epoch | None:
        """The epoch with the highest validation mIoU so far."""
        scored = [epoch for epoch in self.epochs if epoch.miou is not None]
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
