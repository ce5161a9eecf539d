"""Boundary IoU and boundary F: how well contours are followed, which mask IoU forgives on large objects.

After Cheng et al. 2021, "Boundary IoU" (arXiv 2103.16562). The boundary region of a class is its pixels that lie within
d of its contour, on the inside; boundary IoU is the IoU of the true and the predicted region.

Conventions, those of the authors' code (bowenc0221/boundary-iou-api, `mask_to_boundary`) where it has one:
- d = max(1, round(0.02 * image diagonal)) pixels, chessboard distance: eroding d times with a 3x3 square;
- the image border is a contour: outside is no class;
- void, which the paper does not know: pixels whose truth is void are dropped from all three counts. Before that the
  true contours are drawn either with void as one more class (`void_as="other"`) or with each void pixel taking
  the nearest class (`void_as="nearest"`). VOC outlines every object with a void band about 5 px wide, so "other" moves
  every true contour inwards by half of it: on 60 VOC masks the contour in the middle of the band scores 0.87, and one
  drawn 2-3 px too tight scores 1.00; with "nearest" they score 0.99 and 0.87.

Boundary F is that of Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?" (BMVC, section
2.2): precision is the share of a class's predicted contour that lies within a tolerance of its true contour, recall
the share of the true contour that lies within it of the predicted one, F = 2 P R / (P + R). The tolerance is theirs,
0.75 % of the image diagonal; the contour is the class's outermost pixels, one wide. Theirs is a mean over images, ours
a ratio of the counts of all images, as every score here.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.metrics.confusion import Counts, Ids, check_masks, is_counted, ratio

DISTANCE_SHARE = 0.02
"""The contour's width as a share of the image diagonal (the paper's choice for COCO and its code's default)."""

TOLERANCE_SHARE = 0.0075
"""How far apart two contours may lie and still agree, as a share of the image diagonal (Csurka et al., section 4)."""


def boundary_counts(
    truth_HW: Ids,
    predicted_HW: Ids,
    num_classes: int,
    *,
    void_as: Literal["other", "nearest"] = "nearest",
    filled_HW: Ids | None = None,
) -> Counts:
    """Count the boundary pixels of one image, for all classes at once.

    Args:
        truth_HW: true ids; those outside [0, num_classes) are void.
        predicted_HW: predicted ids, same shape, all in [0, num_classes).
        num_classes: number of classes K.
        void_as: what void is while the true contours are drawn (module docstring).
        filled_HW: what `fill_void` gives, for a caller who has it: it takes longer than all the rest.

    Returns:
        counts_3K, int64; rows are the intersection, the true region and the predicted region of each class.
        Add those of many images, then call `boundary_iou`.

    Raises:
        ValueError: the shapes differ, an array is not of integers, or a predicted id is out of range.
    """
    check_masks(truth_HW, predicted_HW, num_classes)
    counted_HW = is_counted(truth_HW, num_classes)
    drawn_HW = (
        truth_HW if void_as == "other" else filled_HW if filled_HW is not None else fill_void(truth_HW, num_classes)
    )
    width_px = distance_px(truth_HW.shape)
    truth_edge_HW = counted_HW & boundary_region(drawn_HW, width_px)
    predicted_edge_HW = counted_HW & boundary_region(predicted_HW, width_px)
    both_HW = truth_edge_HW & predicted_edge_HW & (truth_HW == predicted_HW)
    regions = ((both_HW, truth_HW), (truth_edge_HW, truth_HW), (predicted_edge_HW, predicted_HW))
    rows = [np.bincount(ids_HW[region_HW], minlength=num_classes) for region_HW, ids_HW in regions]
    return np.array(rows, dtype=np.int64)


