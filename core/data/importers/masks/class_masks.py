"""One mask for each class: what is not black in it belongs to the class.

Either a folder for each class with masks called as the photos (`masks/leaf/plant.png`), or masks beside each other
called `plant_leaf.png` or `plant.leaf.png`. Classes are sorted by name, or ordered by a `classes.txt` given as the
table; where masks overlap, the later class covers the earlier one. JPEG masks are cut in the middle, and only read in
folders without photos. Beside masks called after their photo, a photo `plant_2.png` would count as a mask of
`plant.png`: keep such photos in a folder of their own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes, read_classes
from core.data.importers.masks.mask_file import CUT, any_color, is_smoothed, read_mask_file
from core.data.importers.masks.picture_path import means_mask, says_photos
from core.data.importers.notes import Notes
from core.data.importers.photo_folder import (
    PHOTO_FOLDERS,
    PhotoFolder,
    files_in,
    folders_in,
    mask_parts,
    no_masks,
)
from core.data.importers.plan import Canvas, Plan, Size, Source, drawing_of, number_labels, tidy
from core.data.pair_names import JPEG_SUFFIXES, PHOTO_SUFFIXES, composed
from core.errors import DataError
from core.files import by_number
from core.voc import BACKGROUND

SEPARATORS = "_."
LOSSLESS_SUFFIXES = (".png", ".gif", ".bmp", ".tif", ".tiff")
OBJECT_NUMBER = re.compile(r"(?<!class)(?<!label)(?:(?<=[^\W\d])[-_.]\d+|_[0-9a-f]{8})$")
"""A number, or that of a box in Open Images."""

SEVERAL = "Masks of several values, each of which was taken for the class"
OTHER_CASE = "Masks whose names differ from their photo's in upper and lower case"

ClassMask = tuple[str, Path]
"""A label and a mask file."""


def recognise_class_masks(source: Source) -> str | None:
    """Return what speaks for a mask for each class: masks called by photo and class, or in folders of classes."""
    notes = Notes()
    try:
        plan = plan_class_masks(source, notes)
        plan.drawings[0].paint((1, 1))
    except DataError:
        return None
    if any(sentence.startswith(SEVERAL) for sentence in notes.sentences()):
        return None
    names, folders = plan.classes.names[1:], {drawing.file.parent for drawing in plan.drawings}
    is_known = source.photos or all(folder == source.path or says_photos(folder.name) for folder in folders)
    return f"masks of the classes {', '.join(names[:4])}" if is_known and not any(map(means_mask, names)) else None


def plan_class_masks(source: Source, notes: Notes) -> Plan:
    """Plan a folder of masks; photos lie in it, in its `images` or `photos`, or in the folder given for them."""
    parts = mask_parts(source, notes)
    masks_of: dict[Path, list[ClassMask]] = {}
    splits: dict[Path, str | None] = {}
    for part in parts:
        folders = [each for each in folders_in(part.masks) if each.name not in PHOTO_FOLDERS and each != part.photos]
        folders = [folder for folder in folders if _mask_files(folder, part.photos)]
        found_here = (
            _in_folders(folders, part.photos, notes) if folders else _side_by_side(part.masks, part.photos, notes)
        )
        masks_of |= found_here
        splits |= {photo: part.split_of(photo) for photo in found_here}
    if not any(masks_of.values()):
        raise no_masks(parts[0], "them CLASS/PHOTO.png or PHOTO_CLASS.png")
    masks_of = _without_numbers(masks_of, notes)
    labels = sorted({label for found in masks_of.values() for label, _ in found}, key=by_number)
    classes, ids = _classes(labels, source, notes)
    incomplete = [photo for photo, found in masks_of.items() if found and len(dict(found)) < len(labels)]
    notes.count_all("Photos without a mask of some class, which is taken to be absent there", incomplete)
    for photo, found in masks_of.items():
        notes.count("Photos without any mask left out", photo, not found)
    drawings = [
        drawing_of(photo, partial(_paint, found, ids, notes), split=splits[photo])
        for photo, found in masks_of.items()
        if found
    ]
    return Plan(classes, drawings)


def _without_numbers(masks_of: dict[Path, list[ClassMask]], notes: Notes) -> dict[Path, list[ClassMask]]:
    """Return labels without the numbers of single objects, as leaf_0 and leaf_1, where every label has one."""
    labels = {label for found in masks_of.values() for label, _ in found}
    if not all(map(OBJECT_NUMBER.search, labels)):
        return masks_of
    notes.say("The numbers behind the classes are taken for those of single objects, as leaf in leaf_0 and leaf_1.")
    return {photo: [(OBJECT_NUMBER.sub("", label), file) for label, file in found] for photo, found in masks_of.items()}


def _classes(labels: list[str], source: Source, notes: Notes) -> tuple[Classes, dict[str, int]]:
    if not source.table:
        return number_labels(labels, source.path, notes)
    table = read_classes(source.table)
    if strays := [label for label in labels if label not in table.names]:
        raise DataError(f"{source.table} does not name the class '{strays[0]}' of {source.path}; add a line for it.")
    colors = dict(zip(table.names, table.colors, strict=True))
    return number_labels(table.names, source.table, notes, colors)


def _mask_files(folder: Path, photos: Path) -> list[Path]:
    """Return the masks of a folder: JPEGs too, unless photos lie in it."""
    return files_in(
        folder, LOSSLESS_SUFFIXES if photos.is_relative_to(folder) else (*LOSSLESS_SUFFIXES, *JPEG_SUFFIXES)
    )


def _in_folders(folders: list[Path], photo_root: Path, notes: Notes) -> dict[Path, list[ClassMask]]:
    """Return the masks of each photo, found under its name in the folders of the classes."""
    files = {folder: _mask_files(folder, photo_root) for folder in folders}
    photos = PhotoFolder(photo_root, notes, [file for found in files.values() for file in found]).files
    by_stem = _by_stem(photos)
    spelled = _spellings(by_stem)
    masks_of: dict[Path, list[ClassMask]] = {photo: [] for photo in photos}
    for folder, found in files.items():
        for file in found:
            stem = composed(file.stem)
            called = spelled.get(stem) or spelled.get(stem.casefold())
            notes.count("Masks without a photo left out", file, called is None)
            if called:
                notes.count(OTHER_CASE, file, called != stem)
                masks_of[by_stem[called]].append((tidy(composed(folder.name)), file))
    return masks_of


def _by_stem(photos: Sequence[Path]) -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    for photo in photos:
        first = by_stem.setdefault(composed(photo.stem), photo)
        if first != photo:
            raise DataError(
                f"{first} and {photo} have the same name, so their masks cannot be told apart; rename one of them."
            )
    return by_stem


def _spellings(stems: Iterable[str]) -> dict[str, str]:
    """Return the names of photos by how they may be spelled: as they are, or in lower case where that is of one."""
    folded: dict[str, set[str]] = {}
    for stem in stems:
        folded.setdefault(stem.casefold(), set()).add(stem)
    alone = {spelling: min(found) for spelling, found in folded.items() if len(found) == 1}
    return alone | {stem: stem for found in folded.values() for stem in found}


def _side_by_side(masks: Path, photo_root: Path, notes: Notes) -> dict[Path, list[ClassMask]]:
    """Return the masks of each photo, called as the photo and the class; the longest fitting photo name counts."""
    pictures = files_in(photo_root, PHOTO_SUFFIXES)
    stems = _spellings({composed(picture.stem) for picture in pictures})
    found = _mask_files(masks, photo_root)
    files = [file for file in found if _split_name(file.stem, stems)]
    by_stem = _by_stem(PhotoFolder(photo_root, notes, files).files)
    spelled = _spellings(by_stem)
    known = {*files, *by_stem.values()}
    notes.count_all("Masks without a photo left out", [file for file in found if file not in known])
    masks_of: dict[Path, list[ClassMask]] = {photo: [] for photo in by_stem.values()}
    for file in files:
        if parts := _split_name(file.stem, spelled):
            notes.count(OTHER_CASE, file, not composed(file.stem).startswith(parts[0]))
            masks_of[by_stem[parts[0]]].append((parts[1], file))
    return masks_of


def _split_name(stem: str, spelled: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the photo's name and the label that make up a mask's name; the photo's own spelling comes first."""
    stem = composed(stem)
    cuts = [(stem[:at], tidy(stem[at + 1 :])) for at in range(len(stem) - 1, 0, -1) if stem[at] in SEPARATORS]
    found = [(start, label) for start, label in cuts if spelled.get(start) == start]
    found += [(spelled[start.casefold()], label) for start, label in cuts if start.casefold() in spelled]
    return found[0] if found and found[0][1] else None


