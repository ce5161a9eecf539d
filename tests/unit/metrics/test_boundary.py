"""Boundary counts against the definition in loops and against the authors' erosion."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage

from core.metrics.boundary import (
    boundary_counts,
    boundary_f,
    boundary_iou,
    boundary_region,
    contour_counts,
    distance_px,
    near,
)
from core.metrics.confusion import Counts, Ids
from core.voc import VOID

K = 3
DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=40)
SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)


def region_by_loops(ids_HW: Ids, width_px: int) -> NDArray[np.bool_]:
    """Mark a pixel when any place within reach, in the image or not, is not of its id."""
    height, width = ids_HW.shape
    region_HW = np.zeros(ids_HW.shape, dtype=np.bool_)
    for y in range(height):
        for x in range(width):
            for other_y in range(y - width_px, y + width_px + 1):
                for other_x in range(x - width_px, x + width_px + 1):
                    is_outside = not (0 <= other_y < height and 0 <= other_x < width)
                    if is_outside or ids_HW[other_y, other_x] != ids_HW[y, x]:
                        region_HW[y, x] = True
    return region_HW


def counts_by_erosion(truth_HW: Ids, predicted_HW: Ids, num_classes: int) -> Counts:
    """Count class by class as the authors do: pad with 0, erode d times with a 3 x 3 square, subtract."""
    reach = max(1, round(0.02 * math.sqrt(truth_HW.shape[0] ** 2 + truth_HW.shape[1] ** 2)))
    counts_3K = np.zeros((3, num_classes), dtype=np.int64)
    for k in range(num_classes):
        edges = []
        for mask_HW in (truth_HW == k, predicted_HW == k):
            eroded = ndimage.binary_erosion(np.pad(mask_HW, 1), np.ones((3, 3)), iterations=reach)[1:-1, 1:-1]
            edges.append(mask_HW & ~eroded)
        counts_3K[:, k] = (edges[0] & edges[1]).sum(), edges[0].sum(), edges[1].sum()
    return counts_3K


def discs(shape: tuple[int, int], seed: int, num_discs: int = 4) -> Ids:
    """Draw a mask of a few discs of random class on background."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    mask_HW = np.zeros(shape, dtype=np.uint8)
    for _ in range(num_discs):
        y, x, radius = random.uniform(0, shape[0]), random.uniform(0, shape[1]), random.uniform(8, 30)
        mask_HW[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = random.integers(1, K)
    return mask_HW


@pytest.mark.parametrize(
    ("shape", "expected"),
    # 12.5 rounds to 12, as Python's round does in the authors' code
    [((375, 500), 12), ((333, 500), 12), ((10, 10), 1), ((1, 1), 1), ((120, 90), 3)],
)
def test_distance_is_two_percent_of_the_diagonal(shape: tuple[int, int], expected: int) -> None:
    assert distance_px(shape) == expected


@DETERMINISTIC
@given(arrays(np.uint8, SHAPES, elements=st.integers(0, 1)), st.integers(1, 4))
def test_region_agrees_with_loops(ids_HW: Ids, width_px: int) -> None:
    np.testing.assert_array_equal(boundary_region(ids_HW, width_px), region_by_loops(ids_HW, width_px))


@pytest.mark.parametrize("shape", [(5, 5), (5, 9), (4, 7), (1, 12)])
@pytest.mark.parametrize("width_px", [1, 2, 3])
def test_the_image_border_is_a_contour(shape: tuple[int, int], width_px: int) -> None:
    ids_HW = np.zeros(shape, dtype=np.uint8)
    np.testing.assert_array_equal(boundary_region(ids_HW, width_px), region_by_loops(ids_HW, width_px))


@pytest.mark.parametrize("seed", range(4))
def test_counts_agree_with_the_authors_erosion(seed: int) -> None:
    truth_HW, predicted_HW = discs((120, 90), seed), discs((120, 90), seed + 100)
    expected = counts_by_erosion(truth_HW, predicted_HW, K)
    counts_3K = boundary_counts(truth_HW, predicted_HW, K)
    np.testing.assert_array_equal(counts_3K, expected)
    assert counts_3K.dtype == np.int64
    both, truth, predicted = expected
    np.testing.assert_allclose(boundary_iou(counts_3K), both / (truth + predicted - both), rtol=1e-9)


def test_golden_5x5() -> None:
    # By hand, d = 1: the truth is one class whose inside is the 3x3 middle; the prediction cuts off the last column.
    truth_HW = np.zeros((5, 5), dtype=np.uint8)
    predicted_HW = truth_HW.copy()
    predicted_HW[:, 4] = 1
    # Truth: 25 - 9 = 16. Predicted 0: 5 x 4 less an inside of 3 x 2 = 14; the three in the middle of column 3 are not
    # in the truth's ring, so 11 in both. Predicted 1: a column of 5, all of it edge.
    assert boundary_counts(truth_HW, predicted_HW, K).tolist() == [[11, 0, 0], [16, 0, 0], [14, 5, 0]]


@DETERMINISTIC
@given(arrays(np.uint8, (2, 7, 8), elements=st.integers(0, K - 1)))
def test_swapping_truth_and_prediction_swaps_the_rows(masks_2HW: Ids) -> None:
    first, second = masks_2HW
    for counts, swapped in ((boundary_counts, [0, 2, 1]), (contour_counts, [2, 3, 0, 1])):
        np.testing.assert_array_equal(counts(first, second, K), counts(second, first, K)[swapped])


@DETERMINISTIC
@given(arrays(np.uint8, (2, 7, 8), elements=st.integers(0, K - 1)), arrays(np.bool_, (7, 8)))
def test_bounds_and_void(masks_2HW: Ids, void_HW: NDArray[np.bool_]) -> None:
    truth_HW, predicted_HW = masks_2HW
    truth_HW = np.where(void_HW, VOID, truth_HW)
    both_K, truth_K, predicted_K = boundary_counts(truth_HW, predicted_HW, K)
    assert (both_K <= np.minimum(truth_K, predicted_K)).all()
    assert truth_K.sum() <= (~void_HW).sum() >= predicted_K.sum()
    near_truth_K, line_K, near_line_K, truth_line_K = contour_counts(truth_HW, predicted_HW, K)
    assert (near_truth_K <= line_K).all()
    assert (near_line_K <= truth_line_K).all()


def test_a_perfect_prediction_scores_one_and_absent_classes_nothing() -> None:
    mask_HW = np.minimum(discs((60, 80), seed=1), 1)
    np.testing.assert_array_equal(boundary_iou(boundary_counts(mask_HW, mask_HW, K)), [1.0, 1.0, np.nan])


@DETERMINISTIC
@given(arrays(np.uint8, (2, 9, 11), elements=st.integers(0, K - 1)), arrays(np.bool_, (9, 11)))
def test_stray_ids_are_void(masks_2HW: Ids, void_HW: NDArray[np.bool_]) -> None:
    truth_HW, predicted_HW = masks_2HW.astype(np.int64)
    void, stray = np.where(void_HW, VOID, truth_HW), np.where(void_HW, np.arange(11) - 16, truth_HW)
    for counts in (boundary_counts, contour_counts):
        np.testing.assert_array_equal(counts(stray, predicted_HW, K), counts(void, predicted_HW, K))


def test_wrong_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        boundary_counts(np.zeros((2, 3), int), np.zeros((3, 2), int), K)
    with pytest.raises(ValueError, match="outside"):
        boundary_counts(np.zeros((2, 3), int), np.full((2, 3), K), K)


def test_boundary_f_forgives_what_lies_within_the_tolerance() -> None:
    """An outline one pixel off is right, three pixels off is not; a class without an outline has no score."""
    truth_HW = np.zeros((60, 100), dtype=np.uint8)
    truth_HW[20:40, 30:60] = 1
    scores = [boundary_f(contour_counts(truth_HW, np.roll(truth_HW, d, 1), K)) for d in (0, 1, 3)]
    assert scores[0].tolist()[:2] == scores[1].tolist()[:2] == [1.0, 1.0]
    assert scores[2][1] < 0.8
    assert np.isnan(scores[0][2])
    missed = boundary_f(contour_counts(truth_HW, np.zeros_like(truth_HW), K))
    assert missed[1] == 0


@DETERMINISTIC
@given(arrays(np.bool_, (9, 11)), st.integers(1, 4))
def test_near_agrees_with_a_filter(region_HW: NDArray[np.bool_], distance: int) -> None:
    expected = ndimage.maximum_filter(region_HW, 2 * distance + 1, mode="constant")
    np.testing.assert_array_equal(near(region_HW, distance), expected)
