"""What an import would bring, before anything is written: for a page to draw and a person to check."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes
from core.data.images import pixels_of
from core.data.importers.notes import Notes
from core.data.importers.plan import Drawing, Plan, Value
from core.data.importers.writer import drawn
from core.voc import VOID

MAX_PICTURES = 10


@dataclass(frozen=True)
class PreviewPicture:
    """A photo, upright, and its mask of ids at the same size, shape (H, W)."""

    name: str
    photo: Image.Image
    mask_HW: NDArray[np.uint8]


@dataclass(frozen=True)
class Preview:
    """What a plan holds: photos, classes, splits as the source gives them, and ten photos with their masks.

    `pixels` are those of each class, and of void at last, in the pictures that are shown. `values` are what can be
    called otherwise: the values of masks, else the classes.
    """

    format: str
    evidence: str
    images: int
    classes: Classes
    has_named_classes: bool
    splits: dict[str, int]
    pixels: tuple[int, ...]
    pictures: tuple[PreviewPicture, ...]
    notes: tuple[str, ...]
    values: tuple[Value, ...]


def preview_of(plan: Plan, name: str, evidence: str, notes: Notes) -> Preview:
    """Draw ten photos of a plan, evenly spread; one that cannot be read raises `DataError`."""
    pictures = []
    pixels_256 = np.zeros(VOID + 1, dtype=np.int64)
    for drawing in spread(plan.drawings):
        photo, mask_HW = drawn(drawing)
        height, width = mask_HW.shape
        pixels_256 += pixels_of(mask_HW)
        pictures.append(PreviewPicture(drawing.name, photo.lying_as((width, height)), mask_HW))
    splits = Counter(drawing.split or "" for drawing in plan.drawings)
    pixels = (*pixels_256[: len(plan.classes)].tolist(), int(pixels_256[VOID]))
    by_class = (Value(label, at, pixels[at]) for at, label in enumerate(plan.classes.names))
    return Preview(
        name,
        evidence,
        len(plan.drawings),
        plan.classes,
        plan.has_named_classes,
        dict(splits),
        pixels,
        tuple(pictures),
        notes.sentences(),
        plan.values or tuple(by_class),
    )


def spread(drawings: Sequence[Drawing]) -> list[Drawing]:
    """Return at most ten drawings, evenly spread."""
    number = min(MAX_PICTURES, len(drawings))
    return [drawings[at * len(drawings) // number] for at in range(number)]
