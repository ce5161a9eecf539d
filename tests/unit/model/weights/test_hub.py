"""Downloading weights from a server that lies, breaks off or is not there: whole and checked, or one sentence."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from core.download import mirrors
from core.errors import WeightsError
from core.model.weights.hub import download, hub_file, hub_folder

BODY = bytes(range(256)) * 4096  # a megabyte
NAME = f"weights-{hashlib.sha256(BODY).hexdigest()[:8]}.pth"


class Server(ThreadingHTTPServer):
    """A web server with one file, which may break off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.body = BODY
        self.cuts: list[int] = []
        """How many bytes each of the next answers sends before its connection ends."""
        self.ranges: list[str | None] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/models/{NAME}"


class Answer(BaseHTTPRequestHandler):
    """Sends the file, or what is asked for of it."""

    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        body, total = self.server.body[begin:], len(self.server.body)
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        self.wfile.write(body[: self.server.cuts.pop(0)] if self.server.cuts else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def refused(one_sentence: Callable[[object, Path], str]) -> Callable[[str], str]:
    """Download in vain and return the sentence, which says how to get the file by hand; nothing has its name."""

    def check(url: str) -> str:
        with pytest.raises(WeightsError) as caught:
            download(url, len(BODY))
        text = one_sentence(caught.value, hub_file(url))
        assert f"download {url} elsewhere and save it as {hub_file(url)}" in text
        assert not hub_file(url).exists()
        return text

    return check


def test_the_folder_is_torch_hub_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variables in ({"TORCH_HOME": str(tmp_path / "a")}, {"XDG_CACHE_HOME": str(tmp_path / "b")}, {}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert hub_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_a_file_is_fetched_once_with_its_progress(server: Server) -> None:
    seen: list[tuple[int, int]] = []
    file = download(server.url, 1, lambda done, total: seen.append((done, total)))
    assert file == hub_file(server.url)
    assert file.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert download(server.url, 1) == file
    assert server.ranges == [None], "what is there is not asked for again"
    assert [path.name for path in file.parent.iterdir() if path.suffix != ".lock"] == [NAME]


def test_a_file_put_there_by_hand_needs_no_server(refused: Callable[[str], str]) -> None:
    url = f"http://127.0.0.1:9/models/{NAME}"
    refused(url)
    hub_file(url).write_bytes(BODY)
    assert download(url, 1) == hub_file(url)


def test_another_file_under_the_name_is_removed_and_both_hashes_told(
    server: Server, refused: Callable[[str], str]
) -> None:
    server.body = b"another file"
    found = hashlib.sha256(server.body).hexdigest()[:8]
    assert f"it sent another file: SHA-256 {found}, not {NAME[8:16]}" in refused(server.url)
    assert not list(hub_folder().glob("*.part"))


def test_an_answer_that_breaks_off_goes_on_where_it_stopped(server: Server) -> None:
    server.cuts = [300_000, 400_000]
    assert download(server.url, 1).read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=700000-"]


def test_a_truncated_body_is_told_and_kept_for_the_next_call(server: Server, refused: Callable[[str], str]) -> None:
    server.cuts = [300_000, *[0] * mirrors.ATTEMPTS]
    assert "broke off after 300,000 of 1,048,576 bytes" in refused(server.url)
    assert (hub_folder() / f"{NAME}.part").stat().st_size == 300_000
    assert download(server.url, 1).read_bytes() == BODY
    assert server.ranges[-1] == "bytes=300000-"


def test_without_a_server_there_is_no_network(refused: Callable[[str], str]) -> None:
    assert "No network for the weights" in refused(f"http://127.0.0.1:9/models/{NAME}")


@pytest.mark.parametrize(("status", "says"), [(404, "it answers 404"), (503, "it answers 503")])
def test_a_server_s_refusal_is_told(server: Server, refused: Callable[[str], str], status: int, says: str) -> None:
    server.status = status
    assert says in refused(server.url)


def test_a_folder_that_cannot_be_made_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="let TORCH_HOME name another"):
        download(f"http://127.0.0.1:9/{NAME}", 1)


def test_two_who_ask_at_once_fetch_one_file(server: Server) -> None:
    both = threading.Barrier(2)
    files: list[Path] = []

    def ask() -> None:
        both.wait(30)
        files.append(download(server.url, 1))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert files == [hub_file(server.url)] * 2
    assert server.ranges == [None]
