"""A dashboard as a person starts it, a browser in front of it, and a picture of the page when a test fails."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from core.home import PROJECT_ROOT

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_TIMEOUT_S = 60

PROBES = ("/_stcore/health", "/_stcore/host-config")
"""On a page below the root, Streamlit's browser code asks for these below that page first, in vain."""


@dataclass
class Dashboard:
    """A running server: its address, its log, and the folder it keeps everything in."""

    url: str
    log: Path
    home: Path


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    """Start `streamlit run` on a free port with an empty home, and end it afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path / "home"
    home.mkdir()
    started = Dashboard(f"http://127.0.0.1:{port}", tmp_path / "server.log", home)
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    with started.log.open("wb") as log:
        server = subprocess.Popen(
            [*command, "--server.headless", "true"], cwd=PROJECT_ROOT, env=os.environ | {"ATROUS_HOME": str(home)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait_for(f"{started.url}/_stcore/health", server)
            yield started
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Ask until the server answers; a connection that is refused costs no time, so each round waits on the process."""
    for _ in range(10 * START_TIMEOUT_S):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server
                assert answer.status == 200
                return
        except OSError:
            with pytest.raises(subprocess.TimeoutExpired):
                server.wait(timeout=0.1)
    raise AssertionError(f"the server did not answer within {START_TIMEOUT_S} s")


@dataclass
class Visit:
    """A browser page and what it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's chromium; without one the tests are skipped."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no chromium at {CHROMIUM}; install it or set $CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A fresh browser window; what its console calls an error, and every address it asks for elsewhere, is kept."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    opened = Visit(page)
    page.on("pageerror", lambda error: opened.complaints.append(f"exception: {error}"))
    page.on("console", _note_errors(opened))
    page.on("request", _note_strangers(opened))
    yield opened
    if getattr(request.node, "has_failed", False):
        picture = Path(tempfile.gettempdir()) / f"atrous-{request.node.name}.png"
        page.screenshot(path=picture, full_page=True)
        print(f"the page as it was: {picture}")  # noqa: T201
    page.close()


def _note_errors(visit: Visit) -> Callable[..., None]:
    def note(message: object) -> None:
        if message.type == "error" and not message.location["url"].endswith(PROBES):  # type: ignore[attr-defined]
            visit.complaints.append(f"console: {message.text} {message.location}")  # type: ignore[attr-defined]

    return note


def _note_strangers(visit: Visit) -> Callable[..., None]:
    def note(request: object) -> None:
        url = request.url  # type: ignore[attr-defined]
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            visit.complaints.append(f"asked elsewhere: {url}")

    return note


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell the fixtures whether the test itself failed."""
    report = yield
    if report.when == "call":
        item.has_failed = report.failed  # type: ignore[attr-defined]
    return report
