"""Promises: golden thresholds, and the theorem itself on photos that fail in every way."""

import numpy as np
import pytest

from core.metrics.confusion import Counts
from core.metrics.risk import KEEPS_NOTHING, LEVELS, RiskCurve, confidence_counts, promised, risk_curve
from ui.segment.cached_segments import Answers
from ui.segment.photo_look import Look


def photo(*levels: tuple[int, int, int]) -> Counts:
    """Return counts_2L of a photo with so many pixels, and right ones, at some levels."""
    counts_2L = np.zeros((2, LEVELS), np.int64)
    for level, pixels, right in levels:
        counts_2L[:, level] = pixels, right
    return counts_2L


def test_golden_curve() -> None:
    """By hand: from 200 on 10 of 20 pixels are kept, 2 of them wrong; a photo without a counted pixel is left out."""
    curve = risk_curve(np.array([photo((100, 10, 5), (200, 10, 8)), photo()]))
    assert curve.kept_NT.shape == (1, LEVELS + 1)
    assert [curve.kept_NT[0, t] for t in (0, 100, 101, 200, 201, 256)] == [1, 1, 0.5, 0.5, 0, 0]
    np.testing.assert_allclose([curve.loss_NT[0, t] for t in (0, 101, 201)], [7 / 20, 2 / 10, 0])


GOOD, HALF = photo((100, 10, 0), (250, 90, 90)), photo((100, 50, 0), (250, 50, 50))


@pytest.mark.parametrize(
    ("photos", "aim", "threshold", "promise"),
    [
        # 19 photos are the least for 95 %, 9 for 90 %: (n x 0 + 1) / (n + 1) is then 1 - aim.
        ([GOOD] * 19, 0.95, 101, 0.95),
        ([GOOD] * 18, 0.95, 101, 0.95 - 0.95 / 19),
        ([GOOD] * 9, 0.9, 101, 0.9),
        # Mean loss 0.1 at 0: (n x 0.1 + 1) / (n + 1) is above 0.1, so from 101 on; for 80 %, 9 photos do: 0.19.
        ([GOOD] * 99, 0.9, 101, 0.9),
        ([GOOD] * 9, 0.8, 0, 0.8),
        ([HALF] * 99, 0.9, 101, 0.9),
        # All that it is sure of is wrong: nothing is kept.
        ([photo((250, 10, 0))] * 99, 0.9, KEEPS_NOTHING, 0.9 - 0.9 / 100),
        # Keeping nothing would keep any promise: no threshold above all confidences is offered.
        ([photo((100, 10, 5))] * 99, 0.9, KEEPS_NOTHING, 0.9 - 0.9 / 100),
    ],
)
def test_golden_thresholds(photos: list[Counts], aim: float, threshold: int, promise: float) -> None:
    found = promised(risk_curve(np.array(photos)), aim)
    assert found
    assert (found.threshold, found.num_photos) == (threshold, len(photos))
    assert found.promise == pytest.approx(promise)
    assert (found.right is None) == (found.kept == 0) == (threshold == KEEPS_NOTHING)


def test_a_promise_is_lower_where_photos_lose_by_thresholds_chosen_without_them() -> None:
    """9 photos are right from 101 on alone, 21 below it alone: each gets the threshold that suits the others.

    By hand: the losses are 0.97 and 0.009 up to 100, 0 and 0.3 above. All 30 have a mean loss of 0.2973 at 0; without
    one of the 21, the others need 101, where its loss is 0.3. So 70 % right would have come out as 50 %.
    """
    few, many = photo((100, 970, 0), (200, 30, 30)), photo((100, 970, 970), (200, 30, 21))
    found = promised(risk_curve(np.array([few] * 9 + [many] * 21)), 0.7)
    assert found
    assert (found.threshold, found.right) == (101, pytest.approx(1 - 21 * 0.3 / 30))
    assert found.stability == pytest.approx(21 * (0.3 - 0.009) / 30)
    assert found.promise == pytest.approx(0.7 - found.stability)


