"""Boundary IoU and boundary F: the quality of contours, which hardly shows in the IoU of large objects.

Boundary IoU is that of Cheng et al. 2021, "Boundary IoU" (arXiv 2103.16562). The boundary region of a class is its
pixels within d of its contour, on the inside; boundary IoU is the IoU of the true and the predicted region. As in the
authors' code (bowenc0221/boundary-iou-api, `mask_to_boundary`), d = max(1, round(0.02 * image diagonal)) pixels of
chessboard distance, and the image border counts as a contour.

Boundary F is that of Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?" (BMVC, section
2.2): precision is the share of a class's predicted contour that lies within a tolerance of its true contour, recall
the share of the true contour that lies within it of the predicted one, F = 2 P R / (P + R). The tolerance is theirs,
0.75 % of the image diagonal. The contour is the pixels of a class that touch another class, corners included; the image
border is not a contour here, because nobody drew it. The paper takes a mean over images; here, as for every score, the
counts of all images are summed first.

Neither paper has void. VOC outlines every object with about 5 px of void and covers objects that are hard to name.
Both scores follow one rule, as the confusion matrix does: **predictions in void change no score**.

- First each void pixel takes the true and the predicted class of the nearest counted pixel. Inside VOC's band the true
  contour then runs along the middle, and so does the predicted contour of a model that is right on both sides. Outside
  the band a predicted contour stays where it is.
- Boundary IoU counts no void pixel. Boundary F does, since the true contour lies in the band, but only within d of a
  counted pixel: deep inside a large void the true contour is unknown. The contour that filling draws there may match
  others, but is not counted itself.
- Void surrounded by one class is filled with that class.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.metrics.confusion import Counts, Ids, check_masks, is_counted, ratio

DISTANCE_SHARE = 0.02
"""d as a share of the image diagonal (the paper's choice for COCO and its code's default)."""

TOLERANCE_SHARE = 0.0075
"""Boundary F's tolerance as a share of the image diagonal (Csurka et al., section 4)."""


class Filled(NamedTuple):
    """Two masks with void filled, and the pixels within d of a counted one, each (H, W)."""

    truth_HW: Ids
    predicted_HW: Ids
    is_known_HW: NDArray[np.bool_]


def fill_void(truth_HW: Ids, predicted_HW: Ids, num_classes: int) -> Filled:
    """Fill each void pixel with the true and the predicted id of the nearest counted pixel (Euclidean).

    Of equally near pixels the leftmost counts, then the topmost.

    Args:
        truth_HW: true ids; those outside [0, num_classes) are void.
        predicted_HW: predicted ids, same shape, all in [0, num_classes).
        num_classes: number of classes K.

    Raises:
        ValueError: the shapes differ, an array is not of integers, or a predicted id is out of range.
    """
    check_masks(truth_HW, predicted_HW, num_classes)
    counted_HW = is_counted(truth_HW, num_classes)
    if counted_HW.all() or not counted_HW.any():
        return Filled(truth_HW, predicted_HW, counted_HW)
    box = _box(~counted_HW, 1)  # its rim is all counted pixels, and nearer than anything outside
    void_HW = ~counted_HW[box]
    nearest = ndimage.distance_transform_edt(void_HW, return_distances=False, return_indices=True)[:, void_HW]
    filled = truth_HW.copy(), predicted_HW.copy()
    for mask_HW in filled:
        mask_HW[box][void_HW] = mask_HW[box][tuple(nearest)]
    return Filled(*filled, near(counted_HW, distance_px(truth_HW.shape)))


def boundary_counts(truth_HW: Ids, predicted_HW: Ids, num_classes: int, *, filled: Filled | None = None) -> Counts:
    """Count the boundary pixels of one image, for all classes at once.

    Args:
        truth_HW: as in `fill_void`.
        predicted_HW: as in `fill_void`.
        num_classes: number of classes K.
        filled: the result of `fill_void`, if the caller has it: it takes longer than the rest.

    Returns:
        counts_3K, int64; rows are the intersection, the true region and the predicted region of each class.
        Add those of many images, then call `boundary_iou`.

    Raises:
        ValueError: as `fill_void`.
    """
    drawn = fill_void(truth_HW, predicted_HW, num_classes) if filled is None else filled
    counted_HW = is_counted(truth_HW, num_classes)
    width_px = distance_px(truth_HW.shape)
    truth_edge_HW = counted_HW & boundary_region(drawn.truth_HW, width_px)
    predicted_edge_HW = counted_HW & boundary_region(drawn.predicted_HW, width_px)
    both_HW = truth_edge_HW & predicted_edge_HW & (truth_HW == predicted_HW)
    regions = ((both_HW, truth_HW), (truth_edge_HW, truth_HW), (predicted_edge_HW, predicted_HW))
    return _by_class(regions, num_classes)


