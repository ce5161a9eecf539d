"""Masks in colours, and a table that says which colour is which class, as CamVid and Cityscapes have them.

The table is CamVid's `label_colors.txt` (red, green, blue, name), a CSV (name, red, green, blue), CVAT's `labelmap.txt`
(name:red,green,blue::) or our own `classes.txt` (name #rrggbb). Void names become 255. A class called background is 0;
without one, background is added in front. A mask is called as its photo, or has `_L`, `_mask`, `_label`, `_labels`,
`_gt` or `_color` behind; Cityscapes' `_leftImg8bit` and `_gtFine_color` are known too. A mask of ids instead of
colours, as Cityscapes' `_gtFine_labelIds`, counts where there is no coloured one; its table says `7 7 7 road` for id 7.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.classes import NAMED_COLOR, Classes
from core.data.importers.masks.mask_file import read_mask_file
from core.data.importers.notes import Notes
from core.data.importers.photo_folder import Part, files_in, mask_parts, no_masks
from core.data.importers.plan import Plan, Size, Source, drawing_of, is_background, number_labels, tidy
from core.data.pair_names import JPEG_SUFFIXES, PHOTO_SUFFIXES
from core.errors import DataError
from core.files import read_lines
from core.wording import count

TABLES = ("label_colors.txt", "class_dict.csv", "labelmap.txt", "classes.txt")
ENDINGS = ("", "_L", "_mask", "_label", "_labels", "_gt", "_color", "_gtFine_color", "_gtCoarse_color")
ID_ENDINGS = ("_gtFine_labelIds", "_gtCoarse_labelIds", "_labelIds")
UNUSED_ENDINGS = ("_gtFine_instanceIds", "_gtCoarse_instanceIds", "_instanceIds")
PHOTO_ENDING = "_leftImg8bit"
OPAQUE = 255

CAMVID_LINE = re.compile(r"(?P<r>\d+)\s+(?P<g>\d+)\s+(?P<b>\d+)\s+(?P<name>\S.*)")
CSV_LINE = re.compile(r'"?(?P<name>[^",;]+?)"?\s*[,;]\s*(?P<r>\d+)\s*[,;]\s*(?P<g>\d+)\s*[,;]\s*(?P<b>\d+)\s*')
CVAT_LINE = re.compile(r"(?P<name>[^:]+):(?P<r>\d+),(?P<g>\d+),(?P<b>\d+):.*")
CSV_HEADER = re.compile(r'"?(name|class|label)"?\s*[,;].*', re.IGNORECASE)

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ColorIds:
    """Colours as numbers 0xrrggbb in rising order, and the class id of each."""

    file: Path
    codes_N: NDArray[np.int64]
    ids_N: NDArray[np.uint8]


def plan_color_table(source: Source, notes: Notes) -> Plan:
    """Plan a folder of coloured masks; photos lie in it, in its `images` or `photos`, or in the folder given."""
    parts = mask_parts(source, notes)
    classes, ids = _read_table(_table_file(source), notes)
    drawings = [
        drawing_of(photo, partial(_paint, mask, ids), split=part.split_of(photo))
        for part in parts
        for photo, mask in _pairs(part, notes)
    ]
    if not drawings:
        raise no_masks(parts[0], "masks as their photos")
    return Plan(classes, drawings)


# --- the table ------------------------------------------------------------------------------------------------------


def _table_file(source: Source) -> Path:
    places = [source.path / name for name in TABLES] + [source.path.parent / name for name in TABLES]
    file = source.table or next((place for place in places if place.is_file()), None)
    if not file:
        raise DataError(f"{source.path} holds none of {', '.join(TABLES)}; name the table of colours with --table.")
    return file


def _read_table(file: Path, notes: Notes) -> tuple[Classes, ColorIds]:
    """Read a table of colours; a line that is none, and a colour with two meanings, raise `DataError`."""
    entries = [_entry(line, file) for at, line in enumerate(read_lines(file)) if not _is_heading(line, at)]
    first_colors: dict[str, str] = {}
    for name, color in entries:
        first_colors.setdefault(name, "#{:02x}{:02x}{:02x}".format(*color))
    classes, ids = number_labels(first_colors, file, notes, first_colors)
    if not any(map(is_background, first_colors)):
        notes.say(f"'background' was added as class 0, as {file.name} names none.")
    meanings: dict[int, str] = {}
    for name, color in entries:
        other = meanings.setdefault(_code(color), name)
        if ids[other] != ids[name]:
            raise DataError(f"{file} gives '{other}' and '{name}' the same colour; take one of the two lines out.")
    codes = sorted(meanings)
    return classes, ColorIds(file, np.array(codes), np.array([ids[meanings[code]] for code in codes], dtype=np.uint8))


def _is_heading(line: str, at: int) -> bool:
    return line.startswith("#") or (at == 0 and CSV_HEADER.fullmatch(line) is not None and not CSV_LINE.fullmatch(line))


def _entry(line: str, file: Path) -> tuple[str, Color]:
    for pattern in (CAMVID_LINE, CSV_LINE, CVAT_LINE):
        if parts := pattern.fullmatch(line):
            red, green, blue = (int(parts[channel]) for channel in "rgb")
            if max(red, green, blue) <= 255:
                return tidy(parts["name"]), (red, green, blue)
    if parts := NAMED_COLOR.fullmatch(line):
        red, green, blue = bytes.fromhex(parts[2][1:])
        return tidy(parts[1]), (red, green, blue)
    raise DataError(f"{file} holds the line '{line[:60]}', which is no name with a colour from 0 to 255; correct it.")


def _code(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


# --- the files ------------------------------------------------------------------------------------------------------


def _pairs(part: Part, notes: Notes) -> list[tuple[Path, Path]]:
    """Return the photos of a part that have a mask, and their masks."""
    photos, masks = _photos_and_masks(part.photos, part.masks)
    by_name = _Names(masks, part.masks)
    mask_of: dict[Path, Path] = {}
    for photo in photos:
        mask = by_name.mask_of(photo, part.photos)
        notes.count("Photos without a mask left out", photo, mask is None)
        mask_of |= {photo: mask} if mask else {}
    second = {f"{_bare(photo)}{ending}" for photo in mask_of for ending in (*ENDINGS, *ID_ENDINGS, *UNUSED_ENDINGS)}
    for mask in sorted(set(masks) - {*mask_of.values()} - set(photos)):
        kind = "Second masks of a photo" if mask.stem in second else "Masks without a photo"
        notes.count(f"{kind} left out", mask)
    return list(mask_of.items())


def _bare(photo: Path) -> str:
    """Return what a photo and its mask have in common in their names."""
    return photo.stem.removesuffix(PHOTO_ENDING)


def _photos_and_masks(photo_root: Path, mask_root: Path) -> tuple[list[Path], list[Path]]:
    """Return photos and masks; where one folder lies in the other, the inner one's pictures are its alone."""
    photos, masks = files_in(photo_root, PHOTO_SUFFIXES), files_in(mask_root, PHOTO_SUFFIXES)
    if photo_root == mask_root:
        marked = set(_marked(masks))
        return [photo for photo in photos if photo not in marked], masks
    if mask_root.is_relative_to(photo_root):
        return [photo for photo in photos if not photo.is_relative_to(mask_root)], masks
    return photos, [mask for mask in masks if not mask.is_relative_to(photo_root)]


