"""COCO instances: a JSON file with `images`, `annotations` and `categories`, and a folder of photos.

A folder may hold one such file for each split, as Roboflow (`train/_annotations.coco.json`) and COCO itself
(`annotations/instances_val2017.json`) do: all are imported at once, categories of one name being one class.

Categories become classes 1, 2, ... in the order of their ids, which may have gaps; those of one name share a class.
Polygons are rasterised by pycocotools, which gives them the pixels whose centres they hold: (1, 1), (3, 1), (3, 3),
(1, 3) covers 2 x 2 pixels. Run lengths may be compressed or not. Crowds (`iscrowd`) become void and are painted first,
unless so many that they must be objects, as CVAT exports them; then larger areas before smaller ones.

The panoptic format has a JSON file of segments, and for each photo a PNG whose colours are their ids, R + 256 G +
65536 B. `annotations` pair an image with its PNG (`file_name`), which lies in a folder called as the JSON file, and
list its segments (`segments_info`) with their categories. Pixels of no segment (COCO leaves them black) are void, and
so are crowds.
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

from core.data.importers.masks.mask_file import read_mask_file
from core.data.importers.notes import Notes
from core.data.importers.objects.coco_file import (
    Annotation,
    CocoFile,
    Key,
    is_coco,
    is_crowd,
    is_panoptic,
    read_coco,
    segments_of,
)
from core.data.importers.objects.json_file import is_coordinate, member, peeked, points_of, read_json
from core.data.importers.objects.outlines import (
    BEYOND,
    MIN_NUMBERS,
    counts_of,
    reaches_beyond,
    region_of,
    run_lengths_of,
)
from core.data.importers.photo_folder import PhotoFolder, files_in, is_hidden
from core.data.importers.plan import Canvas, Drawing, Plan, Size, Source, box_region, drawing_of, number_labels, tidy
from core.data.importers.source_splits import split_of
from core.errors import DataError
from core.voc import VOID

USUAL_NAMES = ("instances*.json", "_annotations.coco.json")
MAX_CROWD_SHARE = 0.1
"""About 1 % of COCO's own annotations are crowds; in what CVAT exports, every brush mask is marked as one."""


PANOPTIC_NAMES = ("panoptic*.json", "*_panoptic.json")
BYTES = np.array([1, 256, 65536])
NO_SEGMENT = 0


@dataclass(frozen=True)
class Painting:
    """Which id each label is painted with, and the labels of which crowds are objects all the same."""

    ids: dict[str, int]
    labels_of_objects: frozenset[str]


def recognise_coco(source: Source) -> str | None:
    """Return what speaks for COCO instances: a JSON document of images, annotations and categories."""
    for file, document in peeked(source.path):
        if is_coco(document) and not is_panoptic(document):
            return f"{file.name} holds images, annotations and categories"
    return None


def plan_coco(source: Source, notes: Notes) -> Plan:
    """Plan an instances file, or a folder that holds one, or one for each split."""
    parts = read_coco(source.path, USUAL_NAMES, notes)
    if panoptic := next((part for part in parts if part.is_panoptic), None):
        raise DataError(f"{panoptic.file} holds segments in place of outlines; import it as coco-panoptic.")
    where = parts[0].file if len(parts) == 1 else source.path
    classes, ids = number_labels(chain.from_iterable(part.labels.values() for part in parts), where, notes)
    painting = Painting(ids, _labels_of_brush_masks(list(chain.from_iterable(part.labelled() for part in parts))))
    photos = PhotoFolder(source.photos or (source.path if source.path.is_dir() else source.path.parent), notes)
    drawings = []
    for part in parts:
        images_of: dict[Path, list[Key]] = {}
        for image, photo in part.photos_in(photos).items():
            images_of.setdefault(photo, []).append(image)
        drawings += [_drawing(part, images, photo, photos.root, painting, notes) for photo, images in images_of.items()]
    return Plan(classes, photos.drawings_of(drawings))


def _drawing(part: CocoFile, images: list[Key], photo: Path, root: Path, painting: Painting, notes: Notes) -> Drawing:
    """Return the drawing of a photo; where a file lists it several times, that of all the annotations."""
    annotations = [one for image in images for one in part.annotations.get(image, [])]
    sizes = {part.images[image][1] for image in images}
    if len(sizes) > 1:
        raise DataError(f"{part.file} lists {photo.name} in several sizes; export it again.")
    notes.count("Photos listed several times, with all their annotations", photo, len(images) > 1)
    notes.count("Photos without annotations, which are background all over", photo, not annotations)
    paint = partial(_paint, part, annotations, painting, notes)
    return drawing_of(photo, paint, sizes.pop(), part.split or split_of(photo, root))


def _is_brush(annotation: Annotation) -> bool:
    """Return whether an annotation is a mask marked as a crowd, of COCO's or an object that CVAT exported."""
    return is_crowd(annotation) and isinstance(annotation.get("segmentation"), dict)


def _labels_of_brush_masks(labelled: Sequence[tuple[str, Annotation]]) -> frozenset[str]:
    """Return the labels whose masks are objects although they are marked as crowds.

    CVAT's export marks every mask that was painted with a brush. Those are taken for objects where no mask is without
    the mark, and either a tenth of all annotations has it, or all those of the label have.
    """
    has_plain_masks = any(isinstance(one.get("segmentation"), dict) and not is_crowd(one) for _, one in labelled)
    if has_plain_masks:
        return frozenset()
    total = Counter(label for label, _ in labelled)
    marked = Counter(label for label, one in labelled if _is_brush(one))
    if marked.total() >= MAX_CROWD_SHARE * total.total():
        return frozenset(marked)
    return frozenset(label for label, count in marked.items() if count == total[label])


