"""Masks in colours, and a table that says which colour is which class, as CamVid and Cityscapes have them.

The table is CamVid's `label_colors.txt` (red, green, blue, name), a CSV (name, red, green, blue), CVAT's `labelmap.txt`
(name:red,green,blue::) or our own `classes.txt` (name #rrggbb). Void names become 255. A class called background is 0;
without one, background is added in front. Which mask is which photo's is said in `pairs`. A mask of ids instead of
colours, as Cityscapes' `_gtFine_labelIds`, counts where there is no coloured one; its table says `7 7 7 road` for id 7.
"""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASSES_FILE, NAMED_COLOR, Classes
from core.data.importers.masks.mask_file import read_mask_file
from core.data.importers.masks.pairs import find_pairs
from core.data.importers.notes import Notes
from core.data.importers.plan import Plan, Size, Source, drawing_of, is_background, number_labels, tidy
from core.data.pair_names import JPEG_SUFFIXES
from core.errors import DataError
from core.files import read_lines
from core.wording import count

TABLES = ("label_colors.txt", "class_dict.csv", "labelmap.txt", "classes.txt")
OPAQUE = 255

CAMVID_LINE = re.compile(r"(?P<r>\d+)\s+(?P<g>\d+)\s+(?P<b>\d+)\s+(?P<name>\S.*)")
CSV_LINE = re.compile(
    r'(?:"(?P<quoted>[^"]+)"|(?P<name>[^",;]+?))\s*[,;]\s*(?P<r>\d+)\s*[,;]\s*(?P<g>\d+)\s*[,;]\s*(?P<b>\d+)\s*'
)
CVAT_LINE = re.compile(r"(?P<name>.+?):(?P<r>\d+),(?P<g>\d+),(?P<b>\d+):.*")
CSV_HEADER = re.compile(r'"?(name|class|label)"?\s*[,;].*', re.IGNORECASE)

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ColorIds:
    """Colours as numbers 0xrrggbb in rising order, and the class id of each."""

    file: Path
    codes_N: NDArray[np.int64]
    ids_N: NDArray[np.uint8]


def recognise_color_table(source: Source) -> str | None:
    """Return what speaks for masks in colours: a table of them, and pairs whose first mask is in colours."""
    try:
        table = _table_file(source)
        _read_table(table, Notes())
        first = find_pairs(source, Notes(), is_colored=True)[0].mask
        picture = read_mask_file(first)
    except DataError:
        return None
    is_colored = picture.mode == "P" and table.name != CLASSES_FILE
    if picture.mode in ("RGB", "RGBA"):
        rgb_HW3 = np.asarray(picture.convert("RGB"))
        is_colored = bool(np.any(rgb_HW3 != rgb_HW3[:, :, :1]))
    return f"{first.name} is in colours, and {table.name} names them" if is_colored else None


def refuse_table(source: Source) -> None:
    """Raise `DataError` for a table in the source that cannot be read; a classes.txt needs no colours."""
    table = next((source.path / name for name in TABLES if (source.path / name).is_file()), None)
    if table and table.name != CLASSES_FILE:
        _read_table(table, Notes())


def plan_color_table(source: Source, notes: Notes) -> Plan:
    """Plan a folder of coloured masks, and a table of their colours."""
    if not source.path.is_dir():
        raise DataError(f"{source.path} is not a folder; name the folder that holds the masks.")
    classes, ids = _read_table(_table_file(source), notes)
    pairs = find_pairs(source, notes, is_colored=True)
    drawings = [drawing_of(pair.photo, partial(_paint, pair.mask, ids), split=pair.split) for pair in pairs]
    return Plan(classes, drawings)


def _table_file(source: Source) -> Path:
    places = [source.path / name for name in TABLES] + [source.path.parent / name for name in TABLES]
    file = source.table or next((place for place in places if place.is_file()), None)
    if not file:
        raise DataError(f"{source.path} holds none of {', '.join(TABLES)}; name the table of colours with --table.")
    return file


