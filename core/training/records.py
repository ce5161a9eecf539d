"""What a run tells: the records of `log.jsonl`, one JSON object a line, and the reader that follows the file.

The trainer is the only writer. A reader keeps a byte offset, so that following a run costs only what is new.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from core.classes import Classes, classes_of

SCHEMA = 1
"""Version of the record format, told by every `run_started`."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A line of the log; `time_s` is seconds since 1970."""

    kind: ClassVar[str]
    time_s: float = field(default_factory=time.time)


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
    """An epoch is over: its losses and validation scores as fractions; `iou` is null for an absent class."""

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
    record.kind: record for record in (RunStarted, Step, Validating, Epoch, Checkpoint, Warned, RunEnded)
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


class LogWriter:
    """Appends records to a log. A half line that a killed writer left is closed first, so that it stays alone."""

    def __init__(self, path: Path) -> None:
        is_torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        self._file = path.open("a", encoding="utf-8")
        if is_torn:
            self._file.write("\n")

    def write(self, record: Record) -> None:
        """Append one record and hand it to the operating system at once."""
        self._file.write(to_line(record))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class RunLog:
    """The records of a run as far as they are read, in the order in which the surviving training happened.

    What a leg trained after the checkpoint that the next leg started from is lost, and dropped here too: every
    epoch and step appears once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reset()

    def _reset(self) -> None:
        self._offset = 0
        self.legs: list[RunStarted] = []
        self.steps: list[Step] = []
        self.epochs: list[Epoch] = []
        self.checkpoints: list[Checkpoint] = []
        self.warnings: list[Warned] = []
        self.last: Record | None = None
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
        lines = [line for line in whole.decode("utf-8", errors="replace").splitlines() if line.strip()]
        for line in lines:
            self._take(line)
        return len(lines)

    def _take(self, line: str) -> None:
        try:
            record = from_line(line)
        except ValueError:
            self.bad_lines.append(line)
            return
        self.last = record
        match record:
            case RunStarted():
                self._begin_leg(record)
            case Step():
                self.steps.append(record)
            case Epoch():
                self.epochs.append(record)
            case Checkpoint():
                self.checkpoints.append(record)
            case Warned():
                self.warnings.append(record)

    def _begin_leg(self, started: RunStarted) -> None:
        self.legs.append(started)
        self.steps = [step for step in self.steps if step.step <= started.steps_done]
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
