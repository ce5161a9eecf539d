"""Stored figures for trust: of held-out photos and of a checkpoint's training photos, by photo. No torch.

eval/trust-val-3f1c90ab12de-77aa01b2c3d4.npz    split, hash of the checkpoint file, hash of the data
checkpoints/starter/trust.npz                   the starter's, which come with Atrous
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from core import jobs
from core.errors import ConfigError, RunError
from core.files import by_last_use, entries, replacing
from core.metrics import temperature
from core.metrics.confusion import Counts
from core.metrics.risk import AIMS, Promise, RiskCurve, promised, risk_curve
from core.metrics.temperature import Temperature
from core.metrics.unlikeness import Reference, Unlikeness, unlikeness
from core.model.weights import starter
from core.model.weights.pretrained import checkpoint_file
from core.model.weights.starter import is_starter
from core.training.run import evaluations

SCHEMA = 2
"""Version of the format and of its rules: raise it when either changes; `read` says which older ones open."""

PREFIXES = ("", "early_")
"""What the names of the references' arrays begin with: that of the last map, and that of an early stage."""

AUTO = "auto"
"""Asks for the temperature that was fitted."""


@dataclass(frozen=True)
class About:
    """Of what the figures are; `num_trained_on` photos, of all that the model trained on, are its references."""

    checkpoint: str
    checkpoint_hash: str
    split: str
    fingerprint: str
    class_names: tuple[str, ...]
    number_format: str
    num_trained_on: int
    schema: int = SCHEMA


@dataclass(frozen=True)
class Trust:
    """Figures of N held-out photos and R references of training photos, of the last map and of an early stage.

    truth_K     pixels of each class in the held-out masks
    counts_N2L  pixels and right ones by confidence (`risk.confidence_counts`)
    nll_2T, bins_2T3B  by half and temperature (`temperature.fit`)
    distance_NR each held-out photo's distances from the references; version 1 knew that of the last map alone
    """

    about: About
    names: tuple[str, ...]
    truth_K: Counts
    counts_N2L: Counts
    nll_2T: NDArray[np.float64]
    bins_2T3B: NDArray[np.float64]
    distance_NR: NDArray[np.float64]
    references: tuple[Reference, ...]

    @cached_property
    def curve(self) -> RiskCurve:
        """The held-out photos' risk-coverage curve."""
        return risk_curve(self.counts_N2L)

    def promise(self, aim: float) -> Promise | None:
        """Return the threshold for a share to be right, None without a counted pixel."""
        return promised(self.curve, aim)

    def temperature(self) -> Temperature | None:
        """Return the fitted temperature, None without a counted pixel."""
        return temperature.fit(self.nll_2T, self.bins_2T3B)

    def unlikeness(self, features: Sequence[NDArray[np.float32]]) -> Unlikeness:
        """Return how unlike the training photos a photo of these `predictor.Features` is."""
        each = zip(self.references, features, strict=False)  # one reference in a file of version 1
        return unlikeness(np.array([reference.distance(of_C[None])[0] for reference, of_C in each]), self.distance_NR)

    @property
    def unpromised(self) -> tuple[str, ...]:
        """The classes that occur in no held-out mask: nothing is promised of them."""
        return tuple(name for name, pixels in zip(self.about.class_names, self.truth_K, strict=True) if not pixels)

    def as_dict(self) -> dict[str, Any]:
        """Return the document that `trust --json` prints."""
        promises, fitted = [self.promise(aim) for aim in AIMS], self.temperature()
        calibration = fitted and {
            "temperature": fitted.value,
            "ece_before": fitted.before.ece,
            "ece_after": fitted.after.ece,
        }
        return asdict(self.about) | {
            "class_names": list(self.about.class_names),
            "photos": len(self.names),
            "promises": [asdict(each) | {"confidence": each.confidence} for each in promises if each],
            "no_promise_for": list(self.unpromised),
            "calibration": calibration,
            "distance": {str(p): float(np.percentile(self.distance_NR[:, 0], p)) for p in (50, 90, 99)},
        }


