"""Checkpoint files that somebody brings through the browser: kept in the cache under what they hold, and few of them.

A file of weights is too large for memory twice over, and opening maps it. Its name decides nothing but its ending.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from core.errors import CheckpointError
from core.files import forget_oldest, replacing

SUFFIXES = ("pt", "pth", "bin", "ckpt", "safetensors")
MAX_KEPT = 3


def bring(folder: Path, name: str, data: bytes) -> Path:
    """Return where a file of this content lies now; of the others only the newest stay. Full disk: `CheckpointError`.

    Args:
        folder: where they are kept; made if it is not there.
        name: the file's name, of which nothing but a known ending is used.
        data: its bytes.
    """
    suffix = Path(name).suffix.lower().removeprefix(".")
    path = folder / f"{hashlib.sha256(data).hexdigest()[:24]}.{suffix if suffix in SUFFIXES else SUFFIXES[0]}"
    try:
        with suppress(FileNotFoundError):  # it is new, or somebody else has just put it away
            os.utime(path)  # the newest again
            return path
        folder.mkdir(parents=True, exist_ok=True)
        forget_oldest(folder, "[!.]*", MAX_KEPT - 1)
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise CheckpointError(
            f"{name} cannot be kept in {folder}: {error.strerror}; make room and try again."
        ) from error
    return path
