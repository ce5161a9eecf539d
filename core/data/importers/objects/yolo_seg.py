"""YOLO's segmentation labels: a text file for each photo, a class and the corners of a polygon on each line.

`data.yaml` names the classes, and under `train`, `val` and `test` folders of photos or lists of them. Photos lie in
`images` and labels in `labels`, beside or below folders called after splits. Corners are shares of the photo's sides,
drawn as COCO draws polygons. A line of four shares is a box, which is not an outline: it stays void. A photo without a
label file is background all over, and left out where a label file without a photo may be its own.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.importers.masks.picture_path import picture_of
from core.data.importers.notes import Notes
from core.data.importers.objects.json_file import is_coordinate
from core.data.importers.objects.outlines import MIN_NUMBERS, polygons_region
from core.data.importers.photo_folder import files_in
from core.data.importers.plan import Canvas, Plan, Size, Source, box_region, drawing_of, number_labels, tidy
from core.data.importers.source_splits import SPLITS
from core.data.pair_names import PHOTO_SUFFIXES, composed
from core.errors import DataError
from core.files import read_lines
from core.wording import count

TABLES = ("classes.txt", "obj.names")
YAML_SUFFIXES = (".yaml", ".yml")
NUM_OF_BOX = 4
MAX_SHARE = 1.5
"""A corner further out is not a share of the photo's side, but px."""
QUOTED = re.compile(r"""(?<![^\s\[{,:])(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*")""")
COMMENT = re.compile(r"(?:^|\s)#.*")


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
    if pose := [
        file for file in _yaml_files(source) if any(line.startswith("kpt_shape:") for line in read_lines(file))
    ]:
        raise DataError(
            f"{pose[0]} states kpt_shape, so its labels are boxes with keypoints, not outlines; export polygons."
        )
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
    listed = names or [f"class {number}" for number in range(last + 1)]
    classes, ids = number_labels(listed, source.path, notes)
    splits, drawings = _splits(source, [*pairs]), []
    for photo, of_photo in lines.items():
        file = pairs[photo] or photo
        notes.count("Photos without annotations, which are background all over", photo, not of_photo)
        paint = partial(_paint, of_photo, [ids[name] for name in listed], file, notes)
        split = splits.get(photo) or picture_of(photo, source.photos or source.path).split
        drawings.append(drawing_of(photo, paint, split=split))
    return Plan(classes, drawings, has_named_classes=bool(names))


def _pairs(source: Source, notes: Notes) -> dict[Path, Path | None]:
    """Return the photos and the label file of each: of the same path but for the words images and labels."""
    if not source.path.is_dir():
        raise DataError(f"{source.path} is not a folder; name the one that holds data.yaml, images and labels.")
    root = source.photos or source.path
    labels = [file for file in files_in(source.path, (".txt",)) if file.name not in TABLES]
    pairs: dict[Path, Path | None] = dict.fromkeys(files_in(root, PHOTO_SUFFIXES) if labels else [])
    for name_of in (_whole_name, _name_without_ending, _name_in_any_case):
        used = {*pairs.values()}
        left: dict[object, Path] = {}
        for label in labels:
            if label not in used:
                left.setdefault(name_of(label, source.path), label)
        for photo in [photo for photo, label in pairs.items() if not label]:
            pairs[photo] = found = left.get(name_of(photo, root))
            is_other = bool(found) and name_of is _name_in_any_case
            notes.count("Label files whose names differ from their photos' in upper and lower case", photo, is_other)
    for label, number in Counter(filter(None, pairs.values())).items():
        notes.count("Label files of several photos, each of which has what is in it", label, number > 1)
    used = {*pairs.values()}
    names = {_name_without_ending(label, source.path) for label in labels if label in used}
    unused = {label: _name_without_ending(label, source.path) in names for label in labels if label not in used}
    second = [label for label, is_second in unused.items() if is_second]
    others = (label for label, is_second in unused.items() if not is_second)
    # A label file holds a class and numbers on its first line, as no README does.
    strays = [label for label in others if any(_numbers(line) is not None for line in read_lines(label)[:1])]
    notes.count_all("Second label files of a photo left out", second)
    notes.count_all("Label files without a photo left out", strays)
    return _without_doubtful(pairs, notes) if strays else pairs


def _whole_name(file: Path, root: Path) -> tuple[object, ...]:
    picture = picture_of(file, root)
    return picture.split, picture.folders, composed(file.stem)


def _name_without_ending(file: Path, root: Path) -> tuple[object, ...]:
    picture = picture_of(file, root)
    return picture.split, picture.folders, picture.stem


def _name_in_any_case(file: Path, root: Path) -> tuple[object, ...]:
    picture = picture_of(file, root)
    return picture.split, tuple(folder.casefold() for folder in picture.folders), picture.stem.casefold()


