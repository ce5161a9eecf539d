"""Masks and counts to score, and every fraction of their scores."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.metrics.boundary import boundary_counts, contour_counts
from core.metrics.confusion import Ids, confusion_counts, void_pixels
from core.metrics.scores import Scores, score
from core.voc import VOID

K = 5
NAMES = ("background", "cat", "dog", "cow", "ship")
DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=50)
MEANS = ("miou", "pixel_accuracy", "mean_accuracy", "precision", "recall", "f1", "fw_iou", "boundary_iou", "boundary_f")
PER_CLASS = ("iou", "precision", "recall", "f1")

COUNTS = arrays(np.int64, (3, K, K), elements=st.sampled_from([0, 0, 0, 1, 2, 7, 10**9]))
MASKS = st.tuples(
    arrays(np.uint8, (2, 4, 5), elements=st.sampled_from([0, 0, 1, 2, 3, VOID])),
    arrays(np.uint8, (2, 4, 5), elements=st.sampled_from([0, 0, 1, 2, 4])),
)


def score_masks(truth_NHW: Ids, predicted_NHW: Ids) -> Scores:
    pairs = list(zip(truth_NHW, predicted_NHW, strict=True))
    return score(
        np.stack([confusion_counts(truth_HW, predicted_HW, K) for truth_HW, predicted_HW in pairs]),
        NAMES,
        void_pixels=sum(void_pixels(truth_HW, K) for truth_HW in truth_NHW),
        boundary_N3K=np.stack([boundary_counts(*pair, K) for pair in pairs]),
        contour_N4K=np.stack([contour_counts(*pair, K) for pair in pairs]),
    )


def fractions_of(scores: Scores) -> list[float]:
    """Return every fraction that the scores hold, None left out."""
    values = [getattr(scores, name) for name in (*MEANS, "void_share")]
    values += [getattr(entry, name) for entry in scores.classes for name in PER_CLASS]
    values += [scores.floor.pixel_accuracy, scores.floor.miou, *scores.conventions.values()]
    return [value for value in values if value is not None]
