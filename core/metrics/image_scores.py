"""Two predictions image by image: what each scored, who gained and who lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.metrics.confusion import Counts, iou

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
