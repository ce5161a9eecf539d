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

CORNERS_OF_ELLIPSE = 90
MIN_NUMBERS = 6
"""Of a polygon: x and y of three corners."""

MAX_BEYOND = 0.1
BEYOND = (
    "Outlines that reach beyond their photo by more than a tenth of its side: check that the photos have the size that "
    "was annotated"
)

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


def reaches_beyond(corners: Sequence[float], size: Size) -> bool:
    """Return whether a polygon (x, y, x, y, ...) reaches beyond the frame by more than a tenth of its side."""
    shares_N2 = np.array(corners, dtype=np.float64).reshape(-1, 2) / size
    return bool(shares_N2.min(initial=0) < -MAX_BEYOND or shares_N2.max(initial=0) > 1 + MAX_BEYOND)


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
    counts = counts if isinstance(counts, list) else []
    counts = [int(count) if isinstance(count, float) and count.is_integer() else count for count in counts]
    whole = [count for count in counts if type(count) is int and count >= 0]
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
    canvas = Image.new("L", size)  # of bytes: a picture of bits would be unpacked
    ImageDraw.Draw(canvas).polygon([*points], fill=1, outline=1)
    return np.array(canvas).view(np.bool_)


def rectangle(points: Sequence[Point], size: Size) -> NDArray[np.bool_]:
    """Return an upright rectangle between two opposite corners, both of which belong to it."""
    (x0, y0), (x1, y1) = points
    canvas = Image.new("L", size)
    box = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    ImageDraw.Draw(canvas).rectangle(box, fill=1, outline=1)
    return np.array(canvas).view(np.bool_)


def patch(picture_HW: NDArray[np.bool_], corner: Point, size: Size) -> NDArray[np.bool_]:
    """Return a small mask laid with its top left pixel at a point; what lies outside the frame is cut off."""
    width, height = size
    left, top = round(corner[0]), round(corner[1])
    region_HW = np.zeros((height, width), dtype=np.bool_)
    part_HW = picture_HW[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    rows, columns = part_HW.shape
    region_HW[max(top, 0) : max(top, 0) + rows, max(left, 0) : max(left, 0) + columns] = part_HW
    return region_HW


def ellipse(x: float, y: float, across: float, down: float, turn: float) -> list[float]:
    """Return corners (x, y, x, y, ...) of an ellipse by its centre, half axes in px, and turn in degrees clockwise."""
    angles_N = np.linspace(0, 2 * np.pi, CORNERS_OF_ELLIPSE, endpoint=False)
    return turned([*zip(across * np.cos(angles_N), down * np.sin(angles_N), strict=True)], (x, y), turn)


def turned(corners: Sequence[Point], center: Point, degrees: float) -> list[float]:
    """Return corners around a centre (x, y, x, y, ...), turned by degrees clockwise; they are given relative to it."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    (x, y), (across_N, down_N) = center, np.array(corners, dtype=np.float64).T
    corners_N2 = np.stack([x + across_N * cos - down_N * sin, y + across_N * sin + down_N * cos], axis=1)
    return [float(number) for number in corners_N2.ravel()]


def region_in_box(counts: Sequence[int], corner: tuple[int, int], box: Size, size: Size) -> NDArray[np.bool_] | None:
    """Return run lengths within a box, row by row and the first run outside; None where they do not fill the box."""
    width, height = box
    if width < 1 or height < 1 or sum(counts) != width * height:
        return None
    inside_HW = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
    return patch(inside_HW, corner, size)
