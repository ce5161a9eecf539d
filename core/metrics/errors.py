"""Wrong pixels of an image by kind.

    false negative  an object's pixel, predicted as background
    false positive  a background pixel, predicted as an object
    confusion       an object's pixel, predicted as another class of object
    boundary        any of these where the contour is off by at most d: within d pixels (chessboard) the predicted class
                    is true, and the true class is predicted

d is that of boundary IoU, 2 % of the image diagonal. Both conditions are needed: a small object that is not predicted
at all lies near its own contour, but is a false negative. Every wrong pixel has one kind.

Evaluation stores the counts, since the kinds need the masks.
"""

import numpy as np
from numpy.typing import NDArray

from core.metrics.boundary import distance_px, near
from core.metrics.confusion import Counts, Ids, check_masks, is_counted
from core.voc import BACKGROUND

KINDS = ("false negative", "false positive", "confusion", "boundary")
"""Numbered 1 to 4 by `error_kinds`; 0 is correct or void. Their order is that of stored counts."""


def error_kinds(truth_HW: Ids, predicted_HW: Ids, num_classes: int) -> NDArray[np.uint8]:
    """Return 0 for correct and void pixels, else 1 + the index in `KINDS`, uint8, (H, W).

    Raises:
        ValueError: the shapes differ, an array is not of integers, or a predicted id is out of range.
    """
    check_masks(truth_HW, predicted_HW, num_classes)
    wrong_HW = is_counted(truth_HW, num_classes) & (truth_HW != predicted_HW)
    kinds_HW = np.zeros(truth_HW.shape, dtype=np.uint8)
    kinds_HW[wrong_HW] = 3
    kinds_HW[wrong_HW & (predicted_HW == BACKGROUND)] = 1
    kinds_HW[wrong_HW & (truth_HW == BACKGROUND)] = 2
    kinds_HW[wrong_HW & _is_contour(truth_HW, predicted_HW, wrong_HW)] = 4
    return kinds_HW


def error_counts(truth_HW: Ids, predicted_HW: Ids, num_classes: int) -> Counts:
    """Count the wrong pixels of one image by kind, int64, (4,), in the order of `KINDS`."""
    kinds_HW = error_kinds(truth_HW, predicted_HW, num_classes)
    return np.bincount(kinds_HW.ravel(), minlength=len(KINDS) + 1)[1:].astype(np.int64)


def _is_contour(truth_HW: Ids, predicted_HW: Ids, wrong_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark where the predicted class is true nearby and the true class is predicted nearby, (H, W)."""
    width_px = distance_px(truth_HW.shape)
    prediction_is_true_HW, truth_is_predicted_HW = np.zeros((2, *truth_HW.shape), dtype=np.bool_)
    for k in np.union1d(truth_HW[wrong_HW], predicted_HW[wrong_HW]):
        is_true_HW, is_predicted_HW = truth_HW == k, predicted_HW == k
        prediction_is_true_HW |= is_predicted_HW & near(is_true_HW, width_px)
        truth_is_predicted_HW |= is_true_HW & near(is_predicted_HW, width_px)
    is_contour_HW: NDArray[np.bool_] = prediction_is_true_HW & truth_is_predicted_HW
    return is_contour_HW
