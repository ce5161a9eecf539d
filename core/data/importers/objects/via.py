"""VGG Image Annotator (VIA) 1 and 2: a project, or its annotations as JSON or CSV.

Polygons, circles and ellipses are drawn as COCO draws polygons, later regions over earlier ones. A rectangle is not an
outline and stays void, as do regions without a class; points and lines have no area. A region's class is the value of
its attribute; where regions have several attributes, `--names` says which. A file of each split may lie beside its
photos.
"""

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import is_coordinate, member, of_kind, peeked, read_json
from core.data.importers.objects.outlines import MIN_NUMBERS, ellipse, polygons_region
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Canvas, Plan, Size, Source, box_region, drawing_of, number_labels, tidy
from core.data.importers.source_splits import split_of
from core.data.pair_names import composed
from core.errors import DataError
from core.files import by_number, read_lines

PROJECT = "_via_img_metadata"
HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
COLUMNS = HEADER.count(",") + 1
OF_VERSION_3 = {"project", "file", "view", "metadata"}
KEYS = {"rect": ("x", "y", "width", "height"), "circle": ("cx", "cy", "r", "r"), "ellipse": ("cx", "cy", "rx", "ry")}
WITHOUT_AREA = ("point", "polyline", "line")
UNNAMED = "class 1"


