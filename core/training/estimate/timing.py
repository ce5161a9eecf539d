"""Times real steps, validation and a checkpoint on this machine, and keeps nothing.

A step is timed as the trainer takes it, with the loading of its photos. Where a whole batch would take long, its time
is extrapolated from smaller ones.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from core.data.dataset import Dataset, Sample
from core.data.loading import array_cache
from core.data.loading.decoded_pairs import SquarePairs
from core.data.seeding import fraction_of
from core.errors import RunError
from core.home import home
from core.model.checkpoint.checkpoint_file import CheckpointMeta, save_checkpoint, verify_checkpoint
from core.model.device import synchronize
from core.training.evaluation import evaluate
from core.training.features import FeaturePairs, HeadPredictor
from core.training.loop.loop import VALIDATION_BATCH_SIZE, TrainingLoop
from core.training.loop.memory import peak_memory_bytes
from core.training.loop.progress import RunProgress
from core.training.settings.config import TrainingConfig, with_settings

Clock = Callable[[], float]
"""Returns a time in seconds, as `time.perf_counter` does."""

SMALL_BATCH = 2
"""Photos in the first timed steps, which decide how large a batch can be timed; BatchNorm needs two."""

SELF_WARMING_S = 4.0
"""A first step this long counts too: one-time work (memory, kernels) takes some tenths of a second."""

VALIDATION_SHARE = 0.25
"""Validation is timed for this share of the steps' time: it is a smaller part of an epoch."""

VALIDATION_BATCHES = 3
"""Different batches of validation photos that are timed in turn: photos differ in size."""

READ_PAIRS = 32
"""Pairs that are read to time the reading, and the least number of pairs that steps are timed with."""

FEATURES = 4
"""Photos whose features are computed to time that; steps use them in place of all others."""

HARMLESS = {"learning_rate": 1e-8, "init": "random", "class_weighting": "none", "train_fraction": 1.0}
"""Settings that change no step's time and avoid trouble: a tiny learning rate cannot reach NaN, random weights need no
download, class weights would read every mask for every model, and all photos that are timed are used."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a measurement may take.

    enough_s         steps are timed until they sum up to this
    longest_step_s   a step that would take longer is extrapolated from smaller batches, of 2 and at least 4
    most_s           no larger batch is started that would make the timing of steps longer than this
    """

    enough_s: float
    longest_step_s: float
    most_s: float


CHOSEN = Limits(enough_s=8.0, longest_step_s=15.0, most_s=45.0)
ALTERNATIVE = Limits(enough_s=4.0, longest_step_s=6.0, most_s=12.0)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The time that parts of a training take with some settings.

    seconds_per_step     of a whole batch; `is_extrapolated` if no whole batch was timed
    validation_s         per photo, in batches as between epochs; `last_validation_s`: one at a time, after the last
    checkpoint_s         to write last.pt and open it again
    features_s           to compute the features of all photos, where they are stored
    peak_memory_bytes    as in the `Epoch` record; None if unknown
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


def measure(
    config: TrainingConfig,
    dataset: Dataset,
    device: torch.device,
    *,
    limits: Limits = CHOSEN,
    clock: Clock = time.perf_counter,
    similar: Costs | None = None,
) -> Costs:
    """Time steps, validation and a checkpoint with these settings; one model is in memory at a time.

    The ratio of single photos to batches in validation is taken from `similar` costs, if given. Data that cannot be
    trained on raises `DataError`, a batch that does not fit into the GPU `RunError`.
    """
    bench = _Bench(config, dataset, device, limits, clock)
    try:
        steps = time_steps(bench.build, bench.batch_size, limits, clock)
        validation_s = bench.time_validation(VALIDATION_BATCH_SIZE)
        if similar and similar.validation_s and not config.store_features:  # with features, the head alone is validated
            last_s = validation_s * similar.last_validation_s / similar.validation_s
        else:
            last_s = bench.time_validation(1)
        features_s = bench.time_features()
        checkpoint_s = bench.time_checkpoint()
    except torch.OutOfMemoryError as error:
        raise RunError(
            f"A batch of photos of {config.image_size} px does not fit into the memory of the GPU; take a smaller "
            "batch_size or image_size."
        ) from error
    size = bench.batch_size
    memory = {images: float(step.peak_memory_bytes) for images, step in steps.items()}
    return Costs(
        seconds_per_step=extrapolated({images: step.seconds for images, step in steps.items()}, size),
        batch_size=size, num_train_images=len(bench.train_samples), num_val_images=len(bench.val_samples),
        is_extrapolated=size not in steps, validation_s=validation_s, last_validation_s=last_s,
        checkpoint_s=checkpoint_s, features_s=features_s, precision=bench.precision,
        peak_memory_bytes=None if size not in steps and len(steps) == 1 else round(extrapolated(memory, size)),
    )  # fmt: skip


