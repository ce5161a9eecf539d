"""COCO's panoptic format: a JSON file of segments, and for each photo a PNG whose colours are their ids.

The id of a pixel is R + 256 G + 65536 B. `annotations` pair an image with its PNG (`file_name`), which lies in a folder
called as the JSON file, and list its segments (`segments_info`) with their categories. Segments of one category become
one class. Pixels of no segment (COCO leaves them black) are void, and so are crowds.
"""

from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.importers.masks.mask_file import read_mask_file
from core.data.importers.notes import Notes
from core.data.importers.objects.coco_file import Annotation, CocoFile, is_crowd, is_panoptic, read_coco, segments_of
from core.data.importers.objects.json_file import member, peeked, read_json
from core.data.importers.photo_folder import PhotoFolder, files_in, is_hidden
from core.data.importers.plan import Drawing, Plan, Size, Source, drawing_of, number_labels, tidy
from core.data.importers.source_splits import split_of
from core.errors import DataError
from core.voc import VOID

USUAL_NAMES = ("panoptic*.json", "*_panoptic.json")
BYTES = np.array([1, 256, 65536])
NO_SEGMENT = 0


def recognise_coco_panoptic(source: Source) -> str | None:
    """Return what speaks for COCO's panoptic format: a JSON document whose annotations hold `segments_info`."""
    files = files_in(source.path, (".json",)) if source.path.is_dir() else []
    named = next((file for file in files if any(map(file.match, USUAL_NAMES))), None)
    try:
        found = [(named, read_json(named))] if named else peeked(source.path)
    except DataError:
        return None
    return next((f"{file.name} holds segments_info" for file, document in found if is_panoptic(document)), None)


def plan_coco_panoptic(source: Source, notes: Notes) -> Plan:
    """Plan a panoptic file, or a folder that holds one, or one for each split."""
    parts = read_coco(source.path, USUAL_NAMES, notes)
    root = source.path if source.path.is_dir() else source.path.parent
    classes, ids = number_labels(chain.from_iterable(part.labels.values() for part in parts), source.path, notes)
    pngs = {part.file: _pngs(part, root, notes) for part in parts}
    without = [file for each in pngs.values() for file in each.files if each.root != root]
    photos = PhotoFolder(source.photos or root, notes, without)
    drawings: list[Drawing] = []
    for part in parts:
        for image, photo in part.photos_in(photos).items():
            for annotation in part.annotations.get(image, []):
                paint = partial(_paint, part, _png(part, annotation, pngs[part.file]), annotation, ids, notes)
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
    if png := pngs.find(name, part.split):
        return png
    raise DataError(
        f"{part.file} names {tidy(name)}, which {pngs.root} does not hold; unpack its PNGs into a folder called "
        f"{part.file.stem}."
    )


def _paint(
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
