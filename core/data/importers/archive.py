"""Unpacking an archive that somebody else made: zip or tar, into a folder that vanishes again.

Nothing outside the folder is written, whatever the names say; links, devices, passwords, and more than there is room
for are one sentence. The sizes that an archive states are checked before anything is unpacked, and kept to while it is.
"""

import errno
import lzma
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Self

from core.data.importers.notes import Notes
from core.errors import DataError
from core.wording import megabytes

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILES = 500_000
MAX_DIRECTORY_BYTES = 128_000_000
"""About 250 a file: what a zip says about each in its directory, which Python reads at once."""
MAX_DEPTH = 100
MAX_RATIO = 200
MAX_SMALL_BYTES = 1_000_000_000
"""Up to so many bytes an archive may be packed as tightly as it likes: masks of one value are."""
ENCRYPTED, SAYS_UTF_8 = 1, 0x800
END_BYTES = 66_000
"""How far from its end a zip says where its directory is, behind a comment of up to 65,535 bytes."""
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path as parts, and its size in bytes."""

    parts: tuple[str, ...]
    size_bytes: int


def is_archive(path: Path) -> bool:
    """Return whether a file is called as an archive is."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


@contextmanager
def unpacked(path: Path, notes: Notes) -> Iterator[Path]:
    """Give the folder that a zip or tar holds, and remove it afterwards; what is wrong with it raises `DataError`."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix="atrous-")
    except OSError as error:
        raise DataError(f"There is no folder to unpack {path} to ({error.strerror}); name one in TMPDIR.") from error
    with temporary as folder:
        try:
            if path.name.lower().endswith(".zip"):
                _unpack_zip(path, Path(folder), notes)
            else:
                _unpack_tar(path, Path(folder))
        except UNREADABLE as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise _no_room(path, Path(folder), "more than there is room for") from error
            reason = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())
            raise DataError(f"{path} cannot be unpacked ({reason}); download or export it again.") from error
        yield _single_folder(Path(folder))


def _single_folder(folder: Path) -> Path:
    """Return the folder in an archive that holds nothing else."""
    inside = [each for each in folder.iterdir() if not each.name.startswith(".") and each.name != "__MACOSX"]
    if len(inside) != 1 or not inside[0].is_dir():
        return folder
    is_wrapper = any(each.is_dir() or "." in each.name for each in inside[0].iterdir())
    return _single_folder(inside[0]) if is_wrapper else folder


def _unpack_zip(path: Path, folder: Path, notes: Notes) -> None:
    if _entries(path) > MAX_FILES:
        raise _too_many(path)
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if any(info.flag_bits & ENCRYPTED for info in infos):
            raise DataError(f"{path} is protected by a password; unpack it yourself and name the folder.")
        if any(stat.S_ISLNK(info.external_attr >> 16) for info in infos):
            raise _has_link(path)
        names = _names_of(infos, notes)
        members = [Member(_parts(name, path), info.file_size) for name, info in zip(names, infos, strict=True)]
        _check(sum(member.size_bytes for member in members), len(members), path, folder)
        for info, member in zip(infos, members, strict=True):
            with archive.open(info) as file:
                _save(file, member, folder, path)


def _entries(path: Path) -> int:
    """Return how many files the directory of a zip lists, before Python makes an object of each."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, END_BYTES), 2)
        start, tail = file.tell(), file.read()
        end, longer = tail.rfind(b"PK\5\6"), tail.rfind(b"PK\6\6")
        if end < 0 or len(tail) < end + 22:
            return 0
        (size_bytes,) = struct.unpack_from("<L", tail, end + 12)
        if size_bytes == 0xFFFFFFFF and 0 <= longer <= end - 56:
            (size_bytes,) = struct.unpack_from("<Q", tail, longer + 40)
            end = longer
        if size_bytes > MAX_DIRECTORY_BYTES:
            return MAX_FILES + 1
        file.seek(max(0, start + end - size_bytes))
        return file.read(size_bytes).count(b"PK\1\2")


def _names_of(infos: list[zipfile.ZipInfo], notes: Notes) -> list[str]:
    """Return the names; where an archive does not say their encoding, it is the first that fits all of them.

    macOS writes UTF-8 without saying so, and Windows what its country uses; Python takes both for old DOS's CP437.
    """
    raw = [b"" if info.flag_bits & SAYS_UTF_8 else info.filename.encode("cp437") for info in infos]
    for encoding in ("UTF-8", "GB2312", "CP437"):
        with suppress(UnicodeDecodeError):
            names = [name.decode(encoding) or info.filename for name, info in zip(raw, infos, strict=True)]
            break
    if encoding != "UTF-8":
        notes.say(f"The names in the archive seem to be in {encoding}: check that they are read right.")
    return names


class StrictInfo(tarfile.TarInfo):
    """A header of a tar; one that is damaged, where Python takes the archive for ended, raises `ReadError`."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the header in a block."""
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error
        if info.size < 0:  # Python would read the same header for ever
            raise tarfile.ReadError("a negative size")
        return info


def _unpack_tar(path: Path, folder: Path) -> None:
    with tarfile.open(path, "r:*", tarinfo=StrictInfo) as archive:
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
    with tarfile.open(path, "r:*", tarinfo=StrictInfo) as archive:
        for info, member in zip((info for info in archive if info.isfile()), members, strict=True):
            if file := archive.extractfile(info):
                with file:
                    _save(file, member, folder, path)


def _parts(name: str, path: Path) -> tuple[str, ...]:
    """Return the parts of a name; one that leads out of the folder raises `DataError`."""
    plain = name.replace("\\", "/")
    parts = tuple(part for part in PurePosixPath(plain).parts if part != ".")
    if not parts or plain.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
        raise DataError(f"{path} holds a file called '{name[:80]}', which leads out of it; it is not unpacked.")
    if len(parts) > MAX_DEPTH:
        raise DataError(f"{path} holds folders in folders, {len(parts)} deep; it is not unpacked.")
    return parts


def _has_link(path: Path) -> DataError:
    return DataError(f"{path} holds a link or a device instead of a file; pack the files themselves.")


def _too_many(path: Path) -> DataError:
    return DataError(f"{path} holds more than {MAX_FILES:,} files; import a part of them.")


def _no_room(path: Path, folder: Path, size: str) -> DataError:
    free = megabytes(shutil.disk_usage(folder).free)
    return DataError(
        f"There is no room: {path} unpacks to {size}, and {free} are free in {folder.parent}; make room, or let TMPDIR "
        "name a folder on another disk."
    )


def _check(total: int, number: int, path: Path, folder: Path) -> None:
    """Raise `DataError` for more files or bytes than there may be."""
    if number > MAX_FILES:
        raise _too_many(path)
    if total > max(MAX_SMALL_BYTES, MAX_RATIO * path.stat().st_size):
        raise DataError(f"{path} would unpack to {megabytes(total)}, far more than photos do; it is not unpacked.")
    if total > shutil.disk_usage(folder).free:
        raise _no_room(path, folder, megabytes(total))


def _save(file: IO[bytes], member: Member, folder: Path, path: Path) -> None:
    target = folder.joinpath(*member.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        saved = target.open("xb")
    except FileExistsError as error:  # also where the disk takes upper and lower case for the same
        raise DataError(f"{path} holds '{'/'.join(member.parts)[:80]}' twice; pack it again.") from error
    with saved:
        shutil.copyfileobj(file, saved)
