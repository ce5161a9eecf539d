"""What was counted on one image of an evaluation, and the scores over several. Neither torch nor streamlit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.metrics.boundary import boundary_counts, contour_counts, fill_void
from core.metrics.calibration import Bins
from core.metrics.confusion import Counts, Ids, confusion_counts, void_pixels
from core.metrics.errors import error_counts
from core.metrics.scores import Scores, score


@dataclass(frozen=True)
class ImageResult:
    """What a checkpoint did on one image: its predicted mask as a PNG file's bytes, its loss and its counts.

    `counts_KK`, `boundary_3K`, `contour_4K` and `errors_4` are int64, of the mask at its own size (`core.metrics`);
    `bins_3B` (`calibration_bins`) is of the pixels of the size the model works at, as the loss is.
    """

    name: str
    loss: float
    mask_png: bytes
    void_pixels: int
    counts_KK: Counts
    boundary_3K: Counts
    contour_4K: Counts
    errors_4: Counts
    bins_3B: Bins


def judge(
    name: str, truth_HW: Ids, predicted_HW: Ids, num_classes: int, *, loss: float, mask_png: bytes, bins_3B: Bins
) -> ImageResult:
    """Count everything there is to count on the masks of one image."""
    filled = fill_void(truth_HW, predicted_HW, num_classes)
    return ImageResult(
        name=name,
        loss=loss,
        mask_png=mask_png,
        void_pixels=void_pixels(truth_HW, num_classes),
        counts_KK=confusion_counts(truth_HW, predicted_HW, num_classes),
        boundary_3K=boundary_counts(truth_HW, predicted_HW, num_classes, filled=filled),
        contour_4K=contour_counts(truth_HW, predicted_HW, num_classes, filled=filled),
        errors_4=error_counts(truth_HW, predicted_HW, num_classes),
        bins_3B=bins_3B,
    )


def summarize(results: Sequence[ImageResult], class_names: Sequence[str]) -> Scores:
    """Return the scores over all images."""
    num_classes = len(class_names)
    return score(
        _stacked([result.counts_KK for result in results], num_classes, num_classes),
        class_names,
        void_pixels=sum(result.void_pixels for result in results),
        boundary_N3K=_stacked([result.boundary_3K for result in results], 3, num_classes),
        contour_N4K=_stacked([result.contour_4K for result in results], 4, num_classes),
    )


def _stacked(counts: Sequence[Counts], *shape: int) -> Counts:
    """Return the counts of all images, also of none, with the images on the first axis."""
    return np.array(counts, dtype=np.int64).reshape(-1, *shape)
