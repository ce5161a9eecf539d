"""The classes of a data set: names and colours by id, the background first.

`classes.txt` in the root of a data set names one class a line, with an optional colour:

    background
    apple #cc2222
    leaf  #22aa22
"""

import re
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import DataError
from core.files import read_lines, regular, replacing, unused
from core.voc import CLASS_NAMES, PALETTE, VOID

REPAIR_REPORT = "repair.csv"
"""What the repair changed, beside a repaired copy."""
CLASSES_FILE = "classes.txt"
BEFORE = "classes-before.txt"
MAX_PALETTE_CLASSES = 64
COLOR = re.compile(r"#[0-9a-f]{6}")
NUMBERED_NAME = re.compile(r"(\d+)[\s:;,.]+([^\d\s].*)")
NAMED_COLOR = re.compile(r"(.*\S)\s+(#[0-9a-fA-F]{6})")

VOC_PHOTOS = "JPEGImages"
VOC_FOLDER = re.compile(r"VOC20(0[7-9]|1[0-2])")
VOC_NAME = re.compile(r"20(0[7-9]|1[0-2])_\d{6}")
"""Names of VOC's folders and photos (year of the release that added it, number)."""

PEEKED_MASKS = 5
"""Masks whose palettes vote: a single one may be broken or unlike the others."""


@dataclass(frozen=True)
class Classes:
    """Names, and colours as `#rrggbb`, by class id; invalid ones raise `DataError`."""

    names: tuple[str, ...]
    colors: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.names) <= VOID or len(set(self.names)) != len(self.names):
            raise DataError(f"A data set has 2 to {VOID} different classes, not {len(self.names)} of these names.")
        if len(self.colors) != len(self.names):
            raise DataError(f"{len(self.names)} classes need as many colours, not {len(self.colors)}.")
        if wrong := [color for color in self.colors if not COLOR.fullmatch(color)]:
            raise DataError(f"'{wrong[0]}' is not a colour; write it as #rrggbb, for instance #cc2222.")
        if "" in self.names:
            raise DataError("A class has no name; give every class one.")

    def __len__(self) -> int:
        """Return the number of classes, the background among them."""
        return len(self.names)

    @property
    def palette(self) -> NDArray[np.uint8]:
        """The colour of every id, as `palette_of`."""
        return palette_of(self.colors)

    def css_color(self, class_id: int) -> str:
        """Return the colour of a class, or of void, as `#rrggbb`."""
        return css_color(self.palette[class_id])


