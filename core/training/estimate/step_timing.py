"""How long a training step takes: timed on a whole batch, or reckoned from smaller ones where that would take long."""

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from core.training.loop.memory import peak_memory_bytes
from core.training.loop.progress import Progress
from core.training.run.records import Record

Clock = Callable[[], float]
"""Tells a time in seconds, as `time.perf_counter` does."""

SMALL_BATCH = 2
"""Photos in the steps that are timed first, to tell how large a batch can be timed; BatchNorm needs two."""

SELF_WARMING_S = 4.0
"""A first step this long counts too: what it does only once (memory, kernels) takes some tenths of a second."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a measurement may take.

    enough_s         steps are timed until they sum up to this
    longest_step_s   a step that would take longer is extrapolated from smaller batches, of 2 and at least 4
    most_s           no larger batch is begun that would make the timing of steps longer than this
    """

    enough_s: float
    longest_step_s: float
    most_s: float


class Loop(Protocol):
    """What steps are timed of: a `TrainingLoop`."""

    progress: Progress
    device: torch.device

    def train_epoch(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        """Train through an epoch; `should_stop` is asked before every step, once its batch is loaded."""


class Stopwatch:
    """Takes the times between its marks until there are enough of them; it waits for the GPU before each."""

    def __init__(self, device: torch.device, enough_s: float, clock: Clock) -> None:
        self._device = device
        self._enough_s = enough_s
        self._clock = clock
        self._marks_s: list[float] = []

    def mark(self) -> bool:
        """Note the time, and tell whether enough was timed."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._marks_s.append(self._clock())
        return self.has_enough

    @property
    def has_enough(self) -> bool:
        """Whether something was timed, and for long enough."""
        times_s = self._times_s()
        return bool(times_s) and sum(times_s) >= self._enough_s

    @property
    def median_s(self) -> float:
        """The usual time between two marks."""
        return statistics.median(self._times_s())

    def _times_s(self) -> list[float]:
        """Return the times without the first, which warms up, unless that is long enough to tell as well."""
        times_s = [later - earlier for earlier, later in itertools.pairwise(self._marks_s)]
        return times_s if times_s and times_s[0] >= SELF_WARMING_S else times_s[1:]


class StepCost(NamedTuple):
    """What a step costs; the memory is the most that was in use so far."""

    seconds: float
    peak_memory_bytes: int


def time_steps(build: Callable[[int], Loop], batch_size: int, limits: Limits, clock: Clock) -> dict[int, StepCost]:
    """Return what a step costs by the photos in it: the whole batch, or smaller ones where that would take too long.

    `build` gives a loop with so many photos in a batch.
    """
    if batch_size <= 2 * SMALL_BATCH:
        return {batch_size: time_step(build(batch_size), limits.enough_s, clock)}
    began_s = clock()
    # Nothing here holds on to a loop while the next one is built: two may not fit into memory.
    small = time_step(build(SMALL_BATCH), limits.enough_s / 2, clock)
    per_photo_s = small.seconds / SMALL_BATCH
    size = 2 * SMALL_BATCH
    while size < batch_size and min(2 * size, batch_size) * per_photo_s <= limits.longest_step_s:
        size = min(2 * size, batch_size)
    if clock() - began_s + size * per_photo_s > limits.most_s:
        return {SMALL_BATCH: small}
    larger = time_step(build(size), limits.enough_s, clock)
    return {size: larger} if size == batch_size else {SMALL_BATCH: small, size: larger}


def time_step(loop: Loop, enough_s: float, clock: Clock) -> StepCost:
    """Train until enough steps are timed, from one loaded batch to the next, over as many epochs as that takes."""
    watch = Stopwatch(loop.device, enough_s, clock)
    if loop.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(loop.device)
    while not watch.has_enough:
        loop.progress = Progress()
        for _ in loop.train_epoch(watch.mark):
            pass
    return StepCost(watch.median_s, peak_memory_bytes(loop.device))


def extrapolated(by_size: Mapping[int, float], size: int) -> float:
    """Return the value at `size`: as it was measured there, else on the line through the two sizes that were.

    What a step costs whatever its batch is never less than nothing; of a single size, it is taken to be nothing.
    """
    if size in by_size:
        return by_size[size]
    smaller, larger = min(by_size), max(by_size)
    if smaller == larger:
        return by_size[smaller] * size / smaller
    per_photo = max(0.0, (by_size[larger] - by_size[smaller]) / (larger - smaller))
    return min(by_size[larger] + per_photo * (size - larger), by_size[larger] * size / larger)
