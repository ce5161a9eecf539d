"""Label Studio's brush labels: a folder of its PNG export, or its JSON export with the strokes inside.

The PNGs are called `task-7-annotation-12-by-1-tag-Leaf-0.png`: grey pictures, 0 where nothing is painted, one for each
stroke. Only a JSON export (in full or "min") tells which photo a task is about; without it, photos have to be called
7.jpg or task-7.jpg. Photos are looked for by name, with and without the hash that Label Studio puts in front.

Labels are the classes, sorted; where strokes overlap, the later class covers the earlier one. If a task has several
annotations, or a photo several tasks, the newest counts. Polygons and boxes are skipped: export those as COCO.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from core.data.importers.json_file import member, of_kind, read_json, size_in
from core.data.importers.masks import any_color, decode_brush, read_mask_file
from core.data.importers.notes import Notes
from core.data.importers.photo_folder import PhotoFolder, files_in, missing_photos
from core.data.importers.plan import Canvas, Plan, Size, Source, drawing_of, number_labels, tidy
from core.data.importers.source_splits import split_of
from core.data.pair_names import PHOTO_SUFFIXES
from core.errors import DataError
from core.files import by_number

EXPORTED = re.compile(r"task-(\d+)-annotation-(\d+)-by-([^-]*)-(.+)-(\d+)\.png")
HASH = re.compile(r"^[0-9a-f]{8}-")
UNLABELLED = "no_label"
EXPORT_HINT = "export the project as JSON and put that file beside the PNGs, or name it with --table"


@dataclass(frozen=True)
class Stroke:
    """One painted region; `read` returns it, shape (H, W), for the (width, height) of its photo."""

    label: str
    file: Path
    read: Callable[[Size], NDArray[np.bool_]]
    size: Size | None = None


@dataclass(frozen=True)
class Annotation:
    """What one annotation of a task painted."""

    task: int
    number: int
    strokes: tuple[Stroke, ...]


@dataclass(frozen=True)
class Export:
    """A JSON export: the photo of each task, the names of its labelling tags, and the strokes, if it holds any."""

    photo_of_task: dict[int, str]
    tags: frozenset[str]
    annotations: tuple[Annotation, ...]


def plan_label_studio(source: Source, notes: Notes) -> Plan:
    """Plan a folder of exported PNGs, or a JSON export if there are none."""
    file = _json_export(source)
    export = _read_export(file, notes) if file else None
    pngs = files_in(source.path, (".png",)) if source.path.is_dir() else []
    pngs = [png for png in pngs if EXPORTED.fullmatch(png.name)]
    if pngs:
        annotations = _exported_annotations(pngs, export.tags if export else frozenset(), notes)
    elif export:
        annotations = list(export.annotations)
    else:
        raise DataError(
            f"{source.path} holds no PNGs called task-7-annotation-12-by-1-tag-Label-0.png and no JSON export; export "
            "the project as 'Brush labels to PNG' or as JSON, and unpack it."
        )
    chosen = _newest(annotations, source.path, notes)
    default = source.path if source.path.is_dir() else source.path.parent
    photos = PhotoFolder(source.photos or default, pngs)
    by_photo = _by_photo(chosen, _photos_of_tasks(chosen, export, photos, file or source.path), notes)
    labels = sorted({stroke.label for annotation in by_photo.values() for stroke in annotation.strokes}, key=by_number)
    classes, ids = number_labels(labels, source.path, notes)
    drawings = [
        drawing_of(photo, partial(_paint, one.strokes, ids, notes), _size(one.strokes), split_of(photo, photos.root))
        for photo, one in by_photo.items()
    ]
    return Plan(classes, drawings)


def _newest(annotations: Sequence[Annotation], where: Path, notes: Notes) -> list[Annotation]:
    """Return the newest annotation of each task that has strokes."""
    painted = [annotation for annotation in annotations if annotation.strokes]
    notes.count("Tasks left out because nothing is painted in them", where, len(annotations) - len(painted))
    newest = {annotation.task: annotation for annotation in sorted(painted, key=lambda one: (one.task, one.number))}
    several = [task for task, count in Counter(annotation.task for annotation in painted).items() if count > 1]
    if several:
        notes.count("Tasks with several annotations, of which the newest counts", f"task {several[0]}", len(several))
    return list(newest.values())


def _by_photo(annotations: Sequence[Annotation], photos: dict[int, Path], notes: Notes) -> dict[Path, Annotation]:
    """Return the annotation of each photo, that of the newest task where the photo was brought in again."""
    by_photo = {photos[one.task]: one for one in annotations}
    repeated = [one.task for one in annotations if by_photo[photos[one.task]] is not one]
    if repeated:
        notes.count("Tasks left out because a newer one is of the same photo", f"task {repeated[0]}", len(repeated))
    return by_photo


def _size(strokes: Sequence[Stroke]) -> Size | None:
    return next((stroke.size for stroke in strokes if stroke.size), None)


def _paint(strokes: Sequence[Stroke], ids: dict[str, int], notes: Notes, size: Size) -> NDArray[np.uint8]:
    canvas = Canvas(size)
    for stroke in sorted(strokes, key=lambda one: ids[one.label]):
        overlap = canvas.paint(stroke.read(size), ids[stroke.label])
        notes.count("Pixels painted with two labels, which went to the later class", stroke.file, overlap)
    return canvas.mask_HW


# --- the PNGs -------------------------------------------------------------------------------------------------------


def _exported_annotations(pngs: list[Path], tags: frozenset[str], notes: Notes) -> list[Annotation]:
    strokes: dict[tuple[int, int], list[Stroke]] = {}
    for png in pngs:
        if parts := EXPORTED.fullmatch(png.name):
            label = _label_of(parts[4], tags)
            notes.count("Strokes without a label skipped", png, label == UNLABELLED)
            of_annotation = strokes.setdefault((int(parts[1]), int(parts[2])), [])
            of_annotation += [] if label == UNLABELLED else [Stroke(label, png, partial(_read_png, png))]
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


# --- the JSON export ------------------------------------------------------------------------------------------------


def _json_export(source: Source) -> Path | None:
    if source.table or source.path.is_file():
        return source.table or source.path
    files = sorted(source.path.glob("*.json"))
    if len(files) > 1:
        raise DataError(f"{source.path} holds {len(files)} JSON files; name the export of the project with --table.")
    return files[0] if files else None


def _read_export(file: Path, notes: Notes) -> Export:
    photo_of_task: dict[int, str] = {}
    tags: set[str] = set()
    annotations: list[Annotation] = []
    for task in of_kind(read_json(file), list, "the document", file):
        of_kind(task, dict, "a task", file)
        number = member(task, "id", int, "a task", file)
        photo_of_task[number] = _photo_name(task, file)
        for annotation, results in _results(task, file):
            regions = [(of_kind(result, dict, "a result", file), tag) for tag, result in results]
            tags |= {tag for _, tag in regions}
            strokes = [stroke for region, _ in regions if (stroke := _stroke(region, file, notes))]
            annotations.append(Annotation(number, annotation, tuple(strokes)))
    return Export(photo_of_task, frozenset(tags), tuple(annotations))


def _photo_name(task: dict[str, Any], file: Path) -> str:
    """Return the name of a task's photo from its path or address: uploaded, in local files, or in the cloud."""
    data = of_kind(task.get("data", task), dict, "'data' of a task", file)
    texts = [data.get("image"), *data.values()]
    for text in (text for text in texts if isinstance(text, str)):
        parts = _address(text)
        path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0] if parts else ""
        name = PurePosixPath(path.replace("\\", "/")).name
        if PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES:
            return name
    raise DataError(f"{file} holds a task without the name of a photo (task {task.get('id')}); export it again.")


