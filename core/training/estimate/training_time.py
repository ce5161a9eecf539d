"""The estimate of a training: the chosen settings and faster ones, measured by `timing` and added up."""

import math
import os
import time
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import psutil

from core.data.analysis import files_key
from core.data.dataset import Dataset, fingerprint
from core.data.loading.decoded_pairs import SquarePairs
from core.data.seeding import fraction_of
from core.errors import RunError
from core.jobs import OnProgress
from core.model.device import choose_precision, device_name
from core.model.device_verdict import machine_key
from core.training.estimate import timing
from core.training.estimate.stored_estimates import Alternative, Estimate, Parts
from core.training.estimate.timing import Clock, Costs, Limits
from core.training.loop.trial import training_device
from core.training.settings.config import TrainingConfig, with_settings
from core.training.settings.fitting import EFFICIENTNET, MOBILENET

TOTAL_S = 80.0
"""Time for the whole estimate. Alternatives that do not fit are left out; the last one may take a little longer."""

LEAST_S = 2.0
"""An alternative is not started with less time than this."""

FASTER = 0.95
"""An alternative is offered if it takes less than this share of the time: closer ones change places from try to try."""

BEST_SHARE = 0.5
"""Assumed share of the epochs that are the best so far."""

PREFLIGHT_PHOTOS = 2
"""Validation photos in the preflight, beside a step and a checkpoint."""

SMALL_BACKBONES = (MOBILENET, EFFICIENTNET)
SMALLEST_IMAGE_PX = 32

NEXT_FROZEN = {"none": "middle", "early": "middle", "middle": "most"}
TRAINED = {"middle": "Last two stages and head", "most": "Last stage and head", "backbone": "Head"}
"""What is trained, by the value of `freeze`."""


class OtherWork:
    """Measures the share of the processors that other programs use, from its creation on: they slow the timing down."""

    def __init__(self) -> None:
        self._began = self._seconds()

    def share(self) -> float:
        """Return the share, in [0, 1], since the creation."""
        total, busy, own = (now - then for now, then in zip(self._seconds(), self._began, strict=True))
        return min(1.0, max(0.0, busy - own) / total) if total > 0 else 0.0

    def _seconds(self) -> tuple[float, float, float]:
        """Return the processors' seconds since the boot: all, busy ones, and those of this process."""
        every = psutil.cpu_times()
        total = sum(every) - getattr(every, "guest", 0.0) - getattr(every, "guest_nice", 0.0)  # user holds them too
        own = sum(os.times()[:4])  # user and system, its children's too
        return total, total - every.idle - getattr(every, "iowait", 0.0), own


def estimate(
    dataset: Dataset,
    config: TrainingConfig,
    on_progress: OnProgress = lambda *_: None,
    *,
    limits: Limits | None = None,
    clock: Clock = time.perf_counter,
) -> Estimate:
    """Time real batches with these settings and with faster ones, within about `TOTAL_S` seconds; writes nothing.

    `limits` replaces those of `timing`, for the chosen settings and the alternatives. Data that cannot be trained on
    raises `DataError`; a batch that does not fit into the GPU raises `RunError`.
    """
    began_s = clock()
    on_progress(0, 1)
    (device, _), others = training_device(config.device), OtherWork()
    preparation_s = preparation_time(dataset, config, clock)
    costs = timing.measure(config, dataset, device, limits=limits or timing.CHOSEN, clock=clock)
    chosen = parts_of(costs, config, preparation_s)
    changes = changes_of(config, costs.precision, has_fast_bf16=choose_precision("auto", device) == "bf16")
    alternatives, not_faster, left_out = [], [], []
    for number, change in enumerate(changes):
        on_progress(1 + number, 1 + len(changes))
        allowed_s = (began_s + TOTAL_S - clock()) / (len(changes) - number)
        usual = replace(timing.ALTERNATIVE, most_s=min(timing.ALTERNATIVE.most_s, allowed_s))
        try:
            if allowed_s < LEAST_S:
                raise RunError("no time left")
            changed = with_settings(config, change.changes)
            cost = timing.measure(changed, dataset, device, limits=limits or usual, clock=clock, similar=costs)
        except RunError:  # neither time nor memory
            left_out.append(change.label)
        else:
            each = _alternative(change, parts_of(cost, changed, chosen.preparation_seconds), chosen)
            if each.ratio < FASTER:
                alternatives.append(each)
            else:
                not_faster.append(change.label)
    on_progress(1 + len(changes), 1 + len(changes))
    return Estimate(
        **asdict(chosen),
        device=device_name(device),
        alternatives=tuple(alternatives),
        left_out=tuple(left_out),
        not_faster=tuple(not_faster),
        measuring_seconds=clock() - began_s,
        others_share=others.share(),
        created_s=time.time(),
        data=str(dataset.root),
        files_key=files_key(dataset.root),
        settings=config.as_dict(),
        machine=machine_key(),
    )


