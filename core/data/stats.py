"""What is in a split: photos, sizes, how often and how large every class is, and the score of doing nothing."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Sample
from core.data.images import read_pair
from core.metrics.scores import Floor, floor_of_pixels

MAX_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class ClassStats:
    """One class: photos it occurs in, its pixels, and their share of all pixels that are not void, in [0, 1]."""

    id: int
    name: str
    images: int
    pixels: int
    share: float | None


@dataclass(frozen=True, kw_only=True)
class SplitStats:
    """Statistics of a split; shares are fractions, `sizes` counts photos by (width, height).

    `class_ids` holds the ids of the classes in each photo, in the order of the split.
    """

    images: int
    pixels: int
    void_share: float
    floor: Floor
    classes: tuple[ClassStats, ...]
    sizes: dict[tuple[int, int], int]
    class_ids: tuple[frozenset[int], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON types with the keys of `core stats --json`."""
        return {
            "images": self.images,
            "pixels": self.pixels,
            "void_share": self.void_share,
            "floor": vars(self.floor),
            "classes": [vars(entry) for entry in self.classes],
            "sizes": [
                {"width": width, "height": height, "images": count}
                for (width, height), count in sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))
            ],
        }


def split_stats(
    samples: Sequence[Sample], class_names: Sequence[str], on_progress: Callable[[int, int], None] | None = None
) -> SplitStats:
    """Read every photo and mask of a split and count; a pair that cannot be used raises `DataError`."""
    num_classes = len(class_names)
    histograms_N256 = np.zeros((len(samples), 256), dtype=np.int64)
    sizes: Counter[tuple[int, int]] = Counter()
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        for index, mask_HW in enumerate(pool.map(lambda sample: _read_mask(sample, num_classes), samples)):
            histograms_N256[index] = np.bincount(mask_HW.ravel(), minlength=256)
            sizes[mask_HW.shape[1], mask_HW.shape[0]] += 1
            if on_progress:
                on_progress(index + 1, len(samples))
    return _summarize(histograms_N256, sizes, class_names)


def _read_mask(sample: Sample, num_classes: int) -> NDArray[np.uint8]:
    return read_pair(Path(sample.photo), Path(sample.mask), num_classes)[1]


def _summarize(
    histograms_N256: NDArray[np.int64], sizes: Counter[tuple[int, int]], class_names: Sequence[str]
) -> SplitStats:
    pixels_NK = histograms_N256[:, : len(class_names)]
    pixels_K = pixels_NK.sum(axis=0)
    counted, total = int(pixels_K.sum()), int(histograms_N256.sum())
    return SplitStats(
        images=len(histograms_N256),
        pixels=total,
        void_share=1 - counted / total if total else 0.0,
        floor=floor_of_pixels(pixels_K),
        classes=tuple(
            ClassStats(
                id=class_id,
                name=name,
                images=int((pixels_NK[:, class_id] > 0).sum()),
                pixels=int(pixels_K[class_id]),
                share=int(pixels_K[class_id]) / counted if counted else None,
            )
            for class_id, name in enumerate(class_names)
        ),
        sizes=dict(sizes),
        class_ids=tuple(frozenset(np.flatnonzero(pixels).tolist()) for pixels in pixels_NK),
    )
