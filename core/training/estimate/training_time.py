"""How long a training will take on this machine, and what would take less: measured by `timing`, added up here.

Neither torch nor streamlit is imported here, but where something is measured.
"""

import hashlib
import importlib.metadata
import math
import os
import platform
import time
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from core.data.analysis import files_key
from core.data.dataset import Dataset
from core.errors import RunError
from core.jobs import OnProgress
from core.training.estimate.alternatives import Change, changes_of
from core.training.settings.config import TrainingConfig, with_settings

if TYPE_CHECKING:
    from core.training.estimate.step_timing import Clock, Limits
    from core.training.estimate.timing import Costs, Machine

SCHEMA = 2
"""Version of `estimate.json`; a file of another one counts for nothing."""

TOTAL_S = 80.0
"""How long an estimate may take, or a little more where the last alternative is slow; what has no time is left out."""

LEAST_S = 2.0
"""With less time than this an alternative is not begun."""

BEST_SHARE = 0.5
"""Assumed share of the epochs that are the best so far."""

PREFLIGHT_PHOTOS = 2
"""Validation photos that are tried before a training, beside a step and a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """How long a training takes, in seconds, and what that is made of.

    total_seconds = preparation_seconds + preflight_seconds + features_seconds + epochs * seconds_per_epoch +
    last_validation_seconds - validation_seconds + num_checkpoints * checkpoint_seconds, where seconds_per_epoch =
    train_seconds + validation_seconds; after the last epoch photos are validated one at a time. `seconds_per_image` is
    of training, `features_seconds` 0 but where a frozen backbone's features are stored.
    `is_extrapolated` says that no step on a whole batch was timed: it was reckoned from smaller ones.
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
    """Settings that differ from the chosen ones by `changes`; `ratio` is their total over that of the chosen ones.

    `gives_up` says in words what they cost other than time.
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
    """What the chosen settings cost, and alternatives to them; `left_out` names those without time or memory left.

    `others_share`, in [0, 1], is what other programs took of the processors meanwhile: without them it is faster.
    `data`, `files_key`, `settings` and `machine` say what it is valid for, `created_s` (since 1970) until when.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the document that `estimate --json` prints."""
        return {"schema": SCHEMA} | asdict(self)


# --- measuring ------------------------------------------------------------------------------------------------------


def estimate(
    dataset: Dataset,
    config: TrainingConfig,
    on_progress: OnProgress | None = None,
    *,
    limits: "Limits | None" = None,
    clock: "Clock" = time.perf_counter,
) -> Estimate:
    """Time real batches with these settings and with alternatives to them, within about `TOTAL_S` seconds.

    `limits` are those of `timing`, for the chosen settings and the alternatives alike. Nothing is written. Data that
    cannot be trained on raises `DataError`; a batch that does not fit into the memory of the GPU raises `RunError`.
    """
    from core.training.estimate import timing

    began_s = clock()
    if on_progress:
        on_progress(0, 1)
    machine, others = timing.machine(), timing.OtherWork()
    preparation_s = timing.preparation_time(dataset, config, clock)
    costs = timing.measure(config, dataset, machine.device, limits=limits or timing.CHOSEN, clock=clock)
    chosen = parts_of(costs, config, preparation_s)
    measuring = _Alternatives(dataset, config, costs, chosen, machine, limits, clock, began_s + TOTAL_S)
    alternatives, left_out = measuring.all(on_progress)
    return Estimate(
        **asdict(chosen),
        device=machine.name,
        alternatives=alternatives,
        left_out=left_out,
        measuring_seconds=clock() - began_s,
        others_share=others.share(),
        created_s=time.time(),
        data=str(dataset.root),
        files_key=files_key(dataset.root),
        settings=config.as_dict(),
        machine=machine_key(),
    )


@dataclass(frozen=True)
class _Alternatives:
    """Times the alternatives to chosen settings one after the other, until `deadline_s` on the clock."""

    dataset: Dataset
    config: TrainingConfig
    costs: "Costs"
    chosen: Parts
    machine: "Machine"
    limits: "Limits | None"
    clock: "Clock"
    deadline_s: float

    def all(self, on_progress: OnProgress | None) -> tuple[tuple[Alternative, ...], tuple[str, ...]]:
        """Return those that were timed, and the labels of those that were left out."""
        changes = changes_of(self.config, self.costs.precision, has_fast_bf16=self.machine.has_fast_bf16)
        timed, left_out = [], []
        for number, change in enumerate(changes):
            if on_progress:
                on_progress(1 + number, 1 + len(changes))
            found = self._time(change, (self.deadline_s - self.clock()) / (len(changes) - number))
            if found:
                timed.append(found)
            else:
                left_out.append(change.label)
        if on_progress:
            on_progress(1 + len(changes), 1 + len(changes))
        return tuple(timed), tuple(left_out)

    def _time(self, change: Change, allowed_s: float) -> Alternative | None:
        """Return what a change would cost, None if there is neither time nor memory to try."""
        from core.training.estimate import timing

        if allowed_s < LEAST_S:
            return None
        config = with_settings(self.config, change.changes)
        usual = replace(timing.ALTERNATIVE, most_s=min(timing.ALTERNATIVE.most_s, allowed_s))
        try:
            costs = timing.measure(
                config,
                self.dataset,
                self.machine.device,
                limits=self.limits or usual,
                clock=self.clock,
                like=self.costs,
            )
        except RunError:  # more memory than there is
            return None
        parts = parts_of(costs, config, self.chosen.preparation_seconds)
        return Alternative(
            label=change.label,
            changes=change.changes,
            seconds_per_epoch=parts.seconds_per_epoch,
            total_seconds=parts.total_seconds,
            ratio=parts.total_seconds / self.chosen.total_seconds,
            gives_up=change.gives_up,
            is_extrapolated=parts.is_extrapolated,
        )


def parts_of(costs: "Costs", config: TrainingConfig, preparation_s: float) -> Parts:
    """Add up what a whole training costs."""
    steps = costs.num_train_images // costs.batch_size
    train_s = steps * costs.seconds_per_step
    validation_s = costs.num_val_images * costs.validation_s
    last_s = costs.num_val_images * costs.last_validation_s
    preflight_s = costs.seconds_per_step + costs.checkpoint_s + PREFLIGHT_PHOTOS * costs.last_validation_s
    num_checkpoints = count_checkpoints(config, train_s + validation_s)
    epochs_s = config.epochs * (train_s + validation_s) + last_s - validation_s
    return Parts(
        seconds_per_image=costs.seconds_per_step / costs.batch_size,
        seconds_per_step=costs.seconds_per_step,
        seconds_per_epoch=train_s + validation_s,
        total_seconds=preparation_s + preflight_s + costs.features_s + epochs_s + num_checkpoints * costs.checkpoint_s,
        preparation_seconds=preparation_s,
        preflight_seconds=preflight_s,
        features_seconds=costs.features_s,
        train_seconds=train_s,
        validation_seconds=validation_s,
        last_validation_seconds=last_s,
        checkpoint_seconds=costs.checkpoint_s,
        num_checkpoints=num_checkpoints,
        epochs=config.epochs,
        batch_size=costs.batch_size,
        steps_per_epoch=steps,
        num_train_images=costs.num_train_images,
        num_val_images=costs.num_val_images,
        peak_memory_bytes=costs.peak_memory_bytes,
        precision=costs.precision,
        is_extrapolated=costs.is_extrapolated,
    )


def count_checkpoints(config: TrainingConfig, seconds_per_epoch: float) -> int:
    """Return how many checkpoints a run writes: the milestone, last.pt as its setting says, best.pt if it is new."""
    between = max(1, math.ceil(config.checkpoint_seconds / seconds_per_epoch)) if seconds_per_epoch > 0 else 1
    num_last = 1 + math.ceil((config.epochs - 1) / between)
    has_new_best = 1 - (1 - BEST_SHARE) ** between
    return 1 + num_last + math.ceil(has_new_best * num_last)


def from_dict(document: dict[str, Any]) -> Estimate:
    """Return the estimate that a document is of; any other form raises KeyError, TypeError, ValueError or the like."""
    values = dict(document)
    if values.pop("schema") != SCHEMA:
        raise ValueError("another version")
    values["alternatives"] = tuple(Alternative(**each) for each in values["alternatives"])
    values["left_out"] = tuple(values["left_out"])
    found = Estimate(**values)
    _check_numbers(found)
    for each in found.alternatives:
        _check_numbers(each)
    return found


def _check_numbers(part: Estimate | Alternative) -> None:
    for declared in fields(part):
        value = getattr(part, declared.name)
        if declared.type in (float, int) and not (isinstance(value, int | float) and 0 <= value < math.inf):
            raise ValueError(f"{declared.name} is {value!r}")


def machine_key() -> str:
    """Return what stands for this machine and its torch, without telling what it is called."""
    facts = (
        platform.node(), platform.machine(), platform.system(), os.cpu_count(), importlib.metadata.version("torch"),
        os.environ.get("CUDA_VISIBLE_DEVICES"),
    )  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
