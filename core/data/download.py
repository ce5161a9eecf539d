"""PASCAL VOC 2012 from the web or from a tar: a cut costs nothing, and the data set is there whole or not at all.

    datasets/voc2012/
      VOCtrainval_11-May-2012.tar.part    what has been fetched until now; the next start goes on from there
      VOCtrainval_11-May-2012.tar         whole and checked; deleted once it is unpacked
      VOCdevkit/VOC2012/                  the photos, masks and lists of the segmentation task
      job/                                the lock and the progress of whoever downloads

Where VOC lies, its file name and its MD5 are torchvision's; torchvision imports torch, so only a download imports it.
"""

import errno
import hashlib
import lzma
import math
import os
import posixpath
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib import request
from urllib.error import HTTPError, URLError

from core import jobs
from core.data.dataset import AUGMENTED_MASKS, LAYOUTS, LISTS, PLACES, open_dataset
from core.errors import DataError, RunError
from core.files import new_folder
from core.home import datasets_dir

MIRRORS = (
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    "http://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
    "http://pjreddie.com/media/files/VOCtrainval_11-May-2012.tar",
)
"""Where the same tar lies as well, tried after torchvision's address; the MD5 tells whether it is the same."""

DEVKIT, RELEASE = "VOCdevkit", "VOC2012"
NEEDED = (*LAYOUTS[0], LISTS.as_posix())
UNPACKED = (*NEEDED, AUGMENTED_MASKS)
TAR_BYTES = 1_999_639_040
"""Size of VOC's tar, for where a server does not tell; unpacked it takes as much again."""
UNPACK_SHARE = 20
"""Unpacking counts as one part in this many of the download, which takes that much longer on a usual line."""
TIMEOUT_S = 30.0
"""How long to wait for a connection, and for each answer on it."""
ATTEMPTS = 3
"""How often in a row a mirror may break off without having sent anything new."""
CHUNK_BYTES = 1 << 18
FULL = (errno.ENOSPC, errno.EDQUOT)

OnProgress = Callable[[int, int], None]
"""(bytes done, bytes in all), called often."""


class _MirrorError(Exception):
    """Why a mirror is given up, in a few words."""


class _CutError(_MirrorError):
    """Why an answer ended early: asking again may help."""


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
    with _saving(folder, 2 * TAR_BYTES):
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
    with _saving(root, 2 * TAR_BYTES):
        root.mkdir(parents=True, exist_ok=True)
        if not tar.is_file():
            _fetch(urls or known_urls(), tar, md5 or release["md5"], on_progress)
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
    with _reading(tar), tarfile.open(tar) as archive:
        _unpack(archive, tar, root, on_progress)
    return root / DEVKIT / RELEASE


def _ignore(_done: int, _total: int) -> None:
    pass


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


# --- fetching -------------------------------------------------------------------------------------------------------


def _fetch(urls: Sequence[str], tar: Path, md5: str, on_progress: OnProgress) -> None:
    """Fetch the tar from the first mirror that has it; it gets its name once its MD5 is right."""
    for url in urls:
        if not url.lower().startswith(("http://", "https://")):
            raise DataError(f"The mirror {url} is no web address; give one that begins with http:// or https://.")
    part = tar.with_name(f"{tar.name}.part")
    failures = []
    for url in urls:
        try:
            _fetch_from(url, part, md5, on_progress)
        except _MirrorError as error:
            failures.append(f"{url.split('/')[2] or url} ({error})")
        else:
            part.replace(tar)
            return
    kept = f"start again to go on after the first {_megabytes(_bytes_of(part))}, or " if _bytes_of(part) else ""
    raise DataError(
        f"VOC 2012 cannot be downloaded from {', '.join(failures)}; {kept}get {tar.name} elsewhere and unpack it with "
        "`python -m core download --tar FILE`, or use a folder that holds VOC."
    )


def _fetch_from(url: str, part: Path, md5: str, on_progress: OnProgress) -> None:
    """Complete the partial file from one mirror; with a wrong MD5 it is removed."""
    has_beginning = _bytes_of(part) > 0
    _complete(url, part, on_progress)
    found = _md5_of(part)
    if found == md5:
        return
    part.unlink()
    if not has_beginning:
        raise _MirrorError(f"it sent another file: MD5 {found}, not {md5}")
    # The beginning came from elsewhere, or is older than this start: what is wrong need not be this mirror's.
    _fetch_from(url, part, md5, on_progress)


def _complete(url: str, part: Path, on_progress: OnProgress) -> None:
    """Ask for what is missing until nothing is, as long as every few attempts bring something new."""
    attempts, most = 0, _bytes_of(part)
    while True:
        try:
            _ask(url, part, on_progress)
        except _CutError:
            attempts = 0 if _bytes_of(part) > most else attempts + 1
            most = max(most, _bytes_of(part))
            if attempts == ATTEMPTS:
                raise
        else:
            return


