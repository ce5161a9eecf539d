"""YOLO's segmentation labels: a text file for each photo, a class and the corners of a polygon on each line.

`data.yaml` names the classes, and under `train`, `val` and `test` folders of photos or lists of them. Photos lie in
`images` and labels in `labels`, beside or below folders called after splits. Corners are shares of the photo's sides,
drawn as COCO draws polygons. A line of four numbers is a box, which is no outline: it stays void. A photo without a
label file is background all over.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.importers.masks.pairs import picture_of
from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import is_coordinate
from core.data.importers.objects.outlines import MIN_NUMBERS, polygons_region
from core.data.importers.photo_folder import files_in
from core.data.importers.plan import Canvas, Plan, Size, Source, box_region, drawing_of, number_labels, tidy
from core.data.importers.source_splits import SPLITS
from core.data.pair_names import PHOTO_SUFFIXES, composed
from core.errors import DataError
from core.files import read_lines

TABLES = ("classes.txt", "obj.names")
YAML_SUFFIXES = (".yaml", ".yml")
NUM_OF_BOX = 4


def recognise_yolo(source: Source) -> str | None:
    """Return what speaks for YOLO: a text file with a class and numbers on its first line, called as a photo."""
    try:
        for photo, label in _pairs(source, Notes()).items():
            for line in read_lines(label) if label else []:
                if _numbers(line) is None:
                    return None
                return f"{label.name if label else photo.name} holds a class and corners on each line"
    except DataError:
        return None
    return None


def plan_yolo(source: Source, notes: Notes) -> Plan:
    """Plan a folder of photos and label files."""
    pairs = _pairs(source, notes)
    lines = {photo: read_lines(label) if label else [] for photo, label in pairs.items()}
    if not any(lines.values()):
        raise DataError(f"{source.path} holds no label file called as a photo; name the folder that YOLO trains on.")
    names = _names(source, notes)
    used = {int(numbers[0]) for of_photo in lines.values() for line in of_photo if (numbers := _numbers(line))}
    if used and not names:
        notes.say("Nothing names the classes (there is no data.yaml), so they are numbers.")
    last = max(used, default=0)
    if names and last >= len(names):
        raise DataError(
            f"{source.path} has objects of class {last}, but {len(names)} classes are named; mend data.yaml."
        )
    told = names or [f"class {number}" for number in range(last + 1)]
    classes, ids = number_labels(told, source.path, notes)
    splits, drawings = _splits(source, [*pairs]), []
    for photo, of_photo in lines.items():
        file = pairs[photo] or photo
        notes.count("Photos without annotations, which are background all over", photo, not of_photo)
        paint = partial(_paint, of_photo, [ids[name] for name in told], file, notes)
        split = splits.get(photo) or picture_of(photo, source.photos or source.path).split
        drawings.append(drawing_of(photo, paint, split=split))
    return Plan(classes, drawings, has_named_classes=bool(names))


def _pairs(source: Source, notes: Notes) -> dict[Path, Path | None]:
    """Return the photos and the label file of each: of the same path but for the words images and labels."""
    if not source.path.is_dir():
        raise DataError(f"{source.path} is no folder; name the one that holds data.yaml, images and labels.")
    root = source.photos or source.path
    labels: dict[object, Path] = {}
    for file in files_in(source.path, (".txt",)):
        if file.name not in TABLES:
            first = labels.setdefault(picture_of(file, source.path).key, file)
            notes.count("Second label files of a photo left out", file, first != file)
    photos = files_in(root, PHOTO_SUFFIXES) if labels else []
    pairs = {photo: labels.get(picture_of(photo, root).key) for photo in photos}
    used = Counter(pairs.values())
    for label in labels.values():
        notes.count("Label files of several photos, each of which has what is in it", label, used[label] > 1)
        notes.count("Label files without a photo left out", label, not used[label] and _is_label(label))
    return pairs


def _is_label(file: Path) -> bool:
    """Return whether a text holds a class and numbers on its first line, as no README does."""
    return any(_numbers(line) is not None for line in read_lines(file)[:1])


def _names(source: Source, notes: Notes) -> list[str]:
    """Return the names of the classes: of data.yaml in either of its forms, or a list."""
    if source.table and source.table.suffix.lower() not in YAML_SUFFIXES:
        return [tidy(line) for line in read_lines(source.table)]
    files = [source.table] if source.table else files_in(source.path, YAML_SUFFIXES)
    for file in files:
        if names := _yaml_names(read_lines(file)):
            return names
        notes.say(f"{file.name} names no classes in a form that is read.")
    lists = [source.path / name for name in TABLES if (source.path / name).is_file()]
    return [tidy(line) for line in read_lines(lists[0])] if lists else []


def _splits(source: Source, photos: Sequence[Path]) -> dict[Path, str]:
    """Return the split of each photo that data.yaml gives one; the first of train, val and test counts."""
    splits: dict[Path, str] = {}
    for file in [source.table] if source.table else files_in(source.path, YAML_SUFFIXES):
        for split in SPLITS if file.suffix.lower() in YAML_SUFFIXES else ():
            for entry in _yaml_entries(read_lines(file), split):
                splits = {**dict.fromkeys(_photos_in(entry, file, source, photos), split), **splits}
    return splits


def _photos_in(entry: str, file: Path, source: Source, photos: Sequence[Path]) -> list[Path]:
    """Return the photos below a folder, or on a list, that data.yaml names from wherever it was written."""
    parts = [part for part in entry.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    tails = [Path(*parts[at:]) for at in range(max(1, len(parts) - 1))]
    places = [folder / tail for tail in tails for folder in (file.parent, source.path, source.photos) if folder]
    place = next((place for place in places if place.exists()), None)
    if not place or place.is_dir():
        return [photo for photo in photos if place and photo.is_relative_to(place)]
    root = source.photos or source.path
    listed = {composed(line.lstrip("./")) for line in read_lines(place)}
    ends = {end for line in listed for end in _ends(Path("/", line))}
    return [
        photo
        for photo in photos
        if composed(photo.relative_to(root).as_posix()) in ends or listed.intersection(_ends(photo))
    ]


def _ends(path: Path) -> list[str]:
    """Return a path without its first folders: without one, two, and so on."""
    return [composed("/".join(path.parts[at:])) for at in range(1, len(path.parts))]


def _yaml_entries(lines: list[str], key: str) -> list[str]:
    """Return the paths under a key: one, `[a, b]`, or `- a` on lines of their own."""
    at = next((at for at, line in enumerate(lines) if line.startswith(f"{key}:")), None)
    if at is None:
        return []
    rest = lines[at].partition(":")[2].partition(" #")[0].strip()
    below = takewhile(lambda line: line.startswith("- "), lines[at + 1 :])
    parts = rest.strip("[]").split(",") if rest and not rest.startswith("#") else [line[2:] for line in below]
    return [part.strip().strip("'\"") for part in parts]


def _yaml_names(lines: list[str]) -> list[str]:
    """Return the member `names`: `[a, b]`, in one line or several, `- a` or `0: a` on lines of their own."""
    at = next((at for at, line in enumerate(lines) if line.startswith("names:")), None)
    if at is None:
        return []
    rest = lines[at].removeprefix("names:").strip()
    if rest.startswith(("[", "{")):
        text = " ".join([rest, *lines[at + 1 :]])
        parts = text[1:].replace("}", "]").partition("]")[0].split(",")
    else:
        parts = []
        for line in lines[at + 1 :]:
            if not line.startswith("- ") and not line.partition(":")[0].strip("'\" ").isdigit():
                break
            parts.append(line.removeprefix("-"))
    keyed = [part.partition(":") for part in parts]
    is_keyed = (
        bool(keyed) and all(key.strip().isdigit() for key, colon, _ in keyed if colon) and all(c for _, c, _ in keyed)
    )
    numbered = sorted((int(key), name) for key, _, name in keyed) if is_keyed else list(enumerate(parts))
    numbered = numbered[:-1] if numbered and not numbered[-1][1].strip() else numbered  # a comma after the last name
    if [number for number, _ in numbered] != list(range(len(numbered))):
        return []
    return [tidy(name.strip().strip("'\"")) for _, name in numbered]


def _numbers(line: str) -> list[float] | None:
    """Return the numbers of a line, the class first; None where it is none, or the class no whole number."""
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        return None
    is_sound = (
        len(numbers) > NUM_OF_BOX and numbers[0] >= 0 and numbers[0].is_integer() and all(map(is_coordinate, numbers))
    )
    return numbers if is_sound else None


def _paint(lines: list[str], ids: list[int], file: Path, notes: Notes, size: Size) -> NDArray[np.uint8]:
    canvas = Canvas(size)
    for numbers in map(_numbers, lines):
        corners = [share * size[at % 2] for at, share in enumerate(numbers[1:])] if numbers else []
        if numbers and len(corners) == NUM_OF_BOX:
            x, y, width, height = corners
            notes.count("Boxes, which are no outlines, left void", file)
            canvas.leave_void(box_region(x - width / 2, y - height / 2, x + width / 2, y + height / 2, size))
        elif not numbers or len(corners) < MIN_NUMBERS or len(corners) % 2:
            notes.count("Lines that are no polygon, so what nobody drew in their photos is void", file)
            canvas.leave_void(None)
        else:
            canvas.paint(polygons_region([corners], size), ids[int(numbers[0])])
    return canvas.finished()
