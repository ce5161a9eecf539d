"""Unpacking an archive that somebody else made: zip or tar, into a folder that vanishes again.

Nothing outside the folder is written, whatever the names say; links, devices, passwords, and more than there is room
for are one sentence. The sizes that an archive states are checked before anything is unpacked, and kept to while it is.
"""

import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from core.errors import DataError
from core.wording import megabytes

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILES = 500_000
MAX_RATIO = 200
MAX_SMALL_BYTES = 1_000_000_000
"""Up to so many bytes an archive may be packed as tightly as it likes: masks of one value are."""
ENCRYPTED = 1
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, tarfile.TarError, NotImplementedError)


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path as parts, and its size in bytes."""

    parts: tuple[str, ...]
    size_bytes: int


def is_archive(path: Path) -> bool:
    """Return whether a file is called as an archive is."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give the folder that a zip or tar holds, and remove it afterwards; what is wrong with it raises `DataError`."""
    with tempfile.TemporaryDirectory(prefix="atrous-") as folder:
        try:
            if path.name.lower().endswith(".zip"):
                _unpack_zip(path, Path(folder))
            else:
                _unpack_tar(path, Path(folder))
        except UNREADABLE as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise DataError(f"{path} cannot be unpacked ({reason}); download or export it again.") from error
        yield _single_folder(Path(folder))


def _single_folder(folder: Path) -> Path:
    """Return the folder in an archive that holds nothing else."""
    inside = [each for each in folder.iterdir() if not each.name.startswith(".") and each.name != "__MACOSX"]
    return _single_folder(inside[0]) if len(inside) == 1 and inside[0].is_dir() and _is_wrapper(inside[0]) else folder


def _is_wrapper(folder: Path) -> bool:
    return any(each.is_dir() for each in folder.iterdir()) or any(folder.glob("*.*"))


def _unpack_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if any(info.flag_bits & ENCRYPTED for info in infos):
            raise DataError(f"{path} is protected by a password; unpack it yourself and name the folder.")
        if any(stat.S_ISLNK(info.external_attr >> 16) for info in infos):
            raise _has_link(path)
        members = [Member(_parts(_name_of(info), path), info.file_size) for info in infos]
        _check(sum(member.size_bytes for member in members), len(members), path, folder)
        for info, member in zip(infos, members, strict=True):
            with archive.open(info) as file:
                _save(file, member, folder)


def _name_of(info: zipfile.ZipInfo) -> str:
    """Return a name; macOS writes UTF-8 without saying so, which Python takes for the alphabet of old DOS."""
    try:
        return info.filename if info.flag_bits & 0x800 else info.filename.encode("cp437").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return info.filename


def _unpack_tar(path: Path, folder: Path) -> None:
    with tarfile.open(path, "r:*") as archive:
        members: list[Member] = []
        total = 0
        for info in archive:
            if info.isdir():
                continue
            if not info.isfile():
                raise _has_link(path)
            members.append(Member(_parts(info.name, path), info.size))
            total += info.size
            _check(total, len(members), path, folder)
    with tarfile.open(path, "r:*") as archive:
        for info, member in zip((info for info in archive if info.isfile()), members, strict=True):
            if file := archive.extractfile(info):
                with file:
                    _save(file, member, folder)


def _parts(name: str, path: Path) -> tuple[str, ...]:
    """Return the parts of a name; one that leads out of the folder raises `DataError`."""
    plain = name.replace("\\", "/")
    parts = tuple(part for part in PurePosixPath(plain).parts if part != ".")
    if not parts or plain.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
        raise DataError(f"{path} holds a file called '{name[:80]}', which leads out of it; it is not unpacked.")
    return parts


def _has_link(path: Path) -> DataError:
    return DataError(f"{path} holds a link or a device instead of a file; pack the files themselves.")


def _check(total: int, number: int, path: Path, folder: Path) -> None:
    """Raise `DataError` for more files or bytes than there may be."""
    if number > MAX_FILES:
        raise DataError(f"{path} holds more than {MAX_FILES:,} files; import a part of them.")
    if total > max(MAX_SMALL_BYTES, MAX_RATIO * path.stat().st_size):
        raise DataError(f"{path} would unpack to {megabytes(total)}, far more than photos do; it is not unpacked.")
    if total > (free := shutil.disk_usage(folder).free):
        raise DataError(
            f"There is no room: {path} unpacks to {megabytes(total)}, and {megabytes(free)} are free in "
            f"{folder.parent}; make room, or let TMPDIR name a folder on another disk."
        )


def _save(file: IO[bytes], member: Member, folder: Path) -> None:
    target = folder.joinpath(*member.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as saved:
        shutil.copyfileobj(file, saved)
