"""CVAT's XML "for images 1.1": polygons, boxes, ellipses and masks of each image, in one file.

Polygons are drawn as COCO draws them; later shapes (by `z_order`, then by their place) cover earlier ones. A box is no
outline and stays void, as do shapes that cannot be drawn. Points and lines have no area.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLParser

import numpy as np
from numpy.typing import NDArray

from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import is_coordinate
from core.data.importers.objects.outlines import MIN_NUMBERS, ellipse, polygons_region, region_in_box, turned
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Canvas, Plan, Size, Source, box_region, drawing_of, number_labels, tidy
from core.data.importers.source_splits import split_called, split_of
from core.data.pair_names import composed
from core.errors import DataError
from core.files import by_number, regular

WITHOUT_AREA = ("points", "polyline", "skeleton", "tag", "cuboid")
SHAPES = ("polygon", "box", "ellipse", "mask")
ROOT = "annotations"


def recognise_cvat_xml(source: Source) -> str | None:
    """Return what speaks for CVAT: an XML document of annotations that holds images."""
    try:
        file = _xml_file(source)
        return f"{file.name} holds images with shapes" if file and _images(file) else None
    except DataError:
        return None


def refuse_cvat_xml(source: Source) -> None:
    """Raise `DataError` for a document of CVAT that is not read, as one of a video, and for XML that is cut off."""
    files = files_in(source.path, (".xml",)) if source.path.is_dir() else []
    if len(files) > 1 and all(_root(file).tag == ROOT for file in files[:2]):
        raise DataError(f"{source.path} holds {len(files)} XML files of CVAT; import each by its name, or export one.")
    if file := _xml_file(source):
        root = _root(file)
        if root.tag == ROOT:
            _images_in(root, file)


def plan_cvat_xml(source: Source, notes: Notes) -> Plan:
    """Plan an XML file, or the folder that holds one."""
    file = _xml_file(source)
    if not file:
        raise DataError(f"{source.path} holds no XML file, or several; name the one that CVAT exported.")
    images = _images(file)
    labels = {tidy(shape.get("label", "")) for image in images for shape in image if shape.tag in SHAPES}
    classes, ids = number_labels(sorted(labels - {""}, key=by_number), file, notes)
    photos = PhotoFolder(source.photos or file.parent, notes)
    found = [(image, _photo(image, photos)) for image in images]
    if missing := [image.get("name", "") for image, photo in found if not photo]:
        raise missing_photos(missing, len(images), file, photos.root)
    drawings = []
    for image, photo in found:
        if photo:
            split = split_of(photo, photos.root) or split_called(image.get("subset", ""))
            drawings.append(drawing_of(photo, partial(_paint, image, ids, file, notes), _size(image), split))
    return Plan(classes, photos.drawings_of(drawings))


def _photo(image: Element, photos: PhotoFolder) -> Path | None:
    """Return the photo of an image; those of a project lie in folders called after their subsets."""
    name, subset = image.get("name", ""), image.get("subset", "")
    end = composed(f"/{subset}/{name}")
    in_subset = [file for file in photos.files if subset and composed(file.as_posix()).endswith(end)]
    if len(in_subset) == 1:
        return photos.claim(in_subset[0], end.lstrip("/"))
    return photos.find(name, split_called(subset))


def _xml_file(source: Source) -> Path | None:
    if source.path.is_file():
        return source.path
    files = files_in(source.path, (".xml",))
    return files[0] if len(files) == 1 else None


def _images(file: Path) -> list[Element]:
    root = _root(file)
    if root.tag != ROOT:
        raise DataError(f"{file} holds no annotations of CVAT; export the task as 'CVAT for images 1.1'.")
    return _images_in(root, file)


def _images_in(root: Element, file: Path) -> list[Element]:
    images = root.findall("image")
    if not images:
        raise DataError(f"{file} holds no images; export the task as 'CVAT for images 1.1', not for video.")
    return images


def _root(file: Path) -> Element:
    """Return the root of a document; entities, which can grow without end, and what is not XML raise `DataError`."""
    try:
        data = regular(file).read_bytes()
        if b"<!" in data.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
            raise DataError(f"{file} declares entities, which CVAT does not; export it again.")
        parser = XMLParser()  # noqa: S314  entities are refused above, and nothing outside the file is read
        parser.feed(data)
        return parser.close()
    except (OSError, ParseError, ValueError, LookupError) as error:
        raise DataError(f"{file} is not a whole XML file ({error}); export it again.") from error


def _size(image: Element) -> Size | None:
    sides = [_number(image.get("width")), _number(image.get("height"))]
    return (round(sides[0]), round(sides[1])) if all(side and side >= 1 for side in sides) else None  # type: ignore[arg-type]


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if is_coordinate(number) else None


def _paint(image: Element, ids: dict[str, int], file: Path, notes: Notes, size: Size) -> NDArray[np.uint8]:
    canvas = Canvas(size, notes, file)
    shapes = sorted((shape for shape in image if shape.tag != "tag"), key=lambda one: _number(one.get("z_order")) or 0)
    unordered = [shape for shape in shapes if _number(shape.get("z_order")) is None]
    is_mixed = len(unordered) < len(shapes)
    notes.count("Shapes without a number as z_order, which is taken for 0", file, len(unordered) if is_mixed else 0)
    notes.count("Photos without annotations, which are background all over", file, not shapes)
    for shape in shapes:
        label = tidy(shape.get("label", ""))
        if shape.tag in WITHOUT_AREA:
            notes.count("Points, lines and boxes in space skipped, as they have no area", file)
            continue
        region_HW = _region(shape, size)
        if region_HW is None:
            notes.count(f"Shapes '{shape.tag}' that cannot be drawn, so what nobody drew in their photos is void", file)
            canvas.leave_void(None)
        elif shape.tag == "box" or not label:
            notes.count("Boxes, which are not outlines, and shapes without a label left void", file)
            canvas.leave_void(region_HW)
        else:
            canvas.paint(region_HW, ids[label])
    return canvas.finished()


def _region(shape: Element, size: Size) -> NDArray[np.bool_] | None:
    """Return what a shape covers, None where it cannot be drawn."""
    if shape.tag == "polygon":
        numbers = list(_numbers(shape.get("points", "").replace(";", ",")))
        is_whole = len(numbers) >= MIN_NUMBERS and len(numbers) % 2 == 0 and None not in numbers
        return polygons_region([[number for number in numbers if number is not None]], size) if is_whole else None
    names = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry")}.get(shape.tag, ())
    names = names or (("left", "top", "width", "height") if shape.tag == "mask" else ())
    found = [number for name in names if (number := _number(shape.get(name))) is not None]
    turn = _number(shape.get("rotation", "0"))
    if not names or len(found) < len(names) or turn is None:
        return None
    if shape.tag == "ellipse":
        return polygons_region([ellipse(found[0], found[1], found[2], found[3], turn)], size)
    if shape.tag == "box":
        left, top, right, bottom = found
        across, down, center = (right - left) / 2, (bottom - top) / 2, ((left + right) / 2, (top + bottom) / 2)
        corners = turned(((-across, -down), (across, -down), (across, down), (-across, down)), center, turn)
        return polygons_region([corners], size) if turn else box_region(left, top, right, bottom, size)
    counts = [round(number) for number in _numbers(shape.get("rle", "")) if number is not None and number >= 0]
    if len(counts) < shape.get("rle", "").count(",") + 1:
        return None
    return region_in_box(counts, (round(found[0]), round(found[1])), (round(found[2]), round(found[3])), size)


def _numbers(text: str) -> Iterator[float | None]:
    return map(_number, text.split(","))
