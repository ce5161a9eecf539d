"""COCO instances: a JSON file with `images`, `annotations` and `categories`, and a folder of photos.

A folder may hold one such file for each split, as Roboflow (`train/_annotations.coco.json`) and COCO itself
(`annotations/instances_val2017.json`) do: all are imported at once, categories of one name being one class.

Categories become classes 1, 2, ... in the order of their ids, which may have gaps; those of one name share a class.
Polygons are rasterised by pycocotools, which gives them the pixels whose centres they hold: (1, 1), (3, 1), (3, 3),
(1, 3) covers 2 x 2 pixels. Run lengths may be compressed or not. Crowds (`iscrowd`) become void and are painted first,
unless they are so many that they must be objects, as in what CVAT exports; then larger areas are painted before smaller
ones, so that small objects stay visible.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.importers.json_file import is_coordinate, member, of_kind, read_json, size_in
from core.data.importers.notes import Notes
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Canvas, Drawing, Plan, Size, Source, drawing_of, number_labels, tidy
from core.data.importers.source_splits import SPLITS, split_in_name, split_of
from core.errors import DataError
from core.voc import VOID

Annotation = dict[str, Any]
USUAL_NAMES = ("instances*.json", "_annotations.coco.json")
MIN_NUMBERS = 6
MAX_CROWD_SHARE = 0.1
"""About 1 % of COCO's own annotations are crowds; in what CVAT exports, every brush mask is marked as one."""
MAX_COUNTS_CHARACTERS = 7
"""A run of 32 bits takes this many characters of 5 bits in a compressed `counts`."""


@dataclass(frozen=True)
class Instances:
    """What one file says: its split, the label of each category, path and size of each image, and its annotations."""

    file: Path
    split: str | None
    labels: dict[int, str]
    images: dict[int, tuple[str, Size | None]]
    annotations: dict[int, list[Annotation]]

    def labelled(self) -> list[tuple[str, Annotation]]:
        """Return all annotations with their labels."""
        return [(self.labels[one["category_id"]], one) for of_image in self.annotations.values() for one in of_image]


@dataclass(frozen=True)
class Painting:
    """Which id each label is painted with, and the labels of which crowds are objects all the same."""

    ids: dict[str, int]
    labels_of_objects: frozenset[str]


def plan_coco(source: Source, notes: Notes) -> Plan:
    """Plan an instances file, or a folder that holds one, or one for each split."""
    parts = [_read_instances(file, split, notes) for file, split in _instances_files(source.path).items()]
    where = parts[0].file if len(parts) == 1 else source.path
    classes, ids = number_labels(chain.from_iterable(part.labels.values() for part in parts), where, notes)
    painting = Painting(ids, _labels_of_brush_masks(list(chain.from_iterable(part.labelled() for part in parts))))
    photos = PhotoFolder(source.photos or (source.path if source.path.is_dir() else source.path.parent))
    drawings: dict[Path, Drawing] = {}
    for part in parts:
        for image, photo in _photos_of(part, photos).items():
            notes.count("Second entries of a photo left out", photo, photo in drawings)
            drawings.setdefault(photo, _drawing(part, image, photo, photos.root, painting, notes))
    return Plan(classes, list(drawings.values()))


def _instances_files(path: Path) -> dict[Path, str | None]:
    """Return the files to read, that of train first, and the split of each: None where there is one file alone."""
    if path.is_file():
        return {path: None}
    files = files_in(path, (".json",))
    files = [file for file in files if any(map(file.match, USUAL_NAMES))] or files
    if len(files) == 1:
        return {files[0]: None}
    splits = {file: split_of(file, path) or split_in_name(file.stem) for file in files}
    if not files or None in splits.values() or len({*splits.values()}) < len(files):
        raise DataError(
            f"{path} holds {len(files)} JSON files instead of one, or of one for each split; name the one that holds "
            "the instances."
        )
    return dict(sorted(splits.items(), key=lambda one: SPLITS.index(str(one[1]))))


