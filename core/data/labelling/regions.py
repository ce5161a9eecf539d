"""Regions of a photo to label at one click: superpixels, joined to larger ones step by step.

SLIC (Achanta et al. 2012, doi:10.1109/TPAMI.2012.120) divides the photo; neighbours are then joined by Ward's criterion
on their mean colours, so every large region consists of whole small ones and their edges agree.
"""

import heapq
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAP_PIXELS = 1_000_000
"""A larger photo is reduced to about so many pixels: SLIC takes 0.7 s for them."""
SMALLEST_PX = 150
"""The wanted area of a small region, in pixels of the map."""
JOINED = 4
"""Regions of one level that make one of the next, on average."""
LEVELS = 3
COMPACTNESS, ROUNDS = 20.0, 5
"""SLIC's settings. With `SMALLEST_PX`, in 12 photos of VOC 99.5, 99.0 and 97.2 % of the pixels have their region's most
frequent class, level by level; with compactness 10 and 250 px 98.7, 97.8 and 93.9 %."""


class Regions(NamedTuple):
    """A map of small regions, and for every level the region that each of them belongs to."""

    labels_HW: NDArray[np.uint16]
    """Numbers from 0; the pixel (x, y) of the photo lies at floor((x + 1/2) w / W), floor((y + 1/2) h / H)."""
    levels: tuple[NDArray[np.uint16], ...]
    """From small to large, each (number of small regions,); the numbers of a level go from 0 without gaps."""


def regions_of(photo: Image.Image) -> Regions:
    """Divide an upright RGB photo into regions. The same photo always gives the same ones."""
    from skimage.color import rgb2lab

    share = math.sqrt(MAP_PIXELS / (photo.width * photo.height))
    if share < 1:
        photo = photo.resize((max(1, round(photo.width * share)), max(1, round(photo.height * share))))
    rgb_HW3 = np.asarray(photo)
    labels_HW = _superpixels(rgb_HW3)
    return Regions(labels_HW, _levels(labels_HW, rgb2lab(rgb_HW3)))


def _superpixels(rgb_HW3: NDArray[np.uint8]) -> NDArray[np.uint16]:
    from skimage.segmentation import slic

    height, width, _ = rgb_HW3.shape
    wanted = max(1, height * width // SMALLEST_PX)
    labels_HW = slic(rgb_HW3, n_segments=wanted, compactness=COMPACTNESS, max_num_iter=ROUNDS, start_label=0)
    return np.unique(labels_HW, return_inverse=True)[1].reshape(height, width).astype(np.uint16)


def _levels(labels_HW: NDArray[np.uint16], lab_HW3: NDArray[np.float64]) -> tuple[NDArray[np.uint16], ...]:
    """Join the neighbours that are most alike until `JOINED` times fewer are left, and again for each level."""
    flat = labels_HW.ravel()
    sizes = np.bincount(flat)
    sums_N3 = np.stack([np.bincount(flat, lab_HW3[..., channel].ravel()) for channel in range(3)], axis=1)
    joining = _Joining(sizes.tolist(), sums_N3.tolist(), _neighbours(labels_HW))
    levels = [np.arange(len(sizes), dtype=np.uint16)]
    for level in range(1, LEVELS):
        joining.until(math.ceil(len(sizes) / JOINED**level))
        roots = np.array([joining.root(region) for region in range(len(sizes))])
        levels.append(np.unique(roots, return_inverse=True)[1].astype(np.uint16))
    return tuple(levels)


def _neighbours(labels_HW: NDArray[np.uint16]) -> list[set[int]]:
    """Return for every region those that share an edge with it."""
    beside = [(labels_HW[:, :-1], labels_HW[:, 1:]), (labels_HW[:-1], labels_HW[1:])]
    pairs_N2 = np.concatenate([np.stack([one.ravel(), other.ravel()], axis=1) for one, other in beside])
    neighbours: list[set[int]] = [set() for _ in range(int(labels_HW.max()) + 1)]
    for one, other in np.unique(pairs_N2[pairs_N2[:, 0] != pairs_N2[:, 1]], axis=0).tolist():
        neighbours[one].add(other)
        neighbours[other].add(one)
    return neighbours


class _Joining:
    """Regions that are joined two by two, the pair first whose joining adds least to the variance within regions."""

    def __init__(self, sizes: list[int], sums: list[list[float]], neighbours: list[set[int]]) -> None:
        self.sizes, self.sums = sizes, sums
        self.neighbours, self.parents = neighbours, list(range(len(neighbours)))
        self.count = len(neighbours)
        self.heap = [self._cost(one, other) for one in range(self.count) for other in neighbours[one] if one < other]
        heapq.heapify(self.heap)

    def _cost(self, one: int, other: int) -> tuple[float, int, int, float]:
        a, b = self.sizes[one], self.sizes[other]
        distance = sum((p / a - q / b) ** 2 for p, q in zip(self.sums[one], self.sums[other], strict=True))
        return a * b / (a + b) * distance, one, other, a + b

    def root(self, region: int) -> int:
        while self.parents[region] != region:
            region = self.parents[region]
        return region

    def until(self, count: int) -> None:
        """Join until so many regions are left; all of a photo hangs together, so there is always a pair."""
        while self.count > count:
            _, one, other, size = heapq.heappop(self.heap)
            is_current = self.parents[one] == one and self.parents[other] == other
            if is_current and size == self.sizes[one] + self.sizes[other]:
                self._join(one, other)

    def _join(self, one: int, other: int) -> None:
        self.parents[other] = one
        self.sizes[one] += self.sizes[other]
        self.sums[one] = [p + q for p, q in zip(self.sums[one], self.sums[other], strict=True)]
        around = (self.neighbours[one] | self.neighbours[other]) - {one, other}
        self.neighbours[one], self.neighbours[other] = around, set()
        for each in around:
            self.neighbours[each].discard(other)
            self.neighbours[each].add(one)
            heapq.heappush(self.heap, self._cost(min(one, each), max(one, each)))
        self.count -= 1
