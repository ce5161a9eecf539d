"""The outlines of a set of pixels as polygons along the pixels' own edges, so that filling them gives the set back.

A pixel (x, y) is the square from (x, y) to (x + 1, y + 1). Pixels that touch in a corner alone are taken as apart. The
corners of all outlines at once are found by comparing each pixel with its neighbours; corners that follow one another
in a row are the ends of a horizontal edge, those in a column the ends of a vertical one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Contour(NamedTuple):
    """A closed outline: its corners (x, y) in order, and whether it surrounds a hole.

    `pixel` is (x, y) of one pixel of the set that lies at the outline.
    """

    corners: list[tuple[int, int]]
    is_hole: bool
    pixel: tuple[int, int]


def find_contours(is_set_HW: NDArray[np.bool_]) -> list[Contour]:
    """Return every outline of a set of pixels, uppermost first; each has an even number of corners, 4 at least."""
    y_N, x_N, right_N, down_N = _corners(is_set_HW)
    # Where two outlines touch in a corner, the edge that ends there comes before the one that begins.
    rows, columns = np.lexsort((right_N, x_N, y_N)), np.lexsort((down_N, y_N, x_N))
    across, along = _partners(rows), _partners(columns)
    points = list(zip(x_N.tolist(), y_N.tolist(), strict=True))
    is_done = bytearray(len(points))
    contours = []
    for start in rows.tolist():
        if is_done[start]:
            continue
        corners, at = [], start
        while not is_done[at]:
            beyond = across[at]
            is_done[at] = is_done[beyond] = 1
            corners += [points[at], points[beyond]]
            at = along[beyond]
        x, y = points[start]  # the leftmost of the uppermost corners: what is set lies below it, or above a hole
        is_hole = not is_set_HW[y, x]
        contours.append(Contour(corners, is_hole, (x, y - 1) if is_hole else (x, y)))
    return contours


def _corners(is_set_HW: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Return y, x of every corner, and whether its two edges go to the right and downwards (1) or not (0)."""
    padded = np.pad(is_set_HW, 1)
    quadrants = {(0, 0): padded[:-1, :-1], (0, 1): padded[:-1, 1:], (1, 0): padded[1:, :-1], (1, 1): padded[1:, 1:]}
    parts = []
    for (down, right), own in quadrants.items():
        beside, above, opposite = (
            quadrants[place] for place in ((down, 1 - right), (1 - down, right), (1 - down, 1 - right))
        )
        # The pixel differs from both that share an edge with it. Where two pairs touch in a corner, the set one counts.
        y, x = np.nonzero((own != beside) & (own != above) & (own | opposite))
        parts.append((y, x, np.full(len(y), right), np.full(len(y), down)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _partners(order: NDArray[np.intp]) -> list[int]:
    """Return for each corner the one at the other end of its edge, where edges are pairs that follow one another."""
    partners = np.empty_like(order)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    found: list[int] = partners.tolist()
    return found
