"""Outlines and run lengths as regions of pixels, as the tools that wrote them draw them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.data.importers.plan import Size
from core.errors import DataError

MAX_COUNTS_CHARACTERS = 7
"""A run of 32 bits takes this many characters of 5 bits in a compressed `counts`."""

Point = tuple[float, float]
"""px from the left and from the top."""


def run_lengths_of(polygons: Sequence[Sequence[float]], size: Size) -> list[int]:
    """Return the union of polygons (x, y, x, y, ...) of 3 points or more as run lengths, as COCO draws them.

    Corners further out than one frame are moved to there.
    """
    from pycocotools.mask import frPyObjects, merge

    sides_2 = np.array(size)
    corners = [np.clip(np.array(each, dtype=np.float64).reshape(-1, 2), -sides_2, 2 * sides_2) for each in polygons]
    # pycocotools takes a list of 4 numbers for a box, which is why shorter polygons must not reach it.
    region = merge(frPyObjects([corners_N2.ravel().tolist() for corners_N2 in corners], size[1], size[0]))
    return uncompressed(region["counts"].decode()) or []


def polygons_region(polygons: Sequence[Sequence[float]], size: Size) -> NDArray[np.bool_]:
    """Return the pixels whose centres polygons (x, y, x, y, ...) hold, as COCO draws them, shape (H, W)."""
    return region_of(run_lengths_of(polygons, size), size)


def region_of(counts: Sequence[int], size: Size) -> NDArray[np.bool_]:
    """Return the region of some run lengths: column by column, the first run outside, then in and out in turns."""
    width, height = size
    is_inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(is_inside, counts).reshape(width, height).T


def counts_of(segmentation: dict[str, Any], size: Size, file: Path) -> list[int]:
    """Return run lengths that were compressed or are not; they must fill the frame exactly.

    They are not left to pycocotools, which does not check that: of too few counts it returns memory as it was.
    """
    width, height = size
    stated, counts = segmentation.get("size"), segmentation.get("counts")
    if stated != [height, width]:
        raise DataError(
            f"{file} holds run lengths of size {stated!r} for a photo of {[height, width]}; export it again."
        )
    if isinstance(counts, str):
        counts = uncompressed(counts)
    whole = [count for count in counts if type(count) is int and count >= 0] if isinstance(counts, list) else []
    if counts != whole or sum(whole) != width * height:
        raise DataError(f"{file} holds run lengths that do not fill {width} x {height} pixels; export it again.")
    return whole


def uncompressed(text: str) -> list[int] | None:
    """Return the counts that COCO's compressed text stands for, or None for any other text.

    Each character less 48 holds 5 bits, lowest first, and a sixth one that says whether more follow; the fifth bit of
    the last one is the sign. From the fourth count on, the difference to the count before the last one is stored.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift >= 5 * MAX_COUNTS_CHARACTERS:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        value -= (1 << shift) if code & 16 else 0
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return None if shift else counts


def polygon(points: Sequence[Point], size: Size) -> NDArray[np.bool_]:
    """Return the inside of a polygon and its edges: (1, 1), (3, 1), (3, 2), (1, 2) covers 3 x 2 pixels."""
    canvas = Image.new("1", size)
    ImageDraw.Draw(canvas).polygon([*points], fill=1, outline=1)
    return np.array(canvas, dtype=np.bool_)


def rectangle(points: Sequence[Point], size: Size) -> NDArray[np.bool_]:
    """Return an upright rectangle between two opposite corners, both of which belong to it."""
    (x0, y0), (x1, y1) = points
    canvas = Image.new("1", size)
    box = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    ImageDraw.Draw(canvas).rectangle(box, fill=1, outline=1)
    return np.array(canvas, dtype=np.bool_)