def _read_instances(file: Path, split: str | None, notes: Notes) -> Instances:
    document = of_kind(read_json(file), dict, "the document", file)
    labels = _labels(document, file)
    if len(set(labels.values())) < len(labels):
        notes.say("Categories of the same name share a class.")
    images = _images(document, file)
    return Instances(file, split, labels, images, _annotations_by_image(document, file, images, labels, notes))


def _photos_of(part: Instances, photos: PhotoFolder) -> dict[int, Path]:
    """Return the photo of each image; one that is not there raises `DataError`."""
    found = {image: photos.find(path, part.split) for image, (path, _) in part.images.items()}
    if missing := [part.images[image][0] for image, photo in found.items() if photo is None]:
        raise missing_photos(missing, len(found), part.file, photos.root)
    return {image: photo for image, photo in found.items() if photo}


def _drawing(part: Instances, image: int, photo: Path, root: Path, painting: Painting, notes: Notes) -> Drawing:
    annotations = part.annotations.get(image, [])
    notes.count("Photos without annotations, which are background all over", photo, not annotations)
    paint = partial(_paint, part, annotations, painting, notes)
    return drawing_of(photo, paint, part.images[image][1], part.split or split_of(photo, root))


# --- the document ---------------------------------------------------------------------------------------------------


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
    document: dict[str, Any], file: Path, images: dict[int, Any], labels: dict[int, str], notes: Notes
) -> dict[int, list[Annotation]]:
    by_image: dict[int, list[Annotation]] = {}
    for annotation in member(document, "annotations", list, "the document", file):
        of_kind(annotation, dict, "an annotation", file)
        image = member(annotation, "image_id", int, "an annotation", file)
        category = member(annotation, "category_id", int, "an annotation", file)
        if category not in labels:
            raise DataError(f"{file} uses category {category}, which 'categories' does not list; add it there.")
        if image in images:
            by_image.setdefault(image, []).append(annotation)
        notes.count("Annotations of photos that 'images' does not list left out", file, image not in images)
    return by_image


# --- crowds ---------------------------------------------------------------------------------------------------------


def _is_crowd(annotation: Annotation) -> bool:
    return annotation.get("iscrowd") in (1, "1")


def _is_brush(annotation: Annotation) -> bool:
    """Tell whether an annotation is a mask marked as a crowd: a crowd of COCO, or an object that CVAT exported."""
    return _is_crowd(annotation) and isinstance(annotation.get("segmentation"), dict)


def _labels_of_brush_masks(labelled: Sequence[tuple[str, Annotation]]) -> frozenset[str]:
    """Return the labels whose masks are objects although they are marked as crowds.

    CVAT's export marks every mask that was painted with a brush. Those are taken for objects where no mask is without
    the mark, and either a tenth of all annotations has it, or all those of the label have.
    """
    has_plain_masks = any(isinstance(one.get("segmentation"), dict) and not _is_crowd(one) for _, one in labelled)
    if has_plain_masks:
        return frozenset()
    total = Counter(label for label, _ in labelled)
    marked = Counter(label for label, one in labelled if _is_brush(one))
    if marked.total() >= MAX_CROWD_SHARE * total.total():
        return frozenset(marked)
    return frozenset(label for label, count in marked.items() if count == total[label])


# --- the pixels -----------------------------------------------------------------------------------------------------


def _paint(
    part: Instances, annotations: list[Annotation], painting: Painting, notes: Notes, size: Size
) -> NDArray[np.uint8]:
    canvas = Canvas(size)
    drawn = []
    for annotation in annotations:
        if counts := _run_lengths(annotation, size, part.file, notes):
            label = part.labels[annotation["category_id"]]
            is_object = _is_brush(annotation) and label in painting.labels_of_objects
            notes.count(
                "Masks marked 'iscrowd' painted as objects, because they are many and CVAT marks every brush mask",
                part.file,
                is_object,
            )
            drawn.append((_is_crowd(annotation) and not is_object, painting.ids[label], counts))
    for is_crowd, class_id, counts in sorted(drawn, key=lambda one: (not one[0], -sum(one[2][1::2]))):
        canvas.paint(_region(counts, size), VOID if is_crowd else class_id)
        notes.count("Crowds painted as void", part.file, is_crowd)
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
