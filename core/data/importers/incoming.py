"""Imports of the dashboard: where uploaded archives lie, how new data sets are called, and the job that writes one.

cache/uploads/HASH.zip         an uploaded archive, until it is imported; the newest three stay
cache/import-NAME/             the job that writes datasets/NAME
cache/import-NAME/import.json  what it printed: classes, splits and notes
"""

import json
import re
from pathlib import Path

from core import jobs
from core.data.importers.archive import SUFFIXES
from core.errors import DataError
from core.home import datasets_dir, home
from core.uploads import bring
from core.wording import numbered

DOCUMENT = "import.json"
NAME = re.compile(r"\w[\w +.-]{0,59}(?<![ .])")
RESERVED = ("demo", "vocdevkit")
"""The folders in `datasets/` of the demo and of VOC 2012."""


def uploads_dir() -> Path:
    """Return the folder of the uploaded archives."""
    return home() / "cache" / "uploads"


def store_upload(name: str, data: bytes) -> Path:
    """Store an uploaded archive and return its path; a full disk raises `DataError`."""
    return bring(uploads_dir(), name, data, SUFFIXES)


def forget_upload(source: Path) -> None:
    """Delete an archive if it was uploaded; any other file stays."""
    if source.parent == uploads_dir():
        source.unlink(missing_ok=True)


def proposed_name(file_name: str) -> str:
    """Return a name for the data set of a folder or archive that no other data set or import has."""
    ending = next((known for known in SUFFIXES if file_name.lower().endswith(known)), "")
    stem = file_name[: len(file_name) - len(ending)]
    stem = re.sub(r"[^\w+.-]+", "-", stem).lstrip("+.-")[:50].rstrip("+.-") or "imported"
    return next(name for name in numbered(stem) if _is_free(name))


def _is_free(name: str) -> bool:
    is_taken = name.casefold() in RESERVED or (datasets_dir() / name).exists()
    return not is_taken and not jobs.is_held(job_dir(name))


def place_of(name: str) -> Path:
    """Return the folder of a new data set of that name; a name that cannot be or is taken raises `DataError`."""
    if not NAME.fullmatch(name):
        raise DataError(
            f"'{name}' cannot name a data set; use up to 60 letters, digits, spaces and . _ + -, a letter or digit "
            "first."
        )
    if not _is_free(name):
        raise DataError(f"There is a data set called {name}, or one being imported; choose another name.")
    return datasets_dir() / name


def job_dir(name: str) -> Path:
    """Return the folder of the job (`core.jobs`) that imports a data set of that name."""
    return home() / "cache" / f"import-{name}"


def notes_of(root: Path) -> tuple[str, ...]:
    """Return what the import of a data set skipped or decided, in words; none for a folder that was not imported."""
    try:
        document = json.loads((job_dir(root.name) / DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(document["notes"]) if document["data"] == str(root) else ()
