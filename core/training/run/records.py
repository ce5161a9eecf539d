"""What a run tells: the records of `log.jsonl`, one JSON object a line (see `log` for the file)."""

import json
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from core.classes import Classes, classes_of

SCHEMA = 1
"""Version of the record format, told by every `run_started`."""


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
    """A leg gets ready, before any training: what it is `doing` in words, and how much of that is done.

    The first of a leg says how many `epochs` the run is to reach: whatever ends the leg before its `run_started`, the
    next one goes for them.
    """

    kind = "preparing"
    doing: str
    done: int
    total: int
    epochs: int | None = None


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
    """A leg begins: what is asked, on what machine and data, and how far earlier legs came.

    Scores of epochs up to `best_since` are of other validation photos, and do not compare with those after it.
    """

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
    best_since: int = 0
    schema: int = SCHEMA
    num_processes: int = 1
    class_colors: list[str] = field(default_factory=list)
    init: str = ""
    """Which weights the first leg started from, `auto` decided; empty in later legs and older logs."""

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
    """A checkpoint was written; `verified` says it was reopened in a fresh model and gave the same logits.

    It was written after `epoch` epochs and `step_in_epoch` steps of the next. If there are any, nobody evaluated these
    weights: the scores of `epoch` are of others.
    """

    kind = "checkpoint"
    file: str
    epoch: int
    verified: bool
    size_bytes: int
    step_in_epoch: int = 0


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


def seconds_between(earlier: Record, later: Record) -> float:
    """Return the seconds from one record to another of the same leg, whatever was done to the clock meanwhile."""
    if earlier.uptime_s is not None and later.uptime_s is not None:
        return later.uptime_s - earlier.uptime_s
    return later.time_s - earlier.time_s
