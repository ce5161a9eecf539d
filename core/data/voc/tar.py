"""Unpacking VOC's tar: only what segmentation needs, nothing outside the folder, all of it or nothing."""

import lzma
import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.data.dataset import AUGMENTED_MASKS, LAYOUTS, LISTS, PLACES, open_dataset
from core.download.disk_space import check_room, saving, words_of
from core.errors import DataError
from core.files import new_folder, regular
from core.jobs import OnProgress

DEVKIT, RELEASE = "VOCdevkit", "VOC2012"
NEEDED = (*LAYOUTS[0], LISTS.as_posix())
UNPACKED = (*NEEDED, AUGMENTED_MASKS)


def unpack(tar: Path, root: Path, on_progress: OnProgress) -> None:
    """Unpack `VOCdevkit/VOC2012` into a folder; whatever is wrong with the tar or the disk raises `DataError`."""
    with _reading(tar), tarfile.open(regular(tar)) as archive:
        _unpack_archive(archive, tar, root, on_progress)


def _wanted(members: list[tarfile.TarInfo], tar: Path) -> dict[str, tarfile.TarInfo]:
    """Return the files to unpack by their path in the `VOC2012` folder; refuse a tar with anything strange in it."""
    for member in members:
        _refuse_strange(member, tar)
    files = {posixpath.normpath(member.name): member for member in members if member.isreg()}
    for place in PLACES:
        prefix = "" if place == "." else f"{place}/"
        inside = {path.removeprefix(prefix): file for path, file in files.items() if path.startswith(prefix)}
        if all(any(_is_in(path, (folder,)) for path in inside) for folder in NEEDED):
            return {path: file for path, file in inside.items() if _is_in(path, UNPACKED)}
    raise DataError(f"{tar} holds no VOC 2012; it needs the folders {', '.join(NEEDED)} in {DEVKIT}/{RELEASE}.")


def _is_in(path: str, folders: Sequence[str]) -> bool:
    return path.startswith(tuple(f"{folder}/" for folder in folders))


def _refuse_strange(member: tarfile.TarInfo, tar: Path) -> None:
    """Refuse whatever could write elsewhere; VOC holds files and folders only."""
    if member.name.startswith("/") or ".." in member.name.split("/"):
        strange = "a path out of the folder"
    elif member.issym() or member.islnk():
        strange = f"a link to {member.linkname}"
    elif not (member.isreg() or member.isdir()):
        strange = "a device"
    else:
        return
    raise DataError(f"{tar} holds {member.name}, {strange}, and is not unpacked; get VOC's own tar.")


def _unpack_archive(archive: tarfile.TarFile, tar: Path, root: Path, on_progress: OnProgress) -> None:
    """Unpack into a folder beside, check it as a data set, and only then give it its name."""
    members = _wanted(archive.getmembers(), tar)
    done, total = 0, sum(member.size for member in members.values())
    with saving(root, total, f"start again, {tar} stays"):
        root.mkdir(parents=True, exist_ok=True)
        for stale in root.glob(f".{DEVKIT}.*.part"):  # of a process that was killed
            shutil.rmtree(stale, ignore_errors=True)
        check_room(root, total)
        with new_folder(root / DEVKIT) as folder:
            for path, member in members.items():
                archive.extract(member.replace(name=path, deep=False), folder / RELEASE, filter="data")
                done += member.size
                on_progress(done, total)
            _check_opens(folder / RELEASE)


def _check_opens(folder: Path) -> None:
    """Raise `tarfile.ReadError` unless every photo and mask that the lists name is there."""
    try:
        open_dataset(folder)
    except DataError as error:
        reason = str(error).replace(f"{folder}{os.sep}", "").partition(";")[0]
        raise tarfile.ReadError(reason) from error


@contextmanager
def _reading(tar: Path) -> Iterator[None]:
    """Turn what is wrong with a tar into one `DataError`."""
    try:
        yield
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{tar} cannot be unpacked as VOC 2012: {words_of(error)}; get it once more.") from error
