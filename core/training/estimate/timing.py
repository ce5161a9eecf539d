"""What a training costs on this machine: real steps, real validation and a real checkpoint, timed; nothing is kept.

A step is timed as the trainer takes it, the loading of its photos included (see `step_timing`).
"""

import itertools
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from core.data.dataset import Dataset, Sample, fingerprint
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.loader import fraction_of
from core.errors import RunError
from core.model.checkpoint.checkpoint_file import CheckpointMeta, save_checkpoint, verify_checkpoint
from core.model.device import choose_device, choose_precision, device_name
from core.training.estimate.step_timing import Clock, Limits, Stopwatch, extrapolated, time_steps
from core.training.evaluation import evaluate
from core.training.features import FeaturePairs, HeadPredictor
from core.training.loop.loop import VALIDATION_BATCH_SIZE, TrainingLoop
from core.training.settings.config import TrainingConfig, with_settings

VALIDATION_SHARE = 0.25
"""Validation is timed for this share of the time that steps are: it is a smaller part of an epoch."""

VALIDATION_BATCHES = 3
"""Different batches of validation photos that are timed in turn: photos differ in size."""

READ_PAIRS = 32
"""Pairs read to tell how long the reading of all of them takes, and pairs that steps are timed with, at least."""

FEATURES = 4
"""Photos whose features are computed to tell how long that takes, and taken for those of all others."""

AS_FAST = {"learning_rate": 1e-8, "init": "random", "class_weighting": "none", "train_fraction": 1.0}
"""Settings that leave the time of a step as it is: weights that hardly move cannot run into NaN, random ones need no
download, without class weights the photos are not counted for every model that is built, and of the photos that are
timed none is left out."""

CHOSEN = Limits(enough_s=8.0, longest_step_s=15.0, most_s=45.0)
ALTERNATIVE = Limits(enough_s=4.0, longest_step_s=6.0, most_s=12.0)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a training with some settings costs.

    seconds_per_step     on a whole batch; `is_extrapolated` says that no whole batch was timed
    validation_s         per photo, in batches as between epochs; `last_validation_s`: one at a time, after the last
    checkpoint_s         to write last.pt and open it again
    features_s           to compute the features of all photos, where they are stored
    peak_memory_bytes    as `Epoch` tells it; None where it cannot be told
    """

    seconds_per_step: float
    batch_size: int
    num_train_images: int
    num_val_images: int
    is_extrapolated: bool
    validation_s: float
    last_validation_s: float
    checkpoint_s: float
    features_s: float
    peak_memory_bytes: int | None
    precision: str


class Machine(NamedTuple):
    """On what training runs here."""

    device: torch.device
    name: str
    has_fast_bf16: bool


def machine() -> Machine:
    """Return the device that training takes, what a person calls it, and whether bf16 is fast on it."""
    device = choose_device()
    return Machine(device, device_name(device), choose_precision("auto", device) == "bf16")


class OtherWork:
    """Tells what share of the processors' time other programs take, from its making on: it makes everything longer."""

    def __init__(self) -> None:
        self._began = self._seconds()

    def share(self) -> float:
        """Return the share, in [0, 1], of the processors' time since then."""
        total, busy, own = (now - then for now, then in zip(self._seconds(), self._began, strict=True))
        return min(1.0, max(0.0, busy - own) / total) if total > 0 else 0.0

    def _seconds(self) -> tuple[float, float, float]:
        """Return the processors' seconds so far: all, those that were busy, and those of this process."""
        every = psutil.cpu_times()
        total = sum(every) - getattr(every, "guest", 0.0) - getattr(every, "guest_nice", 0.0)  # counted in user too
        own = os.times()
        ours = own.user + own.system + own.children_user + own.children_system
        return total, total - every.idle - getattr(every, "iowait", 0.0), ours


def measure(
    config: TrainingConfig,
    dataset: Dataset,
    device: torch.device,
    *,
    limits: Limits = CHOSEN,
    clock: Clock = time.perf_counter,
    like: Costs | None = None,
) -> Costs:
    """Time steps, validation and a checkpoint with these settings; one model is in memory at a time.

    `like` holds the costs of similar settings: how much longer single photos take than batches in validation is taken
    from there. Data that cannot be trained on raises `DataError`, a batch that does not fit into the GPU `RunError`.
    """
    bench = _Bench(config, dataset, device)
    try:
        size = bench.batch_size
        steps = time_steps(bench.build, size, limits, clock)
        validation_s = bench.time_validation(VALIDATION_BATCH_SIZE, limits, clock)
        is_alike = like is not None and not config.store_features  # where they are stored, the head alone is judged
        ratio = like.last_validation_s / like.validation_s if like and is_alike else None
        last_s = validation_s * ratio if ratio else bench.time_validation(1, limits, clock)
        features_s = bench.time_features(clock)
        checkpoint_s = bench.time_checkpoint(clock)
    except torch.OutOfMemoryError as error:
        raise RunError(
            f"A batch of photos of {config.image_size} px does not fit into the memory of the GPU; take a smaller "
            "batch_size or image_size."
        ) from error
    is_extrapolated = size not in steps
    memory = {images: float(step.peak_memory_bytes) for images, step in steps.items()}
    return Costs(
        seconds_per_step=extrapolated({images: step.seconds for images, step in steps.items()}, size),
        batch_size=size,
        num_train_images=len(bench.train_samples),
        num_val_images=len(bench.val_samples),
        is_extrapolated=is_extrapolated,
        validation_s=validation_s,
        last_validation_s=last_s,
        checkpoint_s=checkpoint_s,
        features_s=features_s,
        peak_memory_bytes=None if is_extrapolated and len(steps) == 1 else round(extrapolated(memory, size)),
        precision=bench.precision,
    )


