"""Files: written so that a reader sees the old one or the new one, never half of it; read; put in order."""

import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from core.errors import DataError

NAME_LENGTH = 40
"""How much of a file's name its temporary file bears: names may be as long as the disk allows."""


class Stamp(NamedTuple):
    """What tells without opening it whether a file or folder is still the one that was read: every cache's key.

    The size and the time of change can both be set back by anybody (`os.utime`, `cp -p`, a restored copy). On Linux and
    macOS `ctime_ns` cannot: it is the kernel's time of the last change. On Windows it is the time at which the file was
    made, which sees a file that another took the place of; bytes written over in place, with the size and the time of
    change as before, are not seen there. A file that does not exist has zeros.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


def stamp(path: Path) -> Stamp:
    """Return the stamp of a file or folder as it is now."""
    try:
        return stamp_of(path, path.stat())
    except OSError:
        return Stamp(os.path.abspath(path), 0, 0, 0)  # noqa: PTH100


def stamp_of(path: Path | str, status: os.stat_result) -> Stamp:
    """Return the stamp of a file whose status is known."""
    # Not `Path.absolute`, which takes ten times as long, and there are thousands of photos.
    return Stamp(os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)  # noqa: PTH100


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends well, flushed to the disk before.

    When the block raises, the temporary file is removed and `path` stays as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:NAME_LENGTH]}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; a NaN or an infinity in it raises `ValueError`."""
    with replacing(path) as file:
        file.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False).encode() + b"\n")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `path` when the block ends well, and vanishes when it raises.

    `path` must not exist, or be an empty folder; else `FileExistsError`.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(path)
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name[:NAME_LENGTH]}.", suffix=".part"))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            path.rmdir()
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Give what `new_folder` does for a folder that a person named: what is wrong with it is a `DataError`."""
    try:
        with new_folder(path) as folder:
            yield folder
    except FileExistsError:
        raise DataError(f"{path} holds files already; name a new folder, nothing is overwritten.") from None
    except OSError as error:
        raise DataError(f"The folder {path} cannot be written: {error.strerror}; choose another.") from error


def refuse_existing(path: Path) -> None:
    """Raise `DataError` if a file that a person named is there already: nothing is overwritten."""
    if path.exists():
        raise DataError(f"{path} exists already; name a new file, nothing is overwritten.")


def unused(path: Path) -> Path:
    """Return a path that nothing is at: this one, or else with -2 after its stem, -3 and so on."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], numbered) if not each.exists())


def write_new(path: Path, content: bytes) -> None:
    """Write a file that a person named, whole or not at all; one that exists or cannot be written is a `DataError`."""
    refuse_existing(path)
    try:
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another place.") from error


def by_number(named: Path | str) -> list[tuple[int, str]]:
    """Return a key that sorts files, or names, by the numbers in them: epoch_200.pt, epoch_999.pt, epoch_1000.pt."""
    name = named.name if isinstance(named, Path) else named
    key = []
    for text, digits in re.findall(r"([^0-9]*)([0-9]*)", name):
        key += [(0, text), (len(digits.lstrip("0")), digits.lstrip("0"))]
    return [*key, (0, name)]


def read_lines(file: Path) -> list[str]:
    """Return the lines of a text file that are not blank; Notepad begins its files with a mark, which is skipped."""
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as UTF-8 text ({error}); save it again as UTF-8.") from error