@lru_cache(maxsize=64)
def palette_of(colors: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return the RGB colour of every id, uint8, (256, 3), read-only: these colours, then VOC's; void is cream."""
    palette_2563 = PALETTE.copy()
    palette_2563[: len(colors)] = [[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in colors]
    palette_2563.flags.writeable = False
    return palette_2563


def css_color(color: NDArray[np.uint8]) -> str:
    """Return an RGB colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*color.tolist())


def classes_of(names: Sequence[str], colors: Sequence[str] = ()) -> Classes:
    """Return classes; without colours (files of older versions have none) they get VOC's."""
    return Classes(tuple(names), tuple(colors) or tuple(css_color(color) for color in PALETTE[: len(names)]))


VOC_CLASSES = classes_of(CLASS_NAMES)

NUMBERED = Classes(("background", *(f"class {number}" for number in range(1, len(VOC_CLASSES)))), VOC_CLASSES.colors)
"""The classes of a data set that names none: as many as VOC has, in VOC's colours."""

ASSUMED = (VOC_CLASSES, NUMBERED)
"""Classes that are assumed where a data set has neither a classes.txt nor a palette of its own."""


def classes_of_palette(palette_N3: NDArray[np.uint8]) -> Classes | None:
    """Return numbered classes in the colours of a mask's palette, None if the palette says nothing about classes.

    It defines the ids whose colour is neither VOC's, nor the grey of that level, nor black; more than
    `MAX_PALETTE_CLASSES` ids are the palette of a picture.
    """
    ids = np.arange(min(len(palette_N3), VOID))
    colors_N3 = palette_N3[: len(ids)]
    greys_N3 = ids[:, None].repeat(3, axis=1)
    is_usual_N = [(colors_N3 == usual).all(axis=1) for usual in (PALETTE[: len(ids)], greys_N3, 0)]
    own = ids[~np.any(is_usual_N, axis=0)]
    if not own.size or own[-1] >= MAX_PALETTE_CLASSES:
        return None
    names = ("background", *(f"class {class_id}" for class_id in range(1, own[-1] + 1)))
    return Classes(names, tuple(css_color(color) for color in colors_N3[: len(names)]))


def are_greys_out_of_order(palette_N3: NDArray[np.uint8], values: Sequence[int]) -> bool:
    """Return whether these places of a palette hold different greys that do not rise: then they are no levels, nor ids.

    Programs that make pictures smaller store grey masks so. Void, and palettes filled up with one grey, say nothing.
    """
    greys_N3 = palette_N3[[value for value in values if value < min(VOID, len(palette_N3))]].astype(np.int64)
    if np.any(greys_N3 != greys_N3[:, :1]) or len(np.unique(greys_N3[:, 0])) < len(greys_N3):
        return False
    return bool(np.any(np.diff(greys_N3[:, 0]) < 0))


def has_voc_palette(palette_N3: NDArray[np.uint8]) -> bool:
    """Return whether a palette begins with the colours of VOC's classes."""
    count = min(len(palette_N3), len(CLASS_NAMES))
    return count > 1 and bool((palette_N3[:count] == PALETTE[:count]).all())


def read_classes(file: Path) -> Classes:
    """Read a `classes.txt`; one that is not text, or names a class twice, raises `DataError`.

    If every line begins with a number, as `0: background`, the numbers must be the ids, else it raises `DataError`.
    """
    names, colors = [], []
    lines = read_lines(file)
    numbered = [found for line in lines if (found := NUMBERED_NAME.fullmatch(line))]
    if lines and len(numbered) == len(lines):
        numbers = [int(found[1]) for found in numbered]
        if numbers != [*range(len(lines))]:
            raise DataError(
                f"{file} numbers its classes {', '.join(map(str, numbers[:4]))} and so on, not 0, 1, 2; write one name "
                "a line, that of id 0 first, or import the folder as id-masks."
            )
        lines = [found[2] for found in numbered]
    for class_id, line in enumerate(lines):
        has_color = NAMED_COLOR.fullmatch(line)
        names.append(has_color[1] if has_color else line)
        colors.append(has_color[2].lower() if has_color else css_color(PALETTE[min(class_id, VOID)]))
    if not 2 <= len(names) <= VOID or len(set(names)) != len(names):
        raise DataError(f"{file} must name 2 to {VOID} different classes, one a line, the background first.")
    return Classes(tuple(names), tuple(colors))


def write_classes(root: Path, classes: Classes, *, replace: bool = False, keeps_old: bool = True) -> None:
    """Write the `classes.txt` of a data set.

    If there is one already, raise `DataError`, or with `replace` keep it as `classes-before.txt`, numbered from the
    second one on, unless `keeps_old` is False.
    """
    file = root / CLASSES_FILE
    if file.exists() and not replace:
        raise DataError(f"{file} exists already; edit it, nothing is overwritten.")
    lines = (f"{name} {color}\n" for name, color in zip(classes.names, classes.colors, strict=True))
    try:
        if file.exists() and keeps_old:
            shutil.copy2(file, unused(file.with_name(BEFORE)))
        with replacing(file) as target:
            target.write("".join(lines).encode())
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror}; check whose folder it is.") from error


def classes_of_folder(root: Path, photo_dir: Path, masks: dict[str, Path]) -> tuple[Classes, bool]:
    """Return the classes of a data set, and whether a classes.txt or VOC's own folder names them.

    VOC's palette does not: many other programs write it too.
    """
    file = root / CLASSES_FILE
    if file.exists():
        return read_classes(file), True
    palette_N3 = _usual_palette(list(masks.values())[:PEEKED_MASKS])
    assumed = (VOC_CLASSES, True) if _is_voc(root, photo_dir, masks) else (NUMBERED, False)
    if palette_N3 is None or has_voc_palette(palette_N3) or not classes_of_palette(palette_N3):
        return assumed
    # Writers cut a palette after the last colour that a mask uses: the longest one has all classes.
    palettes = (palette for palette in map(palette_in, masks.values()) if palette is not None)
    longest_N3 = max((palette for palette in palettes if _begins_alike(palette_N3, palette)), key=len)
    return (own, False) if (own := classes_of_palette(longest_N3)) else assumed


def _is_voc(root: Path, photo_dir: Path, masks: Collection[str]) -> bool:
    """Return whether layout and names (of the folder, or of most photos) are VOC's; labelme writes VOC's layout too.

    A repaired copy has the layout whatever it is a copy of: that of VOC has a classes.txt.
    """
    if photo_dir.name != VOC_PHOTOS or (root / REPAIR_REPORT).exists():
        return False
    num_of_voc = sum(VOC_NAME.fullmatch(name) is not None for name in masks)
    return VOC_FOLDER.fullmatch(root.resolve().name) is not None or 2 * num_of_voc > len(masks)


def _begins_alike(a_N3: NDArray[np.uint8], b_N3: NDArray[np.uint8]) -> bool:
    common = min(len(a_N3), len(b_N3))
    return bool((a_N3[:common] == b_N3[:common]).all())


def _usual_palette(masks: list[Path]) -> NDArray[np.uint8] | None:
    """Return the most frequent palette, (N, 3), None if most masks have none."""
    palettes = Counter(None if palette is None else palette.tobytes() for palette in map(palette_in, masks))
    usual = palettes.most_common(1)[0][0] if palettes else None
    return None if usual is None else np.frombuffer(usual, dtype=np.uint8).reshape(-1, 3)


def palette_in(mask: Path) -> NDArray[np.uint8] | None:
    """Return the palette of a mask, (N, 3), None if it has none or cannot be read (reported elsewhere)."""
    try:
        with Image.open(regular(mask)) as image:
            palette = image.getpalette("RGB") if image.mode == "P" else None
    except (OSError, SyntaxError, ValueError):
        return None
    return None if palette is None else np.array(palette, dtype=np.uint8).reshape(-1, 3)
