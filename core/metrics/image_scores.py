"""Image by image: what was counted on one, the scores over several, and who gained and lost between two predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.metrics.boundary import boundary_counts, contour_counts, fill_void
from core.metrics.calibration import Bins
from core.metrics.confusion import Counts, Ids, confusion_counts, iou, void_pixels
from core.metrics.errors import error_counts
from core.metrics.scores import Scores, score

NUM_NAMED = 10
"""How many winners and losers are named."""


@dataclass(frozen=True)
class ImageScore:
    """The mIoU of one image under A and B, a fraction; None where it has no counted pixel. `index` is its place."""

    index: int
    name: str
    a: float | None
    b: float | None

    @property
    def gain(self) -> float:
        """How much higher B scores than A."""
        return (self.b or 0.0) - (self.a or 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"image": self.name, "a": self.a, "b": self.b, "gain": self.gain}


def score_images(names: Sequence[str], a_NKK: Counts, b_NKK: Counts) -> list[ImageScore]:
    """Score every image alone, from the counts of both on the same images."""
    pairs = zip(names, _miou(a_NKK), _miou(b_NKK), strict=True)
    return [ImageScore(index, name, a, b) for index, (name, a, b) in enumerate(pairs)]


def winners(images: Sequence[ImageScore]) -> list[ImageScore]:
    """Return the images that B improved most, at most `NUM_NAMED`, best first."""
    return [image for image in sorted(images, key=lambda image: -image.gain)[:NUM_NAMED] if image.gain > 0]


def losers(images: Sequence[ImageScore]) -> list[ImageScore]:
    """Return the images that B made worse most, at most `NUM_NAMED`, worst first."""
    return [image for image in sorted(images, key=lambda image: image.gain)[:NUM_NAMED] if image.gain < 0]


def _miou(counts_NKK: Counts) -> list[float | None]:
    iou_NK: NDArray[np.float64] = iou(counts_NKK)
    has_score_NK = ~np.isnan(iou_NK)
    num_N, sum_N = has_score_NK.sum(axis=1), np.where(has_score_NK, iou_NK, 0.0).sum(axis=1)
    return [float(total / num) if num else None for total, num in zip(sum_N, num_N, strict=True)]


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


def image_result(
    name: str, truth_HW: Ids, predicted_HW: Ids, num_classes: int, *, loss: float, mask_png: bytes, bins_3B: Bins
) -> ImageResult:
    """Return all counts of the masks of one image."""
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
