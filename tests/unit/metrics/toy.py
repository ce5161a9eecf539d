"""Three tiny masks and predictions on which the conventions of mean IoU differ; `docs/metrics.md` shows them."""

import numpy as np

from core.metrics.confusion import Counts, confusion_counts
from core.voc import VOID

K = 5
# Class 2 is never predicted, class 3 is only predicted, class 4 occurs nowhere; 4 pixels are void.
TRUTH_NHW = np.array(
    [
        [[0, 0, 1, VOID], [0, 0, 1, VOID], [0, 0, 1, 1]],
        [[0, 0, 0, 0], [2, 2, 0, 0], [2, 2, VOID, VOID]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]],
    ]
)
PREDICTED_NHW = np.array(
    [
        [[0, 0, 1, 1], [0, 0, 1, 0], [0, 1, 1, 1]],
        [[0, 0, 0, 0], [0, 0, 0, 3], [0, 0, 3, 3]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 1]],
    ]
)


def count(num_classes: int = K) -> Counts:
    pairs = zip(TRUTH_NHW, PREDICTED_NHW, strict=True)
    return np.stack([confusion_counts(truth_HW, predicted_HW, num_classes) for truth_HW, predicted_HW in pairs])