def _marked(files: Sequence[Path]) -> list[Path]:
    """Return the files that are called as another one with an ending behind: the masks among photos."""
    stems = {(file.parent, file.stem) for file in files}
    return [
        file
        for file in files
        if any(
            file.stem.endswith(end) and (file.parent, file.stem.removesuffix(end)) in stems
            for end in (*ENDINGS[1:], *ID_ENDINGS, *UNUSED_ENDINGS)
        )
    ]


class _Names:
    """Masks by their path and by their name, both without the suffix."""

    def __init__(self, masks: Sequence[Path], root: Path) -> None:
        self._by_path = {mask.relative_to(root).with_suffix("").as_posix(): mask for mask in masks}
        self._by_stem: dict[str, list[Path]] = {}
        for mask in masks:
            self._by_stem.setdefault(mask.stem, []).append(mask)

    def mask_of(self, photo: Path, root: Path) -> Path | None:
        """Return the mask of a photo, first from the same subfolder; two that fit raise `DataError`."""
        folder, stem = photo.relative_to(root).parent, _bare(photo)
        for ending in (*ENDINGS, *ID_ENDINGS):
            mask = self._by_path.get((folder / f"{stem}{ending}").as_posix())
            if mask and mask != photo:
                return mask
        for ending in (*ENDINGS, *ID_ENDINGS):
            masks = [mask for mask in self._by_stem.get(f"{stem}{ending}", []) if mask != photo]
            if len(masks) > 1:
                raise DataError(f"{photo} may belong to {masks[0]} or {masks[1]}; give each mask a name of its own.")
            if masks:
                return masks[0]
        return None


# --- the pixels -----------------------------------------------------------------------------------------------------


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