def contour_counts(truth_HW: Ids, predicted_HW: Ids, num_classes: int, *, filled: Filled | None = None) -> Counts:
    """Count the contour pixels of one image that have a counterpart, for all classes.

    Args:
        truth_HW: as in `fill_void`.
        predicted_HW: as in `fill_void`.
        num_classes: number of classes K.
        filled: as in `boundary_counts`.

    Returns:
        counts_4K, int64; rows are the predicted contour near the true one, the predicted contour, the true contour near
        the predicted one, the true contour. Add those of many images, then call `boundary_f`.

    Raises:
        ValueError: as `fill_void`.
    """
    drawn = fill_void(truth_HW, predicted_HW, num_classes) if filled is None else filled
    tolerance_px = max(1, round(TOLERANCE_SHARE * math.hypot(*truth_HW.shape)))
    truth_line_HW, predicted_line_HW = contour(drawn.truth_HW), contour(drawn.predicted_HW)
    truth_near_HW, predicted_near_HW = np.zeros((2, *truth_HW.shape), dtype=np.bool_)
    for k in np.intersect1d(drawn.truth_HW[truth_line_HW], drawn.predicted_HW[predicted_line_HW]):
        of_truth_HW = truth_line_HW & (drawn.truth_HW == k)
        of_prediction_HW = predicted_line_HW & (drawn.predicted_HW == k)
        predicted_near_HW |= of_prediction_HW & near(of_truth_HW, tolerance_px)
        truth_near_HW |= of_truth_HW & near(of_prediction_HW, tolerance_px)
    rows = (
        (predicted_near_HW, drawn.predicted_HW),
        (predicted_line_HW, drawn.predicted_HW),
        (truth_near_HW, drawn.truth_HW),
        (truth_line_HW, drawn.truth_HW),
    )
    return _by_class([(line_HW & drawn.is_known_HW, ids_HW) for line_HW, ids_HW in rows], num_classes)


def _by_class(regions: Iterable[tuple[NDArray[np.bool_], Ids]], num_classes: int) -> Counts:
    """Count the pixels of each region by id, one row for each region."""
    rows = [np.bincount(ids_HW[region_HW], minlength=num_classes) for region_HW, ids_HW in regions]
    return np.array(rows, dtype=np.int64)


def boundary_f(counts_4K: Counts) -> NDArray[np.float64]:
    """Return boundary F of every class, (..., K), in [0, 1], from sums of `contour_counts`, (..., 4, K).

    It is NaN without any contour, 0 if only one mask has one.
    """
    near_truth_K, predicted_K, near_predicted_K, truth_K = np.moveaxis(counts_4K, -2, 0)
    precision_K, recall_K = ratio(near_truth_K, predicted_K), ratio(near_predicted_K, truth_K)
    f_K = ratio(2 * precision_K * recall_K, precision_K + recall_K)
    return np.where((predicted_K > 0) | (truth_K > 0), np.nan_to_num(f_K), np.nan)


def near(region_HW: NDArray[np.bool_], distance_px: int) -> NDArray[np.bool_]:
    """Mark the pixels within `distance_px` (chessboard) of a region, shape (H, W).

    A summed-area table counts the region's pixels in the square around each pixel: twice as fast as filters.
    """
    is_near_HW = np.zeros(region_HW.shape, dtype=np.bool_)
    box = _box(region_HW, distance_px)
    side = 2 * distance_px + 1
    table_HW = np.pad(region_HW[box], ((distance_px + 1, distance_px),) * 2).astype(np.int32)
    np.cumsum(table_HW, axis=0, out=table_HW)
    np.cumsum(table_HW, axis=1, out=table_HW)
    columns_HW = table_HW[side:] - table_HW[:-side]
    is_near_HW[box] = columns_HW[:, side:] != columns_HW[:, :-side]
    return is_near_HW


def _box(region_HW: NDArray[np.bool_], margin_px: int) -> tuple[slice, slice]:
    """Return the bounding box of a region with a margin; empty for an empty region."""
    rows, columns = (np.flatnonzero(region_HW.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return (
        slice(max(0, int(rows[0]) - margin_px), int(rows[-1]) + 1 + margin_px),
        slice(max(0, int(columns[0]) - margin_px), int(columns[-1]) + 1 + margin_px),
    )


def boundary_iou(counts_3K: Counts) -> NDArray[np.float64]:
    """Return boundary IoU of every class, (..., K), in [0, 1], from sums of `boundary_counts`, (..., 3, K).

    It is NaN where neither region has a pixel.
    """
    both_K, truth_K, predicted_K = np.moveaxis(counts_3K, -2, 0)
    return ratio(both_K, truth_K + predicted_K - both_K)


def distance_px(shape: tuple[int, ...]) -> int:
    """Return d for an image of shape (H, W), at least 1 px."""
    return max(1, round(DISTANCE_SHARE * math.hypot(*shape)))


def boundary_region(ids_HW: Ids, width_px: int) -> NDArray[np.bool_]:
    """Mark the pixels within `width_px` (>= 1, chessboard) of another id or of the outside, shape (H, W).

    A pixel is not in the region if the square of side 2 * width_px + 1 around it holds a single id, that is, no mixed
    2 x 2 block; a summed-area table counts the mixed blocks of all squares in one pass.
    """
    height, width = ids_HW.shape
    region_HW = np.ones((height, width), dtype=np.bool_)
    side = 2 * width_px
    if min(height, width) <= side:
        return region_HW
    table_HW = np.zeros((height, width), dtype=np.int32)
    table_HW[1:, 1:] = _mixed_blocks(ids_HW).cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    mixed = table_HW[side:, side:] - table_HW[:-side, side:] - table_HW[side:, :-side] + table_HW[:-side, :-side]
    region_HW[width_px : height - width_px, width_px : width - width_px] = mixed > 0
    return region_HW


def contour(ids_HW: Ids) -> NDArray[np.bool_]:
    """Mark the pixels that touch another id, corners included, (H, W); the image border is not a contour."""
    contour_HW = np.zeros(ids_HW.shape, dtype=np.bool_)
    mixed = _mixed_blocks(ids_HW)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            contour_HW[rows, columns] |= mixed
    return contour_HW


def _mixed_blocks(ids_HW: Ids) -> NDArray[np.bool_]:
    """Mark the 2 x 2 blocks that hold more than one id, shape (H - 1, W - 1)."""
    corner = ids_HW[:-1, :-1]
    mixed: NDArray[np.bool_] = (corner != ids_HW[:-1, 1:]) | (corner != ids_HW[1:, :-1]) | (corner != ids_HW[1:, 1:])
    return mixed
