"""Calibration: whether 80 % of the pixels that a model predicts with a confidence of 80 % are correct.

After Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599): pixels are sorted by the
probability of the predicted class into 15 bins of equal width; each bin has a mean confidence and an accuracy. The
expected calibration error (ECE) is their mean difference, weighted by pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.confusion import ratio

BINS = 15

Bins = NDArray[np.float64]
"""bins_3B: number of pixels, sum of their confidence, number of correct ones, by bin. Bins of images are added."""


@dataclass(frozen=True)
class Reliability:
    """Share of the pixels, mean confidence and accuracy by bin, NaN in empty bins; all in [0, 1].

    `ece` and `overconfidence` (mean confidence minus accuracy) are over all pixels, None without any.
    """

    share_B: NDArray[np.float64]
    confidence_B: NDArray[np.float64]
    accuracy_B: NDArray[np.float64]
    ece: float | None
    overconfidence: float | None


def calibration_bins(confidence: NDArray[np.float32], is_right: NDArray[np.bool_]) -> Bins:
    """Sort counted pixels into bins.

    Args:
        confidence: probability of the predicted class, in [0, 1]; any shape.
        is_right: whether the predicted class is true, same shape.

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
