"""Downloading a large file from several mirrors, resumed where it stopped, also on another mirror."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib import request
from urllib.error import HTTPError, URLError

from core.download.disk_space import TAR_BYTES, VOC, check_room, saving, words_of
from core.errors import DataError
from core.jobs import OnProgress
from core.wording import megabytes

TIMEOUT_S = 30.0
"""For a connection, and for each read."""
ATTEMPTS = 3
"""Attempts in a row without new bytes, after which a mirror is given up."""
CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Expected:
    """How a complete file is verified.

    Args:
        algorithm: name of a hash in hashlib.
        digest: first hexadecimal digits of the hash; "" accepts any.
        size: bytes, for servers that do not send the size.
        what: its name in messages.
        copies: how often the file must fit on the disk.
    """

    algorithm: str
    digest: str
    size: int
    what: str = VOC
    copies: int = 1


class MirrorError(Exception):
    """Why a server is given up, in a few words."""


class UnreachableError(MirrorError):
    """The server cannot be reached, for example without a network."""


class _CutError(MirrorError):
    """An answer ended early; another attempt may help."""


def fetch(urls: Sequence[str], tar: Path, md5: str, on_bytes: OnProgress) -> None:
    """Download the tar from the first mirror that has it; verify its MD5, then rename it to `tar`."""
    for url in urls:
        if not url.lower().startswith(("http://", "https://")):
            raise DataError(f"The mirror {url} is not a web address; give one that begins with http:// or https://.")
    part = tar.with_name(f"{tar.name}.part")
    expected = Expected("md5", md5, TAR_BYTES, copies=2)  # unpacked, it takes as much again
    failures = []
    for url in urls:
        try:
            fetch_whole(url, part, expected, on_bytes)
        except MirrorError as error:
            failures.append(f"{url.split('/')[2] or url} ({error})")
        else:
            part.replace(tar)
            return
    kept = f"start again to go on after the first {megabytes(_bytes_of(part))}, or " if _bytes_of(part) else ""
    raise DataError(
        f"VOC 2012 cannot be downloaded from {', '.join(failures)}; {kept}get {tar.name} elsewhere and unpack it with "
        "`python -m core download --tar FILE`, or use a folder that holds VOC."
    )


def fetch_whole(url: str, part: Path, expected: Expected, on_bytes: OnProgress) -> None:
    """Complete a partial file from one server and verify it; a file with the wrong hash is deleted.

    If the server fails, raise `MirrorError`; if the disk is full, `DataError`.
    """
    has_beginning = _bytes_of(part) > 0
    _complete(url, part, expected, on_bytes)
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(expected.algorithm, usedforsecurity=False)).hexdigest()
    if found.startswith(expected.digest):
        return
    part.unlink()
    if not has_beginning:
        name, shown = expected.algorithm.upper().replace("SHA", "SHA-"), found[: len(expected.digest)]
        raise MirrorError(f"it sent another file: {name} {shown}, not {expected.digest}")
    # The first part came from another server or an earlier start and may be the wrong one: download it all here.
    fetch_whole(url, part, expected, on_bytes)


def _complete(url: str, part: Path, expected: Expected, on_bytes: OnProgress) -> None:
    """Request the missing bytes until the file is complete or `ATTEMPTS` in a row bring nothing."""
    attempts, most = 0, _bytes_of(part)
    while True:
        try:
            _ask(url, part, expected, on_bytes)
        except _CutError:
            attempts = 0 if _bytes_of(part) > most else attempts + 1
            most = max(most, _bytes_of(part))
            if attempts == ATTEMPTS:
                raise
        else:
            return


def _ask(url: str, part: Path, expected: Expected, on_bytes: OnProgress) -> None:
    """Request the missing bytes once and save the answer, which may be the whole file."""
    have = _bytes_of(part)
    try:
        response = _open(url, have)
    except HTTPError as error:
        with error:
            if error.code == 416 and have:  # the part is the whole file; its hash decides
                return
            raise MirrorError(f"it answers {error.code} {error.reason}".strip()) from error
    except URLError as error:
        raise UnreachableError(words_of(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise _CutError(words_of(error)) from error
    except ValueError as error:
        raise MirrorError(f"no usable address: {words_of(error)}") from error
    with response:
        _save(response, part, have, expected, on_bytes)


def _open(url: str, have: int) -> HTTPResponse:
    """Request the bytes from `have` on, by http and https only, also when redirected."""
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


def _save(response: HTTPResponse, part: Path, have: int, expected: Expected, on_bytes: OnProgress) -> None:
    """Append an answer to the partial file, or start over if the server sends the whole file."""
    begin, total = _extent_of(response)
    if begin not in (0, have):
        raise MirrorError(f"it sent the bytes from {begin} on instead of those from {have}")
    if response.headers.get_content_type() == "text/html":
        raise MirrorError("it answers with a web page")
    needed = expected.copies * (total or expected.size) - have
    check_room(part.parent, needed, expected.what)
    then = "start again, which goes on where it stopped"
    with saving(part.parent, needed, then, expected.what), part.open("ab" if begin else "wb") as file:
        done = begin
        for data in _pieces_of(response):
            file.write(data)
            done += len(data)
            on_bytes(done, total or max(expected.size, done))
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _CutError(f"it broke off after {done:,} of {total:,} bytes")


def _extent_of(response: HTTPResponse) -> tuple[int, int | None]:
    """Return the position of an answer in the file, and the size of the file if the server sends it."""
    length = response.length
    if response.status != 206:
        return 0, length
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not found:
        raise MirrorError("it sent a part without its position")
    begin = int(found[1])
    if found[2] != "*":
        return begin, int(found[2])
    return begin, None if length is None else begin + length


def _pieces_of(response: HTTPResponse) -> Iterator[bytes]:
    """Yield the bytes of an answer as they arrive."""
    while True:
        try:
            data = response.read1(CHUNK_BYTES)
        except (OSError, HTTPException) as error:
            raise _CutError(f"it broke off: {words_of(error)}") from error
        if not data:
            return
        yield data


def _bytes_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
