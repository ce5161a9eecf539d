"""The scene that every source shows, and the truth about it, drawn by hand.

A leaf, L-shaped and with a hole; a stem over it; a sloping root. Photos have odd sizes and names beyond ASCII, and lie
in two splits. Regions of whole pixels must be met exactly. Along the slopes of the root tools round differently: pixels
whose centres lie within 0.75 px of them are doubtful.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEAF, STEM, ROOT = LABELS = ("leaf", "stem", "wurzel ß")
COLORS = ((0, 0, 0), (46, 139, 87), (139, 90, 43), (200, 30, 160))
CORNERS = {
    LEAF: [(1, 1), (13, 1), (13, 9), (6, 9), (6, 15), (1, 15)],
    STEM: [(4, 7), (15, 7), (15, 11), (4, 11)],
    ROOT: [(9.2, 16.4), (17.7, 11.6), (18.3, 16.2)],
}
"""Corners (x, y) where pixels end: (1, 1), (3, 1), (3, 2), (1, 2) holds two pixels."""
HOLE = [(3, 3), (8, 3), (8, 6), (3, 6)]
LAST_PIXELS = {
    LEAF: [(1, 1), (12, 1), (12, 8), (5, 8), (5, 14), (1, 14)],
    STEM: [(4, 7), (14, 7), (14, 10), (4, 10)],
    ROOT: CORNERS[ROOT],
}
"""The same for tools that draw the edge too: corners are the outermost pixels."""
LAST_PIXELS_OF_HOLE = [(3, 3), (7, 3), (7, 5), (3, 5)]
SLACK = 0.75

Region = NDArray[np.bool_]
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Photo:
    """A photo to annotate: name, width and height, split, and how far right and down the scene lies in it."""

    name: str
    size: tuple[int, int]
    split: str
    shift: tuple[int, int]

    def moved(self, points: Points) -> list[list[float]]:
        """Return points where they lie in this photo."""
        return [[x + self.shift[0], y + self.shift[1]] for x, y in points]

    def corners(self, label: str) -> list[list[float]]:
        """Return an outline whose hole, if any, is joined to it by a cut that is walked twice."""
        points = CORNERS[label]
        return self.moved([points[0], *HOLE, HOLE[0], *points] if label == LEAF else points)

    def region(self, label: str, slack: float = 0.0) -> Region:
        """Return what an object covers, whatever lies over it; slopes are moved outward by `slack` px."""
        width, height = self.size
        y_H1, x_1W = np.ogrid[:height, :width]
        x, y = x_1W - self.shift[0], y_H1 - self.shift[1]
        if label == LEAF:
            is_leaf = (x >= 1) & (y >= 1) & (((x <= 12) & (y <= 8)) | ((x <= 5) & (y <= 14)))
            return np.asarray(is_leaf & ~((x >= 3) & (x <= 7) & (y >= 3) & (y <= 5)))
        if label == STEM:
            return np.asarray((x >= 4) & (x <= 14) & (y >= 7) & (y <= 10))
        is_root = np.ones((height, width), dtype=np.bool_)
        for (ax, ay), (bx, by) in zip(CORNERS[ROOT], [*CORNERS[ROOT][1:], CORNERS[ROOT][0]], strict=True):
            right_of = (bx - ax) * (y + 0.5 - ay) - (by - ay) * (x + 0.5 - ax)
            is_root &= right_of / np.hypot(bx - ax, by - ay) >= -slack
        return is_root

    def mask(self) -> NDArray[np.uint8]:
        """Return the ids of the scene: 1 leaf, 2 stem, 3 root."""
        mask_HW = np.zeros(self.size[::-1], dtype=np.uint8)
        for class_id, label in enumerate(LABELS, start=1):
            mask_HW[self.region(label)] = class_id
        return mask_HW


PHOTOS = (
    Photo("über 1", (31, 17), "train", (7, 0)),
    Photo("b.c", (24, 29), "train", (3, 9)),
    Photo("日本", (19, 23), "val", (0, 5)),
)


def _masks() -> dict[str, NDArray[np.uint8]]:
    return {photo.name.replace(" ", "_"): photo.mask() for photo in PHOTOS}


def _doubtful() -> dict[str, Region]:
    return {photo.name.replace(" ", "_"): photo.region(ROOT, SLACK) & ~photo.region(ROOT, -SLACK) for photo in PHOTOS}


@dataclass(frozen=True)
class Truth:
    """What an import must bring: the format that is recognised, the classes, and mask and split by photo name.

    `is_exact` says that no pixel is doubtful; `options` are those that `import_data` needs.
    """

    format: str
    is_exact: bool = False
    classes: tuple[str, ...] = ("background", *LABELS)
    masks: dict[str, NDArray[np.uint8]] = field(default_factory=_masks)
    splits: dict[str, str] = field(default_factory=lambda: {one.name.replace(" ", "_"): one.split for one in PHOTOS})
    options: dict[str, Any] = field(default_factory=dict)

    def differing(self, name: str, mask_HW: NDArray[np.uint8]) -> int:
        """Return how many pixels of a mask are not as they must be."""
        is_wrong_HW = mask_HW != self.masks[name]
        return int(np.count_nonzero(is_wrong_HW if self.is_exact else is_wrong_HW & ~_doubtful()[name]))


Builder = Callable[[Path], Truth]
SOURCES: dict[str, Builder] = {}


def source(builder: Builder) -> Builder:
    """Register a builder under its name."""
    SOURCES[builder.__name__.replace("_", "-")] = builder
    return builder


# --- files ----------------------------------------------------------------------------------------------------------


def write_photo(file: Path, photo: Photo) -> Path:
    """Write a photo of noise, one of its own for each name."""
    noise = np.random.default_rng(len(photo.name) * 100 + photo.size[0])
    return save(file, noise.integers(0, 256, (*photo.size[::-1], 3)).astype(np.uint8))


def save(file: Path, values: NDArray[Any]) -> Path:
    """Write an array as a picture, and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)
    return file


def write(file: Path, document: object, encoding: str = "utf-8") -> Path:
    """Write JSON, or a text as it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    file.write_text(text, encoding=encoding, newline="\n")
    return file


def png_bytes(values: NDArray[Any]) -> bytes:
    """Return an array as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def runs(flat: Region) -> list[int]:
    """Return run lengths, the first one outside."""
    changes = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0, append=-1))
    return [int(number) for number in np.diff([0, *changes])]


def boxed(region_HW: Region) -> tuple[int, int, Region]:
    """Return left, top and what lies in the box around a region."""
    rows, columns = np.flatnonzero(region_HW.any(axis=1)), np.flatnonzero(region_HW.any(axis=0))
    return int(columns[0]), int(rows[0]), region_HW[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def flat(points: Sequence[Sequence[float]]) -> list[float]:
    """Return points as x, y, x, y, ..."""
    return [number for point in points for number in point]
