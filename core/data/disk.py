"""Room for VOC 2012 on the disk, and what the disk says when there is none, in one sentence."""

import errno
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import DataError

TAR_BYTES = 1_999_639_040
"""Size of VOC's tar, for where a server does not tell; unpacked it takes as much again."""
FULL = (errno.ENOSPC, errno.EDQUOT)


def check_room(folder: Path, needed: int) -> None:
    """Raise `DataError` unless that many bytes are free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"VOC 2012 needs {megabytes(needed)} in {folder}, where {megabytes(free)} are free; make room, "
            "or let ATROUS_HOME name a folder on another disk."
        )


@contextmanager
def saving(folder: Path, needed: int, then: str = "start again") -> Iterator[None]:
    """Turn what the disk says into one `DataError`; errors without a number are not the disk's and pass."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        if error.errno in FULL:
            full = f"The disk is full: VOC 2012 needs {megabytes(needed)} more in {folder}"
            raise DataError(f"{full}; make room and {then}.") from error
        raise DataError(f"The folder {folder} cannot be written: {error.strerror}; check whose it is.") from error


def megabytes(size: int) -> str:
    """Return a size in bytes in whole megabytes, rounded up."""
    return f"{math.ceil(size / 1e6):,} MB"


def words_of(error: object) -> str:
    """Return what an error says, on one line."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return said.splitlines()[0].rstrip(":.")
