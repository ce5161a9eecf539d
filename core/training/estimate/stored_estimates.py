"""Estimates on disk: the job that measures, what it left for as long as it holds, and what was kept with a run.

    cache/estimate-HASH/            of a data set and settings: the job that measures (see `core.jobs`)
        estimate.json               what it found
    checkpoints/RUN/estimate.json   what was estimated before a run was started, to compare with what it took

Neither torch nor streamlit is imported here.
"""

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

from core import jobs
from core.data.analysis import files_key
from core.errors import DataError, RunError
from core.files import write_json
from core.home import home
from core.training.estimate.training_time import Estimate, from_dict, machine_key
from core.training.run.folders import Run, live_runs
from core.training.run.log import RunLog
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import preset

FILE = "estimate.json"

MAX_AGE_S = 24 * 3600.0
"""An older estimate counts for nothing: who knows what has changed on the machine."""


def estimate_job_dir(data: Path | str, config: TrainingConfig) -> Path:
    """Return the folder of the job that measures these settings on this data (see `core.jobs`)."""
    asked = json.dumps([str(Path(data).resolve()), config.as_dict()], sort_keys=True)
    return home() / "cache" / f"estimate-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def start_estimate(data: Path | str, preset_name: str, config: TrainingConfig) -> None:
    """Measure in a process of its own, which leaves its estimate in `estimate_job_dir`; `preset_name` exists.

    While a run is being trained, `RunError`.
    """
    refuse_if_training()
    usual = preset(preset_name).as_dict()
    changed = {name: value for name, value in config.as_dict().items() if value != usual[name]}
    settings = [text for name, value in changed.items() for text in ("--set", f"{name}={value}")]
    arguments = ["estimate", "--data", str(data), "--preset", preset_name, *settings]
    jobs.start(estimate_job_dir(data, config), arguments)


def refuse_if_training() -> None:
    """Raise `RunError` if a run is being trained: two at once would be measured at half their speed."""
    for run in live_runs():
        raise RunError(
            f"{run.path.name} is being trained, so nothing can be timed beside it; wait for it or stop it first."
        )


def find_estimate(data: Path | str, config: TrainingConfig) -> Estimate | None:
    """Return the estimate for these settings on this data, None if there is none that still holds.

    It holds for a day, on the same machine with the same torch, while no file of the data changes.
    """
    found = _read(estimate_job_dir(data, config) / FILE)
    if not found or found.machine != machine_key() or not 0 <= time.time() - found.created_s <= MAX_AGE_S:
        return None
    with suppress(DataError):  # a data set that is gone
        return found if found.files_key == files_key(data) else None
    return None


def keep_with(run: Run) -> Estimate | None:
    """Copy the estimate for a run's settings into its folder, if there is one, and return it."""
    found = find_estimate(run.data, run.config)
    if found:
        write_json(run.path / FILE, found.as_dict())
    return found


def estimate_of(run: Run) -> Estimate | None:
    """Return the estimate that was kept with a run; runs from before there were any have none."""
    return _read(run.path / FILE)


def pace(found: Estimate, log: RunLog) -> float | None:
    """Return how many times the estimate the epochs took that a run has done; None while there are none."""
    predicted_s = len(log.epochs) * found.seconds_per_epoch
    if any(epoch.epoch == found.epochs for epoch in log.epochs):
        predicted_s += found.last_validation_seconds - found.validation_seconds
    return sum(epoch.seconds for epoch in log.epochs) / predicted_s if predicted_s > 0 else None


def _read(file: Path) -> Estimate | None:
    """Read an estimate; one that is missing, damaged or of another version is as good as none."""
    try:
        return from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
