"""What lies in `labelling/` of a data set beside its masks: a lock, the masks that were replaced, the class changes.

lock                 held by whoever writes a mask, a list or the classes
changes.json         the changes of classes that gave pixels other ids, oldest first
history/NAME/        one PNG for each mask of the photo NAME that was replaced
    20261128T010014.123Z.0.original.png    when, after how many class changes, of what kind;
                                           an unsaved one also by whom: what they send next takes its place
    written.json                           the mask that Label wrote last, and the tab that drew it
"""

import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL import Image

from core.data.dataset import LABELLING
from core.errors import DataError
from core.files import replacing, write_json
from core.voc import VOID

Kind = Literal["original", "replaced", "unsaved"]
"""A mask that Label did not write, one that it wrote, or one that was drawn and could not be saved in its place."""

MAX_KEPT = 20
"""Masks of a photo and kind that stay, the newest; originals stay always."""
FIRST_OF = (("%Y%m%dT%H", 24), ("%Y%m%d", 30))
"""Of the replaced ones the first of each hour and day stays too, so many: what was there before that day's work."""
WAIT_S = 20.0
ENTRY = re.compile(r"(\d{8}T\d{6}\.\d{3})Z\.(\d+)\.(original|replaced|unsaved)(?:-([0-9a-f]+))?\.png")
TIME = "%Y%m%dT%H%M%S.%f"


@dataclass(frozen=True, order=True)
class Entry:
    """A mask in the history of a photo: when it was kept, its kind, the class changes made before; `drawn_by`."""

    at: datetime
    kind: Kind
    generation: int
    file: Path
    by: str = ""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the data set against other writers for a `with` block; what the disk refuses raises `DataError`."""
    folder = root / LABELLING
    try:
        folder.mkdir(exist_ok=True)
        with FileLock(folder / "lock", timeout=WAIT_S):
            yield
    except Timeout:
        raise DataError(f"{root} is being written by another process; wait a moment and try again.") from None
    except OSError as error:
        where = error.filename or folder
        raise DataError(
            f"{where} cannot be written: {error.strerror}; make room or check whose it is. What was there is unchanged."
        ) from error


# --- versions -------------------------------------------------------------------------------------------------------


def version_of(data: bytes | None, generation: int) -> str:
    """Return the version of a mask file, None for no file: a hash, and the class changes whose ids it has."""
    digest = "" if data is None else hashlib.sha256(data).hexdigest()[:32]
    return f"{digest}@{generation}" if generation else digest


def is_same_file(version: str, data: bytes | None) -> bool:
    """Return whether a version is that of a mask file, whatever classes were changed since."""
    return version.partition("@")[0] == version_of(data, 0)


def generation_in(version: str) -> int:
    """Return the number of class changes made before a version; damage raises `DataError`."""
    number = version.partition("@")[2] or "0"
    if not number.isdecimal():
        raise DataError(f"'{version[:80]}' is not the version of a mask; open the photo again.")
    return int(number)


def read_if_there(file: Path) -> bytes | None:
    """Return the content of a file, None where there is none."""
    with suppress(FileNotFoundError):
        return file.read_bytes()
    return None


# --- the changes of classes -----------------------------------------------------------------------------------------


def changes(root: Path) -> list[dict[str, Any]]:
    """Return the changes that gave pixels other ids, oldest first; `ids` holds the new id of each old one."""
    file = root / LABELLING / "changes.json"
    data = read_if_there(file)
    try:
        document = json.loads(data) if data else []
        if all(len(change["ids"]) == VOID + 1 for change in document):
            return list(document)
    except (ValueError, TypeError, KeyError):
        pass
    raise DataError(f"{file} is damaged; restore it, it says which ids masks had before classes were removed.")


def translated(root: Path, mask_HW: NDArray[np.uint8], generation: int) -> NDArray[np.uint8]:
    """Return a mask that has the ids after this many class changes with the ids of today."""
    for change in changes(root)[generation:]:
        mask_HW = np.array(change["ids"], dtype=np.uint8)[mask_HW]
    return mask_HW


# --- history --------------------------------------------------------------------------------------------------------


def history_dir(root: Path, name: str) -> Path:
    """Return the folder of a photo's history."""
    return root / LABELLING / "history" / name


def entries(root: Path, name: str) -> list[Entry]:
    """Return the history of a photo, oldest first."""
    folder = history_dir(root, name)
    found = [(ENTRY.fullmatch(file.name), file) for file in (folder.iterdir() if folder.is_dir() else ())]
    return sorted(
        Entry(datetime.strptime(parts[1], TIME).replace(tzinfo=UTC), parts[3], int(parts[2]), file, parts[4] or "")  # type: ignore[arg-type]
        for parts, file in found
        if parts
    )


def drawn_by(tab: str, base_version: str) -> str:
    """Return a word for a tab that draws upon a version."""
    return hashlib.sha256(f"{tab} {base_version}".encode()).hexdigest()[:12]


def keep(root: Path, name: str, data: bytes, kind: Kind, generation: int, by: str = "") -> None:
    """Add a mask to the history, unless the newest entry is the same; entries have increasing times.

    It takes the place of an entry of the same `drawn_by`.
    """
    found = entries(root, name)
    last = found[-1:]
    if last and last[0].generation == generation and last[0].file.read_bytes() == data:
        return
    now_ms = max(time.time_ns() // 10**6, *(int(entry.at.timestamp() * 1000 + 0.5) + 1 for entry in last), 0)
    at = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%S") + f".{now_ms % 1000:03}Z"
    folder = history_dir(root, name)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{at}.{generation}.{kind}{f'-{by}' if by else ''}.png") as file:
        file.write(data)
    for entry in found:
        if by and entry.by == by:
            entry.file.unlink(missing_ok=True)


def keep_replaced(root: Path, name: str, data: bytes, generation: int) -> None:
    """Add a mask that is about to be replaced: as an original if Label did not write it."""
    keep(root, name, data, "original" if writer_of(root, name, data) is None else "replaced", generation)


def forget_old(root: Path, name: str) -> None:
    """Delete old entries that Label wrote, those that were replaced and those unsaved each by its own bound."""
    found = entries(root, name)
    replaced, unsaved = ([entry for entry in found if entry.kind == kind] for kind in ("replaced", "unsaved"))
    stays = {*replaced[-MAX_KEPT:], *unsaved[-MAX_KEPT:]}
    for unit, count in FIRST_OF:
        first = {entry.at.strftime(unit): entry for entry in reversed(replaced)}
        stays.update(list(first.values())[:count])
    for entry in {*replaced, *unsaved} - stays:
        entry.file.unlink(missing_ok=True)


def note_written(root: Path, name: str, data: bytes, tab: str) -> None:
    """Note which mask Label wrote last; on a full disk do nothing: the mask then counts as one from elsewhere."""
    folder = history_dir(root, name)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "written.json", {"version": version_of(data, 0), "tab": tab})


def writer_of(root: Path, name: str, data: bytes) -> str | None:
    """Return the tab that drew a mask, "" for none; None if Label did not write this mask."""
    try:
        noted = json.loads((history_dir(root, name) / "written.json").read_text(encoding="utf-8"))
        return str(noted["tab"]) if noted["version"] == version_of(data, 0) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def decoded(data: bytes, file: Path) -> NDArray[np.uint8]:
    """Return the ids of a mask in the history or on disk, (H, W); a damaged one raises `DataError`."""
    try:
        with Image.open(io.BytesIO(data)) as mask:
            return np.array(mask, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"The mask {file} cannot be read ({error}); choose another one.") from error
