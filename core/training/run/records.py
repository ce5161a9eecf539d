"""The records of `log.jsonl`, one JSON object a line (see `log` for the file)."""

import json
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from core.classes import Classes, classes_of

SCHEMA = 1
"""Version of the record format, in every `run_started`."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A line of the log; `time_s` is seconds since 1970, which jumps when the clock is set.

    `uptime_s` is `time.monotonic`, which does not jump and does not count sleep. It compares within one boot of the
    machine, and is None in older logs.
    """

    kind: ClassVar[str]
    time_s: float = field(default_factory=time.time)
    uptime_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Preparing(Record):
    """A step of the preparation before training: `doing` in words, with its progress.

    The first record of a leg holds the target `epochs`, so the next leg knows them even if this one never starts.
    """

    kind = "preparing"
    doing: str
    done: int
    total: int
    epochs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Preflight(Record):
    """The result of the preflight: a step, a checkpoint and an evaluation, all undone.

    `seconds` is the whole preflight, `step_seconds` the step with the loading of its batch and the next.
    `checkpoint_bytes` is the size of a last.pt, `needed_disk_bytes` the space that the leg's checkpoints still need.
    Memory is the GPU's, if used; else the machine's free memory after the step and the peak of this process.
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
    """The start of a leg: settings, machine, data, and the progress of earlier legs.

    Epochs up to `best_since` were scored on other validation photos; their scores do not compare with later ones.
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
    """The first leg's initial weights, with `auto` resolved; empty in later legs and older logs."""

    @property
    def classes(self) -> Classes:
        """Names and colours of the classes; VOC's colours if the record has none."""
        return classes_of(self.class_names, self.class_colors)


@dataclass(frozen=True, kw_only=True)
class Step(Record):
    """Progress of training: `step` counts from 1 over the whole run, `loss` is the mean since the last step record."""

    kind = "step"
    epoch: int
    step: int
    loss: float
    learning_rate: float
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class Validating(Record):
    """Progress of validation: `image` of `images` are done."""

    kind = "validating"
    epoch: int
    image: int
    images: int


@dataclass(frozen=True, kw_only=True)
class Epoch(Record):
    """The end of an epoch: losses, and validation scores as fractions; `iou` is null for an absent class.

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
    """A checkpoint was written; `verified`: it was reopened in a fresh model and gave the same logits.

    It holds the weights after `epoch` epochs and `step_in_epoch` steps of the next. If those are not 0, the weights
    were never evaluated, and the scores of `epoch` belong to other weights.
    """

    kind = "checkpoint"
    file: str
    epoch: int
    verified: bool
    size_bytes: int
    step_in_epoch: int = 0


@dataclass(frozen=True, kw_only=True)
class Warned(Record):
    """A warning to the user; the run continues."""

    kind = "warning"
    message: str


@dataclass(frozen=True, kw_only=True)
class RunEnded(Record):
    """The end of a leg; `outcome` is finished, stopped or failed."""

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
    """Return the record in a line; unknown keys are ignored, any other error raises `ValueError`."""
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
    """Return the seconds between two records of a leg, unaffected by changes of the clock where both have uptimes."""
    if earlier.uptime_s is not None and later.uptime_s is not None:
        return later.uptime_s - earlier.uptime_s
    return later.time_s - earlier.time_s