def _region(file: Path, label: str, notes: Notes) -> NDArray[np.bool_]:
    """Return where a mask is not black; one that is black and white with grey edges is cut in the middle.

    A mask of several values that is called only "mask", not after a class, raises `DataError`.
    """
    picture = read_mask_file(file)
    is_lossy = file.suffix.lower() in JPEG_SUFFIXES
    grey_HW, is_grey = _values(picture, is_lossy=is_lossy)
    levels, numbers = np.unique(grey_HW, return_counts=True)
    counts = dict(zip(levels.tolist(), numbers.tolist(), strict=True))
    if is_lossy and levels[-1] >= CUT and not is_smoothed(counts, is_lossy=True):
        raise DataError(
            f"{file} is a JPEG of many greys, not black and white, so it is not a mask of a class; take it out."
        )
    if is_lossy or (is_grey and is_smoothed(counts, is_lossy=False)):
        notes.count(f"{'JPEG' if is_lossy else 'Smoothed'} masks cut at {CUT} of 255", file)
        return grey_HW >= CUT
    several = len(levels) - (levels[:1] == 0).sum() > 1
    if several and means_mask(label):
        listed = ", ".join(map(str, levels[:4].tolist()))
        raise DataError(
            f"{file} holds several values ({listed}), and '{label}' is not the name of a class; import the masks as "
            "id-masks, or as color-table."
        )
    notes.count(SEVERAL, file, several)
    return any_color(picture)


