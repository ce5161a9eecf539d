"""The learning rate as a pure function of how far the schedule has come: nothing to save, nothing to restore."""

import math

POLY_POWER = 0.9
WARM_UP_SHARE = 0.3
FIRST_FACTOR = 1 / 25
LAST_FACTOR = 1e-4


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Return the factor on the learning rate at `progress` in [0, 1] of the schedule.

    constant; poly, (1 - p)^0.9, as DeepLab is trained (arXiv 1606.00915); cosine, to 0 (arXiv 1608.03983);
    one-cycle, up by a cosine from 1/25 over the first 30 %, then down to 1/10,000 (arXiv 1708.07120).
    """
    progress = min(max(progress, 0.0), 1.0)
    match schedule:
        case "constant":
            return 1.0
        case "poly":
            return float((1 - progress) ** POLY_POWER)
        case "cosine":
            return _ease(1.0, 0.0, progress)
        case "one-cycle" if progress < WARM_UP_SHARE:
            return _ease(FIRST_FACTOR, 1.0, progress / WARM_UP_SHARE)
        case "one-cycle":
            return _ease(1.0, LAST_FACTOR, (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE))
    raise ValueError(f"unknown schedule {schedule!r}")


def _ease(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