def preparation_time(dataset: Dataset, config: TrainingConfig, clock: Clock = time.perf_counter) -> float:
    """Return the seconds in which every pair is read before a training, reckoned from some that are read now.

    A pair that cannot be used raises `DataError`.
    """
    train = fraction_of(dataset.split("train"), config.train_fraction, config.seed)
    samples = (*train, *dataset.split("val"))
    some = spread(samples, READ_PAIRS)
    began_s = clock()
    fingerprint(some)
    SquarePairs(some, dataset.num_classes, config.image_size, config.geometry).hold()
    per_pair_s = (clock() - began_s) / len(some)
    counted_twice = len(train) if config.class_weighting == "balanced" else 0
    return per_pair_s * (len(samples) + counted_twice)


# --- a loop of each size, one after the other -----------------------------------------------------------------------


@dataclass
class _Bench:
    """Builds loops that differ in their batch alone; only the latest is kept."""

    config: TrainingConfig
    dataset: Dataset
    device: torch.device
    _loop: TrainingLoop = field(init=False)

    def __post_init__(self) -> None:
        train, self.val_samples = self.dataset.split("train"), self.dataset.split("val")
        self.train_samples = fraction_of(train, self.config.train_fraction, self.config.seed)
        loop = self._loop = self._build(self.config, self.train_samples)
        self.batch_size = loop.batch_size
        self.precision = loop.precision

    def build(self, batch_size: int) -> TrainingLoop:
        """Return a loop with so many photos in a batch, in place of the one before."""
        del self._loop
        some = spread(self.train_samples, max(READ_PAIRS, batch_size))
        self._loop = self._build(with_settings(self.config, {"batch_size": batch_size}), some)
        self._loop.train_pairs.hold()  # as a training finds them in its cache
        if self._loop.features:
            self._loop.features.hold(FEATURES)
        return self._loop

    def _build(self, config: TrainingConfig, train: Sequence[Sample]) -> TrainingLoop:
        return TrainingLoop(with_settings(config, AS_FAST), train, self.val_samples, self.dataset.classes, self.device)

    def time_validation(self, batch_size: int, limits: Limits, clock: Clock) -> float:
        """Return the seconds in which a validation photo is read, segmented and judged."""
        photos = spread(self.val_samples, VALIDATION_BATCHES * batch_size)
        size = min(batch_size, len(photos))
        predictor, _ = self._loop.ready_to_judge(are_masks_kept=batch_size == 1)
        has_features = isinstance(predictor, HeadPredictor)
        batches = [
            self._held(photos[first : first + size], has_features=has_features)
            for first in range(0, len(photos) - size + 1, size)
        ]
        watch = Stopwatch(self.device, limits.enough_s * VALIDATION_SHARE, clock)
        watch.mark()
        for batch in itertools.cycle(batches):
            for _ in evaluate(predictor, batch, self.dataset.classes, batch_size=size):
                pass
            if watch.mark():
                break
        return watch.median_s / size

    def _held(self, photos: Sequence[Sample], *, has_features: bool) -> SquarePairs | FeaturePairs:
        """Return pairs as a validation finds them, in memory."""
        pairs = SquarePairs(photos, self.dataset.num_classes, self.config.image_size, self.config.geometry)
        pairs.hold()
        if not has_features:
            return pairs
        features = FeaturePairs(pairs, lambda: self._loop.backbone, has_flips=False)
        features.hold(1)
        return features

    def time_features(self, clock: Clock) -> float:
        """Return the seconds in which the features of all photos are computed, 0 where none are stored."""
        if not self._loop.features:
            return 0.0
        store = FeaturePairs(self._loop.train_pairs, lambda: self._loop.backbone, has_flips=False)
        store.hold(1)  # which makes the backbone ready
        began_s = clock()
        store.hold(FEATURES)
        num_forms = 2 if self.config.flip else 1
        num_pictures = num_forms * len(self.train_samples) + len(self.val_samples)
        return num_pictures * (clock() - began_s) / min(FEATURES, len(store))

    def time_checkpoint(self, clock: Clock) -> float:
        """Return the seconds in which last.pt is written and opened again, in a folder that vanishes."""
        config, loop = self.config, self._loop
        meta = CheckpointMeta(
            architecture=config.architecture,
            class_names=self.dataset.class_names,
            output_stride=config.output_stride,
            has_aux_head=config.aux_weight > 0,
            image_size=config.image_size,
            geometry=config.geometry,
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "last.pt"
            began_s = clock()
            save_checkpoint(file, loop.model, meta, loop.state())
            verify_checkpoint(file, loop.model)
            return clock() - began_s


def spread(samples: Sequence[Sample], count: int) -> tuple[Sample, ...]:
    """Return at most `count` samples, evenly spread over all of them."""
    count = min(count, len(samples))
    return tuple(samples[index * len(samples) // count] for index in range(count))