def preparation_time(dataset: Dataset, config: TrainingConfig, clock: Clock) -> float:
    """Return the seconds to read every pair before a training, extrapolated from some that are read now.

    A pair that cannot be used raises `DataError`.
    """
    train = fraction_of(dataset.split("train"), config.train_fraction, config.seed)
    samples = (*train, *dataset.split("val"))
    some = timing.spread(samples, timing.READ_PAIRS)
    began_s = clock()
    fingerprint(some)
    SquarePairs(some, dataset.num_classes, config.image_size, config.geometry).hold()
    per_pair_s = (clock() - began_s) / len(some)
    counted_twice = len(train) if config.class_weighting == "balanced" else 0
    return per_pair_s * (len(samples) + counted_twice)


def parts_of(costs: Costs, config: TrainingConfig, preparation_s: float) -> Parts:
    """Return the time of a whole training, by part."""
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
    """Return how many checkpoints a run writes: the milestone, last.pt by its setting, and best.pt when it changed."""
    between = max(1, math.ceil(config.checkpoint_seconds / seconds_per_epoch)) if seconds_per_epoch > 0 else 1
    num_last = 1 + math.ceil((config.epochs - 1) / between)
    has_new_best = 1 - (1 - BEST_SHARE) ** between
    return 1 + num_last + math.ceil(has_new_best * num_last)


class Change(NamedTuple):
    """Other settings: their label, the settings that differ, and what they cost other than time."""

    label: str
    changes: dict[str, Any]
    gives_up: str


def changes_of(config: TrainingConfig, precision: str, *, has_fast_bf16: bool) -> list[Change]:
    """Return faster settings, each valid and different from `config`; `precision` is fp32 or bf16, `auto` resolved."""
    changes = []
    if config.output_stride == 8:
        gives_up = (
            "Fine outlines: the model decides on a grid twice as coarse. Small and thin objects suffer first, large "
            "ones hardly."
        )
        changes.append(Change("Output stride 16", {"output_stride": 16}, gives_up))
    half = config.image_size // 2
    if half >= SMALLEST_IMAGE_PX:
        gives_up = (
            f"Detail: a photo keeps a quarter of its pixels. What is only a few pixels wide at {half} px is no longer "
            "seen."
        )
        changes.append(Change(f"{half} px instead of {2 * half}", {"image_size": half}, gives_up))
    if not (config.store_features and config.freeze == "backbone"):
        changes.append(_stored_features(config))
    if config.architecture not in SMALL_BACKBONES:
        gives_up = (
            "Accuracy: a small backbone made for phones, which learns fewer details. torchvision's own weights reach "
            "60.3 % mIoU with it, and 66.4 % with ResNet-50, on the same COCO photos with VOC's labels."
        )
        changes.append(Change("MobileNetV3-Large", {"architecture": MOBILENET, "output_stride": 16}, gives_up))
    if precision == "bf16":
        gives_up = "Nothing of the result, time at most: fp32 keeps 24 bits of every product, where bf16 keeps 8."
        changes.append(Change("fp32 arithmetic", {"precision": "fp32"}, gives_up))
    elif has_fast_bf16:
        gives_up = (
            "Digits: products are rounded to 8 bits instead of 24, so a run does not repeat one in fp32. The scores "
            "usually do not suffer."
        )
        changes.append(Change("bf16 arithmetic", {"precision": "bf16"}, gives_up))
    return changes


def _stored_features(config: TrainingConfig) -> Change:
    freeze = "backbone"
    if config.architecture == EFFICIENTNET:
        is_next = config.store_features or config.freeze not in TRAINED
        freeze = NEXT_FROZEN.get(config.freeze, "backbone") if is_next else config.freeze
    if config.init == "random":
        gives_up = (
            "Nearly everything: the backbone would stay as random as it starts. It makes sense only from a trained "
            "one, init=imagenet or init=coco-voc."
        )
    else:
        gives_up = (
            "What the frozen stages could learn from these photos. Little where they look like those they were "
            "trained on, much where they do not, as with scans or drawings."
        )
    if config.has_random_scale and not config.store_features:
        gives_up += " Of each photo there are four random scales, not one for each epoch."
    if config.aux_weight:
        gives_up += " The auxiliary head goes too."
    wanted = {"freeze": freeze, "store_features": True, "aux_weight": 0.0}
    changes = {name: value for name, value in wanted.items() if getattr(config, name) != value}
    return Change(f"{TRAINED[freeze]} on stored features", changes, gives_up)


def _alternative(change: Change, parts: Parts, chosen: Parts) -> Alternative:
    return Alternative(
        label=change.label,
        changes=change.changes,
        seconds_per_epoch=parts.seconds_per_epoch,
        total_seconds=parts.total_seconds,
        ratio=parts.total_seconds / chosen.total_seconds,
        gives_up=change.gives_up,
        is_extrapolated=parts.is_extrapolated,
    )
