"""Reading JSON that somebody else wrote: whatever is wrong with it is one sentence naming the file."""

import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from core.data.importers.notes import Notes
from core.data.importers.photo_folder import files_in
from core.errors import DataError
from core.files import Stamp, encoding_of, regular, stamp

Kind = TypeVar("Kind")
KIND_NAMES: dict[type, str] = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
MAX_COORDINATE = 1e7
MAX_PEEKED = 4
UNREAD_TOOLS = {
    "V7 Darwin": {"item", "annotations"},
    "V7 Darwin (version 1)": {"dataset", "image", "annotations"},
    "Hasty": {"project_name", "label_classes", "images"},
    "SuperAnnotate": {"metadata", "instances"},
    "ISAT": {"info", "objects"},
    "Labelbox": {"data_row", "projects"},
    "Scalabel (BDD100K)": {"name", "labels"},
    "Segments.ai": {"dataset", "task_type"},
    "Datumaro": {"info", "categories", "items"},
    "VoTT": {"asset", "regions"},
    "GeoJSON": {"type", "features"},
    "COCO's results, which name no classes and photos": {"image_id", "category_id"},
    "Cityscapes' or Mapillary's polygons": {"objects", "imgWidth"},
}
"""JSON that is known and not read, by the members of its document, or of the first one in a list."""


def read_json(file: Path, notes: Notes | None = None) -> Any:
    """Read a JSON document; one that is damaged, or no JSON at all, raises `DataError`.

    labelme saves in the encoding of the system it runs on: any that is recognised is read, and noted.
    """
    document, encoding = _read(stamp(file))
    if notes and encoding != "UTF-8":
        notes.count(f"Files in {encoding}, not UTF-8: check that the names are read right", file)
    return document


@lru_cache(maxsize=4)
def _read(state: Stamp) -> tuple[Any, str]:
    """Return a document and its encoding; what recognises a format and what reads it share the work."""
    file = Path(state.path)
    try:
        data = regular(file).read_bytes()
        encoding = encoding_of(data) or "UTF-8"
        return json.loads(data if encoding == "UTF-8" else data.decode(encoding)), encoding
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; check its name and whose it is.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not a whole JSON file ({error}); export it again.") from error


def peeked(path: Path) -> list[tuple[Path, Any]]:
    """Return the first JSON documents of a folder, those least deep first, or the file itself; broken ones are not."""
    files = [path] if path.is_file() else files_in(path, (".json",))
    found = []
    for file in sorted(files, key=lambda file: (len(file.parts), file))[:MAX_PEEKED]:
        with suppress(DataError):
            found.append((file, read_json(file)))
    return found


def refuse_unread(document: Any, file: Path) -> None:
    """Raise `DataError` for a document of a tool whose JSON is not read."""
    first = document[0] if isinstance(document, list) and document else document
    members = first.keys() if isinstance(first, dict) else set()
    if tool := next((tool for tool, known in UNREAD_TOOLS.items() if members >= known), None):
        raise DataError(f"{file} is JSON of {tool}, which is not read; export COCO JSON with outlines, or masks.")


def of_kind(value: Any, kind: type[Kind], what: str, file: Path) -> Kind:
    """Return a value that must be of a kind; `what` names it in the `DataError` where it is not."""
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    found = "missing" if value is None else f"not {KIND_NAMES[kind]}"
    raise DataError(f"{file} is not of this format: {what} is {found}; choose the right format, or export it again.")


def member(container: dict[str, Any], key: str, kind: type[Kind], what: str, file: Path) -> Kind:
    """Return a member of an object; one that is missing or of another kind raises `DataError`."""
    return of_kind(container.get(key), kind, f"'{key}' of {what}", file)


def is_coordinate(value: Any) -> TypeGuard[float]:
    """Return whether a value is a number that can be drawn: no NaN, no infinity, nothing beyond ten million px."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_COORDINATE


def points_of(listed: Any) -> list[tuple[float, float]] | None:
    """Return corners, [[x, y], ...], or None where one of them is not a pair of numbers."""
    if not isinstance(listed, list):
        return None
    if not all(isinstance(pair, list) and len(pair) == 2 and all(map(is_coordinate, pair)) for pair in listed):
        return None
    return [(float(x), float(y)) for x, y in listed]


def size_in(container: dict[str, Any], width: str, height: str) -> tuple[int, int] | None:
    """Return the (width, height) that an object states in px, or None where it does not state both."""
    sides = [side for side in (container.get(width), container.get(height)) if is_coordinate(side) and side >= 1]
    return (round(sides[0]), round(sides[1])) if len(sides) == 2 else None
