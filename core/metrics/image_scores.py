"""Scores by image: all counts of one image, and the images on which one prediction beats another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.metrics.boundary import boundary_counts, contour_counts, fill_void
from core.metrics.calibration import Bins
from core.metrics.confusion import Counts, Ids, confusion_counts, iou, mean_over_classes, void_pixels
from core.metrics.errors import KINDS, error_counts
from core.metrics.scores import Scores, score

NUM_NAMED = 10
"""Maximum number of winners and of losers."""


@dataclass(frozen=True)
class ImageScore:
    """The mIoU of image number `index` under A and B, None where it has no counted pixel."""

    index: int
    name: str
    a: float | None
    b: float | None

    @property
    def gain(self) -> float:
        """B's mIoU minus A's."""
        return (self.b or 0.0) - (self.a or 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"image": self.name, "a": self.a, "b": self.b, "gain": self.gain}


def score_images(names: Sequence[str], a_NKK: Counts, b_NKK: Counts) -> list[ImageScore]:
    """Return the mIoU of every image under A and B, from counts of the same images, (N, K, K)."""
    pairs = zip(names, _miou(a_NKK), _miou(b_NKK), strict=True)
    return [ImageScore(index, name, a, b) for index, (name, a, b) in enumerate(pairs)]


def winners(images: Sequence[ImageScore]) -> list[ImageScore]:
    """Return the images on which B gains most, at most `NUM_NAMED`, largest gain first."""
    return [image for image in sorted(images, key=lambda image: -image.gain)[:NUM_NAMED] if image.gain > 0]


def losers(images: Sequence[ImageScore]) -> list[ImageScore]:
    """Return the images on which B loses most, at most `NUM_NAMED`, largest loss first."""
    return [image for image in sorted(images, key=lambda image: image.gain)[:NUM_NAMED] if image.gain < 0]


def most_hurt(before_after: Sequence[tuple[Counts, Counts]]) -> list[int]:
    """Return the indices of the images that lose most mIoU first, all predictions together; (before, after) of each."""
    losses_CN = [np.subtract(*(mean_over_classes(iou(counts_NKK)) for counts_NKK in pair)) for pair in before_after]
    order: list[int] = np.argsort(-np.nan_to_num(np.sum(losses_CN, axis=0)), kind="stable").tolist()
    return order


def _miou(counts_NKK: Counts) -> list[float | None]:
    return [None if np.isnan(miou) else float(miou) for miou in mean_over_classes(iou(counts_NKK))]


@dataclass(frozen=True)
class ImageResult:
    """One image's predicted mask (the bytes of a PNG file), loss and counts.

    `counts_KK`, `boundary_3K`, `contour_4K` and `errors_4` are counted at the mask's own size, int64; `bins_3B`
    (`calibration_bins`) and the loss at the model's. `boundary_3K`, `contour_4K`, `errors_4` and `bins_3B` are empty
    where no one asked for them: they take as long as all the rest.
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
    name: str, truth_HW: Ids, predicted_HW: Ids, num_classes: int, *, loss: float, mask_png: bytes, bins_3B: Bins,
    is_whole: bool = True,
) -> ImageResult:  # fmt: skip
    """Return all counts of the masks of one image; unless `is_whole`, those of pixels alone."""
    filled = fill_void(truth_HW, predicted_HW, num_classes) if is_whole else None
    masks = (truth_HW, predicted_HW, num_classes)
    return ImageResult(
        name=name,
        loss=loss,
        mask_png=mask_png,
        void_pixels=void_pixels(truth_HW, num_classes),
        counts_KK=confusion_counts(*masks),
        boundary_3K=boundary_counts(*masks, filled=filled) if is_whole else np.zeros((3, num_classes), np.int64),
        contour_4K=contour_counts(*masks, filled=filled) if is_whole else np.zeros((4, num_classes), np.int64),
        errors_4=error_counts(*masks) if is_whole else np.zeros(len(KINDS), np.int64),
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
    """Return the counts of N images, N may be 0, with the images on the first axis."""
    return np.array(counts, dtype=np.int64).reshape(-1, *shape)
