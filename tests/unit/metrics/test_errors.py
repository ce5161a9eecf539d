"""Wrong pixels by kind: golden pictures, and the sum of the kinds against the confusion counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.metrics.confusion import Ids, confusion_counts
from core.metrics.errors import KINDS, error_counts, error_kinds
from core.voc import VOID

K = 4
DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=60)


def scene() -> Ids:
    """Return a truth of 100 x 100 px, so that d is 3: a square of class 1 from 20 to 60, one of class 2 of 4 px."""
    truth_HW = np.zeros((100, 100), dtype=np.uint8)
    truth_HW[20:60, 20:60] = 1
    truth_HW[80:84, 80:84] = 2
    return truth_HW


def kinds(predicted_HW: Ids) -> dict[str, int]:
    counts = error_counts(scene(), predicted_HW, K).tolist()
    return {name: count for name, count in zip(KINDS, counts, strict=True) if count}


def test_what_is_right_is_no_error() -> None:
    assert kinds(scene()) == {}


def test_a_small_object_that_is_missed_is_missed_though_all_of_it_lies_near_its_contour() -> None:
    predicted_HW = scene()
    predicted_HW[80:84, 80:84] = 0
    assert kinds(predicted_HW) == {"false negative": 16}


def test_an_object_that_is_not_there_is_a_false_positive() -> None:
    predicted_HW = scene()
    predicted_HW[5:9, 70:80] = 3
    assert kinds(predicted_HW) == {"false positive": 40}


def test_an_object_that_is_called_another_is_confused() -> None:
    predicted_HW = scene()
    predicted_HW[20:60, 20:60] = 3
    assert kinds(predicted_HW) == {"confusion": 1600}


def test_a_contour_a_little_off_is_boundary_and_farther_off_it_is_not() -> None:
    predicted_HW = scene()
    predicted_HW[20:60, 60:62] = 1
    assert kinds(predicted_HW) == {"boundary": 80}
    predicted_HW[20:60, 60:70] = 1
    # Ten pixels off is no contour any more, but for 3 x 3 px at each corner, where background is predicted nearby.
    assert kinds(predicted_HW) == {"boundary": 18, "false positive": 382}


def test_void_is_no_error() -> None:
    truth_HW = scene()
    truth_HW[20:60, 20:60] = VOID
    assert error_counts(truth_HW, np.zeros_like(truth_HW), K).tolist() == [16, 0, 0, 0]


@DETERMINISTIC
@given(arrays(np.uint8, (2, 14, 16), elements=st.sampled_from([0, 0, 1, 2, 3])), arrays(np.bool_, (14, 16)))
def test_the_kinds_are_all_the_wrong_pixels(masks_2HW: Ids, void_HW: Ids) -> None:
    truth_HW, predicted_HW = np.where(void_HW, VOID, masks_2HW[0]), masks_2HW[1]
    counts_KK = confusion_counts(truth_HW, predicted_HW, K)
    wrong = int(counts_KK.sum() - np.trace(counts_KK))
    assert error_counts(truth_HW, predicted_HW, K).sum() == wrong
    assert np.count_nonzero(error_kinds(truth_HW, predicted_HW, K)) == wrong


def test_wrong_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        error_kinds(np.zeros((2, 3), int), np.zeros((3, 2), int), K)
