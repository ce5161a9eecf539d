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
from tests.processes import trainers

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_TIMEOUT_S = 60

PROBES = ("/_stcore/health", "/_stcore/host-config")
"""On a page below the root, Streamlit's browser code asks for these below that page first, in vain."""


MEDIA = "/media/"
"""A page that is left while its pictures load asks for some that Streamlit has dropped by then."""


@dataclass
class Dashboard:
    """A running server: its address, its log, its process, and the folder it keeps everything in."""

    url: str
    log: Path
    home: Path
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """End the server as a crash would: at once, without a word to anybody."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start_dashboard(tmp_path: Path) -> Iterator[Callable[..., Dashboard]]:
    """Start servers on one home, empty at first, and end them afterwards with the trainers that they started."""
    home = tmp_path / "home"
    home.mkdir()
    started: list[Dashboard] = []

    def start(port: int | None = None) -> Dashboard:
        """Start `streamlit run` on a port, a free one by default, and wait until it answers."""
        port = port or free_port()
        log = tmp_path / f"server_{len(started)}.log"
        url = f"http://127.0.0.1:{port}"
        started.append(Dashboard(url, log, home, _serve(port, home, log)))
        wait_for_server(f"{url}/_stcore/health", started[-1].process)
        return started[-1]

    yield start
    for dashboard in started:
        dashboard.process.terminate()
        dashboard.process.wait(timeout=30)
    for trainer in trainers(home):
        trainer.kill()


@pytest.fixture
def dashboard(start_dashboard: Callable[..., Dashboard]) -> Dashboard:
    """Start one server."""
    return start_dashboard()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _serve(port: int, home: Path, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, "--server.headless", "true"], cwd=PROJECT_ROOT, env=os.environ | {"ATROUS_HOME": str(home)},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def wait_for_server(url: str, server: "subprocess.Popen[bytes]") -> None:
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
def open_tab(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[[], Visit]]:
    """Open fresh browser windows; what their console calls an error, and what they ask for elsewhere, is kept."""
    opened: list[Visit] = []

    def open_one() -> Visit:
        opened.append(Visit(browser.new_page(viewport={"width": 1300, "height": 1000})))
        page = opened[-1].page
        page.on("pageerror", lambda error, visit=opened[-1]: visit.complaints.append(f"exception: {error}"))
        page.on("console", _note_errors(opened[-1]))
        page.on("request", _note_strangers(opened[-1]))
        return opened[-1]

    yield open_one
    for number, visit in enumerate(visit for visit in opened if not visit.page.is_closed()):
        if getattr(request.node, "has_failed", False):
            picture = Path(tempfile.gettempdir()) / f"atrous-{request.node.name}-{number}.png"
            visit.page.screenshot(path=picture, full_page=True)
            print(f"the page as it was: {picture}")  # noqa: T201
        visit.page.close()


@pytest.fixture
def visit(open_tab: Callable[[], Visit]) -> Visit:
    """Open one browser window."""
    return open_tab()


def _note_errors(visit: Visit) -> Callable[..., None]:
    def note(message: object) -> None:
        url = message.location["url"]  # type: ignore[attr-defined]
        if message.type == "error" and not url.endswith(PROBES) and MEDIA not in url:  # type: ignore[attr-defined]
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