def _without_doubtful(pairs: dict[Path, Path | None], notes: Notes) -> dict[Path, Path | None]:
    """Leave out photos without a label file, which are not background where one that is left over may be theirs."""
    doubtful = [photo for photo, label in pairs.items() if not label]
    notes.count_all(
        "Photos without a label file left out, as one of the label files without a photo may be theirs", doubtful
    )
    return {photo: label for photo, label in pairs.items() if label}


def _names(source: Source, notes: Notes) -> list[str]:
    """Return the names of the classes: of data.yaml in either of its forms, or a list."""
    if source.table and source.table.suffix.lower() not in YAML_SUFFIXES:
        return [tidy(line) for line in read_lines(source.table)]
    found: dict[Path, list[str]] = {}
    for file in _yaml_files(source):
        if names := _yaml_names(file):
            found[file] = names
        else:
            notes.say(f"{file.name} names no classes in a form that is read.")
    lists = [] if source.table else [file for file in files_in(source.path, (".txt", ".names")) if file.name in TABLES]
    found |= {file: names for file in lists if (names := [tidy(line) for line in read_lines(file)])}
    first = next(iter(found), None)
    if other := next((file for file, names in found.items() if first and names != found[first]), None):
        raise DataError(f"{first} and {other} name the classes differently; choose one with --table.")
    return found[first] if first else []


def _yaml_files(source: Source) -> list[Path]:
    files = [source.table] if source.table else files_in(source.path, YAML_SUFFIXES)
    return [file for file in files if file.suffix.lower() in YAML_SUFFIXES]


def _splits(source: Source, photos: Sequence[Path]) -> dict[Path, str]:
    """Return the split of each photo that data.yaml gives one; the first of train, val and test counts."""
    splits: dict[Path, str] = {}
    for file in _yaml_files(source):
        for split in SPLITS:
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


def _yaml_names(file: Path) -> list[str]:
    """Return the member `names`: `[a, b]`, in one line or several, `- a` or `0: a` on lines of their own.

    What is in quotes is kept as it is, and comments are cut. Names of another number than `nc` raise `DataError`.
    """
    quoted: list[str] = []

    def kept(found: re.Match[str]) -> str:
        quoted.append(found[0])
        return f"\0{len(quoted) - 1}\0"

    def plain(part: str) -> str:
        whole = re.sub("\0(\\d+)\0", lambda found: quoted[int(found[1])], part.strip())
        if not QUOTED.fullmatch(whole):
            return whole
        return whole[1:-1].replace("''", "'") if whole[0] == "'" else re.sub(r"\\(.)", r"\1", whole[1:-1])

    lines = [COMMENT.sub("", QUOTED.sub(kept, line.replace("\0", ""))) for line in read_lines(file)]
    names = _yaml_listed([line for line in lines if line], plain)
    stated = next((line.partition(":")[2].strip() for line in lines if line.startswith("nc:")), "")
    if names and stated.isdecimal() and int(stated) != len(names):
        raise DataError(f"{file} states nc: {stated}, and names {count(len(names), 'class', 'classes')}; correct one.")
    return names


def _yaml_listed(lines: list[str], plain: Callable[[str], str]) -> list[str]:
    at = next((at for at, line in enumerate(lines) if line.startswith("names:")), None)
    if at is None:
        return []
    rest = lines[at].removeprefix("names:").strip()
    if rest.startswith(("[", "{")):
        text = " ".join([rest, *lines[at + 1 :]])
        parts = text[1:].replace("}", "]").partition("]")[0].split(",")
    else:
        below = takewhile(
            lambda line: line.startswith("- ") or plain(line.partition(":")[0]).isdigit(), lines[at + 1 :]
        )
        parts = [line.removeprefix("-") for line in below]
    keyed = [(plain(key), colon, name) for key, colon, name in (part.partition(":") for part in parts)]
    is_keyed = bool(keyed) and all(colon and key.isdigit() for key, colon, _ in keyed)
    numbered = sorted((int(key), name) for key, _, name in keyed) if is_keyed else list(enumerate(parts))
    numbered = numbered[:-1] if numbered and not numbered[-1][1].strip() else numbered  # a comma after the last name
    if [number for number, _ in numbered] != list(range(len(numbered))):
        return []
    return [tidy(plain(name)) for _, name in numbered]


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
    canvas = Canvas(size, notes, file)
    for numbers in map(_numbers, lines):
        corners = [share * size[at % 2] for at, share in enumerate(numbers[1:])] if numbers else []
        is_in_px = numbers is not None and max(map(abs, numbers[1:])) > MAX_SHARE
        if numbers and len(corners) == NUM_OF_BOX and not is_in_px:
            x, y, width, height = corners
            notes.count("Boxes, which are not outlines, left void", file)
            canvas.leave_void(box_region(x - width / 2, y - height / 2, x + width / 2, y + height / 2, size))
        elif not numbers or len(corners) < MIN_NUMBERS or len(corners) % 2 or is_in_px:
            notes.count("Lines that are not a polygon, so what nobody drew in their photos is void", file)
            canvas.leave_void(None)
        else:
            canvas.paint(polygons_region([corners], size), ids[int(numbers[0])])
    return canvas.finished()
