"""Supervisely: `meta.json`, and in each data set a folder `img` of photos and a folder `ann` of JSON files.

Objects are drawn over each other in their order: polygons with the edge and without their holes, as Supervisely draws
them, and bitmaps (a PNG packed by zlib, in base64). A rectangle is drawn too. Points and lines have no area.
"""

import base64
import binascii
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.importers.masks.mask_file import any_color, read_picture
from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import member, of_kind, peeked, points_of, read_json, size_in
from core.data.importers.objects.outlines import patch, polygon, rectangle
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Canvas, Plan, Size, Source, drawing_of, number_labels, tidy
from core.data.importers.source_splits import split_of
from core.errors import DataError
from core.files import by_number

WITHOUT_AREA = ("point", "line", "polyline", "graph")
MIN_CORNERS = 3
MAX_BITMAP_BYTES = 100_000_000


def recognise_supervisely(source: Source) -> str | None:
    """Return what speaks for Supervisely: JSON documents of a size and objects with class titles."""
    for file, document in peeked(source.path) if source.path.is_dir() else []:
        if isinstance(document, dict) and isinstance(document.get("size"), dict) and "objects" in document:
            return f"{file.name} holds a size and objects"
    return None


def plan_supervisely(source: Source, notes: Notes) -> Plan:
    """Plan a project, or one of its data sets; the names of its classes are sorted."""
    if not source.path.is_dir():
        raise DataError(f"{source.path} is not a folder; name the folder of the project.")
    files = [file for file in files_in(source.path, (".json",)) if _is_annotation(file, notes)]
    if not files:
        raise DataError(f"{source.path} holds no annotations of Supervisely; name the folder that holds meta.json.")
    photos = PhotoFolder(source.photos or source.path, notes)
    found = {file: photos.at(_beside(file, photos.root)) or photos.find(file.stem) for file in files}
    if missing := [file.stem for file, photo in found.items() if not photo]:
        raise missing_photos(missing, len(files), source.path, photos.root)
    labels = {_label(file, one) for file in files for one in _objects(file) if _kind(file, one) not in WITHOUT_AREA}
    classes, ids = number_labels(sorted(labels, key=by_number), source.path, notes)
    drawings = []
    for file, photo in found.items():
        size = size_in(member(read_json(file), "size", dict, "the document", file), "width", "height")
        if photo:
            paint = partial(_paint, file, ids, notes)
            drawings.append(drawing_of(photo, paint, size, split_of(photo, photos.root)))
    return Plan(classes, photos.drawings_of(drawings))


def _is_annotation(file: Path, notes: Notes) -> bool:
    document = read_json(file, notes)
    return isinstance(document, dict) and "objects" in document and "size" in document


def _beside(file: Path, root: Path) -> str:
    """Return the path of the photo of `ds/ann/a.jpg.json`: `ds/img/a.jpg`."""
    path = file.parent.parent / "img" / file.stem
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file.stem


def _objects(file: Path) -> list[dict[str, Any]]:
    listed = member(read_json(file), "objects", list, "the document", file)
    return [of_kind(one, dict, "an object", file) for one in listed]


def _label(file: Path, one: dict[str, Any]) -> str:
    return tidy(member(one, "classTitle", str, "an object", file))


def _kind(file: Path, one: dict[str, Any]) -> str:
    return member(one, "geometryType", str, "an object", file)


def _paint(file: Path, ids: dict[str, int], notes: Notes, size: Size) -> NDArray[np.uint8]:
    canvas = Canvas(size, notes, file)
    objects = _objects(file)
    notes.count("Photos without annotations, which are background all over", file, not objects)
    for one in objects:
        kind = _kind(file, one)
        if kind in WITHOUT_AREA:
            notes.count("Points and lines skipped, as they have no area", file)
            continue
        region_HW = _region(file, one, kind, size)
        if region_HW is None:
            notes.count(f"Objects '{kind}' that cannot be drawn, so what nobody drew in their photos is void", file)
            canvas.leave_void(None)
        else:
            canvas.paint(region_HW, ids[_label(file, one)])
    return canvas.finished()


def _region(file: Path, one: dict[str, Any], kind: str, size: Size) -> NDArray[np.bool_] | None:
    """Return what an object covers, None where it cannot be drawn."""
    if kind == "bitmap":
        bitmap = member(one, "bitmap", dict, "an object", file)
        corner = points_of([bitmap.get("origin")])
        return patch(_bitmap(file, bitmap), corner[0], size) if corner else None
    about = one.get("points")
    outer = points_of(about.get("exterior")) if isinstance(about, dict) else None
    holes = about.get("interior") if isinstance(about, dict) else None
    inner = [points_of(hole) for hole in holes] if isinstance(holes, list) else [None]
    if kind == "rectangle" and outer and len(outer) == len("12"):
        return rectangle(outer, size)
    rings = [outer, *inner]
    if kind != "polygon" or any(ring is None or len(ring) < MIN_CORNERS for ring in rings):
        return None
    region_HW, *of_holes = [polygon(ring, size) for ring in rings if ring]
    for hole_HW in of_holes:
        region_HW &= ~hole_HW
    return region_HW


def _bitmap(file: Path, bitmap: dict[str, Any]) -> NDArray[np.bool_]:
    data = member(bitmap, "data", str, "a bitmap", file)
    try:
        packed = zlib.decompressobj()
        png = packed.decompress(base64.b64decode(data, validate=True), MAX_BITMAP_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DataError(f"{file} holds a bitmap that cannot be unpacked ({error}); export it again.") from error
    picture = read_picture(png, f"A bitmap of {file}")
    bands = picture.getbands()
    if "A" in bands:
        return np.asarray(picture.getchannel("A")) > 0
    return np.asarray(picture) > 0 if len(bands) == 1 else any_color(picture)
