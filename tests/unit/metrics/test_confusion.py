"""Counting: every pixel once, void never, in any integer dtype."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from core.metrics.confusion import Counts, Ids, confusion_counts, iou, void_pixels
from core.voc import VOID

K = 4
DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=60)
SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=7)


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[Ids, Ids]:
    """Draw a truth with void and stray ids, and a valid prediction, of one shape."""
    shape = draw(SHAPES)
    truth_HW = draw(arrays(np.int16, shape, elements=st.sampled_from([0, 1, 2, 3, 4, -1, VOID, 300])))
    predicted_HW = draw(arrays(np.uint8, shape, elements=st.integers(0, K - 1)))
    return truth_HW, predicted_HW


def count_by_loops(truth_HW: Ids, predicted_HW: Ids) -> Counts:
    counts_KK = np.zeros((K, K), dtype=np.int64)
    for true_id, predicted_id in zip(truth_HW.ravel().tolist(), predicted_HW.ravel().tolist(), strict=True):
        if true_id in range(K):
            counts_KK[true_id, predicted_id] += 1
    return counts_KK


def test_golden_3x3_with_void_and_an_absent_class() -> None:
    # Counted by hand: 8 pixels, one void; class 3 occurs nowhere.
    truth_HW = np.array([[0, 0, 1], [0, 2, 1], [VOID, 2, 2]], dtype=np.uint8)
    predicted_HW = np.array([[0, 1, 1], [0, 2, 1], [0, 0, 2]], dtype=np.uint8)
    counts_KK = confusion_counts(truth_HW, predicted_HW, K)
    assert counts_KK.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert counts_KK.dtype == np.int64
    assert void_pixels(truth_HW, K) == 1


def test_rows_are_the_truth() -> None:
    counts_KK = confusion_counts(np.full((2, 3), 1), np.full((2, 3), 2), K)
    assert counts_KK[1, 2] == 6


@DETERMINISTIC
@given(mask_pairs())
def test_agrees_with_loops(masks: tuple[Ids, Ids]) -> None:
    truth_HW, predicted_HW = masks
    counts_KK = confusion_counts(truth_HW, predicted_HW, K)
    np.testing.assert_array_equal(counts_KK, count_by_loops(truth_HW, predicted_HW))
    assert counts_KK.sum() + void_pixels(truth_HW, K) == truth_HW.size


@DETERMINISTIC
@given(mask_pairs(), st.integers(0, K - 1))
def test_prediction_under_void_does_not_matter(masks: tuple[Ids, Ids], other_id: int) -> None:
    truth_HW, predicted_HW = masks
    changed_HW = np.where(truth_HW == VOID, other_id, predicted_HW)
    np.testing.assert_array_equal(
        confusion_counts(truth_HW, predicted_HW, K), confusion_counts(truth_HW, changed_HW, K)
    )


@pytest.mark.parametrize("truth_dtype", ["uint8", "int16", "int32", "int64", "uint64"])
@pytest.mark.parametrize("predicted_dtype", ["uint8", "int8", "int64", "uint64"])
def test_any_integer_dtype_counts_the_same(truth_dtype: str, predicted_dtype: str) -> None:
    truth_HW = np.array([[0, 20, VOID], [7, 20, 7]]).astype(truth_dtype)
    predicted_HW = np.array([[20, 20, 0], [7, 0, 20]]).astype(predicted_dtype)
    counts_KK = confusion_counts(truth_HW, predicted_HW, 21)
    cells = [(row, column, count) for row, line in enumerate(counts_KK.tolist()) for column, count in enumerate(line)]
    assert [cell for cell in cells if cell[2]] == [(0, 20, 1), (7, 7, 1), (7, 20, 1), (20, 0, 1), (20, 20, 1)]


def test_masks_are_left_as_they_were() -> None:
    truth_HW, predicted_HW = np.array([[0, 300], [1, -1]]), np.array([[0, 1], [1, 0]])
    confusion_counts(truth_HW, predicted_HW, K)
    assert truth_HW.tolist() == [[0, 300], [1, -1]]
    assert predicted_HW.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("wrong_id", [-1, K, VOID])
def test_prediction_out_of_range_is_our_bug_even_under_void(wrong_id: int) -> None:
    truth_HW, predicted_HW = np.full((2, 2), VOID), np.array([[0, 0], [0, wrong_id]])
    with pytest.raises(ValueError, match=r"predicted ids run from .* outside \[0, 4\)"):
        confusion_counts(truth_HW, predicted_HW, K)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"truth \(2, 3\) and prediction \(3, 2\) differ in shape"):
        confusion_counts(np.zeros((2, 3), int), np.zeros((3, 2), int), K)


@pytest.mark.parametrize("dtype", [float, bool])
def test_ids_must_be_integers(dtype: type) -> None:
    with pytest.raises(ValueError, match="not integer ids"):
        confusion_counts(np.zeros((2, 2), dtype), np.zeros((2, 2), int), K)


@pytest.mark.parametrize("num_classes", [0, 256])
def test_void_cannot_be_a_class(num_classes: int) -> None:
    with pytest.raises(ValueError, match="id 255 is void"):
        confusion_counts(np.zeros((2, 2), int), np.zeros((2, 2), int), num_classes)


def test_counts_above_what_float32_can_hold_stay_exact() -> None:
    """Some libraries add float32 counts, in which 2**24 + 1 pixels are 2**24: one wrong pixel disappears."""
    many = 2**24
    value = iou(np.array([[many, 1], [0, many]], dtype=np.int64))[0]
    assert value == many / (many + 1) < 1


def test_iou_keeps_leading_axes() -> None:
    counts_NKK = np.array([[[2, 0], [0, 0]], [[1, 1], [0, 2]]], dtype=np.int64)
    np.testing.assert_allclose(iou(counts_NKK), [[1.0, np.nan], [1 / 2, 2 / 3]], rtol=1e-15)


def test_metrics_import_neither_torch_nor_streamlit() -> None:
    code = "import sys, core.metrics.scores; print(sorted({'torch', 'streamlit'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
