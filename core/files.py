"""Files: written so that a reader sees the old one or the new one, never half of it; read; put in order."""

import errno
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from core.errors import DataError
from core.windows import is_locked, move
from core.wording import numbered

NAME_LENGTH = 40
"""How much of a file's name its temporary file bears: names may be as long as the disk allows."""

REPLACED = ".replaced-"
"""Follows the name of a folder that another one is about to replace."""

LOOKS = 20
"""How often a folder is looked for that others replace all the time."""

T = TypeVar("T")


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
    temporary = _temporary(path)
    file = temporary.open("xb")  # not by tempfile, which lets nobody else read what it makes
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        move(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name[:NAME_LENGTH]}.{secrets.token_hex(4)}.part")


def write_once(path: Path, content: bytes) -> bool:
    """Write a file whole unless there is one, and tell whether it was; of two writers at once, one gets False."""
    whole = _temporary(path)
    with replacing(whole) as file:
        file.write(content)
    try:
        return take_name(whole, path)
    finally:
        whole.unlink(missing_ok=True)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; a NaN or an infinity in it raises `ValueError`."""
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    with replacing(path) as file:
        # A file's name may have bytes that are no UTF-8: Python's sign for one, written out, is JSON's for it.
        file.write(text.encode(errors="backslashreplace") + b"\n")


def take_name(file: Path, path: Path) -> bool:
    """Give a file a name on the same disk that nothing has yet; of two who do so at once, one gets False."""
    try:
        os.link(file, path)
    except FileExistsError:
        return False
    except OSError:  # a disk without links
        if path.exists():
            return False
        file.replace(path)
    file.unlink(missing_ok=True)
    return True


# --- folders --------------------------------------------------------------------------------------------------------


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `path` when the block ends well, and vanishes when it raises.

    `path` must not exist, or be an empty folder; else `FileExistsError`, also where somebody else was faster.
    """
    _refuse_filled(path)
    with _drafted(path, makes_all=True) as draft:
        yield draft
        with suppress(OSError):  # there is none, or it is filled by now
            path.rmdir()
        try:
            draft.rename(path)
        except OSError:
            _refuse_filled(path)
            raise


def _refuse_filled(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


@contextmanager
def _drafted(path: Path, *, makes_all: bool) -> Iterator[Path]:
    """Give a temporary folder beside `path`; when the block raises, it vanishes with the folders made for it."""
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=makes_all, exist_ok=True)
    except FileExistsError:
        path.parent.stat()  # it was there, and is deleted at this moment: FileNotFoundError
        raise
    draft = _temporary(path)
    draft.mkdir()
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of the folder `path`, if there is one, when the block ends well.

    Of several who do so at once, the last one stays. No system swaps two folders in one step: for an instant the old
    one has a name beside, where `read_folder` finds it. The folder above `path` is made, those above that are not.
    """
    with _drafted(path, makes_all=False) as draft:
        yield draft
        aside = []
        while True:
            aside.append(path.with_name(f"{path.name}{REPLACED}{secrets.token_hex(4)}"))
            with suppress(FileNotFoundError):
                path.rename(aside[-1])
            try:
                draft.rename(path)
                break
            except OSError:
                if not path.exists():
                    raise
                # Somebody else has put theirs there meanwhile.
        for old in aside:
            delete_folder(old)


def entries(folder: Path, pattern: str) -> list[Path]:
    """Return what a folder holds whose name fits a pattern; nothing where it is gone, or is deleted meanwhile."""
    with suppress(FileNotFoundError, NotADirectoryError):  # before Python 3.13, `glob` itself raises in that instant
        return list(folder.glob(pattern))
    return []


def read_folder(path: Path, read: Callable[[Path], T]) -> T:
    """Return what `read` makes of a folder that others may be replacing (`replacing_folder`), of one state of it."""
    for _ in range(LOOKS):
        for place in (path, *entries(path.parent, f"{escape(path.name)}{REPLACED}*")):
            with suppress(FileNotFoundError):
                return read(place)
    return read(path)


def delete_folder(path: Path) -> None:
    """Delete a folder with all that is in it; what somebody else deletes meanwhile is as good."""
    while path.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


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
    candidates = (path.with_name(f"{stem}{path.suffix}") for stem in numbered(path.stem))
    return next(each for each in candidates if not each.exists())


def write_new(path: Path, content: bytes) -> None:
    """Write a file that a person named, whole or not at all; one that exists or cannot be written is a `DataError`."""
    refuse_existing(path)
    try:
        is_first = write_once(path, content)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another place.") from error
    if not is_first:  # by somebody else meanwhile
        refuse_existing(path)


def by_number(named: Path | str) -> list[tuple[int, str]]:
    """Return a key that sorts files, or names, by the numbers in them: epoch_200.pt, epoch_999.pt, epoch_1000.pt."""
    name = named.name if isinstance(named, Path) else named
    key = []
    for text, digits in re.findall(r"([^0-9]*)([0-9]*)", name):
        key += [(0, text), (len(digits.lstrip("0")), digits.lstrip("0"))]
    return [*key, (0, name)]


def by_last_use(paths: Iterable[Path]) -> list[Path]:
    """Return files or folders in the order of their times of change; those that are gone by now are left out."""
    times = {}
    for path in paths:
        with suppress(FileNotFoundError):
            times[path] = path.stat().st_mtime
    return sorted(times, key=lambda path: times[path])


def forget_oldest(folder: Path, pattern: str, count: int) -> None:
    """Delete of a folder's files that fit a pattern all but the newest so many; on Windows, one in use stays."""
    kept = by_last_use(file for file in entries(folder, pattern) if file.is_file())
    for file in kept[: max(0, len(kept) - count)]:
        with suppress(OSError):
            file.unlink()


def regular(path: Path) -> Path:
    """Return the path of a file that has an end; a device, a pipe or a socket raises `OSError` before it is opened.

    A pipe is waited for, and some devices go on for ever. A folder is let through: who opens it learns that it is one.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, not a file", str(path))
    return path


def read_lines(file: Path) -> list[str]:
    """Return the lines of a text file that are not blank; Notepad begins its files with a mark, which is skipped."""
    try:
        return [line.strip() for line in regular(file).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as UTF-8 text ({error}); save it again as UTF-8.") from error


# --- locks ----------------------------------------------------------------------------------------------------------


def locked_since(file: Path) -> float | None:
    """Return when the living process that locks a file took the lock, in seconds since 1970; None where none does.

    A file that is gone is locked by nobody; one that this user may not open raises `OSError`.
    """
    try:
        with file.open("rb") as opened:
            return os.fstat(opened.fileno()).st_mtime if is_locked(opened) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
