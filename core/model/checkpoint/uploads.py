"""Stores checkpoint files from the browser in the cache, named by the hash of their content.

On the disk they can be mapped, so the weights are in memory once.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from core.errors import CheckpointError
from core.files import forget_oldest, replacing

SUFFIXES = ("pt", "pth", "bin", "ckpt", "safetensors")
MAX_FILES = 3


def bring(folder: Path, name: str, data: bytes) -> Path:
    """Store a file and return its path; the newest `MAX_FILES` stay. A full disk raises `CheckpointError`.

    Args:
        folder: where the files lie; created if needed.
        name: the file's name in the browser; only a known suffix of it is used.
        data: its bytes.
    """
    suffix = Path(name).suffix.lower().removeprefix(".")
    path = folder / f"{hashlib.sha256(data).hexdigest()[:24]}.{suffix if suffix in SUFFIXES else SUFFIXES[0]}"
    try:
        with suppress(FileNotFoundError):  # it is new, or another process has just deleted it
            os.utime(path)  # now the newest
            return path
        folder.mkdir(parents=True, exist_ok=True)
        forget_oldest(folder, "[!.]*", MAX_FILES - 1)
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise CheckpointError(
            f"{name} cannot be stored in {folder}: {error.strerror}; make room and try again."
        ) from error
    return path