def _ask(url: str, part: Path, on_progress: OnProgress) -> None:
    """Send one request for what is missing and save the answer, which may be the whole file once more."""
    have = _bytes_of(part)
    try:
        response = _open(url, have)
    except HTTPError as error:
        with error:
            if error.code == 416 and have:  # there is nothing after what we have: the MD5 tells whether it is right
                return
            raise _MirrorError(f"it answers {error.code} {error.reason}".strip()) from error
    except URLError as error:
        raise _MirrorError(_words_of(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise _CutError(_words_of(error)) from error
    except ValueError as error:
        raise _MirrorError(f"no usable address: {_words_of(error)}") from error
    with response:
        _save(response, part, have, on_progress)


def _open(url: str, have: int) -> HTTPResponse:
    """Ask for the bytes from `have` on, over http or https and nothing else, redirections included."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, request.HTTPRedirectHandler,
        request.HTTPErrorProcessor, request.HTTPDefaultErrorHandler, request.UnknownHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    headers = {"User-Agent": "atrous"} | ({"Range": f"bytes={have}-"} if have else {})
    asked = request.Request(url, headers=headers)  # noqa: S310 - this opener knows no other schemes
    response: HTTPResponse = opener.open(asked, timeout=TIMEOUT_S)
    return response


def _save(response: HTTPResponse, part: Path, have: int, on_progress: OnProgress) -> None:
    """Append an answer to the partial file, or begin that anew where the server sends everything."""
    begin, total = _extent_of(response)
    if begin not in (0, have):
        raise _MirrorError(f"it sent the bytes from {begin} on instead of those from {have}")
    if response.headers.get_content_type() == "text/html":
        raise _MirrorError("it answers with a web page")
    needed = 2 * (total or TAR_BYTES) - have
    _check_room(part.parent, needed)
    with _saving(part.parent, needed, "start again, which goes on where it stopped"), part.open(_mode(begin)) as file:
        done = begin
        for data in _pieces_of(response):
            file.write(data)
            done += len(data)
            on_progress(done, _with_unpacking(total or max(TAR_BYTES, done)))
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _CutError(f"it broke off after {done:,} of {total:,} bytes")


def _mode(begin: int) -> str:
    return "ab" if begin else "wb"


def _extent_of(response: HTTPResponse) -> tuple[int, int | None]:
    """Return where an answer begins in the file, and the size of the whole file as far as it tells."""
    length = response.length
    if response.status != 206:
        return 0, length
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not found:
        raise _MirrorError("it sent a part without telling which")
    begin = int(found[1])
    if found[2] != "*":
        return begin, int(found[2])
    return begin, None if length is None else begin + length


def _pieces_of(response: HTTPResponse) -> Iterator[bytes]:
    """Give the bytes of an answer as they arrive."""
    while True:
        try:
            data = response.read1(CHUNK_BYTES)
        except (OSError, HTTPException) as error:
            raise _CutError(f"it broke off: {_words_of(error)}") from error
        if not data:
            return
        yield data


def _bytes_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _words_of(error: object) -> str:
    """Return what an error says, on one line."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return said.splitlines()[0].rstrip(":.")


# --- unpacking ------------------------------------------------------------------------------------------------------


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


def _unpack(archive: tarfile.TarFile, tar: Path, root: Path, on_progress: OnProgress) -> None:
    """Unpack into a folder beside, check it as a data set, and only then give it its name."""
    members = _wanted(archive.getmembers(), tar)
    done, total = 0, sum(member.size for member in members.values())
    with _saving(root, total, f"start again, {tar} stays"):
        root.mkdir(parents=True, exist_ok=True)
        for stale in root.glob(f".{DEVKIT}.*.part"):  # of a process that was killed
            shutil.rmtree(stale, ignore_errors=True)
        _check_room(root, total)
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
        raise DataError(f"{tar} cannot be unpacked as VOC 2012: {_words_of(error)}; get it once more.") from error


# --- the disk -------------------------------------------------------------------------------------------------------


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"VOC 2012 needs {_megabytes(needed)} in {folder}, where {_megabytes(free)} are free; make room, "
            "or let ATROUS_HOME name a folder on another disk."
        )


@contextmanager
def _saving(folder: Path, needed: int, then: str = "start again") -> Iterator[None]:
    """Turn what the disk says into one `DataError`; errors without a number are not the disk's and pass."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        if error.errno in FULL:
            full = f"The disk is full: VOC 2012 needs {_megabytes(needed)} more in {folder}"
            raise DataError(f"{full}; make room and {then}.") from error
        raise DataError(f"The folder {folder} cannot be written: {error.strerror}; check whose it is.") from error


def _megabytes(size: int) -> str:
    return f"{math.ceil(size / 1e6):,} MB"
