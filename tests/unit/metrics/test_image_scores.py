"""Images one by one: their scores against `score`, and who gained and lost."""

import numpy as np
import pytest

from core.metrics.confusion import Counts
from core.metrics.image_scores import losers, most_hurt, score_images, winners
from core.metrics.scores import score

WEAK = [[90, 0, 0], [10, 0, 0], [0, 0, 0]]
GOOD = [[85, 5, 0], [2, 8, 0], [0, 0, 0]]
VOID_ONLY = [[0, 0, 0]] * 3


def test_images_are_scored_alone() -> None:
    a_NKK: Counts = np.array([WEAK, GOOD, VOID_ONLY], dtype=np.int64)
    b_NKK: Counts = np.array([GOOD, WEAK, VOID_ONLY], dtype=np.int64)
    images = score_images(["gains", "loses", "empty"], a_NKK, b_NKK)
    expected = [score(counts_KK[None], "abc").miou for counts_KK in b_NKK]
    assert [image.b for image in images] == pytest.approx(expected)
    assert [image.gain for image in images] == pytest.approx([images[0].gain, -images[0].gain, 0])
    assert [image.name for image in winners(images)] == ["gains"]
    assert [image.name for image in losers(images)] == ["loses"]
    assert winners(images)[0].as_dict() == {"image": "gains", "a": 0.45, "b": images[0].b, "gain": images[0].gain}
    assert images[2].as_dict() == {"image": "empty", "a": None, "b": None, "gain": 0.0}


def test_what_loses_most_under_all_predictions_together_comes_first() -> None:
    before, weak = (np.array(counts, dtype=np.int64) for counts in ([GOOD, GOOD, VOID_ONLY], [GOOD, WEAK, VOID_ONLY]))
    assert most_hurt([(before, weak)]) == [1, 0, 2]
    assert most_hurt([(weak, before)]) == [0, 2, 1]  # a gain is the smallest loss
    assert most_hurt([(before, weak), (weak, before)]) == [0, 1, 2]
