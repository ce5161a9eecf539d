"""Large arrays in `cache/`, written row by row and mapped into memory."""

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.files import by_last_use

MAX_BYTES = 16 * 10**9
"""Limit for all arrays of a kind; the least recently used are deleted."""

MARGIN_BYTES = 2 * 10**9
"""Bytes left free on the disk, for checkpoints and other programs."""


def make_room(folder: Path, nbytes: int) -> bool:
    """Delete the least recently used subfolders until `nbytes` more fit; return whether they do."""
    if nbytes > MAX_BYTES:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folders = by_last_use(each for each in folder.iterdir() if each.is_dir())
        sizes = {each: _bytes_of(each) for each in folders}
        while folders and sum(sizes[each] for each in folders) + nbytes > MAX_BYTES:
            shutil.rmtree(folders.pop(0), ignore_errors=True)
        return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > nbytes + MARGIN_BYTES
    except OSError:
        return False


def could_hold(folder: Path, nbytes: float) -> bool:
    """Return whether `make_room` would find room, by the limit and what is on the disk; deletes nothing."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    freeable = sum(map(_bytes_of, folder.iterdir())) if folder.exists() else 0
    return nbytes <= MAX_BYTES and shutil.disk_usage(existing).free + freeable > nbytes + MARGIN_BYTES


def _bytes_of(folder: Path) -> int:
    """Return the size of a folder's files, 0 if another process deletes it meanwhile."""
    with suppress(FileNotFoundError):
        return sum(file.stat().st_size for file in folder.iterdir())
    return 0


def write_rows(
    file: Path, shape: tuple[int, ...], dtype: DTypeLike, rows: Iterator[NDArray[np.generic]]
) -> Iterator[None]:
    """Write an array to an .npy file and yield after each row; a full disk raises `OSError`.

    Rows are written, not mapped: writing to a mapped file on a full disk kills the process (SIGBUS).
    """
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    with file.open("wb") as written:
        np.lib.format.write_array_header_1_0(written, header)
        for row in rows:
            if row.nbytes != math.prod(shape[1:]) * np.dtype(dtype).itemsize:
                raise ValueError(f"a row of {row.shape} {row.dtype} does not belong into {shape} {dtype}")
            written.write(row.tobytes())
            yield
        written.flush()
        os.fsync(written.fileno())


def mapped(file: Path) -> NDArray[np.generic]:
    """Map a cached array into memory, and set its folder's mtime, the time of its last use.

    If it does not exist, or another process has deleted it, raise `FileNotFoundError`.
    """
    array: NDArray[np.generic] = np.load(file, mmap_mode="r", allow_pickle=False)
    if os.access(file.parent, os.W_OK):
        os.utime(file.parent)
    return array
