"""COCO instances: a JSON file with `images`, `annotations` and `categories`, and a folder of photos.

A folder may hold one such file for each split, as Roboflow (`train/_annotations.coco.json`) and COCO itself
(`annotations/instances_val2017.json`) do: all are imported at once, categories of one name being one class.

Categories become classes 1, 2, ... in the order of their ids, which may have gaps; those of one name share a class.
Polygons are rasterised by pycocotools, which gives them the pixels whose centres they hold: (1, 1), (3, 1), (3, 3),
(1, 3) covers 2 x 2 pixels. Run lengths may be compressed or not. Crowds (`iscrowd`) become void and are painted first,
unless so many that they must be objects, as CVAT exports them; then larger areas before smaller ones.
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

from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import is_coordinate, member, of_kind, peeked, read_json, size_in
from core.data.importers.objects.outlines import MIN_NUMBERS, counts_of, region_of, run_lengths_of
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import (
    Canvas,
    Drawing,
    Plan,
    Size,
    Source,
    box_region,
    drawing_of,
    number_labels,
    tidy,
)
from core.data.importers.source_splits import SPLITS, split_in_name, split_of
from core.errors import DataError
from core.files import by_number
from core.voc import VOID

Annotation = dict[str, Any]
Key = int | str
"""An id: what it is does not matter, only that it is the same."""
USUAL_NAMES = ("instances*.json", "_annotations.coco.json")
MAX_CROWD_SHARE = 0.1
"""About 1 % of COCO's own annotations are crowds; in what CVAT exports, every brush mask is marked as one."""


@dataclass(frozen=True)
class Instances:
    """What one file says: its split, the label of each category, path and size of each image, and its annotations."""

    file: Path
    split: str | None
    labels: dict[Key, str]
    images: dict[Key, tuple[str, Size | None]]
    annotations: dict[Key, list[Annotation]]

    def labelled(self) -> list[tuple[str, Annotation]]:
        """Return all annotations with their labels."""
        return [(self.label_of(one), one) for of_image in self.annotations.values() for one in of_image]

    def label_of(self, annotation: Annotation) -> str:
        """Return the label of an annotation."""
        return self.labels[key_of(annotation["category_id"], "'category_id' of an annotation", self.file)]


@dataclass(frozen=True)
class Painting:
    """Which id each label is painted with, and the labels of which crowds are objects all the same."""

    ids: dict[str, int]
    labels_of_objects: frozenset[str]


def recognise_coco(source: Source) -> str | None:
    """Return what speaks for COCO instances: a JSON document of images, annotations and categories."""
    for file, document in peeked(source.path):
        if isinstance(document, dict) and {"images", "annotations", "categories"} <= document.keys():
            annotations = document["annotations"]
            first = annotations[0] if isinstance(annotations, list) and annotations else None
            if not (isinstance(first, dict) and "segments_info" in first):
                return f"{file.name} holds images, annotations and categories"
    return None


def plan_coco(source: Source, notes: Notes) -> Plan:
    """Plan an instances file, or a folder that holds one, or one for each split."""
    parts = [_read_instances(file, split, notes) for file, split in _instances_files(source.path).items()]
    where = parts[0].file if len(parts) == 1 else source.path
    classes, ids = number_labels(chain.from_iterable(part.labels.values() for part in parts), where, notes)
    painting = Painting(ids, _labels_of_brush_masks(list(chain.from_iterable(part.labelled() for part in parts))))
    photos = PhotoFolder(source.photos or (source.path if source.path.is_dir() else source.path.parent), notes)
    drawings = (
        _drawing(part, image, photo, photos.root, painting, notes)
        for part in parts
        for image, photo in _photos_of(part, photos).items()
    )
    return Plan(classes, photos.drawings_of(drawings))


def _instances_files(path: Path) -> dict[Path, str | None]:
    """Return the files to read, that of train first, and the split of each: None where there is one file alone."""
    if path.is_file():
        return {path: None}
    files = files_in(path, (".json",))
    files = [file for file in files if any(map(file.match, USUAL_NAMES))] or files
    if len(files) == 1:
        return {files[0]: None}
    splits = {file: split_of(file, path) or split_in_name(file.stem) for file in files}
    if len(files) > 1 and all(map(_is_of_one_photo, files)):
        return splits
    if not files or None in splits.values() or len({*splits.values()}) < len(files):
        raise DataError(
            f"{path} holds {len(files)} JSON files instead of one, or of one for each split; name the one that holds "
            "the instances."
        )
    return dict(sorted(splits.items(), key=lambda one: SPLITS.index(str(one[1]))))


def _read_instances(file: Path, split: str | None, notes: Notes) -> Instances:
    document = of_kind(read_json(file, notes), dict, "the document", file)
    labels = _labels(document, file)
    _drop_project(document, labels, file, notes)
    if len(set(labels.values())) < len(labels):
        notes.say("Categories of the same name share a class.")
    images = _images(document, file)
    return Instances(file, split, labels, images, _annotations_by_image(document, file, images, labels, notes))


def _is_of_one_photo(file: Path) -> bool:
    images = document.get("images") if isinstance(document := read_json(file), dict) else None
    return isinstance(images, list) and len(images) == 1


def _photos_of(part: Instances, photos: PhotoFolder) -> dict[Key, Path]:
    """Return the photo of each image; one that is not there raises `DataError`."""
    found = {image: photos.find(path, part.split) for image, (path, _) in part.images.items()}
    if missing := [part.images[image][0] for image, photo in found.items() if photo is None]:
        raise missing_photos(missing, len(found), part.file, photos.root)
    return {image: photo for image, photo in found.items() if photo}


