"""Boundary IoU and boundary F beside void, against sets of places counted one by one."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from core.metrics.boundary import boundary_counts, boundary_f, boundary_iou, contour_counts
from core.metrics.confusion import Ids
from core.voc import VOID

K = 3
SHAPE = (40, 200)
"""Its d is 4 px, its tolerance 2 px."""

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=100)
MASKS = arrays(np.uint8, (2, 9, 11), elements=st.integers(0, K - 1))
VOIDS = arrays(np.bool_, (9, 11))
Place = tuple[int, int]


def scores_of(truth_HW: Ids, predicted_HW: Ids) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return boundary IoU and boundary F of every class."""
    counts = boundary_counts(truth_HW, predicted_HW, K), contour_counts(truth_HW, predicted_HW, K)
    return boundary_iou(counts[0]), boundary_f(counts[1])


def filled_by_loops(truth_HW: Ids, predicted_HW: Ids) -> tuple[Ids, Ids]:
    """Fill void place by place with what the nearest counted one has; of several the leftmost, then the topmost."""
    filled_truth_HW, filled_prediction_HW = truth_HW.copy(), predicted_HW.copy()
    counted_xy = np.argwhere((truth_HW < K).T)
    for y, x in np.argwhere(truth_HW >= K) if len(counted_xy) else ():
        u, v = counted_xy[((counted_xy - (x, y)) ** 2).sum(axis=1).argmin()]
        filled_truth_HW[y, x], filled_prediction_HW[y, x] = truth_HW[v, u], predicted_HW[v, u]
    return filled_truth_HW, filled_prediction_HW


def square(place: Place, reach: int) -> Iterator[Place]:
    """Give the places around one, those outside the image too."""
    for y in range(place[0] - reach, place[0] + reach + 1):
        for x in range(place[1] - reach, place[1] + reach + 1):
            yield y, x


def scores_by_sets(truth_HW: Ids, predicted_HW: Ids) -> list[tuple[float, float]]:
    """Return boundary IoU and boundary F of every class, by the rules of docs/metrics.md."""
    diagonal = math.sqrt(truth_HW.shape[0] ** 2 + truth_HW.shape[1] ** 2)
    d, tolerance = max(1, round(0.02 * diagonal)), max(1, round(0.0075 * diagonal))
    everywhere = {(y, x) for y in range(truth_HW.shape[0]) for x in range(truth_HW.shape[1])}
    counted = {place for place in everywhere if truth_HW[place] < K}
    known = {place for place in everywhere if any(other in counted for other in square(place, d))}
    drawn = filled_by_loops(truth_HW, predicted_HW)
    scores = []
    for k in range(K):
        own = [{place for place in everywhere if mask_HW[place] == k} for mask_HW in drawn]
        bands = [
            {place for place in places & counted if any(other not in places for other in square(place, d))}
            for places in own
        ]
        union = len(bands[0] | bands[1])
        lines = []
        for places in own:
            others = everywhere - places
            lines.append({place for place in places if any(other in others for other in square(place, 1))})
        shares = []
        for these, those in (lines, lines[::-1]):
            found = [any(other in those for other in square(place, tolerance)) for place in these & known]
            shares.append(sum(found) / len(found) if found else 0.0)
        f = 2 * shares[0] * shares[1] / sum(shares) if sum(shares) else 0.0
        has_line = (lines[0] | lines[1]) & known
        scores.append((len(bands[0] & bands[1]) / union if union else math.nan, f if has_line else math.nan))
    return scores


