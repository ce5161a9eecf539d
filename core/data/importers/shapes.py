"""Regions drawn with two points or more. Coordinates are px from the left and from the top."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.data.importers.plan import Size

Point = tuple[float, float]


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


def circle(points: Sequence[Point], size: Size) -> NDArray[np.bool_]:
    """Return the pixels no further from the first point, the centre, than the second one, which lies on the edge."""
    (x, y), edge = points
    radius = math.dist((x, y), edge)
    width, height = size
    y_H1, x_1W = np.ogrid[:height, :width]
    return np.asarray((x_1W - x) ** 2 + (y_H1 - y) ** 2 <= radius**2 + 1e-6, dtype=np.bool_)


def patch(picture_HW: NDArray[np.bool_], corner: Point, size: Size) -> NDArray[np.bool_]:
    """Return a small mask laid with its top left pixel at a point; what lies outside the frame is cut off."""
    width, height = size
    left, top = round(corner[0]), round(corner[1])
    region_HW = np.zeros((height, width), dtype=np.bool_)
    part_HW = picture_HW[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    rows, columns = part_HW.shape
    region_HW[max(top, 0) : max(top, 0) + rows, max(left, 0) : max(left, 0) + columns] = part_HW
    return region_HW