def spread(samples: Sequence[Sample], count: int) -> tuple[Sample, ...]:
    """Return at most `count` samples, evenly spread over all of them."""
    count = min(count, len(samples))
    return tuple(samples[index * len(samples) // count] for index in range(count))


class Step(NamedTuple):
    """The time of a step, and the most memory in use so far."""

    seconds: float
    peak_memory_bytes: int


class Stopwatch:
    """Times the intervals between marks until they sum up to `enough_s`; waits for the GPU at each mark."""

    def __init__(self, device: torch.device, enough_s: float, clock: Clock) -> None:
        self._device, self._enough_s, self._clock = device, enough_s, clock
        self._marks_s: list[float] = []
        self.median_s = 0.0
        self.has_enough = False

    def mark(self) -> bool:
        """Add a mark, and return whether enough was timed; the first interval warms up, unless it is very long."""
        synchronize(self._device)
        self._marks_s.append(self._clock())
        times_s = [later - earlier for earlier, later in itertools.pairwise(self._marks_s)]
        if times_s and times_s[0] < SELF_WARMING_S:
            del times_s[0]
        if times_s:
            self.median_s = statistics.median(times_s)
            self.has_enough = sum(times_s) >= self._enough_s
        return self.has_enough


def time_steps(build: Callable[[int], TrainingLoop], batch_size: int, limits: Limits, clock: Clock) -> dict[int, Step]:
    """Time a step of the whole batch, or of smaller ones where that takes too long; returned by batch size.

    `build` returns a loop with the given batch size.
    """
    if batch_size <= 2 * SMALL_BATCH:
        return {batch_size: _time_step(build(batch_size), limits.enough_s, clock)}
    began_s = clock()
    # Nothing here refers to a loop while the next one is built: two may not fit into memory.
    small = _time_step(build(SMALL_BATCH), limits.enough_s / 2, clock)
    per_photo_s = small.seconds / SMALL_BATCH
    size = 2 * SMALL_BATCH
    while size < batch_size and min(2 * size, batch_size) * per_photo_s <= limits.longest_step_s:
        size = min(2 * size, batch_size)
    if clock() - began_s + size * per_photo_s > limits.most_s:
        return {SMALL_BATCH: small}
    larger = _time_step(build(size), limits.enough_s, clock)
    return {size: larger} if size == batch_size else {SMALL_BATCH: small, size: larger}


def _time_step(loop: TrainingLoop, enough_s: float, clock: Clock) -> Step:
    """Train until enough steps are timed, from one loaded batch to the next, over as many epochs as that takes."""
    watch = Stopwatch(loop.device, enough_s, clock)
    if loop.device.type in ("cuda", "xpu"):
        getattr(torch, loop.device.type).reset_peak_memory_stats(loop.device)
    while not watch.has_enough:
        loop.progress = RunProgress()
        for _ in loop.train_epoch(watch.mark):
            pass
    return Step(watch.median_s, peak_memory_bytes(loop.device))


def extrapolated(by_size: Mapping[int, float], size: int) -> float:
    """Return the value at `size`: the measured one, else that of the line through the two measured sizes.

    The line's constant part is at least 0; with a single measured size it is 0.
    """
    if size in by_size:
        return by_size[size]
    smaller, larger = min(by_size), max(by_size)
    if smaller == larger:
        return by_size[smaller] * size / smaller
    per_photo = max(0.0, (by_size[larger] - by_size[smaller]) / (larger - smaller))
    return min(by_size[larger] + per_photo * (size - larger), by_size[larger] * size / larger)


class _Bench:
    """Builds loops that differ in their batch size alone, one in memory at a time, and times the latest."""

    def __init__(
        self, config: TrainingConfig, dataset: Dataset, device: torch.device, limits: Limits, clock: Clock
    ) -> None:
        self._config, self._dataset, self._device = config, dataset, device
        self._limits, self._clock = limits, clock
        train, self.val_samples = dataset.split("train"), dataset.split("val")
        self.train_samples = fraction_of(train, config.train_fraction, config.seed)
        self._loop = self._build(config, self.train_samples)
        self.batch_size = self._loop.batch_size
        self.precision = self._loop.precision

    def build(self, batch_size: int) -> TrainingLoop:
        """Return a loop with this batch size, in place of the one before."""
        del self._loop
        some = spread(self.train_samples, max(READ_PAIRS, batch_size))
        self._loop = self._build(with_settings(self._config, {"batch_size": batch_size}), some)
        self._loop.train_pairs.hold()  # a training finds them in its cache
        if self._loop.features:
            self._loop.features.hold(FEATURES)
        return self._loop

    def _build(self, config: TrainingConfig, train: Sequence[Sample]) -> TrainingLoop:
        classes = self._dataset.classes
        return TrainingLoop(with_settings(config, HARMLESS), train, self.val_samples, classes, self._device)

    def time_validation(self, batch_size: int) -> float:
        """Return the seconds to read, segment and score a validation photo.

        Each batch is timed alone. A validation also overlaps its batches, and so takes less.
        """
        photos = spread(self.val_samples, VALIDATION_BATCHES * batch_size)
        size = min(batch_size, len(photos))
        is_last = batch_size == 1
        predictor, _ = self._loop.validation_predictor(is_last=is_last)
        batches: list[SquarePairs | FeaturePairs] = []
        for first in range(0, len(photos) - size + 1, size):
            some = photos[first : first + size]
            pairs = SquarePairs(some, self._dataset.num_classes, self._config.image_size, self._config.geometry)
            pairs.hold()  # a validation finds them in its cache
            batches.append(self._features_of(pairs) if isinstance(predictor, HeadPredictor) else pairs)
        watch = Stopwatch(self._device, self._limits.enough_s * VALIDATION_SHARE, self._clock)
        watch.mark()
        for batch in itertools.cycle(batches):
            for _ in evaluate(predictor, batch, self._dataset.classes, batch_size=size, is_whole=is_last):
                pass
            if watch.mark():
                break
        return watch.median_s / size

    def _features_of(self, pairs: SquarePairs) -> FeaturePairs:
        features = FeaturePairs(pairs, lambda: self._loop.backbone)
        features.hold(1)
        return features

    def time_features(self) -> float:
        """Return the seconds to compute the features of all photos, 0 where none are stored."""
        if not self._loop.features:
            return 0.0
        store, num_train, num_val = self._loop.features, len(self.train_samples), len(self.val_samples)
        nbytes = store.nbytes_of_photo * (num_train + num_val / store.num_forms)
        if not array_cache.could_hold(store.folder(), nbytes):
            raise RunError(f"The features take {nbytes / 1e9:.1f} GB, for which {home() / 'cache'} has no room.")
        num_timed = min(max(1, FEATURES // store.num_forms), len(store))
        began_s = self._clock()
        for index in range(num_timed):
            store.all_forms(index)
        return (num_train + num_val / store.num_forms) * (self._clock() - began_s) / num_timed

    def time_checkpoint(self) -> float:
        """Return the seconds to write last.pt and open it again, in a temporary folder."""
        config = self._config
        meta = CheckpointMeta(
            architecture=config.architecture, class_names=self._dataset.class_names, image_size=config.image_size,
            output_stride=config.output_stride, has_aux_head=config.aux_weight > 0, geometry=config.geometry,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "last.pt"
            began_s = self._clock()
            save_checkpoint(file, self._loop.model, meta, self._loop.state())
            verify_checkpoint(file, self._loop.model)
            return self._clock() - began_s
