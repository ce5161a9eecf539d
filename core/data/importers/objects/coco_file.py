"""Reading COCO's JSON: categories, images and annotations, in one file or in one for each split or photo."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import member, of_kind, read_json, size_in
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Size, tidy
from core.data.importers.source_splits import SPLITS, split_in_name, split_of
from core.errors import DataError
from core.files import by_number

Annotation = dict[str, Any]
Key = int | str
"""An id: what it is does not matter, only that it is the same."""
MEMBERS = frozenset(("images", "annotations", "categories"))


@dataclass(frozen=True)
class CocoFile:
    """What one file says: its split, the label of each category, path and size of each image, and its annotations."""

    file: Path
    split: str | None
    labels: dict[Key, str]
    images: dict[Key, tuple[str, Size | None]]
    annotations: dict[Key, list[Annotation]]

    @property
    def is_panoptic(self) -> bool:
        """Return whether any annotation holds segments."""
        return any("segments_info" in one for of_image in self.annotations.values() for one in of_image)

    def labelled(self) -> list[tuple[str, Annotation]]:
        """Return all annotations with their labels."""
        return [(self.label_of(one), one) for of_image in self.annotations.values() for one in of_image]

    def label_of(self, annotation: Annotation) -> str:
        """Return the label of an annotation, or of a segment."""
        return self.labels[key_of(annotation["category_id"], "'category_id' of an annotation", self.file)]

    def photos_in(self, photos: PhotoFolder) -> dict[Key, Path]:
        """Return the photo of each image; one that is not there raises `DataError`."""
        found = {image: photos.find(path, self.split) for image, (path, _) in self.images.items()}
        if missing := [self.images[image][0] for image, photo in found.items() if photo is None]:
            raise missing_photos(missing, len(found), self.file, photos.root)
        return {image: photo for image, photo in found.items() if photo}


def read_coco(path: Path, usual_names: Collection[str], notes: Notes) -> list[CocoFile]:
    """Read a file, or those of a folder, that of train first; files of these names (patterns) count before others."""
    files = {path: None} if path.is_file() else _files_in(path, usual_names, notes)
    return [_read(file, split, notes) for file, split in files.items()]


def _files_in(path: Path, usual_names: Collection[str], notes: Notes) -> dict[Path, str | None]:
    """Return the files to read and the split of each: None where there is one file alone."""
    found = files_in(path, (".json",))
    files = [file for file in found if any(map(file.match, usual_names))]
    if not files and len(found) > 1:
        files = [file for file in found if is_coco(read_json(file))]
        notes.count("JSON files without images, annotations and categories left out", path, len(found) - len(files))
    files = files or found
    if len(files) == 1:
        return {files[0]: None}
    splits = {file: split_of(file, path) or split_in_name(file.stem) for file in files}
    if len(files) > 1 and all(map(_is_of_one_photo, files)):
        return splits
    if not files or None in splits.values() or len({*splits.values()}) < len(files):
        raise DataError(
            f"{path} holds {len(files)} JSON files instead of one, or of one for each split; name the one that holds "
            "the annotations."
        )
    return dict(sorted(splits.items(), key=lambda one: SPLITS.index(str(one[1]))))


def is_coco(document: Any) -> bool:
    """Return whether a document has the members that COCO's have."""
    return isinstance(document, dict) and document.keys() >= MEMBERS


def is_panoptic(document: Any) -> bool:
    """Return whether a document is of COCO's panoptic format."""
    annotations = document["annotations"] if is_coco(document) else None
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    return isinstance(first, dict) and "segments_info" in first


def is_crowd(annotation: Annotation) -> bool:
    """Return whether an annotation is of many objects, whose outline is rough."""
    return annotation.get("iscrowd") in (1, "1")


def _is_of_one_photo(file: Path) -> bool:
    images = document.get("images") if isinstance(document := read_json(file), dict) else None
    return isinstance(images, list) and len(images) == 1


def _read(file: Path, split: str | None, notes: Notes) -> CocoFile:
    document = of_kind(read_json(file, notes), dict, "the document", file)
    labels = _labels(document, file)
    _drop_project(document, labels, file, notes)
    if len(set(labels.values())) < len(labels):
        notes.say("Categories of the same name share a class.")
    images = _images(document, file)
    return CocoFile(file, split, labels, images, _annotations_by_image(document, file, images, labels, notes))


def key_of(value: Any, what: str, file: Path) -> Key:
    """Return an id as a key: 1, 1.0 and "1" are one; what is not id raises `DataError`."""
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
    listed = (one.get("category_id") for annotation in annotations for one in _with_category(annotation, file))
    used = {key_of(category, "'category_id' of an annotation", file) for category in listed}
    for category in document["categories"]:
        name, key = tidy(category["name"]), key_of(category["id"], "'id' of a category", file)
        if category.get("supercategory") == "none" and parents == {"none", name} and key not in used:
            del labels[key]
            notes.say(f"The category '{name}' left out: it stands over all others, and nothing is of it.")


def _with_category(annotation: Any, file: Path) -> Iterator[dict[str, Any]]:
    """Give an annotation, or the segments of a panoptic one: what has a category."""
    of_kind(annotation, dict, "an annotation", file)
    for one in segments_of(annotation, file) if "segments_info" in annotation else [annotation]:
        yield of_kind(one, dict, "a segment", file)


def segments_of(annotation: Annotation, file: Path) -> list[dict[str, Any]]:
    """Return the segments of a panoptic annotation."""
    return member(annotation, "segments_info", list, "an annotation", file)


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
        for one in _with_category(annotation, file):
            category = key_of(one.get("category_id"), "'category_id' of an annotation", file)
            if category not in labels:
                raise DataError(f"{file} uses category {category}, which 'categories' does not list; add it there.")
            if one.get("iscrowd") not in (None, 0, 1, "0", "1"):
                raise DataError(f"{file} has an 'iscrowd' of {one['iscrowd']!r}, not of 0 or 1; export it again.")
        image = key_of(annotation.get("image_id"), "'image_id' of an annotation", file)
        if image in images:
            by_image.setdefault(image, []).append(annotation)
        notes.count("Annotations of photos that 'images' does not list left out", file, image not in images)
    return by_image
