"""PASCAL VOC 2012 from the web or from a tar: a cut costs nothing, and the data set is there whole or not at all.

    datasets/voc2012/
      VOCtrainval_11-May-2012.tar.part    what has been fetched until now; the next start goes on from there
      VOCtrainval_11-May-2012.tar         whole and checked; deleted once it is unpacked
      VOCdevkit/VOC2012/                  the photos, masks and lists of the segmentation task
      job/                                the lock and the progress of whoever downloads

Where VOC lies, its file name and its MD5 are torchvision's; torchvision imports torch, so only a download imports it.
"""

import lzma
import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core import jobs
from core.data.dataset import AUGMENTED_MASKS, LAYOUTS, LISTS, PLACES, open_dataset
from core.download.disk_space import TAR_BYTES, check_room, saving, words_of
from core.download.mirrors import fetch
from core.errors import DataError, RunError
from core.files import new_folder, regular
from core.home import datasets_dir
from core.jobs import OnProgress

MIRRORS = (
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    "http://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
    "http://pjreddie.com/media/files/VOCtrainval_11-May-2012.tar",
)
"""Where the same tar lies as well, tried after torchvision's address; the MD5 tells whether it is the same."""

UNPACK_SHARE = 20
"""Unpacking counts as one part in this many of the download, which takes that much longer on a usual line."""


# --- where it lies --------------------------------------------------------------------------------------------------

DEVKIT, RELEASE = "VOCdevkit", "VOC2012"
NEEDED = (*LAYOUTS[0], LISTS.as_posix())
UNPACKED = (*NEEDED, AUGMENTED_MASKS)


def voc_dir() -> Path:
    """Return the `VOC2012` folder of the downloaded data, whether or not it is there yet."""
    return _root() / DEVKIT / RELEASE


def job_dir() -> Path:
    """Return the folder with the lock and the progress of the download, for `core.jobs`."""
    return _root() / "job"


def known_urls() -> tuple[str, ...]:
    """Return where VOC's tar lies, torchvision's address first; imports torch."""
    return (_release()["url"], *MIRRORS)


def _root() -> Path:
    return datasets_dir() / "voc2012"


def _release() -> dict[str, str]:
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    release: dict[str, str] = DATASET_YEAR_DICT["2012"]
    return release


@contextmanager
def claim(folder: Path) -> Iterator[OnProgress]:
    """Work as the only one who downloads: hold this job folder and give the function that notes the progress.

    Where somebody else downloads there, `RunError`.
    """
    with saving(folder, 2 * TAR_BYTES):
        folder.mkdir(parents=True, exist_ok=True)
    if jobs.is_held(folder):
        raise RunError("VOC 2012 is being downloaded by another process already; wait until it has ended.")
    with jobs.running(folder) as note:
        yield note


# --- the whole of it ------------------------------------------------------------------------------------------------


def download_voc(
    root: Path | None = None,
    *,
    urls: Sequence[str] | None = None,
    md5: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Fetch VOC 2012 from the first of the mirrors that has it, unpack it, and return its `VOC2012` folder.

    A `root` that has it is left as it is. One process at a time: `claim` sees to that. The progress counts the bytes
    of the tar, and a twentieth of them again for unpacking. Mirrors that all fail and a disk that is full raise
    `DataError`; what was fetched until then is kept, and the next call goes on from there.
    """
    root, on_progress = root or _root(), on_progress or _ignore
    if _is_there(root):
        return root / DEVKIT / RELEASE
    release = _release()
    tar = root / release["filename"]
    with saving(root, 2 * TAR_BYTES):
        root.mkdir(parents=True, exist_ok=True)
        if not tar.is_file():
            fetch(urls or known_urls(), tar, md5 or release["md5"], _before_unpacking(on_progress))
        folder = unpack_voc(tar, root, _after_download(on_progress, tar.stat().st_size))
        tar.unlink()
    return folder


def unpack_voc(tar: Path, root: Path | None = None, on_progress: OnProgress | None = None) -> Path:
    """Unpack what segmentation needs of a VOC tar, compressed or not, and return its `VOC2012` folder.

    A `root` that has it is left as it is. The progress counts the bytes of the files. A file that is no tar, is cut off
    or holds no VOC, a member that leads out of the folder, and a disk that is full raise `DataError`, and nothing of it
    is left. The tar stays.
    """
    root, on_progress = root or _root(), on_progress or _ignore
    if _is_there(root):
        return root / DEVKIT / RELEASE
    if not tar.is_file():
        raise DataError(f"There is no file {tar}; give the tar of VOC 2012.")
    unpack(tar, root, on_progress)
    return root / DEVKIT / RELEASE


def _ignore(_done: int, _total: int) -> None:
    pass


def _before_unpacking(on_progress: OnProgress) -> OnProgress:
    """Return what counts the download on the scale that has unpacking at its end."""

    def show(done: int, total: int) -> None:
        on_progress(done, _with_unpacking(total))

    return show


def _after_download(on_progress: OnProgress, tar_bytes: int) -> OnProgress:
    """Return what counts unpacking on the scale of the download."""

    def show(done: int, total: int) -> None:
        on_progress(tar_bytes + tar_bytes * done // (UNPACK_SHARE * max(1, total)), _with_unpacking(tar_bytes))

    return show


def _with_unpacking(tar_bytes: int) -> int:
    return tar_bytes + tar_bytes // UNPACK_SHARE


def _is_there(root: Path) -> bool:
    folder = root / DEVKIT
    if all((folder / RELEASE / name).is_dir() for name in NEEDED):
        return True
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} holds something else than VOC 2012; move it away and start again.")
    return False


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