def contour_counts(truth_HW: Ids, predicted_HW: Ids, num_classes: int, *, filled_HW: Ids | None = None) -> Counts:
    """Count the contour pixels of one image that have a counterpart, for all classes.

    Args:
        truth_HW: true ids; those outside [0, num_classes) are void, filled in as by `void_as="nearest"`.
        predicted_HW: predicted ids, same shape, all in [0, num_classes).
        num_classes: number of classes K.
        filled_HW: as in `boundary_counts`.

    Returns:
        counts_4K, int64; rows are the predicted contour near the true one, the predicted contour, the true contour near
        the predicted one, the true contour. Add those of many images, then call `boundary_f`.

    Raises:
        ValueError: as `boundary_counts`.
    """
    check_masks(truth_HW, predicted_HW, num_classes)
    counted_HW = is_counted(truth_HW, num_classes)
    truth_HW = fill_void(truth_HW, num_classes) if filled_HW is None else filled_HW
    tolerance_px = max(1, round(TOLERANCE_SHARE * math.hypot(*truth_HW.shape)))
    truth_edge_HW = counted_HW & boundary_region(truth_HW, 1)
    predicted_edge_HW = counted_HW & boundary_region(predicted_HW, 1)
    counts_4K = np.zeros((4, num_classes), dtype=np.int64)
    counts_4K[1] = np.bincount(predicted_HW[predicted_edge_HW], minlength=num_classes)
    counts_4K[3] = np.bincount(truth_HW[truth_edge_HW], minlength=num_classes)
    for k in np.flatnonzero((counts_4K[1] > 0) & (counts_4K[3] > 0)):
        predicted_line_HW = predicted_edge_HW & (predicted_HW == k)
        truth_line_HW = truth_edge_HW & (truth_HW == k)
        counts_4K[0, k] = np.count_nonzero(predicted_line_HW & near(truth_line_HW, tolerance_px))
        counts_4K[2, k] = np.count_nonzero(truth_line_HW & near(predicted_line_HW, tolerance_px))
    return counts_4K


def boundary_f(counts_4K: Counts) -> NDArray[np.float64]:
    """Return boundary F of every class, shape (..., K), in [0, 1]; NaN where there is no contour, 0 where there is one.

    Args:
        counts_4K: sums of `contour_counts`, shape (..., 4, K).
    """
    near_truth_K, predicted_K, near_predicted_K, truth_K = np.moveaxis(counts_4K, -2, 0)
    precision_K, recall_K = ratio(near_truth_K, predicted_K), ratio(near_predicted_K, truth_K)
    f_K = ratio(2 * precision_K * recall_K, precision_K + recall_K)
    return np.where((predicted_K > 0) | (truth_K > 0), np.nan_to_num(f_K), np.nan)


def near(region_HW: NDArray[np.bool_], distance_px: int) -> NDArray[np.bool_]:
    """Mark the pixels within `distance_px` (chessboard) of a region, shape (H, W).

    A summed-area table counts the region's pixels in the square around each: twice as fast as filters.
    """
    side = 2 * distance_px + 1
    table_HW = np.pad(region_HW, ((distance_px + 1, distance_px),) * 2).astype(np.int32)
    np.cumsum(table_HW, axis=0, out=table_HW)
    np.cumsum(table_HW, axis=1, out=table_HW)
    columns_HW = table_HW[side:] - table_HW[:-side]
    is_near_HW: NDArray[np.bool_] = columns_HW[:, side:] != columns_HW[:, :-side]
    return is_near_HW


def boundary_iou(counts_3K: Counts) -> NDArray[np.float64]:
    """Return boundary IoU of every class, shape (..., K), in [0, 1]; NaN where neither region has a pixel.

    Args:
        counts_3K: sums of `boundary_counts`, shape (..., 3, K).
    """
    both_K, truth_K, predicted_K = np.moveaxis(counts_3K, -2, 0)
    return ratio(both_K, truth_K + predicted_K - both_K)


def distance_px(shape: tuple[int, ...]) -> int:
    """Return how far a boundary region of an image of shape (H, W) reaches inwards, at least 1 pixel."""
    return max(1, round(DISTANCE_SHARE * math.hypot(*shape)))


def boundary_region(ids_HW: Ids, width_px: int) -> NDArray[np.bool_]:
    """Mark the pixels within `width_px` (>= 1, chessboard) of another id or of the outside, shape (H, W).

    A pixel is inside when the square of side 2 * width_px + 1 around it holds one id only, that is when none of the
    2 x 2 blocks in that square is mixed; a summed-area table counts the mixed blocks of every square in one pass.
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


def fill_void(truth_HW: Ids, num_classes: int) -> Ids:
    """Give each void pixel the id of the nearest counted one (chessboard distance)."""
    counted_HW = is_counted(truth_HW, num_classes)
    if counted_HW.all() or not counted_HW.any():
        return truth_HW
    nearest = ndimage.distance_transform_cdt(
        ~counted_HW, metric="chessboard", return_distances=False, return_indices=True
    )
    filled_HW: Ids = truth_HW[tuple(nearest)]
    return filled_HW


def _mixed_blocks(ids_HW: Ids) -> NDArray[np.bool_]:
    """Mark the 2 x 2 blocks that hold more than one id, shape (H - 1, W - 1)."""
    corner = ids_HW[:-1, :-1]
    mixed: NDArray[np.bool_] = (corner != ids_HW[:-1, 1:]) | (corner != ids_HW[1:, :-1]) | (corner != ids_HW[1:, 1:])
    return mixed
