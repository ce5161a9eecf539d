"""Files that appear whole or not at all, for several processes that read and write at once."""

import errno
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from core.errors import DataError
from core.windows import move
from core.wording import numbered

REPLACED = ".replaced-"
"""Suffix of a folder that another one is replacing."""

T = TypeVar("T")


class Stamp(NamedTuple):
    """Path, size and times of a file or folder: the key of every cache. A missing file has zeros.

    Anybody can set size and mtime back (`os.utime`, `cp -p`, a restored copy). `ctime_ns` is the kernel's time of the
    last change on Linux and macOS, which nobody can set. On Windows it is the time of creation: it changes when another
    file takes the place, but not when bytes are overwritten in place with size and mtime set back.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


def stamp(path: Path) -> Stamp:
    """Return the stamp of a file or folder."""
    try:
        return stamp_of(path, path.stat())
    except OSError:
        return Stamp(os.path.abspath(path), 0, 0, 0)  # noqa: PTH100


def stamp_of(path: Path | str, status: os.stat_result) -> Stamp:
    """Return the stamp of a file whose status is known."""
    # `Path.absolute` takes ten times as long, and data sets have thousands of photos.
    return Stamp(os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)  # noqa: PTH100


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` at the end of the block, flushed to the disk.

    If the block raises, the temporary file is deleted and `path` stays unchanged.
    """
    temporary = _temporary(path)
    file = temporary.open("xb")  # `tempfile` would make it readable by this user only
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
    # A name may be as long as the disk allows; this one needs room for more.
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; NaN or infinity in it raises `ValueError`."""
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    with replacing(path) as file:
        # Python reads non-UTF-8 bytes of a file name as surrogates; backslashreplace writes them as JSON's \udcXX.
        file.write(text.encode(errors="backslashreplace") + b"\n")


def take_name(file: Path, path: Path) -> bool:
    """Rename a file to a new name on the same disk and return True, or return False if that name exists."""
    try:
        os.link(file, path)
    except FileExistsError:
        return False
    except OSError:  # a disk without hard links
        if path.exists():
            return False
        file.replace(path)
    file.unlink(missing_ok=True)
    return True


def refuse_existing(path: Path) -> None:
    """Raise `DataError` if a file that the user named exists: nothing is overwritten."""
    if path.exists():
        raise DataError(f"{path} exists already; name a new file, nothing is overwritten.")


def write_new(path: Path, content: bytes) -> None:
    """Write a file that the user named; if it exists or cannot be written, raise `DataError`."""
    with new_file(path) as file:
        file.write(content)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes the file that the user named; errors as in `write_new`."""
    refuse_existing(path)
    whole = _temporary(path)
    try:
        with _in_words(path):
            with replacing(whole) as file:
                yield file
            if not take_name(whole, path):  # another process has just written it
                refuse_existing(path)
    finally:
        whole.unlink(missing_ok=True)


def write_all_new(contents: Mapping[Path, bytes]) -> None:
    """Write files that the user named, all of them or none; errors as in `write_new`."""
    wholes, taken = {path: _temporary(path) for path in contents}, list[Path]()
    try:
        for path, whole in wholes.items():
            refuse_existing(path)
            with _in_words(path), replacing(whole) as file:
                file.write(contents[path])
        for path, whole in wholes.items():
            with _in_words(path):
                if not take_name(whole, path):  # another process has just written it
                    refuse_existing(path)
            taken.append(path)
    except BaseException:
        for path in taken:
            path.unlink(missing_ok=True)
        raise
    finally:
        for whole in wholes.values():
            whole.unlink(missing_ok=True)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another place.") from error


