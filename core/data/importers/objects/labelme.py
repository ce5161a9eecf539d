"""JSON files of labelme, one for each photo, in a folder: shapes are drawn over each other in their order.

Polygons, rectangles (by two corners or, since labelme 5.5, by four; oriented ones too), circles and masks become
regions, edges included, as labelme itself draws them. Points and lines have no area and are skipped. `_background_`
and `__ignore__` are labelme's own background and void. Photos are found by `imagePath` within the source folder, else
by name there or in a folder of photos, or in `imageData`. Of several files of one photo, the one called as the photo
counts, or else the first.
"""

import base64
import binascii
import hashlib
import math
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.importers.masks.mask_file import any_color, read_picture
from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import member, of_kind, peeked, points_of, read_json, size_in
from core.data.importers.objects.outlines import BEYOND, Point, patch, polygon, reaches_beyond, rectangle
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Canvas, Drawing, Plan, Size, Source, drawing_of, number_labels, tidy
from core.data.importers.source_splits import split_of
from core.data.pair_names import composed
from core.errors import DataError
from core.files import by_number

NUM_POINTS = {
    "rectangle": (2, 4),
    "circle": (2,),
    "mask": (2,),
    "oriented_rectangle": (4,),
    "rotation": (4,),
    "quadrilateral": (4,),
}
WITHOUT_AREA = ("point", "points", "line", "linestrip")
MIN_CORNERS = 3


@dataclass(frozen=True)
class Sheet:
    """A JSON file without its pictures: the path and the size of its photo, a hash of it if carried, and the labels."""

    file: Path
    path: str
    size: Size | None
    carried: str | None
    labels: frozenset[str]

    @property
    def photo_name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.path)


def recognise_labelme(source: Source) -> str | None:
    """Return what speaks for labelme: JSON documents of shapes and an image path."""
    for file, document in peeked(source.path) if source.path.is_dir() else []:
        if isinstance(document, dict) and {"shapes", "imagePath"} <= document.keys():
            return f"{file.name} holds shapes and an imagePath"
    return None


def plan_labelme(source: Source, notes: Notes) -> Plan:
    """Plan a folder of labelme's JSON files; its labels, sorted, are the classes."""
    if not source.path.is_dir():
        raise DataError(f"{source.path} is not a folder; name the folder that holds labelme's JSON files.")
    sheets = [sheet for file in files_in(source.path, (".json",)) if (sheet := _read_sheet(file, notes))]
    if not sheets:
        raise DataError(f"{source.path} holds no JSON file of labelme; name the folder that its files were saved in.")
    photos = PhotoFolder(source.photos or source.path, notes)
    found = [(sheet, _photo_of(sheet, photos, notes, is_beside=not source.photos)) for sheet in sheets]
    if missing := [f"{sheet.path} of {sheet.file.name}" for sheet, photo in found if not photo and not sheet.carried]:
        raise missing_photos(missing, len(sheets), source.path, photos.root)
    found = _one_for_each_photo(found, notes)
    labels = {label for sheet, _ in found for label in sheet.labels}
    classes, ids = number_labels(sorted(labels, key=by_number), source.path, notes)
    drawings = []
    for sheet, photo in found:
        paint = partial(_paint, sheet.file, ids, notes)
        if photo:
            drawings.append(drawing_of(photo, paint, sheet.size, split_of(photo, photos.root)))
        else:
            name, split = Path(sheet.photo_name).stem or sheet.file.stem, split_of(sheet.file, source.path)
            drawings.append(Drawing(name, sheet.file, partial(_data, sheet.file), paint, sheet.size, split))
    return Plan(classes, photos.drawings_of(drawings))


def _photo_of(sheet: Sheet, photos: PhotoFolder, notes: Notes, *, is_beside: bool) -> Path | None:
    """Return the photo at the path that a file names, else the one that is called as the file, which is noted."""
    photo = _photo_beside(sheet, photos) if is_beside else photos.find(sheet.photo_name)
    folder = sheet.file.parent if is_beside else photos.root
    alike = [file for file in photos.files if file.parent == folder and file.stem == sheet.file.stem]
    is_of_other = bool(photo and alike and photo not in alike)
    notes.count("JSON files that name another photo than the one they are called as", sheet.file, is_of_other)
    if photo or sheet.carried:
        return photo
    if len(alike) == 1:
        notes.count(
            "Photos called as their JSON file taken instead of the ones it names, which are not there", alike[0]
        )
        return alike[0]
    elsewhere = [file for file in photos.files if composed(file.name) == composed(sheet.photo_name)]
    if len(elsewhere) == 1:
        notes.count("Photos found in another folder than the one their JSON file names", elsewhere[0])
        return photos.claim(elsewhere[0], _path_below(sheet, photos) if is_beside else sheet.path)
    if is_beside and _is_outside(_path_below(sheet, photos)):
        raise DataError(
            f"{sheet.file} looks for its photo outside the source folder ({tidy(sheet.path)}); name the folder of "
            "the photos with --photos."
        )
    return None


