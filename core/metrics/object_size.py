"""IoU by object size: small objects are harder, which a sum over pixels hides.

An object here is all pixels of a class in an image (semantic masks have no instances), its size their share of the
image's counted pixels. Both follow from the stored counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.confusion import Counts, iou
from core.voc import BACKGROUND

SIZE_EDGES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Bounds of the bins, as shares of the image; the upper bound belongs to the bin."""


@dataclass(frozen=True)
class SizeScore:
    """Number and mean IoU of the objects in bin `index`; the IoU is None without objects."""

    index: int
    objects: int
    iou: float | None


def size_bins(counts_NKK: Counts) -> NDArray[np.int64]:
    """Return the bin of every class in every image, (N, K); -1 for absent classes and the background."""
    truth_NK = counts_NKK.sum(axis=2)
    total_N1 = np.maximum(truth_NK.sum(axis=1, keepdims=True), 1)
    bins_NK: NDArray[np.int64] = np.digitize(truth_NK / total_N1, SIZE_EDGES[1:-1], right=True)
    bins_NK[truth_NK == 0] = -1
    bins_NK[:, BACKGROUND] = -1
    return bins_NK


def size_scores(counts_NKK: Counts) -> list[SizeScore]:
    """Return the mean IoU of the objects in each bin, each object scored in its image."""
    bins_NK, iou_NK = size_bins(counts_NKK), iou(counts_NKK)
    found = []
    for index in range(len(SIZE_EDGES) - 1):
        scores = iou_NK[bins_NK == index]
        found.append(SizeScore(index, scores.size, float(scores.mean()) if scores.size else None))
    return found