def _values(picture: Image.Image, *, is_lossy: bool) -> tuple[NDArray[Any], bool]:
    """Return the greys of a mask on black, and True; of a mask in colours, or a deep one, its values, and False.

    Where all that is visible has one colour, its alpha is the grey.
    """
    if is_lossy or picture.mode in ("L", "1"):
        return np.asarray(picture.convert("L")), True
    if picture.mode.startswith(("I", "F")):
        return np.asarray(picture), False
    rgba = picture.convert("RGBA")
    if picture.has_transparency_data:
        rgba_HW4 = np.asarray(rgba)
        visible_N3 = rgba_HW4[rgba_HW4[:, :, 3] > 0][:, :3]
        if visible_N3[:1].any() and (visible_N3 == visible_N3[:1]).all():
            return rgba_HW4[:, :, 3], True
    rgb_HW3 = np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba))[:, :, :3].astype(np.int64)
    if (rgb_HW3 == rgb_HW3[:, :, :1]).all():
        return rgb_HW3[:, :, 0], True
    return rgb_HW3 @ (1, 256, 65536), False


def _paint(masks: Sequence[ClassMask], ids: dict[str, int], notes: Notes, _size: Size) -> NDArray[np.uint8]:
    canvas = Canvas(read_mask_file(masks[0][1]).size, Notes(), masks[0][1])  # a mask without an object is nothing odd
    for label, file in sorted(masks, key=lambda one: ids[one[0]]):
        region_HW = _region(file, label, notes)
        if canvas.mask_HW.shape != region_HW.shape:
            raise DataError(f"{file} is of another size than {masks[0][1]}; export the masks of a photo at one size.")
        if ids[label] != BACKGROUND:
            overlap = canvas.paint(region_HW, ids[label])
            notes.count("Pixels in the masks of two classes, which went to the later one", file, overlap)
    return canvas.mask_HW
