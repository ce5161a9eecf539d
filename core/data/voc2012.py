"""PASCAL VOC 2012 from the web or from a tar: downloads resume, and the data set appears whole or not at all.

    datasets/voc2012/
      VOCtrainval_11-May-2012.tar.part    the first part of the tar; the next start continues it
      VOCtrainval_11-May-2012.tar         complete and verified; deleted after unpacking
      VOCdevkit/VOC2012/                  the photos, masks and lists of the segmentation task
      job/                                lock and progress of the download

URL, file name and MD5 come from torchvision, which imports torch; so only a download imports it.
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
"""Mirrors of the tar, tried after torchvision's URL; the MD5 verifies them."""

UNPACK_SHARE = 20
"""Progress counts unpacking as 1/20 of the download, its usual share of the time."""


DEVKIT, RELEASE = "VOCdevkit", "VOC2012"
NEEDED = (*LAYOUTS[0], LISTS.as_posix())
UNPACKED = (*NEEDED, AUGMENTED_MASKS)


def voc_dir() -> Path:
    """Return the `VOC2012` folder of the downloaded data, which may not exist yet."""
    return _root() / DEVKIT / RELEASE


def job_dir() -> Path:
    """Return the folder of the download job (`core.jobs`)."""
    return _root() / "job"


def known_urls() -> tuple[str, ...]:
    """Return the URLs of VOC's tar, torchvision's first; imports torch."""
    return (_release()["url"], *MIRRORS)


def _root() -> Path:
    return datasets_dir() / "voc2012"


def _release() -> dict[str, str]:
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    release: dict[str, str] = DATASET_YEAR_DICT["2012"]
    return release


@contextmanager
def claim(folder: Path) -> Iterator[OnProgress]:
    """Hold the download job for a `with` block and yield its callback for progress.

    If another process downloads, raise `RunError`.
    """
    with saving(folder, 2 * TAR_BYTES):
        folder.mkdir(parents=True, exist_ok=True)
    if jobs.is_held(folder):
        raise RunError("VOC 2012 is being downloaded by another process already; wait until it has ended.")
    with jobs.running(folder) as note:
        yield note


def _ignore(_done: int, _total: int) -> None:
    pass


def download_voc(
    root: Path | None = None,
    *,
    urls: Sequence[str] | None = None,
    md5: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Download VOC 2012, unpack it, and return its `VOC2012` folder; an existing one is returned as it is.

    Use `claim`: one process at a time. Progress counts the bytes of the tar, and 1/20 more for unpacking. If all
    mirrors fail or the disk is full, raise `DataError`; the next call continues the download.
    """
    root, report = root or _root(), on_progress or _ignore
    if _is_there(root):
        return root / DEVKIT / RELEASE
    release = _release()
    tar = root / release["filename"]

    def report_download(done: int, total: int) -> None:
        report(done, total + total // UNPACK_SHARE)

    def report_unpacking(done: int, total: int) -> None:
        size = tar.stat().st_size
        report(size + size * done // (UNPACK_SHARE * max(1, total)), size + size // UNPACK_SHARE)

    with saving(root, 2 * TAR_BYTES):
        root.mkdir(parents=True, exist_ok=True)
        if not tar.is_file():
            fetch(urls or known_urls(), tar, md5 or release["md5"], report_download)
        folder = unpack_voc(tar, root, report_unpacking)
        tar.unlink()
    return folder


def unpack_voc(tar: Path, root: Path | None = None, on_progress: OnProgress | None = None) -> Path:
    """Unpack the segmentation data of a VOC tar, compressed or not, and return its `VOC2012` folder.

    An existing one is returned as it is. Progress counts bytes. A file that is not a tar, cut off, without VOC or with
    unsafe members, or a full disk raises `DataError`, and nothing is left behind. The tar stays.
    """
    root, on_progress = root or _root(), on_progress or _ignore
    if _is_there(root):
        return root / DEVKIT / RELEASE
    if not tar.is_file():
        raise DataError(f"There is no file {tar}; give the tar of VOC 2012.")
    with _reading(tar), tarfile.open(regular(tar)) as archive:
        _unpack_archive(archive, tar, root, on_progress)
    return root / DEVKIT / RELEASE


def _is_there(root: Path) -> bool:
    folder = root / DEVKIT
    if all((folder / RELEASE / name).is_dir() for name in NEEDED):
        return True
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} holds something else than VOC 2012; move it away and start again.")
    return False


def _wanted(members: list[tarfile.TarInfo], tar: Path) -> dict[str, tarfile.TarInfo]:
    """Return the files to unpack by their path in the `VOC2012` folder; unsafe members raise `DataError`."""
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
    """Raise `DataError` for a member that could write elsewhere; VOC holds files and folders only."""
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
    """Unpack into a temporary folder, open it as a data set, and then rename it."""
    members = _wanted(archive.getmembers(), tar)
    done, total = 0, sum(member.size for member in members.values())
    with saving(root, total, f"start again, {tar} stays"):
        root.mkdir(parents=True, exist_ok=True)
        for stale in root.glob(f".{DEVKIT}.*.part"):  # left by a killed process
            shutil.rmtree(stale, ignore_errors=True)
        check_room(root, total)
        with new_folder(root / DEVKIT) as folder:
            for path, member in members.items():
                archive.extract(member.replace(name=path, deep=False), folder / RELEASE, filter="data")
                done += member.size
                on_progress(done, total)
            _check_opens(folder / RELEASE)


def _check_opens(folder: Path) -> None:
    """Raise `tarfile.ReadError` unless all photos and masks of the lists exist."""
    try:
        open_dataset(folder)
    except DataError as error:
        reason = str(error).replace(f"{folder}{os.sep}", "").partition(";")[0]
        raise tarfile.ReadError(reason) from error


@contextmanager
def _reading(tar: Path) -> Iterator[None]:
    """Turn errors of a tar into one `DataError`."""
    try:
        yield
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{tar} cannot be unpacked as VOC 2012: {words_of(error)}; get it once more.") from error