def _address(text: str) -> Any:
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _results(task: dict[str, Any], file: Path) -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    """Give the number of each annotation and its results with their tags, from the full or the min export."""
    if "annotations" not in task:
        lists = {tag: value for tag, value in task.items() if isinstance(value, list)}
        number = task.get("annotation_id")
        yield (
            (number if isinstance(number, int) else 0),
            [(tag, result) for tag, results in lists.items() for result in results if isinstance(result, dict)],
        )
        return
    for annotation in member(task, "annotations", list, "a task", file):
        of_kind(annotation, dict, "an annotation", file)
        if not annotation.get("was_cancelled"):
            results = member(annotation, "result", list, "an annotation", file)
            number = annotation.get("id")
            yield (number if isinstance(number, int) else 0), [(_tag(result), result) for result in results]


def _tag(result: Any) -> str:
    return str(result.get("from_name", "")) if isinstance(result, dict) else ""


def _stroke(region: dict[str, Any], file: Path, notes: Notes) -> Stroke | None:
    """Return a brush stroke; anything else is noted and gives None. In the full export its details are in `value`."""
    value = region.get("value", region)
    if not isinstance(value, dict) or "rle" not in value:
        notes.count("Results that are no brush strokes skipped (export polygons and boxes as COCO)", file)
        return None
    labels = value.get("brushlabels") or value.get("labels")
    if not isinstance(labels, list) or not labels or not isinstance(labels[0], str):
        notes.count("Strokes without a label skipped", file)
        return None
    size = size_in(region, "original_width", "original_height")
    if not size:
        raise DataError(f"{file} holds a stroke without 'original_width' and 'original_height'; export it again.")
    return Stroke(tidy("-".join(map(str, labels))), file, partial(_unpack, value["rle"], file), size)


def _unpack(rle: Any, file: Path, size: Size) -> NDArray[np.bool_]:
    try:
        return decode_brush(bytes(of_kind(rle, list, "'rle' of a stroke", file)), size)
    except (ValueError, TypeError) as error:
        raise DataError(f"{file} holds a brush stroke that cannot be unpacked ({error}); export it again.") from error


# --- the photos -----------------------------------------------------------------------------------------------------


def _photos_of_tasks(
    annotations: list[Annotation], export: Export | None, photos: PhotoFolder, where: Path
) -> dict[int, Path]:
    """Return the photo of each task; one that cannot be told, or is not there, raises `DataError`."""
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
    """Return a photo by its name in Label Studio, which puts a hash in front and replaces what is no plain letter."""
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
