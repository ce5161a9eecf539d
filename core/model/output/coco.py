"""Masks as COCO instances: a JSON document with `images`, `annotations` and `categories`.

An annotation is a connected part of a class (neighbours in eight directions), as in a data set's statistics; background
and void have none. Polygons run along the pixels' edges, so that pycocotools fills exactly these pixels. COCO's
polygons cannot have holes: an object with a hole is written as compressed run lengths, `iscrowd` 0, which pycocotools,
FiftyOne and Detectron2 read, and which are exact too.

In outlines a pixel (x, y) is the square from (x, y) to (x + 1, y + 1), and pixels that touch only in a corner are
separate. Comparing each pixel with its neighbours finds the corners of all outlines at once. Consecutive corners of a
row are the ends of a horizontal edge, those of a column the ends of a vertical one.
"""

import json
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths
from scipy import ndimage

from core.classes import Classes
from core.voc import BACKGROUND, VOID

DIAGONALS_TOO = np.ones((3, 3), dtype=bool)

Document = dict[str, Any]


class Contour(NamedTuple):
    """A closed outline: its corners (x, y) in order, whether it surrounds a hole, and a set pixel beside it."""

    corners: list[tuple[int, int]]
    is_hole: bool
    pixel: tuple[int, int]


class CocoFile:
    """Collects the objects of photos into a document."""

    def __init__(self, classes: Classes) -> None:
        self._categories = [
            {"id": class_id, "name": name, "supercategory": ""}
            for class_id, name in enumerate(classes.names)
            if class_id != BACKGROUND
        ]
        self._images: list[Document] = []
        self._annotations: list[Document] = []

    def add(
        self,
        file_name: str,
        mask_HW: NDArray[np.uint8],
        confidence_HW: NDArray[np.float32] | None = None,
    ) -> None:
        """Add the objects of a photo; with confidence_HW, an object's `score` is the mean over its pixels."""
        height, width = mask_HW.shape
        self._images.append({"id": len(self._images) + 1, "file_name": file_name, "width": width, "height": height})
        for class_id in np.unique(mask_HW).tolist():
            if class_id not in (BACKGROUND, VOID):
                for found in _objects(mask_HW == class_id, confidence_HW):
                    number = {"id": len(self._annotations) + 1, "image_id": len(self._images)}
                    self._annotations.append(number | {"category_id": class_id, "iscrowd": 0} | found)

    def document(self) -> Document:
        """Return the document as JSON types."""
        return {
            "info": {"description": "Objects found by Atrous"},
            "licenses": [],
            "images": self._images,
            "annotations": self._annotations,
            "categories": self._categories,
        }

    def to_bytes(self) -> bytes:
        """Return the document as JSON text."""
        return json.dumps(self.document(), allow_nan=False, separators=(",", ":")).encode()


def _objects(is_class_HW: NDArray[np.bool_], confidence_HW: NDArray[np.float32] | None) -> list[Document]:
    """Return segmentation, bbox, area and, with a confidence, score of each connected part of a class."""
    labels_HW, count = ndimage.label(is_class_HW, DIAGONALS_TOO)
    labels_N = labels_HW[is_class_HW]
    pixels = np.bincount(labels_N, minlength=count + 1).tolist()
    sums = np.bincount(labels_N, weights=confidence_HW[is_class_HW]) if confidence_HW is not None else None
    contours: dict[int, list[Contour]] = defaultdict(list)
    for contour in find_contours(is_class_HW):
        x, y = contour.pixel
        contours[int(labels_HW[y, x])].append(contour)
    objects = []
    for label, place in enumerate(ndimage.find_objects(labels_HW), start=1):
        rows, columns = place
        found: Document = {
            "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
            "area": pixels[label],
            "segmentation": _segmentation(contours[label], labels_HW, label, place),
        }
        if sums is not None:
            found["score"] = min(1.0, float(sums[label] / pixels[label]))
        objects.append(found)
    return objects


def _segmentation(
    contours: list[Contour], labels_HW: NDArray[np.int32], label: int, place: tuple[slice, slice]
) -> list[list[int]] | Document:
    if any(contour.is_hole for contour in contours):
        return _run_lengths(labels_HW, label, place)
    return [[number for corner in contour.corners for number in corner] for contour in contours]


def _run_lengths(labels_HW: NDArray[np.int32], label: int, place: tuple[slice, slice]) -> Document:
    """Return an object's compressed run lengths, down the columns of the whole photo, beginning outside the object."""
    height, width = labels_HW.shape
    rows, columns = place
    x_N, y_N = np.nonzero((labels_HW[place] == label).T)
    index_N = (x_N + columns.start) * height + y_N + rows.start
    breaks = np.flatnonzero(np.diff(index_N) != 1)
    starts, ends = index_N[np.r_[0, breaks + 1]], index_N[np.r_[breaks, len(index_N) - 1]] + 1
    bounds = np.r_[0, np.stack([starts, ends], axis=1).ravel(), height * width]
    encoded = run_lengths.frPyObjects({"counts": np.diff(bounds).tolist(), "size": [height, width]}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def find_contours(is_set_HW: NDArray[np.bool_]) -> list[Contour]:
    """Return every outline of a set of pixels, uppermost first; each has at least 4 corners, an even number."""
    y_N, x_N, right_N, down_N = _corners(is_set_HW)
    # Where outlines touch in a corner, the edge that ends there comes before the one that begins.
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
        x, y = points[start]  # the first corner of the top row: the set lies below it, or above a hole
        is_hole = not is_set_HW[y, x]
        contours.append(Contour(corners, is_hole, (x, y - 1) if is_hole else (x, y)))
    return contours


def _corners(is_set_HW: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Return y, x of every corner, and whether its edges go right and down (1) or left and up (0)."""
    padded = np.pad(is_set_HW, 1)
    quadrants = {(0, 0): padded[:-1, :-1], (0, 1): padded[:-1, 1:], (1, 0): padded[1:, :-1], (1, 1): padded[1:, 1:]}
    parts = []
    for (down, right), own in quadrants.items():
        beside, above, opposite = (
            quadrants[place] for place in ((down, 1 - right), (1 - down, right), (1 - down, 1 - right))
        )
        # A corner: the pixel differs from both neighbours. Of two diagonal pairs only the set pixels have corners.
        y, x = np.nonzero((own != beside) & (own != above) & (own | opposite))
        parts.append((y, x, np.full(len(y), right), np.full(len(y), down)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _partners(order: NDArray[np.intp]) -> list[int]:
    """Return for each corner the other end of its edge; consecutive corners in `order` are the ends of an edge."""
    partners = np.empty_like(order)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    found: list[int] = partners.tolist()
    return found