def test_photos_that_keep_nothing_do_not_make_the_others_right() -> None:
    """90 of 99 photos kept nothing, half of what the others kept was wrong, and 95 % right was promised."""
    photos = [photo((100, 10, 10))] * 90 + [photo((100, 10, 10), (250, 10, 5))] * 9
    curve = risk_curve(np.array(photos))
    assert curve.right()[250] == 0.5
    few = [photo((100, 100, 50))] * 135 + [photo((250, 100, 50))] * 10 + [photo((100, 50, 0), (250, 50, 50))] * 5
    assert getattr(promised(risk_curve(np.array(few)), 0.95), "threshold", None) == KEEPS_NOTHING
    found = promised(curve, 0.95)
    assert found
    assert (found.threshold, found.num_empty) == (0, 0)
    alone = promised(risk_curve(np.array([photo((10, 10, 0))] * 90 + [photo((10, 10, 0), (250, 10, 10))] * 9)), 0.95)
    assert alone
    assert (alone.threshold, alone.num_empty, alone.right) == (11, 90, 1)


def test_without_a_counted_pixel_there_is_no_promise() -> None:
    assert promised(risk_curve(np.array([photo()])), 0.9) is None


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("aim", [0.7, 0.9, 0.95])
def test_a_promise_holds_for_a_new_photo(seed: int, aim: float) -> None:
    """The theorem, exactly: each photo in turn is new, and the others are held out; the mean of its loss is bounded.

    Some photos are all wrong, some are wrong where they are surest, and the mean loss crosses 1 - aim.
    """
    random = np.random.default_rng(seed)
    skill_N = random.choice([0.0, 0.6, 0.97, 1.0], 30, p=[0.05, 0.15, 0.4, 0.4])
    pixels_NL = random.integers(0, 50, (30, LEVELS))
    slope_N1 = random.choice([-0.8, 0.25], (30, 1))  # of many, the surest pixels are the wrong ones
    right_NL = random.binomial(
        pixels_NL, np.clip(skill_N[:, None] * (0.8 + slope_N1 * np.arange(LEVELS) / LEVELS), 0, 1)
    )
    counts_N2L = np.stack([pixels_NL, right_NL], axis=1)
    curve = risk_curve(counts_N2L)
    found = promised(curve, aim)
    assert found
    losses = []
    for new in range(30):
        others = np.arange(30) != new
        of_others = promised(RiskCurve(curve.kept_NT[others], curve.loss_NT[others]), aim)
        assert of_others
        losses.append(curve.loss_NT[new, of_others.threshold])
    mean_T, before = curve.loss_NT.mean(axis=0), found.promise + found.stability
    with_all = next(t for t in range(LEVELS + 1) if (mean_T[t:] <= 1 - before + 1e-12).all())
    assert found.stability == pytest.approx(max(0, np.mean(losses) - mean_T[with_all]), abs=1e-12)
    assert np.mean(losses) <= 1 - found.promise + 1e-12


def test_confidence_is_counted_as_a_page_cuts_it() -> None:
    """The page keeps what is at least `Promise.confidence` of what it stored as bytes: the very pixels counted.

    Calibrated confidence, which is all 0 here, is shown and changes nothing of it.
    """
    confidence_HW = np.random.default_rng(0).random((50, 40), dtype=np.float32)
    counts_2L = confidence_counts(confidence_HW, np.ones_like(confidence_HW, bool))
    answers = Answers(*(np.zeros((50, 40), np.uint8),) * 4)._replace(
        own_HW=np.rint(255 * confidence_HW).astype(np.uint8)
    )
    for threshold in (1, 128, 255):
        kept = Look(threshold=(threshold - 0.5) / 255).abstaining(answers) == 0
        assert kept.sum() == counts_2L[0, threshold:].sum()
