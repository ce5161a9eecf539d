"""Which images a click asks for and which pixels are lit: the text of a filter, and masks against their counts."""

import numpy as np
import pytest

from core.metrics.calibration import calibration_bins
from core.metrics.confusion import confusion_counts
from core.metrics.errors import error_counts
from core.training.run.evaluations import Details
from core.voc import VOID
from ui.compare.image_filter import ImageFilter, parse

K = 4
TRUTH_NHW = np.random.default_rng(0).choice([0, 0, 1, 2, VOID], (3, 20, 20)).astype(np.uint8)
PREDICTED_NHW = np.random.default_rng(1).choice([0, 0, 1, 2, 3], (3, 20, 20)).astype(np.uint8)
PAIRS = list(zip(TRUTH_NHW, PREDICTED_NHW, strict=True))
COUNTS_NKK = np.array([confusion_counts(truth, predicted, K) for truth, predicted in PAIRS])
DETAILS = Details(
    np.array([error_counts(truth, predicted, K) for truth, predicted in PAIRS]),
    np.array([calibration_bins(np.array([0.95], dtype=np.float32), np.array([True]))] * 3),
)


@pytest.mark.parametrize(
    "text", ["cell:a:1>2", "cell:b:0>0", "class:b:3", "kind:a:0", "kind:b:3", "bin:b:14", "size:b:4", "image:b:2"]
)
def test_a_filter_is_read_back(text: str) -> None:
    found = parse(text, K)
    assert found is not None
    assert found.text() == text


@pytest.mark.parametrize(
    "text", ["", "cell:a:1", "cell:a:1>4", "class:b:1>2", "kind:b:4", "bin:b:15", "size:b:5", "x:b:1"]
)
def test_what_is_no_filter_asks_for_nothing(text: str) -> None:
    assert parse(text, K) is None


@pytest.mark.parametrize("which", [ImageFilter("cell", (1, 2)), ImageFilter("class", (1,)), ImageFilter("kind", (2,))])
def test_as_many_pixels_are_lit_as_were_counted(which: ImageFilter) -> None:
    lit_N = [which.lit(truth, predicted, K).sum() for truth, predicted in PAIRS]
    assert which.amounts(COUNTS_NKK, DETAILS).tolist() == lit_N
    assert all(lit_N)


def test_where_a_whole_image_is_asked_for_its_wrong_pixels_are_lit() -> None:
    asked = ImageFilter("image", (1,))
    assert asked.amounts(COUNTS_NKK, None).tolist() == [0, 1, 0]
    assert asked.lit(*PAIRS[1], K).sum() == DETAILS.errors_N4[1].sum()
    assert ImageFilter("bin", (14,)).amounts(COUNTS_NKK, DETAILS).tolist() == [1, 1, 1]
    assert ImageFilter("bin", (14,)).amounts(COUNTS_NKK, None).tolist() == [0, 0, 0]
