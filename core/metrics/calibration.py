"""Calibration: whether of the pixels that a model is 80 % sure of, 80 % are right.

After Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599): pixels are sorted by the
probability of the class they were given into 15 bins of equal width; in each, the mean probability stands beside the
share that is right. The expected calibration error (ECE) is the mean gap, weighted by the pixels.

Only sums are kept, so that bins of many images are added, as confusion counts are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.confusion import ratio

BINS = 15

Bins = NDArray[np.float64]
"""bins_3B: pixels, the sum of their confidence, and how many of them are right, by bin."""


@dataclass(frozen=True)
class Reliability:
    """Per bin: share of the pixels, mean confidence and share that is right, NaN where it is empty; ECE over all.

    Fractions; `ece` is None where no pixel was counted. `overconfidence` is mean confidence minus share right.
    """

    share_B: NDArray[np.float64]
    confidence_B: NDArray[np.float64]
    accuracy_B: NDArray[np.float64]
    ece: float | None
    overconfidence: float | None


def calibration_bins(confidence: NDArray[np.float32], is_right: NDArray[np.bool_]) -> Bins:
    """Sort pixels that count into bins.

    Args:
        confidence: probability of the class that each pixel was given, in [0, 1]; any shape.
        is_right: whether that is its true class, same shape.

    Returns:
        bins_3B, float64; add those of many images, then call `reliability`.
    """
    confidence, is_right = confidence.ravel(), is_right.ravel()
    index = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    return np.stack([np.bincount(index, weights, BINS).astype(np.float64) for weights in (None, confidence, is_right)])


def reliability(bins_3B: Bins) -> Reliability:
    """Return the reliability curve and the expected calibration error of summed bins."""
    pixels_B, confidence_B, right_B = bins_3B
    total = pixels_B.sum()
    return Reliability(
        share_B=ratio(pixels_B, np.full(BINS, total)),
        confidence_B=ratio(confidence_B, pixels_B),
        accuracy_B=ratio(right_B, pixels_B),
        ece=float(np.abs(confidence_B - right_B).sum() / total) if total else None,
        overconfidence=float((confidence_B.sum() - right_B.sum()) / total) if total else None,
    )
