"""Estimates on disk: the job that measures one, how long it stays valid, and the copy that a run keeps. No torch.

cache/estimate-HASH/            one job (see `core.jobs`) for each data set and settings, or study's plan
estimate.json               its result
checkpoints/RUN/estimate.json   the estimate from before the run, to compare with the time it took
"""

import hashlib
import json
import math
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from core import jobs
from core.data.analysis import files_key
from core.errors import DataError, RunError
from core.files import write_json
from core.home import home
from core.model.device_verdict import machine_key
from core.training.run import machine
from core.training.run.folders import Run, live_runs
from core.training.run.log import RunLog
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import preset

FILE = "estimate.json"

SCHEMA = 2
"""Version of `estimate.json`; files of other versions are ignored."""

MAX_AGE_S = 24 * 3600.0
"""Older estimates are ignored: drivers, clock speed and other load may have changed."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """How long a training takes, in seconds, by part.

    seconds_per_epoch = train_seconds + validation_seconds; total_seconds = preparation_seconds + preflight_seconds +
    features_seconds + epochs * seconds_per_epoch + last_validation_seconds - validation_seconds + num_checkpoints *
    checkpoint_seconds. The last validation runs one photo at a time. `seconds_per_image` counts training alone;
    `features_seconds` is 0 unless a frozen backbone's features are stored. `is_extrapolated`: the step was calculated
    from smaller batches.
    """

    seconds_per_image: float
    seconds_per_step: float
    seconds_per_epoch: float
    total_seconds: float
    preparation_seconds: float
    preflight_seconds: float
    features_seconds: float
    train_seconds: float
    validation_seconds: float
    last_validation_seconds: float
    checkpoint_seconds: float
    num_checkpoints: int
    epochs: int
    batch_size: int
    steps_per_epoch: int
    num_train_images: int
    num_val_images: int
    peak_memory_bytes: int | None
    precision: str
    is_extrapolated: bool


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """The chosen settings with `changes`; `ratio` is their total over that of the chosen ones.

    `gives_up` says what the changes cost other than time.
    """

    label: str
    changes: dict[str, Any]
    seconds_per_epoch: float
    total_seconds: float
    ratio: float
    gives_up: str
    is_extrapolated: bool


@dataclass(frozen=True, kw_only=True)
class Estimate(Parts):
    """The time of the chosen settings, and faster alternatives.

    `left_out` names those that time or memory did not allow, `not_faster` those that were timed and save nothing here.

    `others_share`, in [0, 1], is the share of the processors that other programs used while it was measured. The
    estimate is valid for `data` with `files_key`, `settings` and `machine`; `created_s` is seconds since 1970.
    """

    device: str
    alternatives: tuple[Alternative, ...]
    left_out: tuple[str, ...]
    measuring_seconds: float
    others_share: float
    created_s: float
    data: str
    files_key: str
    settings: dict[str, Any]
    machine: str
    not_faster: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the document that `estimate --json` prints."""
        return {"schema": SCHEMA} | asdict(self)


def from_dict(document: dict[str, Any]) -> Estimate:
    """Return the estimate in a document; any other document raises KeyError, TypeError, ValueError or the like."""
    values = dict(document)
    if values.pop("schema") != SCHEMA:
        raise ValueError("another version")
    values["alternatives"] = tuple(Alternative(**each) for each in values["alternatives"])
    values |= {name: tuple(values.get(name, ())) for name in ("left_out", "not_faster")}
    found = Estimate(**values)
    parts: list[Estimate | Alternative] = [found, *found.alternatives]
    for part in parts:
        for declared in fields(part):
            value = getattr(part, declared.name)
            if declared.type in (float, int) and not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise ValueError(f"{declared.name} is {value!r}")
    return found


def estimate_job_dir(data: Path | str, config: TrainingConfig) -> Path:
    """Return the folder of the job that measures these settings on this data."""
    return job_dir([str(Path(data).resolve()), config.as_dict()])


def job_dir(asked: list[Any]) -> Path:
    """Return the folder of the job that measures what is asked, JSON types."""
    text = json.dumps(asked, sort_keys=True)
    return home() / "cache" / f"estimate-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def start_estimate(data: Path | str, preset_name: str, config: TrainingConfig) -> None:
    """Start the job that measures; `preset_name` exists. While a run is being trained, raises `RunError`."""
    refuse_if_training()
    usual = preset(preset_name).as_dict()
    changed = {name: value for name, value in config.as_dict().items() if value != usual[name]}
    settings = [text for name, value in changed.items() for text in ("--set", f"{name}={value}")]
    arguments = ["estimate", "--data", str(data), "--preset", preset_name, *settings]
    jobs.start(estimate_job_dir(data, config), arguments)


def refuse_if_training() -> None:
    """Raise `RunError` if a run is being trained: both would be measured at half their speed."""
    busy = [run.path for run in live_runs()]
    try:
        machine.refuse_if_held()
    except machine.BusyError:  # also by a run of a study, which lies elsewhere
        busy += [machine.holder() or Path("Another run")]
    if busy:
        raise RunError(
            f"{busy[0].name} is being trained, so nothing can be timed beside it; wait for it or stop it first."
        )


def find_estimate(data: Path | str, config: TrainingConfig) -> Estimate | None:
    """Return the valid estimate for these settings on this data, or None.

    It is valid for a day, on the same machine with the same torch, while no file of the data changes.
    """
    found = _read(estimate_job_dir(data, config) / FILE)
    return found if found and _is_valid(vars(found), data) else None


def _is_valid(found: dict[str, Any], data: Path | str) -> bool:
    if found["machine"] != machine_key() or not 0 <= time.time() - found["created_s"] <= MAX_AGE_S:
        return False
    with suppress(DataError):  # the data set is gone
        return bool(found["files_key"] == files_key(data))
    return False


def store(job: Path, document: dict[str, Any], data: Path | str) -> None:
    """Store the estimate of a study in its job's folder; it is valid as any other."""
    valid_for = {"machine": machine_key(), "created_s": time.time(), "files_key": files_key(data)}
    write_json(job / FILE, {"schema": SCHEMA, "document": document} | valid_for)


def find_stored(job: Path, data: Path | str) -> dict[str, Any] | None:
    """Return the valid document that was stored in a job's folder, or None."""
    try:
        found = json.loads((job / FILE).read_text(encoding="utf-8"))
        return dict(found["document"]) if found["schema"] == SCHEMA and _is_valid(found, data) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def copy_to_run(run: Run) -> Estimate | None:
    """Copy the valid estimate for a run's settings, if any, into its folder, and return it."""
    found = find_estimate(run.data, run.config)
    if found:
        write_json(run.path / FILE, found.as_dict())
    return found


def estimate_of(run: Run) -> Estimate | None:
    """Return the estimate in a run's folder, or None."""
    return _read(run.path / FILE)


def pace(found: Estimate, log: RunLog) -> float | None:
    """Return the time of a run's epochs over their estimate; None before the first epoch."""
    predicted_s = len(log.epochs) * found.seconds_per_epoch
    if any(epoch.epoch == found.epochs for epoch in log.epochs):
        predicted_s += found.last_validation_seconds - found.validation_seconds
    return sum(epoch.seconds for epoch in log.epochs) / predicted_s if predicted_s > 0 else None


def _read(file: Path) -> Estimate | None:
    """Read an estimate; None if it is missing, damaged or of another version."""
    try:
        return from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