def _drawing(part: Instances, image: Key, photo: Path, root: Path, painting: Painting, notes: Notes) -> Drawing:
    annotations = part.annotations.get(image, [])
    notes.count("Photos without annotations, which are background all over", photo, not annotations)
    paint = partial(_paint, part, annotations, painting, notes)
    return drawing_of(photo, paint, part.images[image][1], part.split or split_of(photo, root))


# --- the document ---------------------------------------------------------------------------------------------------


def key_of(value: Any, what: str, file: Path) -> Key:
    """Return an id as a key: 1, 1.0 and "1" are one; what is no id raises `DataError`."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip():
        return int(value) if value.isascii() and value.isdigit() else value
    return of_kind(value, int, what, file)


def _labels(document: dict[str, Any], file: Path) -> dict[Key, str]:
    """Return the name of each category in the order of their ids; two of one id raise `DataError`."""
    names: dict[Key, str] = {}
    for category in member(document, "categories", list, "the document", file):
        of_kind(category, dict, "a category", file)
        name = tidy(member(category, "name", str, "a category", file))
        key = key_of(category.get("id"), "'id' of a category", file)
        if key in names:
            raise DataError(f"{file} gives the id {key} to two categories, {names[key]} and {name}; give each its own.")
        names[key] = name
    return dict(sorted(names.items(), key=lambda one: by_number(str(one[0]))))


def _drop_project(document: dict[str, Any], labels: dict[Key, str], file: Path, notes: Notes) -> None:
    """Take out the category that Roboflow puts first: it bears the project's name, stands over all, and is unused."""
    parents = {tidy(str(one.get("supercategory"))) for one in document["categories"]}
    annotations = member(document, "annotations", list, "the document", file)
    used = {str(one.get("category_id")) for one in annotations if isinstance(one, dict)}
    for category in document["categories"]:
        name, key = tidy(category["name"]), key_of(category["id"], "'id' of a category", file)
        if category.get("supercategory") == "none" and parents == {"none", name} and str(key) not in used:
            del labels[key]
            notes.say(f"The category '{name}' left out: it stands over all others, and nothing is of it.")


def _images(document: dict[str, Any], file: Path) -> dict[Key, tuple[str, Size | None]]:
    """Return the path and the stated size of each photo by its id; two of one id raise `DataError`."""
    found: dict[Key, tuple[str, Size | None]] = {}
    for image in member(document, "images", list, "the document", file):
        of_kind(image, dict, "an image", file)
        path = member(image, "file_name", str, "an image", file)
        key = key_of(image.get("id"), "'id' of an image", file)
        if key in found:
            raise DataError(f"{file} gives the id {key} to two images, {found[key][0]} and {path}; give each its own.")
        found[key] = path, size_in(image, "width", "height")
    return found


def _annotations_by_image(
    document: dict[str, Any], file: Path, images: dict[Key, Any], labels: dict[Key, str], notes: Notes
) -> dict[Key, list[Annotation]]:
    by_image: dict[Key, list[Annotation]] = {}
    for annotation in member(document, "annotations", list, "the document", file):
        of_kind(annotation, dict, "an annotation", file)
        image = key_of(annotation.get("image_id"), "'image_id' of an annotation", file)
        category = key_of(annotation.get("category_id"), "'category_id' of an annotation", file)
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
    """Return whether an annotation is a mask marked as a crowd, of COCO's or an object that CVAT exported."""
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
        counts, is_whole = _run_lengths(annotation, size, part.file, notes)
        if not is_whole:
            canvas.leave_void(_box(annotation, size))
        if counts:
            label = part.label_of(annotation)
            is_object = _is_brush(annotation) and label in painting.labels_of_objects
            notes.count(
                "Masks marked 'iscrowd' painted as objects, because they are many and CVAT marks every brush mask",
                part.file,
                is_object,
            )
            drawn.append((_is_crowd(annotation) and not is_object, painting.ids[label], counts))
    for is_crowd, class_id, counts in sorted(drawn, key=lambda one: (not one[0], -sum(one[2][1::2]))):
        canvas.paint(region_of(counts, size), VOID if is_crowd else class_id)
        notes.count("Crowds painted as void", part.file, is_crowd)
    return canvas.finished()


def _box(annotation: Annotation, size: Size) -> NDArray[np.bool_] | None:
    """Return where an annotation says that its object is, None where it does not."""
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != len("xywh") or not all(map(is_coordinate, box)):
        return None
    return box_region(box[0], box[1], box[0] + box[2], box[1] + box[3], size)


def _run_lengths(annotation: Annotation, size: Size, file: Path, notes: Notes) -> tuple[list[int] | None, bool]:
    """Return a region as run lengths that fill the frame, and whether that is all of it; what is missing is noted."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return counts_of(segmentation, size, file), True
    if not isinstance(segmentation, list) or not segmentation:
        notes.count("Annotations without a segmentation, which are void in their boxes", file)
        return None, False
    polygons = [segmentation] if all(map(is_coordinate, segmentation)) else segmentation
    usable = [polygon for polygon in polygons if _is_usable(polygon, file, notes)]
    return run_lengths_of(usable, size) if usable else None, len(usable) == len(polygons)


def _is_usable(polygon: Any, file: Path, notes: Notes) -> bool:
    if not isinstance(polygon, list) or len(polygon) % 2 or not all(map(is_coordinate, polygon)):
        notes.count("Polygons that are no pairs of numbers, which are void in their boxes", file)
        return False
    notes.count("Polygons with fewer than 3 points, which are void in their boxes", file, len(polygon) < MIN_NUMBERS)
    return len(polygon) >= MIN_NUMBERS
