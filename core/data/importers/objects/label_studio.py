"""Label Studio: a folder of its PNG export of brush labels, or its JSON export with strokes and polygons inside.

The PNGs are called `task-7-annotation-12-by-1-tag-Leaf-0.png`: grey pictures, 0 where nothing is painted, one for each
stroke. Only a JSON export (in full or "min") says which photo a task is about, and what it holds of an annotation
counts instead of the PNGs; without it, photos have to be called 7.jpg or task-7.jpg. Photos are looked for by name,
with and without the hash that Label Studio puts in front.

Labels are the classes, sorted; where strokes overlap, the later class covers the earlier one. If a task has several
annotations, or a photo several tasks, the newest counts. Polygons and ellipses of a JSON export are drawn as COCO draws
polygons; a box, which is not an outline, and a region without a label are void.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.importers.masks.mask_file import any_color, read_mask_file
from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import peeked
from core.data.importers.objects.label_studio_json import WITHOUT_LABEL, Annotation, Export, Stroke, read_export
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Canvas, Plan, Size, Source, drawing_of, number_labels, tidy
from core.data.importers.source_splits import split_of
from core.errors import DataError
from core.files import by_number

EXPORTED = re.compile(r"task-(\d+)-annotation-(\d+)-by-([^-]*)-(.+)-(\d+)\.png")
HASH = re.compile(r"^[0-9a-f]{8}-")
TASK_KEYS = frozenset(("annotations", "predictions", "annotator", "annotation_id"))
UNLABELLED = "no_label"
EXPORT_HINT = "export the project as JSON and put that file beside the PNGs, or name it with --table"


def recognise_label_studio(source: Source) -> str | None:
    """Return what speaks for Label Studio: a JSON list of tasks, or PNGs called as it calls them."""
    for file, document in peeked(source.path):
        task = document[0] if isinstance(document, list) and document else None
        if isinstance(task, dict) and "id" in task and (TASK_KEYS & task.keys()):
            return f"{file.name} holds tasks with annotations or predictions"
    pngs = files_in(source.path, (".png",)) if source.path.is_dir() else []
    return next((f"{png.name} is called as a stroke" for png in pngs if EXPORTED.fullmatch(png.name)), None)


def plan_label_studio(source: Source, notes: Notes) -> Plan:
    """Plan a folder of exported PNGs, or a JSON export if there are none."""
    file = _json_export(source)
    export = read_export(file, notes) if file else None
    pngs = files_in(source.path, (".png",)) if source.path.is_dir() else []
    pngs = [png for png in pngs if EXPORTED.fullmatch(png.name)]
    if pngs:
        drawn = [*_exported_annotations(pngs, export.tags if export else frozenset(), notes)]
        drawn += [one for one in export.annotations if one.strokes] if export else []
        annotations = [*{(one.task, one.number): one for one in drawn}.values()]
    elif export:
        annotations = list(export.annotations)
    else:
        raise DataError(
            f"{source.path} holds no PNGs called task-7-annotation-12-by-1-tag-Label-0.png and no JSON export; export "
            "the project as 'Brush labels to PNG' or as JSON, and unpack it."
        )
    chosen = _newest(annotations, source.path, notes)
    default = source.path if source.path.is_dir() else source.path.parent
    photos = PhotoFolder(source.photos or default, notes, pngs)
    by_photo = _by_photo(chosen, _photos_of_tasks(chosen, export, photos, file or source.path), notes)
    regions = [stroke for annotation in by_photo.values() for stroke in annotation.strokes]
    labels = sorted({region.label for region in regions if region.label is not None}, key=by_number)
    classes, ids = number_labels(labels, source.path, notes)
    drawings = []
    for photo, one in by_photo.items():
        size = next((stroke.size for stroke in one.strokes if stroke.size), None)
        drawings.append(drawing_of(photo, partial(_paint, one.strokes, ids, notes), size, split_of(photo, photos.root)))
    return Plan(classes, photos.drawings_of(drawings))


def _newest(annotations: Sequence[Annotation], where: Path, notes: Notes) -> list[Annotation]:
    """Return the newest annotation of each task that has strokes."""
    painted = [annotation for annotation in annotations if annotation.strokes]
    notes.count("Tasks left out because nothing is painted in them", where, len(annotations) - len(painted))
    newest = {annotation.task: annotation for annotation in sorted(painted, key=lambda one: (one.task, one.number))}
    several = [task for task, count in Counter(annotation.task for annotation in painted).items() if count > 1]
    notes.count_all("Tasks with several annotations, of which the newest counts", [f"task {task}" for task in several])
    return list(newest.values())


def _by_photo(annotations: Sequence[Annotation], photos: dict[int, Path], notes: Notes) -> dict[Path, Annotation]:
    """Return the annotation of each photo, that of the newest task where the photo was brought in again."""
    by_photo = {photos[one.task]: one for one in annotations}
    repeated = [f"task {one.task}" for one in annotations if by_photo[photos[one.task]] is not one]
    notes.count_all("Tasks left out because a newer one is of the same photo", repeated)
    return by_photo


def _paint(strokes: Sequence[Stroke], ids: dict[str, int], notes: Notes, size: Size) -> NDArray[np.uint8]:
    canvas = Canvas(size, notes, strokes[0].file)
    for stroke in sorted(strokes, key=lambda one: ids[one.label] if one.label is not None else -1):
        if stroke.label is None:
            canvas.leave_void(stroke.read(size))
        else:
            overlap = canvas.paint(stroke.read(size), ids[stroke.label])
            notes.count("Pixels painted with two labels, which went to the later class", stroke.file, overlap)
    return canvas.finished()


def _json_export(source: Source) -> Path | None:
    if source.table or source.path.is_file():
        return source.table or source.path
    files = [file for file in files_in(source.path, (".json",)) if file.parent == source.path]
    if len(files) > 1:
        raise DataError(f"{source.path} holds {len(files)} JSON files; name the export of the project with --table.")
    return files[0] if files else None


def _exported_annotations(pngs: list[Path], tags: frozenset[str], notes: Notes) -> list[Annotation]:
    strokes: dict[tuple[int, int], list[Stroke]] = {}
    for png in pngs:
        if parts := EXPORTED.fullmatch(png.name):
            label = _label_of(parts[4], tags)
            notes.count(WITHOUT_LABEL, png, label == UNLABELLED)
            of_annotation = strokes.setdefault((int(parts[1]), int(parts[2])), [])
            of_annotation.append(Stroke(None if label == UNLABELLED else label, png, partial(_read_png, png)))
    return [Annotation(task, number, tuple(found)) for (task, number), found in strokes.items()]


def _label_of(words: str, tags: frozenset[str]) -> str:
    """Return the label behind the name of the tag; a tag that no export names ends at the first hyphen."""
    tag = max((tag for tag in tags if words.startswith(f"{tag}-")), key=len, default=words.partition("-")[0])
    return tidy(words[len(tag) + 1 :]) or UNLABELLED


def _read_png(png: Path, size: Size) -> NDArray[np.bool_]:
    region_HW = any_color(read_mask_file(png))
    if region_HW.shape != size[::-1]:
        height, width = region_HW.shape
        raise DataError(
            f"{png} is {width} x {height} px, but its photo is {size[0]} x {size[1]} px; bring the photo that was "
            "annotated, at its own size."
        )
    return region_HW


def _photos_of_tasks(
    annotations: list[Annotation], export: Export | None, photos: PhotoFolder, where: Path
) -> dict[int, Path]:
    """Return the photo of each task; one that is not known, or is not there, raises `DataError`."""
    found: dict[int, Path] = {}
    missing = []
    for task in (annotation.task for annotation in annotations):
        if export and task not in export.photo_of_task:
            raise DataError(f"{where} does not know task {task}; export the project again, as PNG and as JSON.")
        photo = _find(export.photo_of_task[task], photos) if export else _called_after(task, photos)
        if photo:
            found[task] = photo
        elif export:
            missing.append(export.photo_of_task[task])
        else:
            raise DataError(f"Which photo task {task} of {where} is about is not known; {EXPORT_HINT}.")
    if missing:
        raise missing_photos(missing, len(annotations), where, photos.root)
    return found


def _find(name: str, photos: PhotoFolder) -> Path | None:
    """Return a photo by its name in Label Studio, which puts a hash in front and replaces all but plain letters."""
    bare = HASH.sub("", name)
    if found := photos.find(name) or photos.find(bare):
        return found
    alike = [file for file in photos.files if _plain(file.name) == _plain(bare)]
    return alike[0] if len(alike) == 1 else None


def _plain(name: str) -> str:
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def _called_after(task: int, photos: PhotoFolder) -> Path | None:
    names = {str(task), f"task-{task}", f"task_{task}"}
    return next((file for file in photos.files if file.stem in names), None)
