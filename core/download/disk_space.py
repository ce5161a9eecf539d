"""Free space on the disk for a download, and errors of the disk as one sentence."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import DataError
from core.wording import megabytes

TAR_BYTES = 1_999_639_040
"""Size of VOC's tar, for servers that do not send it; unpacked it needs as much again."""
VOC = "VOC 2012"
"""The name of the download in messages."""
FULL = (errno.ENOSPC, errno.EDQUOT)


def check_room(folder: Path, needed: int, what: str = VOC) -> None:
    """Raise `DataError` unless `needed` bytes are free in a folder."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        variable = "ATROUS_HOME" if what == VOC else "TORCH_HOME"
        raise DataError(
            f"There is no room: {what} needs {megabytes(needed)} in {folder}, where {megabytes(free)} are free; "
            f"make room, or let {variable} name a folder on another disk."
        )


@contextmanager
def saving(folder: Path, needed: int, then: str = "start again", what: str = VOC) -> Iterator[None]:
    """Turn OSErrors of the disk into one `DataError`; those without an errno pass."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        if error.errno in FULL:
            full = f"The disk is full: {what} needs {megabytes(needed)} more in {folder}"
            raise DataError(f"{full}; make room and {then}.") from error
        raise DataError(f"The folder {folder} cannot be written: {error.strerror}; check whose it is.") from error


def words_of(error: object) -> str:
    """Return the message of an error, on one line."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return said.splitlines()[0].rstrip(":.")