def _read_table(file: Path, notes: Notes) -> tuple[Classes, ColorIds]:
    """Read a table of colours; a line that is none, and a colour with two meanings, raise `DataError`."""
    lines = read_lines(file)
    has_heading = bool(lines) and bool(CSV_HEADER.fullmatch(lines[0])) and not CSV_LINE.fullmatch(lines[0])
    entries = [entry_of(line, file) for line in lines[has_heading:] if not line.startswith("#")]
    first_colors: dict[str, str] = {}
    for name, color in entries:
        first_colors.setdefault(name, "#{:02x}{:02x}{:02x}".format(*color))
    classes, ids = number_labels(first_colors, file, notes, first_colors)
    if not any(map(is_background, first_colors)):
        notes.say(f"'background' was added as class 0, as {file.name} names none.")
    meanings: dict[int, str] = {}
    for name, color in entries:
        other = meanings.setdefault(int.from_bytes(color), name)
        if ids[other] != ids[name]:
            raise DataError(f"{file} gives '{other}' and '{name}' the same colour; take one of the two lines out.")
    codes = sorted(meanings)
    return classes, ColorIds(file, np.array(codes), np.array([ids[meanings[code]] for code in codes], dtype=np.uint8))


def entry_of(line: str, file: Path) -> tuple[str, Color]:
    """Return the name and colour in a line of a table; a line that is none raises `DataError`."""
    for pattern in (CAMVID_LINE, CSV_LINE, CVAT_LINE):
        if parts := pattern.fullmatch(line):
            red, green, blue = (int(parts[channel]) for channel in "rgb")
            if max(red, green, blue) <= 255:
                return tidy(parts["name"] or parts["quoted"]), (red, green, blue)
    if parts := NAMED_COLOR.fullmatch(line):
        red, green, blue = bytes.fromhex(parts[2][1:])
        return tidy(parts[1]), (red, green, blue)
    raise DataError(
        f"{file} holds the line '{line[:60]}', which is not a name with a colour from 0 to 255; correct it."
    )


def _paint(mask: Path, ids: ColorIds, _size: Size) -> NDArray[np.uint8]:
    """Return the ids of a coloured mask; a colour that the table does not name raises `DataError`."""
    picture = read_mask_file(mask)
    if picture.mode.startswith(("I", "F")):
        raise DataError(f"{mask} is a {picture.mode} picture without colours; export the masks as RGB.")
    rgba_HW4 = np.asarray(picture.convert("RGBA"))
    if picture.has_transparency_data and np.any(rgba_HW4[:, :, 3] < OPAQUE):
        raise DataError(f"{mask} is transparent in places, so its colours are not certain; save it without alpha.")
    codes_HW = rgba_HW4[:, :, 0].astype(np.int64) << 16 | rgba_HW4[:, :, 1].astype(np.int64) << 8 | rgba_HW4[:, :, 2]
    places_HW = np.searchsorted(ids.codes_N, codes_HW).clip(max=len(ids.codes_N) - 1)
    is_known_HW = ids.codes_N[places_HW] == codes_HW
    if not is_known_HW.all():
        raise _unknown_color(mask, codes_HW[~is_known_HW], ids.file, is_grey=picture.mode == "L")
    return np.asarray(ids.ids_N[places_HW], dtype=np.uint8)


def _unknown_color(mask: Path, codes_N: NDArray[np.int64], table: Path, *, is_grey: bool) -> DataError:
    codes, counts = np.unique(codes_N, return_counts=True)
    most = int(counts.argmax())
    others = f" and {count(len(codes) - 1, 'other colour')}" if len(codes) > 1 else ""
    pixels = count(int(counts[most]), "pixel")
    remedy = "add the colour to the table"
    if is_grey:
        remedy += "; a grey mask that holds class ids needs a table with a line like '7 7 7 road' for id 7"
    elif len(codes) > 1 or mask.suffix.lower() in JPEG_SUFFIXES:
        remedy += "; if the masks were ever saved as JPEG, their colours are noise: save them as PNG from the start"
    return DataError(
        f"{mask} holds the colour #{codes[most]:06x} in {pixels}{others}, which {table} does not name; {remedy}."
    )
