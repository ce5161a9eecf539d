"""What the classes of a data set are, and whether anything says so: a classes.txt, or the palette of the masks."""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import CLASSES_FILE, VOC_CLASSES, Classes, classes_of_palette, has_voc_palette, read_classes
from core.files import regular

PEEKED_MASKS = 5
"""Masks whose palette is looked at: one may be broken, or not like the others."""


def classes_of_folder(root: Path, masks: dict[str, Path]) -> tuple[Classes, bool]:
    """Return the classes and whether they are named: by a classes.txt, or by VOC's palette."""
    file = root / CLASSES_FILE
    if file.exists():
        return read_classes(file), True
    palette_N3 = _usual_palette(list(masks.values())[:PEEKED_MASKS])
    if palette_N3 is None or has_voc_palette(palette_N3) or not classes_of_palette(palette_N3):
        return VOC_CLASSES, palette_N3 is not None and has_voc_palette(palette_N3)
    # Writers cut a palette after the last colour that a mask uses: the longest of its kind has all classes.
    palettes = (palette for palette in map(_palette_of, masks.values()) if palette is not None)
    longest_N3 = max((palette for palette in palettes if _begins_alike(palette_N3, palette)), key=len)
    return classes_of_palette(longest_N3) or VOC_CLASSES, False


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
