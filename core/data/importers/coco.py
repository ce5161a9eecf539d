"""COCO instances: one JSON file with `images`, `annotations` and `categories`, and a folder of photos.

Categories become classes 1, 2, ... in the order of their ids, which may have gaps; those of one name share a class.
Polygons are rasterised by pycocotools, which gives them the pixels whose centres they hold: (1, 1), (3, 1), (3, 3),
(1, 3) covers 2 x 2 pixels. Run lengths may be compressed or not. Crowds (`iscrowd`) become void and are painted first;
then larger areas are painted before smaller ones, so that small objects stay visible.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.importers.json_file import is_coordinate, member, of_kind, read_json, size_in
from core.data.importers.notes import Notes
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Canvas, Plan, Size, Source, drawing_of, number_labels, tidy
from core.errors import DataError
from core.voc import VOID

Annotation = dict[str, Any]
MIN_NUMBERS = 6
MAX_COUNTS_CHARACTERS = 7
"""A run of 32 bits takes this many characters of 5 bits in a compressed `counts`."""


def plan_coco(source: Source, notes: Notes) -> Plan:
    """Plan an instances file, or a folder that holds exactly one."""
    file = _instances_file(source.path)
    document = of_kind(read_json(file), dict, "the document", file)
    labels = _labels(document, file)
    classes, ids = number_labels(labels.values(), file, notes)
    id_of_category = {category: ids[label] for category, label in labels.items()}
    if len(set(labels.values())) < len(labels):
        notes.say("Categories of the same name share a class.")
    images = _images(document, file)
    by_image = _annotations_by_image(document, file, images, id_of_category, notes)
    photos = PhotoFolder(source.photos or (source.path if source.path.is_dir() else file.parent))
    found = {image: photos.find(path) for image, (path, _) in images.items()}
    if missing := [images[image][0] for image, photo in found.items() if photo is None]:
        raise missing_photos(missing, len(images), file, photos.root)
    drawings = []
    for image, photo in found.items():
        if photo:
            notes.count("Photos without annotations, which are background all over", photo, image not in by_image)
            paint = partial(_paint, file, by_image.get(image, []), id_of_category, notes)
            drawings.append(drawing_of(photo, paint, images[image][1]))
    return Plan(classes, drawings)


def _instances_file(path: Path) -> Path:
    if path.is_file():
        return path
    files = files_in(path, (".json",))
    if len(files) != 1:
        raise DataError(f"{path} holds {len(files)} JSON files instead of one; name the one that holds the instances.")
    return files[0]


def _labels(document: dict[str, Any], file: Path) -> dict[int, str]:
    """Return the name of each category in the order of their ids."""
    listed = member(document, "categories", list, "the document", file)
    categories = [of_kind(category, dict, "a category", file) for category in listed]
    names = {
        member(category, "id", int, "a category", file): tidy(member(category, "name", str, "a category", file))
        for category in categories
    }
    return dict(sorted(names.items()))


def _images(document: dict[str, Any], file: Path) -> dict[int, tuple[str, Size | None]]:
    """Return the path and the stated size of each photo by its id."""
    found = {}
    for image in member(document, "images", list, "the document", file):
        of_kind(image, dict, "an image", file)
        path = member(image, "file_name", str, "an image", file)
        found[member(image, "id", int, "an image", file)] = path, size_in(image, "width", "height")
    return found


def _annotations_by_image(
    document: dict[str, Any], file: Path, images: dict[int, Any], categories: dict[int, int], notes: Notes
) -> dict[int, list[Annotation]]:
    by_image: dict[int, list[Annotation]] = {}
    for annotation in member(document, "annotations", list, "the document", file):
        of_kind(annotation, dict, "an annotation", file)
        image = member(annotation, "image_id", int, "an annotation", file)
        category = member(annotation, "category_id", int, "an annotation", file)
        if category not in categories:
            raise DataError(f"{file} uses category {category}, which 'categories' does not list; add it there.")
        if image in images:
            by_image.setdefault(image, []).append(annotation)
        notes.count("Annotations of photos that 'images' does not list left out", file, image not in images)
    return by_image


def _paint(
    file: Path, annotations: list[Annotation], id_of_category: dict[int, int], notes: Notes, size: Size
) -> NDArray[np.uint8]:
    canvas = Canvas(size)
    drawn = [(one, counts) for one in annotations if (counts := _run_lengths(one, size, file, notes))]
    for annotation, counts in sorted(drawn, key=lambda one: (not one[0].get("iscrowd"), -sum(one[1][1::2]))):
        is_crowd = bool(annotation.get("iscrowd"))
        canvas.paint(_region(counts, size), VOID if is_crowd else id_of_category[annotation["category_id"]])
        notes.count("Crowds painted as void", file, is_crowd)
    return canvas.mask_HW


def _region(counts: list[int], size: Size) -> NDArray[np.bool_]:
    """Return the region of some run lengths: column by column, the first run outside, then in and out in turns."""
    width, height = size
    is_inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(is_inside, counts).reshape(width, height).T


def _run_lengths(annotation: Annotation, size: Size, file: Path, notes: Notes) -> list[int] | None:
    """Return a region as run lengths that fill the frame; one that cannot be drawn is noted and gives None."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return _of_counts(segmentation, size, file)
    if not isinstance(segmentation, list) or not segmentation:
        notes.count("Annotations without a segmentation skipped", file)
        return None
    return _of_polygons(segmentation, size, file, notes)


def _of_polygons(polygons: list[Any], size: Size, file: Path, notes: Notes) -> list[int] | None:
    """Return the union of some polygons; corners further out than one frame are moved to there."""
    from pycocotools.mask import frPyObjects, merge

    usable = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) % 2 or not all(map(is_coordinate, polygon)):
            notes.count("Polygons skipped because they are no pairs of numbers", file)
        elif len(polygon) < MIN_NUMBERS:
            notes.count("Polygons with fewer than 3 points skipped", file)
        else:
            sides_2 = np.array(size)
            corners_N2 = np.clip(np.array(polygon, dtype=np.float64).reshape(-1, 2), -sides_2, 2 * sides_2)
            usable.append(corners_N2.ravel().tolist())
    if not usable:
        return None
    # pycocotools takes a list of 4 numbers for a box, which is why shorter polygons must not reach it.
    return _uncompressed(merge(frPyObjects(usable, size[1], size[0]))["counts"].decode())


def _of_counts(segmentation: dict[str, Any], size: Size, file: Path) -> list[int]:
    """Return run lengths that were compressed or are not; they must fill the frame exactly.

    They are not left to pycocotools, which does not check that: of too few counts it returns memory as it was.
    """
    width, height = size
    stated, counts = segmentation.get("size"), segmentation.get("counts")
    if stated != [height, width]:
        raise DataError(
            f"{file} holds run lengths of size {stated!r} for a photo of {[height, width]}; export it again."
        )
    if isinstance(counts, str):
        counts = _uncompressed(counts)
    whole = [count for count in counts if type(count) is int and count >= 0] if isinstance(counts, list) else []
    if counts != whole or sum(whole) != width * height:
        raise DataError(f"{file} holds run lengths that do not fill {width} x {height} pixels; export it again.")
    return whole


def _uncompressed(text: str) -> list[int] | None:
    """Return the counts that COCO's compressed text stands for, or None for any other text.

    Each character less 48 holds 5 bits, lowest first, and a sixth one that says whether more follow; the fifth bit of
    the last one is the sign. From the fourth count on, the difference to the count before the last one is stored.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift >= 5 * MAX_COUNTS_CHARACTERS:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        value -= (1 << shift) if code & 16 else 0
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return None if shift else counts
