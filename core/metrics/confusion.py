"""One image -> confusion counts; counts -> IoU.

Rows of a confusion matrix are the truth, columns the prediction. Counts are int64: float32 sums, as in some libraries,
lose pixels above 16.7 million.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.voc import VOID

Ids = NDArray[np.integer[Any]]
"""Class ids of pixels, in any integer dtype."""

Counts = NDArray[np.int64]


def confusion_counts(truth_HW: Ids, predicted_HW: Ids, num_classes: int) -> Counts:
    """Count the pixels of one image by true and predicted class.

    Args:
        truth_HW: true ids; void (255) and every other id outside [0, num_classes) is dropped.
        predicted_HW: predicted ids, same shape, all in [0, num_classes), also where the truth is void.
        num_classes: number of classes K, at most 255.

    Returns:
        counts_KK, int64; rows are the truth, columns the prediction.

    Raises:
        ValueError: the shapes differ, an array is not of integers, or a predicted id is out of range.
    """
    check_masks(truth_HW, predicted_HW, num_classes)
    cell_HW = np.where(is_counted(truth_HW, num_classes), truth_HW, num_classes).astype(np.intp, copy=False)
    cell_HW *= num_classes  # in place: allocating pages for each step costs four times the arithmetic
    np.add(cell_HW, predicted_HW, out=cell_HW, dtype=np.intp, casting="unsafe")
    counts = np.bincount(cell_HW.ravel(), minlength=(num_classes + 1) * num_classes)
    return counts.reshape(num_classes + 1, num_classes)[:num_classes].astype(np.int64)


def void_pixels(truth_HW: Ids, num_classes: int) -> int:
    """Return the number of pixels with void or another id outside [0, num_classes)."""
    return truth_HW.size - int(np.count_nonzero(is_counted(truth_HW, num_classes)))


def is_counted(truth_HW: Ids, num_classes: int) -> NDArray[np.bool_]:
    """Return whether the true id of each pixel is a class, shape (H, W)."""
    return (truth_HW >= 0) & (truth_HW < num_classes)


def check_masks(truth_HW: Ids, predicted_HW: Ids, num_classes: int) -> None:
    """Raise a ValueError if a pair of masks cannot be compared."""
    if not 1 <= num_classes <= VOID:
        raise ValueError(f"{num_classes} classes: expected 1 to {VOID}, because id {VOID} is void")
    if truth_HW.shape != predicted_HW.shape:
        raise ValueError(f"truth {truth_HW.shape} and prediction {predicted_HW.shape} differ in shape")
    for name, mask_HW in (("truth", truth_HW), ("prediction", predicted_HW)):
        if mask_HW.dtype.kind not in "iu":
            raise ValueError(f"the {name} holds {mask_HW.dtype}, not integer ids")
    if predicted_HW.size:
        low, high = int(predicted_HW.min()), int(predicted_HW.max())
        if low < 0 or high >= num_classes:
            raise ValueError(f"predicted ids run from {low} to {high}, outside [0, {num_classes})")


def iou(counts_KK: Counts) -> NDArray[np.float64]:
    """Return IoU = TP / (TP + FP + FN) of every class, shape (..., K); NaN where the union is empty.

    Leading axes of the counts, (..., K, K), as of images or resamples, are kept.
    """
    hits_K, truth_K, predicted_K = marginals(counts_KK)
    return ratio(hits_K, truth_K + predicted_K - hits_K)


def marginals(counts_KK: Counts) -> tuple[Counts, Counts, Counts]:
    """Return the true positives, true pixels and predicted pixels of every class, each (..., K)."""
    return np.diagonal(counts_KK, axis1=-2, axis2=-1), counts_KK.sum(axis=-1), counts_KK.sum(axis=-2)


def ratio(part: Counts | NDArray[np.float64], whole: Counts | NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide elementwise in float64; NaN, without a warning, where `whole` is 0."""
    quotient = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient


def mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean of the values that are not NaN, None if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else None


def mean_over_classes(scores_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the last axis of the values that are not NaN, shape (...); NaN if there are none."""
    is_defined_K = ~np.isnan(scores_K)
    return ratio(np.where(is_defined_K, scores_K, 0.0).sum(axis=-1), is_defined_K.sum(axis=-1))