def _paint(
    part: CocoFile, annotations: list[Annotation], painting: Painting, notes: Notes, size: Size
) -> NDArray[np.uint8]:
    canvas = Canvas(size, notes, part.file)
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
            drawn.append((is_crowd(annotation) and not is_object, painting.ids[label], counts))
    for is_void, class_id, counts in sorted(drawn, key=lambda one: (not one[0], -sum(one[2][1::2]))):
        canvas.paint(region_of(counts, size), VOID if is_void else class_id)
        notes.count("Crowds painted as void", part.file, is_void)
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
    is_one = all(map(is_coordinate, segmentation)) or (len(segmentation) > len("xy") and points_of(segmentation))
    polygons = [_flat(polygon) for polygon in ([segmentation] if is_one else segmentation)]
    usable = [polygon for polygon in polygons if _is_usable(polygon, file, notes)]
    for polygon in usable:
        notes.count(BEYOND, file, reaches_beyond(polygon, size))
    return run_lengths_of(usable, size) if usable else None, len(usable) == len(polygons)


def _flat(polygon: Any) -> Any:
    """Return [[x, y], [x, y], ...] as [x, y, x, y, ...]; anything else is returned as it is."""
    points = points_of(polygon)
    return [number for point in points for number in point] if points else polygon


def _is_usable(polygon: Any, file: Path, notes: Notes) -> bool:
    if not isinstance(polygon, list) or len(polygon) % 2 or not all(map(is_coordinate, polygon)):
        notes.count("Polygons that are not pairs of numbers, which are void in their boxes", file)
        return False
    notes.count("Polygons with fewer than 3 points, which are void in their boxes", file, len(polygon) < MIN_NUMBERS)
    return len(polygon) >= MIN_NUMBERS


def recognise_coco_panoptic(source: Source) -> str | None:
    """Return what speaks for COCO's panoptic format: a JSON document whose annotations hold `segments_info`."""
    files = files_in(source.path, (".json",)) if source.path.is_dir() else []
    named = next((file for file in files if any(map(file.match, PANOPTIC_NAMES))), None)
    try:
        found = [(named, read_json(named))] if named else peeked(source.path)
    except DataError:
        return None
    return next((f"{file.name} holds segments_info" for file, document in found if is_panoptic(document)), None)


def plan_coco_panoptic(source: Source, notes: Notes) -> Plan:
    """Plan a panoptic file, or a folder that holds one, or one for each split."""
    parts = read_coco(source.path, PANOPTIC_NAMES, notes)
    root = source.path if source.path.is_dir() else source.path.parent
    classes, ids = number_labels(chain.from_iterable(part.labels.values() for part in parts), source.path, notes)
    pngs = {part.file: _pngs(part, root, notes) for part in parts}
    without = [file for each in pngs.values() for file in each.files if each.root != root]
    photos = PhotoFolder(source.photos or root, notes, without)
    drawings: list[Drawing] = []
    for part in parts:
        for image, photo in part.photos_in(photos).items():
            for annotation in part.annotations.get(image, []):
                paint = partial(_paint_segments, part, _png(part, annotation, pngs[part.file]), annotation, ids, notes)
                split = part.split or split_of(photo, photos.root)
                drawings.append(drawing_of(photo, paint, part.images[image][1], split))
    return Plan(classes, photos.drawings_of(drawings))


def _pngs(part: CocoFile, root: Path, notes: Notes) -> PhotoFolder:
    """Return the PNGs of a file: in the folder called as it, else in one called after the format, else anywhere."""
    folders = [folder for folder in sorted(root.rglob("*")) if folder.is_dir() and not is_hidden(folder, root)]
    called = [folder for folder in folders if folder.name == part.file.stem]
    called += [folder for folder in folders if "panoptic" in folder.name.casefold()]
    return PhotoFolder(next(iter(called), root), notes)


def _png(part: CocoFile, annotation: Annotation, pngs: PhotoFolder) -> Path:
    name = member(annotation, "file_name", str, "an annotation", part.file)
    if (png := pngs.find(name, part.split)) and png.suffix.lower() == ".png":
        return png
    raise DataError(
        f"{part.file} names {tidy(name)}, which {pngs.root} does not hold; unpack its PNGs into a folder called "
        f"{part.file.stem}."
    )


def _paint_segments(
    part: CocoFile, png: Path, annotation: Annotation, ids: dict[str, int], notes: Notes, _size: Size
) -> NDArray[np.uint8]:
    picture = read_mask_file(png)
    if picture.mode not in ("RGB", "RGBA"):
        raise DataError(f"{png} is not in colours ({picture.mode}); bring the PNGs that belong to {part.file}.")
    numbers_HW = np.asarray(picture.convert("RGB")).astype(np.int64) @ BYTES
    class_of = {NO_SEGMENT: VOID}
    for segment in segments_of(annotation, part.file):
        number = member(segment, "id", int, "a segment", part.file)
        class_of[number] = VOID if is_crowd(segment) else ids[part.label_of(segment)]
        notes.count("Crowds painted as void", part.file, is_crowd(segment))
    found, places_HW = np.unique(numbers_HW, return_inverse=True)
    unknown = [number for number in found.tolist() if number not in class_of]
    notes.count("Colours that are not a segment of their PNG, which are void", png, len(unknown))
    notes.count("PNGs with pixels of no segment, which are void", png, NO_SEGMENT in found)
    notes.count("Segments without a pixel in their PNG", png, len(class_of.keys() - {NO_SEGMENT, *found.tolist()}))
    classes = np.array([class_of.get(number, VOID) for number in found.tolist()], dtype=np.uint8)
    return classes[places_HW.reshape(numbers_HW.shape)]
