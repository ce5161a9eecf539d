"""Stores files from the browser in the cache, named by the hash of their content; the newest stay.

On the disk, weights can be mapped, so they are in memory once, and an archive is there for the process that imports it.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.errors import DataError
from core.files import forget_oldest, replacing

MAX_FILES = 3


def bring(folder: Path, name: str, data: bytes, endings: Sequence[str]) -> Path:
    """Store a file in a folder and return its path; the newest `MAX_FILES` stay. A full disk raises `DataError`.

    Of the file's name in the browser only an ending that is known is used; `endings` have their dots.
    """
    ending = next((known for known in endings if name.lower().endswith(known)), endings[0])
    path = folder / f"{hashlib.sha256(data).hexdigest()[:24]}{ending}"
    try:
        with suppress(FileNotFoundError):  # it is new, or another process has just deleted it
            os.utime(path)  # now the newest
            return path
        folder.mkdir(parents=True, exist_ok=True)
        forget_oldest(folder, "[!.]*", MAX_FILES - 1)
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise DataError(f"{name} cannot be stored in {folder}: {error.strerror}; make room and try again.") from error
    return path
