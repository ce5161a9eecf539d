"""IoU against size: small objects are harder, and a mean over pixels hides it.

The object is what an image shows of a class, all its pixels together, and its size their share of the image's counted
pixels: both follow from the counts that every evaluation keeps. Instances are not told apart: semantic masks do not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.confusion import Counts, iou
from core.voc import BACKGROUND

SIZE_EDGES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Bounds of the sizes, as shares of the image; each bin holds its upper bound."""


@dataclass(frozen=True)
class SizeScore:
    """Mean IoU of the objects of a size, None if there are none, and how many there are."""

    index: int
    objects: int
    iou: float | None


def size_bins(counts_NKK: Counts) -> NDArray[np.int64]:
    """Return the bin of every class in every image, shape (N, K); -1 where the class is not there or the background."""
    truth_NK = counts_NKK.sum(axis=2)
    total_N1 = np.maximum(truth_NK.sum(axis=1, keepdims=True), 1)
    bins_NK: NDArray[np.int64] = np.digitize(truth_NK / total_N1, SIZE_EDGES[1:-1], right=True)
    bins_NK[truth_NK == 0] = -1
    bins_NK[:, BACKGROUND] = -1
    return bins_NK


def size_scores(counts_NKK: Counts) -> list[SizeScore]:
    """Return for each size the mean over the objects of their IoU in their own image."""
    bins_NK, iou_NK = size_bins(counts_NKK), iou(counts_NKK)
    found = []
    for index in range(len(SIZE_EDGES) - 1):
        scores = iou_NK[bins_NK == index]
        found.append(SizeScore(index, scores.size, float(scores.mean()) if scores.size else None))
    return found