def _one_for_each_photo(found: Sequence[tuple[Sheet, Path | None]], notes: Notes) -> list[tuple[Sheet, Path | None]]:
    """Return one file for each photo: twice in the data set, a photo could be in train and in val."""
    chosen: dict[Path | str | None, tuple[Sheet, Path | None]] = {}
    for sheet, photo in sorted(found, key=lambda one: one[0].file.stem != Path(one[0].photo_name).stem):
        first, _ = chosen.setdefault(photo or sheet.carried, (sheet, photo))
        notes.count("JSON files left out because another one is of the same photo", sheet.file, first is not sheet)
    return sorted(chosen.values(), key=lambda one: one[0].file)


def _read_sheet(file: Path, notes: Notes) -> Sheet | None:
    document = read_json(file, notes)
    if not isinstance(document, dict) or not {"shapes", "imagePath"} <= document.keys():
        notes.count("JSON files without shapes and imagePath left out", file)
        return None
    path = member(document, "imagePath", str, "the document", file).replace("\\", "/")
    size = size_in(document, "imageWidth", "imageHeight")
    with_area = (shape for shape in _shapes(file, document) if _kind(file, shape) not in WITHOUT_AREA)
    labels = frozenset(_label(file, shape) for shape in with_area)
    data = document.get("imageData")
    return Sheet(file, path, size, hashlib.sha256(repr(data).encode()).hexdigest() if data else None, labels)


def _shapes(file: Path, document: Any) -> list[dict[str, Any]]:
    listed = member(document, "shapes", list, "the document", file)
    return [of_kind(shape, dict, "a shape", file) for shape in listed]


def _kind(file: Path, shape: dict[str, Any]) -> str:
    """Return the type of a shape; files of old versions state none, and hold polygons."""
    return tidy(of_kind(shape.get("shape_type") or "polygon", str, "'shape_type' of a shape", file))


def _label(file: Path, shape: dict[str, Any]) -> str:
    label = tidy(member(shape, "label", str, "a shape", file))
    if not label:
        raise DataError(f"{file} holds a shape without a label; label it, or delete it.")
    return label


def _photo_beside(sheet: Sheet, photos: PhotoFolder) -> Path | None:
    """Return the photo that a path leads to from the folder of its JSON file, if it stays within the source."""
    below = _path_below(sheet, photos)
    photo = None if _is_outside(below) else photos.at(below)
    return photos.claim(photo, below) if photo else None


def _path_below(sheet: Sheet, photos: PhotoFolder) -> str:
    return posixpath.normpath(posixpath.join(sheet.file.parent.relative_to(photos.root).as_posix(), sheet.path))


def _is_outside(path: str) -> bool:
    return path.startswith(("/", "../")) or path == ".." or ":" in path.partition("/")[0]


def _data(file: Path) -> bytes:
    """Return the photo that a JSON file carries."""
    data = member(read_json(file), "imageData", str, "the document", file)
    return _decoded(data, f"'imageData' of {file}")


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{what} is not base64 ({error}); save the file again in labelme.") from error


def _paint(file: Path, ids: dict[str, int], notes: Notes, size: Size) -> NDArray[np.uint8]:
    canvas = Canvas(size, notes, file)
    shapes = _shapes(file, read_json(file))
    notes.count("Photos without annotations, which are background all over", file, not shapes)
    for shape in shapes:
        if _kind(file, shape) in WITHOUT_AREA:
            notes.count("Points and lines skipped, as they have no area", file)
            continue
        region_HW = _region(file, shape, size, notes)
        if region_HW is None:
            canvas.leave_void(None)
        else:
            canvas.paint(region_HW, ids[_label(file, shape)])
    return canvas.finished()


def _region(file: Path, shape: dict[str, Any], size: Size, notes: Notes) -> NDArray[np.bool_] | None:
    """Return what a shape covers; a shape that cannot be drawn is noted and gives None."""
    kind, then = _kind(file, shape), "so what nobody drew in their photos is void"
    if kind != "polygon" and kind not in NUM_POINTS:
        notes.count(f"Shapes of the unknown type '{kind}' not drawn, {then}", file)
        return None
    points = points_of(member(shape, "points", list, "a shape", file))
    if points is None:
        notes.count(f"Shapes not drawn because a coordinate is not a number, {then}", file)
        return None
    if len(points) < MIN_CORNERS if kind == "polygon" else len(points) not in NUM_POINTS[kind]:
        notes.count(f"Shapes not drawn because a {kind} cannot have that number of points, {then}", file)
        return None
    notes.count(BEYOND, file, reaches_beyond([number for point in points for number in point], size))
    return _covered(file, shape, kind, points, size)


def _covered(file: Path, shape: dict[str, Any], kind: str, points: list[Point], size: Size) -> NDArray[np.bool_]:
    if kind == "mask":
        what = f"'mask' of a shape in {file}"
        picture = read_picture(_decoded(member(shape, "mask", str, "a shape", file), what), what)
        return patch(any_color(picture), points[0], size)
    if kind == "rectangle" and len(points) == 2:
        return rectangle(points, size)
    if kind == "circle":
        return circle(points, size)
    return polygon(points, size)


def circle(points: Sequence[Point], size: Size) -> NDArray[np.bool_]:
    """Return the pixels no further from the first point, the centre, than the second one, which lies on the edge."""
    (x, y), edge = points
    radius = math.dist((x, y), edge)
    width, height = size
    y_H1, x_1W = np.ogrid[:height, :width]
    return np.asarray((x_1W - x) ** 2 + (y_H1 - y) ** 2 <= radius**2 + 1e-6, dtype=np.bool_)