def unused(path: Path) -> Path:
    """Return the path if nothing is there, else the first free one with -2, -3 and so on after its stem."""
    candidates = (path.with_name(f"{stem}{path.suffix}") for stem in numbered(path.stem))
    return next(each for each in candidates if not each.exists())


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` at the end of the block, and is deleted if the block raises.

    `path` must be missing or an empty folder, at the end of the block too; else `FileExistsError`.
    """
    _refuse_filled(path)
    with _drafted(path, makes_all=True) as draft:
        yield draft
        with suppress(OSError):  # missing, or filled by another process
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
    """Yield a temporary folder beside `path`; if the block raises, delete it and the parents made for it."""
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=makes_all, exist_ok=True)
    except FileExistsError:
        path.parent.stat()  # FileNotFoundError if another process has just deleted it
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from None
    draft = _temporary(path)
    draft.mkdir()
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # another process has put something there
                folder.rmdir()
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces the folder `path`, if any, at the end of the block.

    The last of several writers wins. No system swaps two folders in one step: for an instant the old one has a name
    beside `path`, where `read_folder` finds it. The parent is made, its parents are not.
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
                if not path.exists():  # else another writer was faster: replace theirs
                    raise
        for old in aside:
            delete_folder(old)


def entries(folder: Path, pattern: str) -> list[Path]:
    """Return the paths in a folder that match a glob pattern; none if the folder is missing."""
    with suppress(FileNotFoundError, NotADirectoryError):  # before Python 3.13 `glob` raises if it is deleted meanwhile
        return list(folder.glob(pattern))
    return []


def read_folder(path: Path, read: Callable[[Path], T]) -> T:
    """Return `read(path)` for a folder that `replacing_folder` may be replacing: one version of it, never a mixture."""
    for _ in range(20):
        for place in (path, *entries(path.parent, f"{escape(path.name)}{REPLACED}*")):
            with suppress(FileNotFoundError):
                return read(place)
    return read(path)


def delete_folder(path: Path) -> None:
    """Delete a folder with its content; another process may be deleting it too."""
    while path.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Yield a `new_folder` that the user named; if it is not empty or cannot be written, raise `DataError`."""
    try:
        with new_folder(path) as folder:
            yield folder
    except FileExistsError:
        raise DataError(f"{path} holds files already; name a new folder, nothing is overwritten.") from None
    except OSError as error:
        raise DataError(f"The folder {path} cannot be written: {error.strerror}; choose another.") from error


def by_number(named: Path | str) -> list[tuple[int, str]]:
    """Return a key that sorts files, or names, by the numbers in them: epoch_200.pt, epoch_999.pt, epoch_1000.pt."""
    name = named.name if isinstance(named, Path) else named
    key = []
    for text, digits in re.findall(r"([^0-9]*)([0-9]*)", name):
        # Compared by length, then digit by digit: `int` refuses more than 4,300 digits.
        key += [(0, text), (len(digits.lstrip("0")), digits.lstrip("0"))]
    return [*key, (0, name)]


def by_last_use(paths: Iterable[Path]) -> list[Path]:
    """Return files or folders sorted by mtime, oldest first, without those deleted meanwhile."""
    times = {}
    for path in paths:
        with suppress(FileNotFoundError):
            times[path] = path.stat().st_mtime
    return sorted(times, key=lambda path: times[path])


def forget_oldest(folder: Path, pattern: str, count: int) -> None:
    """Delete all but the `count` newest files that match a pattern; on Windows, open files stay."""
    files = by_last_use(file for file in entries(folder, pattern) if file.is_file())
    for file in files[: max(0, len(files) - count)]:
        with suppress(OSError):
            file.unlink()


def regular(path: Path) -> Path:
    """Return the path, but raise `OSError` for a device, pipe or socket: reading one may never end.

    A folder passes: opening it raises an error of its own.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, not a file", str(path))
    return path


def read_lines(file: Path) -> list[str]:
    """Return the lines of a UTF-8 file, stripped, without blank ones and without the BOM that Notepad writes."""
    try:
        data = regular(file).read_bytes()
        return [line.strip() for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise DataError(f"{file} cannot be read as UTF-8 text ({error}); save it again as UTF-8.") from error
    except UnicodeDecodeError as error:
        name = encoding_of(data)
        found = f"seems to be written in {name}" if name else f"is not text ({error})"
        raise DataError(f"{file} cannot be read as UTF-8 text: it {found}; save it again as UTF-8.") from error


def encoding_of(data: bytes) -> str | None:
    """Return the name of the encoding that a text is probably in, None for bytes that are not text.

    UTF-16 and UTF-32 show by their mark or their zeros. In GB18030 most bytes above 127 come in pairs; where most are
    single, the text is taken for Windows-1252.
    """
    by_zeros = json.detect_encoding(data)
    with suppress(UnicodeDecodeError):
        data.decode(by_zeros)
        return "UTF-8" if by_zeros.startswith("utf-8") else by_zeros.upper()
    lengths = [len(run) % 2 for run in re.findall(rb"[\x80-\xff]+", data)]
    for name in ("windows-1252", "gb18030") if 2 * sum(lengths) > len(lengths) else ("gb18030", "windows-1252"):
        with suppress(UnicodeDecodeError):
            return None if "\0" in data.decode(name) else name.upper()
    return None