def boxes(seed: int) -> tuple[Ids, Ids]:
    """Draw a truth of boxes with void borders of 1 to 6 px, whole boxes of void, and a prediction of moved boxes."""
    random = np.random.default_rng(seed)
    truth_HW, predicted_HW = np.zeros((2, *SHAPE), dtype=np.uint8)
    for _ in range(6):
        (y, x), (height, width) = random.integers(-5, SHAPE), random.integers(8, (30, 60))
        border, k = random.integers(1, 4), random.choice([1, 2, VOID])
        for grow, value in ((border, VOID), (-border, k)):
            truth_HW[max(0, y - grow) : max(0, y + height + grow), max(0, x - grow) : max(0, x + width + grow)] = value
        y, x = np.array((y, x)) + random.integers(-6, 7, 2)
        predicted_HW[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = random.integers(1, K)
    return truth_HW, predicted_HW


def outlined(shift: int = 0, grow: int = 0, shape: tuple[int, int] = (375, 500)) -> tuple[Ids, Ids]:
    """Draw a box with a void border of 6 px, as VOC's, and a prediction whose box is moved or grown."""
    truth_HW, predicted_HW = np.zeros((2, *shape), dtype=np.uint8)
    for border, value in ((3, VOID), (-3, 1)):
        truth_HW[120 - border : 240 + border, 150 - border : 300 + border] = value
    predicted_HW[120 - grow : 240 + grow, 150 + shift - grow : 300 + shift + grow] = 1
    return truth_HW, predicted_HW


@pytest.mark.parametrize("seed", range(6))
def test_boxes_with_void_borders_agree_with_sets(seed: int) -> None:
    masks = boxes(seed)
    np.testing.assert_allclose(np.transpose(scores_of(*masks)), scores_by_sets(*masks), rtol=1e-12)


@DETERMINISTIC
@given(MASKS, VOIDS)
def test_any_masks_agree_with_sets(masks_2HW: Ids, void_HW: NDArray[np.bool_]) -> None:
    masks = np.where(void_HW, VOID, masks_2HW[0]), masks_2HW[1]
    np.testing.assert_allclose(np.transpose(scores_of(*masks)), scores_by_sets(*masks), rtol=1e-12)


@pytest.mark.parametrize("off_px", [0, 2, 4])
@pytest.mark.parametrize("how", ["shift", "grow"])
def test_a_contour_within_the_tolerance_of_vocs_is_right(how: str, off_px: int) -> None:
    """The true contour runs inside VOC's void border and was dropped with it: 2 px off scored as nearly nothing."""
    truth_HW, predicted_HW = outlined(**{how: off_px})
    assert scores_of(truth_HW, predicted_HW)[1].tolist()[:2] == [1.0, 1.0]


def test_a_contour_beyond_the_tolerance_is_wrong() -> None:
    """Most of what was left of the contours was the image border, which every prediction gets right: 0.69."""
    assert scores_of(*outlined(grow=12))[1].tolist()[:2] == [0.0, 0.0]
    truth_HW, _ = outlined()
    assert scores_of(truth_HW, np.zeros_like(truth_HW))[1].tolist()[:2] == [0.0, 0.0], "background everywhere got 0.95"


@pytest.mark.parametrize("how", ["shift", "grow"])
def test_the_farther_off_the_lower(how: str) -> None:
    found = np.array([scores_of(*outlined(**{how: off_px})) for off_px in range(25)])[:, :, :2]
    assert (np.diff(found, axis=0) <= 0).all()
    assert (found[0] == 1).all()
    assert (found[-1, 1] < 0.6).all()


@pytest.mark.parametrize("off_px", [3, 7, 20])
def test_left_is_as_far_as_right(off_px: int) -> None:
    left, right = (scores_of(*outlined(shift=shift_px)) for shift_px in (-off_px, off_px))
    # At the corners of the void some pixels are as near to the object as to the background, and go to one of them.
    np.testing.assert_allclose(left, right, atol=0.01)


@DETERMINISTIC
@given(MASKS, VOIDS, arrays(np.uint8, (9, 11), elements=st.integers(0, K - 1)))
def test_what_is_predicted_in_void_changes_no_score(masks_2HW: Ids, void_HW: NDArray[np.bool_], other_HW: Ids) -> None:
    """A model right on every counted pixel had a boundary IoU of 0.82 on VOC if it called the void background."""
    truth_HW, predicted_HW = np.where(void_HW, VOID, masks_2HW[0]), masks_2HW[1]
    changed_HW = np.where(void_HW, other_HW, predicted_HW)
    for counts in (boundary_counts, contour_counts):
        np.testing.assert_array_equal(counts(truth_HW, predicted_HW, K), counts(truth_HW, changed_HW, K))
    for score_K in scores_of(truth_HW, np.where(void_HW, other_HW, truth_HW).astype(np.uint8)):
        assert set(score_K[~np.isnan(score_K)]) <= {1.0}, "right wherever it counts"


def strips(*parts: tuple[int, int]) -> Ids:
    """Draw vertical strips, each an id and a width."""
    return np.repeat(np.concatenate([np.full(width, k, np.uint8) for k, width in parts])[None], SHAPE[0], axis=0)


BESIDE_VOID = strips((1, 60), (VOID, 5), (0, 135))
WIDE_VOID = strips((0, 70), (VOID, 60), (1, 70))


@pytest.mark.parametrize(
    ("truth_HW", "predicted_HW", "iou_012", "f_012"),
    [
        # Frame and contour by hand, d = 4 of 40 rows. Counted background: 8 rows of 135, 32 of 4 at the right border,
        # and in the truth 32 of 2 beside the contour, which is 2 px inside void; predicted 32 of 4 and 8 of 60 more.
        pytest.param(BESIDE_VOID, strips((0, 200)), (1208 / 1880, 0, None), (0, 0, None), id="missed"),
        pytest.param(BESIDE_VOID, strips((2, 63), (0, 137)), (1, 0, 0), (1, 0, 0), id="another class"),
        pytest.param(BESIDE_VOID, strips((1, 60), (2, 5), (0, 135)), (1, 1, None), (1, 1, None), id="only in void"),
        pytest.param(strips((0, 200)), strips((1, 200)), (0, 0, None), (None,) * 3, id="one class: no contour"),
        pytest.param(strips((VOID, 200)), strips((0, 90), (1, 110)), (None,) * 3, (None,) * 3, id="all void"),
        pytest.param(
            strips((VOID, 5), (0, 95), (1, 95), (VOID, 5)), strips((2, 5), (0, 95), (1, 100)),
            (1, 1, None), (1, 1, None), id="void along the image border",
        ),
        pytest.param(
            strips((0, 70), (VOID, 60), (0, 70)), strips((0, 70), (1, 60), (0, 70)), (1, None, None), (None,) * 3,
            id="an object of void",
        ),
        pytest.param(
            WIDE_VOID, strips((0, 125), (1, 75)), (1, 1, None), (None,) * 3, id="the contour is somewhere in void"
        ),
        # The predicted background's frame is twice the true one's: 8 rows of 140 and 32 of 8 against 70 and 4.
        pytest.param(WIDE_VOID, strips((0, 200)), (0.5, 0, None), (None,) * 3, id="missed behind a wide void"),
        # Background: 8 rows of 60 and 32 of 4 in both, 8 of 10 more in the truth, 32 of 4 in the prediction.
        # Class 1: 8 of 70 and 32 of 4 in both, 8 of 10 and 32 of 4 more in the prediction.
        pytest.param(
            WIDE_VOID, strips((0, 60), (1, 140)), (608 / 816, 688 / 896, None), (0, 0, None), id="a contour too many"
        ),
    ],
)  # fmt: skip
def test_what_a_class_scores(
    truth_HW: Ids, predicted_HW: Ids, iou_012: tuple[float | None, ...], f_012: tuple[float | None, ...]
) -> None:
    """A missed class had no boundary F, because its true contour was in void, and so did not lower the mean."""
    found_iou, found_f = scores_of(truth_HW, predicted_HW)
    np.testing.assert_allclose(found_iou, np.array(iou_012, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found_f, np.array(f_012, dtype=np.float64), rtol=1e-12)


def test_void_far_from_every_contour_changes_nothing() -> None:
    truth_HW, predicted_HW = outlined(shift=7)
    counts = boundary_counts(truth_HW, predicted_HW, K), contour_counts(truth_HW, predicted_HW, K)
    truth_HW[180:190, 200:230] = VOID
    truth_HW[300:340, 350:470] = VOID
    np.testing.assert_array_equal(boundary_counts(truth_HW, predicted_HW, K), counts[0])
    np.testing.assert_array_equal(contour_counts(truth_HW, predicted_HW, K), counts[1])
