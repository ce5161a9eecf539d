"""What the classes of a data set are, and whether anything says so: a classes.txt, or that the folder is VOC's."""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import CLASSES_FILE, NUMBERED, VOC_CLASSES, Classes, classes_of_palette, has_voc_palette, read_classes
from core.files import regular

VOC_PHOTOS = "JPEGImages"
VOC_FOLDER = re.compile(r"VOC20(0[7-9]|1[0-2])")
VOC_NAME = re.compile(r"20(0[7-9]|1[0-2])_\d{6}")
"""What a release of VOC calls its folder, and its photos: by the year in which they were first in it."""

PEEKED_MASKS = 5
"""Masks whose palette is looked at: one may be broken, or not like the others."""


def classes_of_folder(root: Path, photo_dir: Path, masks: dict[str, Path]) -> tuple[Classes, bool]:
    """Return the classes and whether they are named: by a classes.txt, or because the folder is VOC's.

    VOC's palette and grey levels name nothing: every other program that writes masks uses them as well.
    """
    file = root / CLASSES_FILE
    if file.exists():
        return read_classes(file), True
    palette_N3 = _usual_palette(list(masks.values())[:PEEKED_MASKS])
    assumed = (VOC_CLASSES, True) if _is_voc(root, photo_dir, masks) else (NUMBERED, False)
    if palette_N3 is None or has_voc_palette(palette_N3) or not classes_of_palette(palette_N3):
        return assumed
    # Writers cut a palette after the last colour that a mask uses: the longest of its kind has all classes.
    palettes = (palette for palette in map(_palette_of, masks.values()) if palette is not None)
    longest_N3 = max((palette for palette in palettes if _begins_alike(palette_N3, palette)), key=len)
    return (own, False) if (own := classes_of_palette(longest_N3)) else assumed


def _is_voc(root: Path, photo_dir: Path, masks: Collection[str]) -> bool:
    """Tell whether a folder says that it is VOC's: by its layout, and by its own name or those of most photos in it.

    The layout alone does not: labelme and CVAT write it as well.
    """
    if photo_dir.name != VOC_PHOTOS:
        return False
    num_of_voc = sum(VOC_NAME.fullmatch(name) is not None for name in masks)
    return VOC_FOLDER.fullmatch(root.resolve().name) is not None or 2 * num_of_voc > len(masks)


def _begins_alike(a_N3: NDArray[np.uint8], b_N3: NDArray[np.uint8]) -> bool:
    common = min(len(a_N3), len(b_N3))
    return bool((a_N3[:common] == b_N3[:common]).all())


def _usual_palette(masks: list[Path]) -> NDArray[np.uint8] | None:
    """Return the palette that most of these masks have, shape (N, 3); None if most have none."""
    palettes = Counter(None if palette is None else palette.tobytes() for palette in map(_palette_of, masks))
    usual = palettes.most_common(1)[0][0] if palettes else None
    return None if usual is None else np.frombuffer(usual, dtype=np.uint8).reshape(-1, 3)


def _palette_of(mask: Path) -> NDArray[np.uint8] | None:
    """Return the palette of a mask, shape (N, 3); None where it has none or cannot be read, which others will tell."""
    try:
        with Image.open(regular(mask)) as image:
            palette = image.getpalette("RGB") if image.mode == "P" else None
    except (OSError, SyntaxError, ValueError):
        return None
    return None if palette is None else np.array(palette, dtype=np.uint8).reshape(-1, 3)