@dataclass(frozen=True)
class Region:
    """A region: its outline, and its attributes."""

    shape: dict[str, Any]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A photo in a file: its name or address, the bytes it had, and its regions."""

    file: Path
    name: str
    size_bytes: Any
    regions: tuple[Region, ...]


def recognise_via(source: Source) -> str | None:
    """Return what speaks for VIA: its project, a JSON object of photos with regions, or the head of its CSV."""
    for file, document in peeked(source.path):
        if _is_via(document):
            return f"{file.name} holds regions of VIA"
    try:
        return next((f"{file.name} begins as VIA's CSV does" for file in _csv_files(source.path)), None)
    except DataError:
        return None


def plan_via(source: Source, notes: Notes) -> Plan:
    """Plan a project or an export, or a folder that holds them; the values of an attribute, sorted, are the classes."""
    entries = [*_entries(source.path, notes)]
    if not entries:
        raise DataError(f"{source.path} holds no project of VIA 1 or 2; save the project, or export its annotations.")
    photos = PhotoFolder(source.photos or (source.path if source.path.is_dir() else source.path.parent), notes)
    found = [(entry, _photo(entry, photos)) for entry in entries]
    if missing := [entry.name for entry, photo in found if not photo]:
        raise missing_photos(missing, len(entries), source.path, photos.root)
    for entry, photo in found:
        is_other = (
            isinstance(entry.size_bytes, int) and 0 < entry.size_bytes != photo.stat().st_size if photo else False
        )
        notes.count("Photos of other bytes than those that were annotated: check that none is resized", photo, is_other)
    attribute = _attribute(entries, source, notes)
    regions = (region for entry in entries for region in entry.regions if region.shape.get("name") not in WITHOUT_AREA)
    labels = {label for region in regions if (label := _label(region, attribute))}
    classes, ids = number_labels(sorted(labels, key=by_number), source.path, notes)
    drawings = [
        drawing_of(photo, partial(_paint, entry, attribute, ids, notes), split=split_of(photo, photos.root))
        for entry, photo in found
        if photo
    ]
    return Plan(classes, photos.drawings_of(drawings), has_named_classes=attribute is not None)


def refuse_version_3(document: Any, file: Path) -> None:
    """Raise `DataError` for a project of VIA 3."""
    if isinstance(document, dict) and document.keys() >= OF_VERSION_3:
        raise DataError(f"{file} is a project of VIA 3, which is not read; annotate photos with VIA 2.")


def _entries(path: Path, notes: Notes) -> Iterator[Entry]:
    """Give what the files of a folder, or one file, hold: JSON before CSV."""
    for file in [path] if path.is_file() else files_in(path, (".json",)):
        document = read_json(file, notes) if file.suffix.lower() != ".csv" else None
        refuse_version_3(document, file)
        if _is_via(document):
            for entry in document.get(PROJECT, document).values():
                yield _entry_of_json(of_kind(entry, dict, "a photo", file), file)
    for file in _csv_files(path):
        yield from _entries_of_csv(file)


def _is_via(document: Any) -> TypeGuard[dict[str, Any]]:
    if not isinstance(document, dict):
        return False
    first = next(iter(document.values()), None)
    return PROJECT in document or (isinstance(first, dict) and first.keys() >= {"filename", "regions"})


def _csv_files(path: Path) -> list[Path]:
    files = [path] if path.is_file() and path.suffix.lower() == ".csv" else []
    files = files_in(path, (".csv",)) if path.is_dir() else files
    return [file for file in files if "".join(read_lines(file)[:1]).lstrip("#") == HEADER]


def _entry_of_json(entry: dict[str, Any], file: Path) -> Entry:
    """Return a photo; version 1 has its regions in an object, version 2 in a list."""
    listed = entry.get("regions")
    regions = [*listed.values()] if isinstance(listed, dict) else of_kind(listed, list, "'regions' of a photo", file)
    return Entry(
        file,
        member(entry, "filename", str, "a photo", file),
        entry.get("size"),
        tuple(
            Region(
                member(of_kind(region, dict, "a region", file), "shape_attributes", dict, "a region", file),
                member(region, "region_attributes", dict, "a region", file),
            )
            for region in regions
        ),
    )


def _entries_of_csv(file: Path) -> Iterator[Entry]:
    """Give the photos of a CSV: a row for each region, or one for a photo without any."""
    rows: dict[tuple[str, str], list[list[str]]] = {}
    for row in csv.reader(read_lines(file)[1:]):
        if len(row) != COLUMNS:
            raise DataError(f"{file} holds a row of {len(row)} values instead of {COLUMNS}; export it again.")
        rows.setdefault((row[0], row[1]), []).append(row)
    for (name, size_bytes), of_photo in rows.items():
        is_empty = [row[3:5] for row in of_photo] == [["0", "0"]]
        whole = [[str(len(of_photo)), str(at)] for at in range(len(of_photo))]
        if not is_empty and [row[3:5] for row in of_photo] != whole:
            raise DataError(f"{file} does not hold as many regions of {tidy(name)} as it says; export it again.")
        parts = [] if is_empty else [Region(_object(row[5], file), _object(row[6], file)) for row in of_photo]
        yield Entry(file, name, int(size_bytes) if size_bytes.isdecimal() else None, tuple(parts))


def _object(text: str, file: Path) -> dict[str, Any]:
    try:
        return of_kind(json.loads(text), dict, "a region", file)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} holds a region that is not JSON ({error}); export it again.") from error


def _photo(entry: Entry, photos: PhotoFolder) -> Path | None:
    """Return a photo by its name or address; of several of one name, that of as many bytes as it had."""
    name = unquote(urlsplit(entry.name).path) if "://" in entry.name else entry.name
    last = composed(name).replace("\\", "/").rpartition("/")[2]
    alike = [file for file in photos.files if composed(file.name) == last]
    of_size = [file for file in alike if file.is_file() and file.stat().st_size == entry.size_bytes]
    split = split_of(entry.file, photos.root) if entry.file.is_relative_to(photos.root) else None
    return of_size[0] if len(alike) > len(of_size) == 1 else photos.find(name.lstrip("/"), split)


def _attribute(entries: Sequence[Entry], source: Source, notes: Notes) -> str | None:
    """Return the attribute that holds the class, None where regions have none; of several, a person says which."""
    values: dict[str, set[str]] = {}
    for region in (region for entry in entries for region in entry.regions):
        for name in region.attributes:
            values.setdefault(name, set()).add(_label(region, name) or "")
    listed = "; ".join(f"{tidy(name)} ({', '.join(sorted(found - {''})[:4])})" for name, found in values.items())
    if source.names and source.names not in values:
        raise DataError(f"{source.path} has no attribute '{source.names}' of regions; there are: {listed or 'none'}.")
    if len(values) > 1 and not source.names:
        raise DataError(
            f"The regions of {source.path} have several attributes: {listed}; say which is the class with --names."
        )
    if not values:
        notes.say("The regions have no attribute that says their class, so all are of one class without a name.")
    return source.names or next(iter(values), None)


def _label(region: Region, attribute: str | None) -> str | None:
    """Return the class of a region: a text, or the one box that is ticked; None where nothing says it."""
    value = UNNAMED if attribute is None else region.attributes.get(attribute)
    if isinstance(value, dict):
        ticked = [str(key) for key, is_ticked in value.items() if is_ticked is True]
        value = ticked[0] if len(ticked) == 1 else None
    return tidy(str(value)) or None if isinstance(value, str | int) and not isinstance(value, bool) else None


def _paint(entry: Entry, attribute: str | None, ids: dict[str, int], notes: Notes, size: Size) -> NDArray[np.uint8]:
    canvas = Canvas(size, notes, entry.file)
    notes.count("Photos without annotations, which are background all over", entry.name, not entry.regions)
    for region in entry.regions:
        kind, label = str(region.shape.get("name")), _label(region, attribute)
        if kind in WITHOUT_AREA:
            notes.count("Points and lines skipped, as they have no area", entry.file)
            continue
        region_HW = _covered(region.shape, kind, size)
        if region_HW is None:
            notes.count("Regions that cannot be drawn, so what nobody drew in their photos is void", entry.file)
            canvas.leave_void(None)
        elif kind == "rect" or not label:
            notes.count("Rectangles, which are not outlines, and regions without a class left void", entry.file)
            canvas.leave_void(region_HW)
        else:
            canvas.paint(region_HW, ids[label])
    return canvas.finished()


def _covered(shape: dict[str, Any], kind: str, size: Size) -> NDArray[np.bool_] | None:
    """Return what a region covers, None where it cannot be drawn."""
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys) or 2 * len(xs) < MIN_NUMBERS:
            return None
        corners = [number for corner in zip(xs, ys, strict=True) for number in corner]
        return polygons_region([corners], size) if all(map(is_coordinate, corners)) else None
    numbers = [shape.get(key) for key in KEYS.get(kind, ())] + [shape.get("theta", 0)]
    if kind not in KEYS or not all(map(is_coordinate, numbers)):
        return None
    x, y, across, down, turn = (float(number) for number in numbers if number is not None)
    if kind == "rect":
        return box_region(x, y, x + across, y + down, size)
    return polygons_region([ellipse(x, y, across, down, math.degrees(turn))], size)
