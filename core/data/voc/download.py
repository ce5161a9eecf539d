"""PASCAL VOC 2012 from the web or from a tar: a cut costs nothing, and the data set is there whole or not at all.

    datasets/voc2012/
      VOCtrainval_11-May-2012.tar.part    what has been fetched until now; the next start goes on from there
      VOCtrainval_11-May-2012.tar         whole and checked; deleted once it is unpacked
      VOCdevkit/VOC2012/                  the photos, masks and lists of the segmentation task
      job/                                the lock and the progress of whoever downloads

Where VOC lies, its file name and its MD5 are torchvision's; torchvision imports torch, so only a download imports it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core import jobs
from core.data.voc.tar import DEVKIT, NEEDED, RELEASE, unpack
from core.download.disk_space import TAR_BYTES, saving
from core.download.mirrors import fetch
from core.errors import DataError, RunError
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
