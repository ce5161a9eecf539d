"""Label Studio's JSON export, in full or "min": the photo of each task, and what was drawn in it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from core.data.importers.masks.mask_file import decode_brush
from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import is_coordinate, member, of_kind, points_of, read_json, size_in
from core.data.importers.objects.outlines import ellipse, polygons_region, turned
from core.data.importers.plan import Size, tidy
from core.data.pair_names import PHOTO_SUFFIXES
from core.errors import DataError

WITHOUT_LABEL = "Regions without a label, which are void"
LABELS = ("brushlabels", "polygonlabels", "ellipselabels", "rectanglelabels", "labels")
UNREAD = frozenset(("bitmasklabels", "vectorlabels", "imageDataURL", "vertices"))
POINTS = ("keypoint", "keypointlabels")
MIN_CORNERS = 3


@dataclass(frozen=True)
class Stroke:
    """One region; `read` returns it, shape (H, W), for the (width, height) of its photo. Without a label it is void."""

    label: str | None
    file: Path
    read: Callable[[Size], NDArray[np.bool_]]
    size: Size | None = None


@dataclass(frozen=True)
class Annotation:
    """What one annotation of a task drew."""

    task: int
    number: int
    strokes: tuple[Stroke, ...]


@dataclass(frozen=True)
class Export:
    """A JSON export: the photo of each task, the names of its labelling tags, and the strokes, if it holds any."""

    photo_of_task: dict[int, str]
    tags: frozenset[str]
    annotations: tuple[Annotation, ...]


def read_export(file: Path, notes: Notes) -> Export:
    """Read a JSON export; one that is none, or holds a brush stroke that is none, raises `DataError`."""
    photo_of_task: dict[int, str] = {}
    tags: set[str] = set()
    annotations: list[Annotation] = []
    tasks = [
        of_kind(task, dict, "a task", file) for task in of_kind(read_json(file, notes), list, "the document", file)
    ]
    key = "predictions" if _holds_predictions_alone(tasks) else "annotations"
    if key == "predictions":
        notes.say(f"No task of {file.name} has an annotation; what is read are its predictions.")
    for task in tasks:
        number = member(task, "id", int, "a task", file)
        photo_of_task[number] = _photo_name(task, file)
        for annotation, results in _results(task, key, file, notes):
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
        name = ""
        with suppress(ValueError):  # a text that is not an address
            parts = urlsplit(text)
            path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
            name = PurePosixPath(path.replace("\\", "/")).name
        if PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES:
            return name
    raise DataError(f"{file} holds a task without the name of a photo (task {task.get('id')}); export it again.")


def _holds_predictions_alone(tasks: list[dict[str, Any]]) -> bool:
    """Return whether tasks were prepared for annotators, with predictions, and nobody has annotated any."""
    predicted = [task for task in tasks if isinstance(task.get("predictions"), list) and task["predictions"]]
    return (
        bool(predicted)
        and all("annotation_id" not in task and not task.get("annotations") for task in tasks)
        and all(isinstance(each, dict) for task in predicted for each in task["predictions"])
    )


def _results(task: dict[str, Any], key: str, file: Path, notes: Notes) -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    """Give the number of each annotation and its results with their tags, from the full or the min export."""
    if key not in task:
        lists = {tag: value for tag, value in task.items() if isinstance(value, list)}
        number = task.get("annotation_id")
        yield (
            (number if isinstance(number, int) else 0),
            [(tag, result) for tag, results in lists.items() for result in results if isinstance(result, dict)],
        )
        return
    for annotation in member(task, key, list, "a task", file):
        of_kind(annotation, dict, "an annotation", file)
        is_cancelled = bool(annotation.get("was_cancelled"))
        notes.count("Cancelled annotations left out", file, is_cancelled)
        if not is_cancelled:
            results = member(annotation, "result", list, "an annotation", file)
            number = annotation.get("id")
            tags = [str(result.get("from_name", "")) if isinstance(result, dict) else "" for result in results]
            yield (number if isinstance(number, int) else 0), [*zip(tags, results, strict=True)]


def _stroke(region: dict[str, Any], file: Path, notes: Notes) -> Stroke | None:
    """Return a region; a result that is none (a choice, a text) gives None. In the full export, details are in `value`.

    Void is left where a box stands, or a region without a label, and all over where an outline cannot be drawn.
    """
    value = region.get("value", region)
    size = size_in(region, "original_width", "original_height")
    if isinstance(value, dict) and (UNREAD & value.keys() or region.get("image_rotation") not in (None, 0)):
        notes.count("Bit masks, vectors and regions on turned photos are not read, so their photos are void", file)
        return Stroke(None, file, lambda size: np.ones(size[::-1], dtype=np.bool_), size)
    if (isinstance(value, dict) and "keypointlabels" in value) or region.get("type") in POINTS:
        notes.count("Points skipped, as they have no area", file)
        return None
    if not isinstance(value, dict) or not {"rle", "points", "radiusX", "width"} & value.keys():
        notes.count("Results that are not regions skipped", file)
        return None
    is_box = not {"rle", "points", "radiusX"} & value.keys()
    if not size and not is_box:
        raise DataError(f"{file} holds a region without 'original_width' and 'original_height'; export it again.")
    names = next((value[key] for key in LABELS if value.get(key)), None)
    is_named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    label = tidy("-".join(names or [])) if is_named else ""
    notes.count(WITHOUT_LABEL, file, not label)
    several = is_named and len(names or []) > 1
    notes.count("Regions of several labels, of a class that is called after all of them", file, several)
    if "rle" in value:
        return Stroke(label or None, file, partial(_unpack, value["rle"], file), size)
    notes.count("Boxes, which are not outlines, left void", file, is_box)
    outline = _outline(value, size) if size else None
    if outline is None:
        notes.count("Outlines that cannot be drawn, so what nobody drew in their photos is void", file)
        return Stroke(None, file, lambda size: np.ones(size[::-1], dtype=np.bool_), size)
    return Stroke(None if is_box else label or None, file, partial(polygons_region, [outline]), size)


def _outline(value: dict[str, Any], size: Size) -> list[float] | None:
    """Return the corners (x, y, x, y, ...) in px of a polygon, an ellipse or a box, which are stored in percent."""
    if "points" in value:
        points = points_of(value["points"]) or []
        scaled = [number for x, y in points for number in (x * size[0] / 100, y * size[1] / 100)]
        return scaled if len(points) >= MIN_CORNERS else None
    keys = ("x", "y", "radiusX", "radiusY") if "radiusX" in value else ("x", "y", "width", "height")
    numbers = [value.get(key) for key in keys] + [value.get("rotation", 0)]
    if not all(map(is_coordinate, numbers)):
        return None
    x, y, a, b, turn = (float(number) for number in numbers if number is not None)
    x, a, y, b = x / 100 * size[0], a / 100 * size[0], y / 100 * size[1], b / 100 * size[1]
    if "radiusX" in value:
        return ellipse(x, y, a, b, turn)
    return turned(((0, 0), (a, 0), (a, b), (0, b)), (x, y), turn)


def _unpack(rle: Any, file: Path, size: Size) -> NDArray[np.bool_]:
    try:
        numbers = of_kind(rle, list, "'rle' of a stroke", file)
        if bool in map(type, numbers):  # which `bytes` takes for 0 and 1
            raise TypeError("it is not of numbers alone")
        return decode_brush(bytes(numbers), size)
    except (ValueError, TypeError) as error:
        raise DataError(f"{file} holds a brush stroke that cannot be unpacked ({error}); export it again.") from error
