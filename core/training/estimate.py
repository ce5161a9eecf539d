"""How long a training will take on this machine, and what would take less: measured by `timing`, added up here.

    cache/estimate-HASH/            of a data set and settings: the job that measures (see `core.jobs`)
        estimate.json               what it found
    checkpoints/RUN/estimate.json   what was estimated before a run was started, to compare with what it took

Neither torch nor streamlit is imported here, but where something is measured.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core import jobs
from core.data.analysis import files_key
from core.data.dataset import Dataset
from core.data.stats import OnProgress
from core.errors import DataError, RunError
from core.files import write_json
from core.home import home
from core.training.config import TrainingConfig, preset, with_settings
from core.training.log import RunLog
from core.training.runs import Run, live_runs

if TYPE_CHECKING:
    from core.training.timing import Clock, Costs, Limits, Machine

SCHEMA = 2
"""Version of `estimate.json`; a file of another one counts for nothing."""

FILE = "estimate.json"

MAX_AGE_S = 24 * 3600.0
"""An older estimate counts for nothing: who knows what has changed on the machine."""

TOTAL_S = 80.0
"""How long an estimate may take, or a little more where the last alternative is slow; what has no time is left out."""

LEAST_S = 2.0
"""With less time than this an alternative is not begun."""

BEST_SHARE = 0.5
"""Assumed share of the epochs after which best.pt is written, because they are the best so far."""

PREFLIGHT_PHOTOS = 2
"""Validation photos that are tried before a training, beside a step and a checkpoint."""

MOBILENET = "deeplabv3_mobilenet_v3_large"
SMALLEST_IMAGE_PX = 32


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
    from core.training import timing

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
        machine=_machine_key(),
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

    def _time(self, change: "Change", allowed_s: float) -> Alternative | None:
        """Return what a change would cost, None if there is neither time nor memory to try."""
        from core.training import timing

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
    """Return how many checkpoints a run writes: the milestone, best.pt so often, last.pt as its setting says."""
    between = max(1, math.ceil(config.checkpoint_seconds / seconds_per_epoch)) if seconds_per_epoch > 0 else 1
    return 1 + math.ceil(BEST_SHARE * config.epochs) + math.ceil(config.epochs / between)


# --- alternatives ---------------------------------------------------------------------------------------------------


class Change(NamedTuple):
    """Other settings: what a person calls them, what changes, and what that gives up."""

    label: str
    changes: dict[str, Any]
    gives_up: str


def changes_of(config: TrainingConfig, precision: str, *, has_fast_bf16: bool) -> list[Change]:
    """Return what could be set otherwise, each valid and different; `precision` is what the chosen settings come to."""
    changes = []
    if config.output_stride == 8:
        changes.append(_coarser())
    if config.image_size // 2 >= SMALLEST_IMAGE_PX:
        changes.append(_smaller(config.image_size // 2))
    if not config.store_features:
        changes.append(_head_alone(config))
    if config.architecture != MOBILENET:
        changes.append(_mobile())
    if precision == "bf16":
        changes.append(_exact())
    elif has_fast_bf16:
        changes.append(_rounded())
    return changes


def _coarser() -> Change:
    gives_up = (
        "Fine outlines: the model decides on a grid twice as coarse. Small and thin objects suffer first, large ones "
        "hardly."
    )
    return Change("Output stride 16", {"output_stride": 16}, gives_up)


def _smaller(image_size: int) -> Change:
    gives_up = (
        f"Detail: a photo keeps a quarter of its pixels. What is only a few pixels wide at {image_size} px is no "
        "longer seen."
    )
    return Change(f"{image_size} px instead of {2 * image_size}", {"image_size": image_size}, gives_up)


def _head_alone(config: TrainingConfig) -> Change:
    if config.init == "random":
        gives_up = (
            "Nearly everything: the backbone would stay as random as it starts. It makes sense only from a trained "
            "one, init=imagenet or init=coco-voc."
        )
    else:
        gives_up = (
            "What the backbone could learn from these photos. Little where they look like those it was trained on, "
            "much where they do not, as with scans or drawings."
        )
    if config.has_random_scale or config.aux_weight:
        gives_up += " Random scales and the auxiliary head go too."
    wanted = {"freeze": "backbone", "store_features": True, "scale_min": 1.0, "scale_max": 1.0, "aux_weight": 0.0}
    changes = {name: value for name, value in wanted.items() if getattr(config, name) != value}
    return Change("Head on stored features", changes, gives_up)


def _mobile() -> Change:
    gives_up = (
        "Accuracy: a small backbone made for phones, which learns fewer details. torchvision's own weights reach "
        "60.3 % mIoU with it, and 66.4 % with ResNet-50, on the same COCO photos with VOC's labels."
    )
    return Change("MobileNetV3-Large", {"architecture": MOBILENET, "output_stride": 16}, gives_up)


def _exact() -> Change:
    gives_up = "Nothing of the result, time at most: fp32 keeps 24 bits of every product, where bf16 keeps 8."
    return Change("fp32 arithmetic", {"precision": "fp32"}, gives_up)


def _rounded() -> Change:
    gives_up = (
        "Digits: products are rounded to 8 bits instead of 24, so a run does not repeat one in fp32. The scores "
        "usually do not suffer."
    )
    return Change("bf16 arithmetic", {"precision": "bf16"}, gives_up)


# --- the job that measures, and what it leaves ----------------------------------------------------------------------


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
    if not found or found.machine != _machine_key() or not 0 <= time.time() - found.created_s <= MAX_AGE_S:
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


def _read(file: Path) -> Estimate | None:
    """Read an estimate; one that is missing, damaged or of another version is as good as none."""
    try:
        return from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


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


def _machine_key() -> str:
    """Return what stands for this machine and its torch, without telling what it is called."""
    facts = (
        platform.node(), platform.machine(), platform.system(), os.cpu_count(), importlib.metadata.version("torch"),
        os.environ.get("CUDA_VISIBLE_DEVICES"),
    )  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


# --- what was predicted and what became of it -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What was estimated beside what a run took, in seconds.

    predicted_seconds, actual_seconds   of the epochs that are done, training and validation
    ratio                               actual over predicted: 1.2 is a fifth slower than estimated
    predicted_total_seconds             of the whole run, as it was estimated
    expected_total_seconds              the same at the pace of the epochs that are done
    """

    epochs_done: int
    predicted_epoch_seconds: float
    actual_epoch_seconds: float
    predicted_seconds: float
    actual_seconds: float
    ratio: float
    predicted_total_seconds: float
    expected_total_seconds: float


def compare(found: Estimate, log: RunLog) -> Prediction | None:
    """Hold an estimate against the epochs that a run has done; None while there are none."""
    done = len(log.epochs)
    predicted_s = done * found.seconds_per_epoch
    if any(epoch.epoch == found.epochs for epoch in log.epochs):
        predicted_s += found.last_validation_seconds - found.validation_seconds
    if predicted_s <= 0:
        return None
    actual_s = sum(epoch.seconds for epoch in log.epochs)
    return Prediction(
        epochs_done=done,
        predicted_epoch_seconds=predicted_s / done,
        actual_epoch_seconds=actual_s / done,
        predicted_seconds=predicted_s,
        actual_seconds=actual_s,
        ratio=actual_s / predicted_s,
        predicted_total_seconds=found.total_seconds,
        expected_total_seconds=found.total_seconds * actual_s / predicted_s,
    )
