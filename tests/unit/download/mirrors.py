"""Mirrors of VOC with every fault, what they serve, and what a refusal has to be."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from core.errors import DataError

NAME = "VOCtrainval_11-May-2012.tar"


class Mirror(ThreadingHTTPServer):
    """A web server with one file, and its faults."""

    daemon_threads = True

    def __init__(self, file: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.file = file
        self.cuts: list[int] = []
        """How many bytes each of the next answers sends before its connection ends."""
        self.status = 200
        self.kind = "application/x-tar"
        self.knows_ranges, self.tells_length = True, True
        self.content_range = "bytes {begin}-{end}/{total}"
        self.is_silent, self.over = False, Event()
        self.ranges: list[str | None] = []
        """The Range of every request."""
        self.served = 0
        """Bytes of the file that were sent, over all answers."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{NAME}"


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        mirror, wanted = self.server, self.headers["Range"]
        mirror.ranges.append(wanted)
        if mirror.is_silent:
            mirror.over.wait()
            return
        if mirror.status != 200:
            self.send_error(mirror.status)
            return
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and mirror.knows_ranges else None
        if begin is not None and begin >= len(mirror.file):
            self.send_error(416)
            return
        self.send_response(200 if begin is None else 206)
        if begin is not None:
            total = len(mirror.file)
            self.send_header("Content-Range", mirror.content_range.format(begin=begin, end=total - 1, total=total))
        self._send(mirror.file[begin or 0 :])

    def _send(self, data: bytes) -> None:
        mirror = self.server
        self.send_header("Content-Type", mirror.kind)
        if mirror.tells_length:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        sent = data[: mirror.cuts.pop(0)] if mirror.cuts else data
        mirror.served += len(sent)
        with suppress(ConnectionError):  # whoever asked was interrupted
            self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(file: bytes) -> Iterator[Mirror]:
    with Mirror(file) as mirror:
        thread = Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            mirror.over.set()
            mirror.shutdown()
            thread.join()


def pack(folder: Path, prefix: str = "VOCdevkit/VOC2012", mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, prefix)
    return packed.getvalue()


def md5_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


Fetch = Callable[..., Path]


def refused(act: Callable[[], object]) -> str:
    """Return the one sentence with which something is refused."""
    with pytest.raises(DataError) as caught:
        act()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def left_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()


def host_of(url: str) -> str:
    return url.split("/")[2]


def dead_url() -> str:
    """Return an address on a port that was free an instant ago."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_address[1]}/{NAME}"