def write(file: Path, trust: Trust) -> None:
    """Write figures whole, in place of earlier ones; if the folder was deleted, raise `RunError`."""
    arrays = {each.name: getattr(trust, each.name) for each in fields(Trust) if each.name != "references"}
    for prefix, reference in zip(PREFIXES, trust.references, strict=False):
        arrays |= reference.arrays(prefix)
    arrays |= {"about": np.array(json.dumps(asdict(trust.about))), "names": np.array(trust.names)}
    try:
        file.parent.mkdir(exist_ok=True)
        with replacing(file) as target:
            np.savez_compressed(target, **arrays)
    except OSError as error:
        raise RunError(f"{file} cannot be written: {error.strerror}; check that its folder is there.") from error


def read(file: Path) -> Trust:
    """Read stored figures of version 2 or 1; a damaged file, or one of another version, raises `RunError`."""
    try:
        with file.open("rb") as content, np.load(content, allow_pickle=False) as stored:
            about: dict[str, Any] = json.loads(str(stored["about"]))
            if about["schema"] not in (1, SCHEMA):
                raise ValueError(f"it is of version {about['schema']}, not {SCHEMA}")
            prefixes = PREFIXES if about["schema"] == SCHEMA else PREFIXES[:1]
            values = {each.name: stored[each.name] for each in fields(Trust) if each.name in stored}
            values |= {
                "distance_NR": stored["distance_NR"] if about["schema"] == SCHEMA else stored["distance_N"][:, None],
                "about": About(**about | {"class_names": tuple(about["class_names"])}),
                "names": tuple(str(name) for name in stored["names"]),
                "references": tuple(Reference.of_arrays(stored, prefix) for prefix in prefixes),
            }
        return Trust(**values)
    except (OSError, KeyError, TypeError, ValueError, EOFError, BadZipFile) as error:
        raise RunError(
            f"The figures {file} cannot be read ({error}); delete the file and compute them again."
        ) from error


def place(eval_dir: Path, checkpoint_hash: str, split: str, fingerprint: str) -> Path:
    """Return the file of the figures of a checkpoint on data."""
    return eval_dir / f"trust-{evaluations.key(split, checkpoint_hash, fingerprint)}.npz"


def job_folder(eval_dir: Path, checkpoint: Path) -> Path:
    """Return the folder of the dashboard's job (`core.jobs`) that computes a checkpoint's figures on val."""
    return eval_dir / f"job-trust-{checkpoint.stem}"


def start(eval_dir: Path, checkpoint: Path, data: str) -> None:
    """Compute the figures of a run's checkpoint on val in a process of its own, unless one is already running."""
    evaluations.refuse_deleted(checkpoint)
    jobs.start(job_folder(eval_dir, checkpoint), ["trust", str(checkpoint), "--data", data])


def of_checkpoint(checkpoint: Path | str) -> Trust:
    """Return the stored figures of a checkpoint on val, the newest; the starter's are those that come with it.

    Without any, raise `RunError`, which says how to count them.
    """
    file = checkpoint_file(checkpoint)
    digest = evaluations.file_hash(file)
    eval_dir = file.resolve().parent / "eval"
    begins = f"trust-val-{digest[: evaluations.HASH_LENGTH]}-*.npz"
    places = [starter.trust_path()] if is_starter(checkpoint) else by_last_use(entries(eval_dir, begins))[::-1]
    for each in places:
        with suppress(RunError):  # a damaged file is counted again
            if (found := read(each)).about.checkpoint_hash == digest:
                return found
    raise RunError(
        f"No figures of {checkpoint} on held-out photos are stored; count them with python -m core trust {checkpoint} "
        "--data DIR, or give the temperature that it prints as a number."
    )


def temperature_for(checkpoint: Path | str, asked: float | str | None) -> float | None:
    """Return a temperature that a user asks for as a number, `AUTO` being the one fitted on held-out photos."""
    if asked != AUTO:
        if isinstance(asked, str) or (asked is not None and not 0 < asked < float("inf")):
            raise ConfigError(f"The temperature is {asked}; give a number above 0, or {AUTO}.")
        return asked
    if fitted := of_checkpoint(checkpoint).temperature():
        return fitted.value
    raise RunError(f"The held-out photos of {checkpoint} are too few to fit a temperature; give more, or a number.")


def stored(eval_dir: Path, checkpoint_hash: str, split: str, fingerprint: str) -> Trust | None:
    """Return the stored figures of a checkpoint on data; None if there are none that can be read."""
    try:
        return read(place(eval_dir, checkpoint_hash, split, fingerprint))
    except RunError:
        return None  # they are computed again
