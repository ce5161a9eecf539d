"""Random choices that follow from the seed of a run: the same on every machine. No torch."""

from collections.abc import Sequence

import numpy as np

from core.data.dataset import Sample


def mixed_seed(*parts: int) -> int:
    """Return a 63-bit hash of small integers, such as (seed, epoch, index), to seed a generator."""
    value = 0x9E3779B97F4A7C15
    for part in parts:
        value = (value ^ part) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        value ^= value >> 29
    return value >> 1


def num_of(fraction: float, total: int) -> int:
    """Return how many photos a share of them is, at least one."""
    return max(1, round(fraction * total))


def fraction_of(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[Sample, ...]:
    """Return a seeded random part of the samples, at least one, in their order.

    The first of `torch.randperm` with that seed: earlier runs were trained on them. PyTorch and NumPy share the
    generator, a Mersenne Twister seeded with 32 bits, and PyTorch shuffles from the front.
    """
    total = len(samples)
    count = num_of(fraction, total)
    generator = np.random.RandomState(mixed_seed(seed, total) & 0xFFFFFFFF)
    drawn = generator.randint(0, 2**32, size=total, dtype=np.uint32).tolist()
    order = list(range(total))
    for place in range(min(count, total - 1)):
        other = place + drawn[place] % (total - place)
        order[place], order[other] = order[other], order[place]
    return tuple(samples[index] for index in sorted(order[:count]))
