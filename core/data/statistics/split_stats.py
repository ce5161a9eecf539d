"""Statistics of a split: photos, sizes, frequency, size and place of every class, and the floor."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.data.statistics.pair_facts import GRID, PairFacts
from core.jobs import OnProgress
from core.metrics.scores import Floor, floor_of_pixels
from core.voc import CLASS_NAMES

MAX_THREADS = 4
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class VocClass:
    """A class in VOC 2012: its share of the photos, None if unknown, and of the counted pixels, in [0, 1]."""

    images: float | None
    pixels: float


def _voc_shares() -> dict[str, VocClass]:
    photos, void = 2913, 0.055
    # Photos that show the class, and the percentage of the frame that it covers on average in those.
    counted = (
        (178, 12.19), (144, 5.98), (208, 11.5), (150, 10.76), (183, 10.55), (152, 32.27), (255, 15.88), (250, 27.44),
        (271, 10.27), (135, 20.94), (157, 21.62), (249, 20.77), (147, 18.99), (157, 19.23), (888, 15.75), (167, 9.75),
        (120, 19.1), (183, 21.62), (167, 26.93), (157, 14.05),
    )  # fmt: skip
    classes = [VocClass(images / photos, images * cover / 100 / photos / (1 - void)) for images, cover in counted]
    background = VocClass(None, 1 - sum(entry.pixels for entry in classes))
    return dict(zip(CLASS_NAMES, [background, *classes], strict=True))


VOC_SHARES = _voc_shares()
"""The classes of VOC 2012 by name, over the 2,913 photos of its segmentation `trainval`.

The photos per class are half of Dataset Ninja's count over train, val and trainval (dataset-ninja/pascal-voc-2012 on
GitHub, stats/class_balance.json). The pixels are derived from its mean cover of a frame and its 5.5 % void, with equal
weights of photos; the background is the rest. Nearly all of VOC's photos are 500 x 375 px, so the error is small.
"""


@dataclass(frozen=True, kw_only=True)
class ClassStats:
    """One class: photos it occurs in, its pixels, and their share of the counted pixels, in [0, 1].

    `objects` is the number of its connected parts over all photos (`PairFacts`), 0 for the background.
    """

    id: int
    name: str
    images: int
    pixels: int
    share: float | None
    objects: int


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over photos, in [0, 1]."""

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class SplitStats:
    """Statistics of a split of N photos and K classes; shares are fractions, `sizes` counts photos by (width, height).

    names, facts      the photos in the order of the split, and what each one shows
    class_ids         the ids of the classes in each photo, in the same order
    left_out          names whose photo or mask is missing or cannot be used: counted nowhere here
    objects_per_image number of photos by number of objects in them
    co_occurrence_KK  int64, photos that show both classes; photos that show the class on the diagonal
    heat_KGG          float32, share of each of G x G cells that the class covers, mean over the photos that show it,
                      in [0, 1]; 0 for a class that no photo shows
    brightness, contrast, color   over photos (`PairFacts`); color is red, green, blue; None and empty without photos
    """

    images: int
    pixels: int
    void_share: float
    floor: Floor
    classes: tuple[ClassStats, ...]
    sizes: dict[tuple[int, int], int]
    class_ids: tuple[frozenset[int], ...]
    names: tuple[str, ...]
    facts: tuple[PairFacts, ...] = field(repr=False)
    left_out: tuple[str, ...]
    objects_per_image: dict[int, int]
    co_occurrence_KK: NDArray[np.int64] = field(compare=False, repr=False)
    heat_KGG: NDArray[np.float32] = field(compare=False, repr=False)
    brightness: Spread | None
    contrast: Spread | None
    color: tuple[Spread, ...]

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


def in_threads(function: Callable[[T], R], items: Sequence[T], on_progress: OnProgress | None) -> list[R]:
    """Return `function(item)` of every item, computed in `MAX_THREADS` threads; progress counts items."""
    results = []
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        for result in pool.map(function, items):
            results.append(result)
            if on_progress:
                on_progress(len(results), len(items))
    return results


def summarize(
    names: Sequence[str], facts: Sequence[PairFacts], class_names: Sequence[str], left_out: Sequence[str] = ()
) -> SplitStats:
    """Return the statistics of photos with these names and facts; a repeated name counts twice."""
    num_classes = len(class_names)
    pixels_N256 = _table([each.pixels for each in facts], 256)
    objects_NK = _table([each.objects for each in facts], num_classes)
    pixels_NK = pixels_N256[:, :num_classes]
    shows_NK = (pixels_NK > 0).astype(np.int64)
    pixels_K = pixels_NK.sum(axis=0)
    counted, total = int(pixels_K.sum()), int(pixels_N256.sum())
    co_occurrence_KK = shows_NK.T @ shows_NK
    colors = [each.color_mean for each in facts]
    return SplitStats(
        images=len(facts),
        pixels=total,
        void_share=1 - counted / total if total else 0.0,
        floor=floor_of_pixels(pixels_K),
        classes=_classes(class_names, shows_NK.sum(axis=0), pixels_K, objects_NK.sum(axis=0)),
        sizes=dict(Counter(each.size for each in facts)),
        class_ids=tuple(frozenset(np.flatnonzero(shows).tolist()) for shows in shows_NK),
        names=tuple(names),
        facts=tuple(facts),
        left_out=tuple(left_out),
        objects_per_image=dict(Counter(objects_NK.sum(axis=1).tolist())),
        co_occurrence_KK=co_occurrence_KK,
        heat_KGG=_mean_heat(facts, co_occurrence_KK.diagonal()),
        brightness=_spread([each.brightness for each in facts]),
        contrast=_spread([each.contrast for each in facts]),
        color=tuple(Spread(float(np.mean(each)), float(np.std(each))) for each in zip(*colors, strict=True)),
    )


def _table(counts: Sequence[dict[int, int]], num_columns: int) -> NDArray[np.int64]:
    """Return counts by id as rows, (N, num_columns)."""
    table_NK = np.zeros((len(counts), num_columns), dtype=np.int64)
    for row, of_this in enumerate(counts):
        table_NK[row, list(of_this)] = list(of_this.values())
    return table_NK


def _classes(
    class_names: Sequence[str], images_K: NDArray[np.int64], pixels_K: NDArray[np.int64], objects_K: NDArray[np.int64]
) -> tuple[ClassStats, ...]:
    counted = int(pixels_K.sum())
    return tuple(
        ClassStats(
            id=class_id,
            name=name,
            images=int(images_K[class_id]),
            pixels=int(pixels_K[class_id]),
            share=int(pixels_K[class_id]) / counted if counted else None,
            objects=int(objects_K[class_id]),
        )
        for class_id, name in enumerate(class_names)
    )


def _mean_heat(facts: Sequence[PairFacts], images_K: NDArray[np.int64]) -> NDArray[np.float32]:
    sums_KGG = np.zeros((len(images_K), GRID, GRID), dtype=np.int64)
    for each in facts:
        for class_id, heat_GG in each.heat.items():
            sums_KGG[class_id] += heat_GG
    mean_KGG: NDArray[np.float32] = (sums_KGG / (255 * np.maximum(images_K, 1)[:, None, None])).astype(np.float32)
    return mean_KGG


def _spread(values: Sequence[float]) -> Spread | None:
    return Spread(float(np.mean(values)), float(np.std(values))) if values else None
