"""A dashboard as a person starts it, a browser in front of it, and a picture of the page when a test fails."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLong

from core.home import PROJECT_ROOT
from tests.processes import trainers, until

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_TIMEOUT_S = 60
LEAVE_MS = 10_000
AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"

PROBES = ("/_stcore/health", "/_stcore/host-config")
"""On a page below the root, Streamlit's browser code asks for these below that page first, in vain."""


MEDIA = "/media/"
"""A page that is left while its pictures load asks for some that Streamlit has dropped by then, and its
browser code complains of each."""


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
        log = tmp_path / f"server_{len(started)}.log"
        started.append(_started(["streamlit", "run", "streamlit_app.py"], home, log, port))
        return started[-1]

    yield start
    for dashboard in started:
        _end(dashboard.process)
    kill_trainers(home)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """One server for many tests, with trainers of thin networks; its home is a link, which leads to a test's home."""
    folder = tmp_path_factory.mktemp("server")
    home = folder / "home"
    home.symlink_to(folder)
    server = _started(["tests.programs.thin_dashboard"], home, folder / "server.log")
    yield server
    _end(server.process)


@pytest.fixture
def dashboard(shared: Dashboard, tmp_path: Path) -> Iterator[Dashboard]:
    """A server with an empty home and an empty log, which has served other tests from other homes.

    A test that trains whole networks, or ends the server, starts its own.
    """
    home = tmp_path / "home"
    home.mkdir()
    shared.home.with_name("next").symlink_to(home)
    shared.home.with_name("next").replace(shared.home)
    os.truncate(shared.log, 0)
    yield replace(shared, home=home)
    kill_trainers(home)


def kill_trainers(home: Path) -> None:
    """End whatever works in a home."""
    for trainer in trainers(home):
        trainer.kill()
    until(lambda: not trainers(home), "the trainers of a test to end")


def _started(program: list[str], home: Path, log: Path, port: int | None = None) -> Dashboard:
    port = port or free_port()
    dashboard = Dashboard(f"http://127.0.0.1:{port}", log, home, _serve(program, port, home, log))
    wait_for_server(f"{dashboard.url}/_stcore/health", dashboard.process)
    return dashboard


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    server.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _serve(program: list[str], port: int, home: Path, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", *program, "--server.port", str(port), "--server.headless", "true"]
    with log.open("ab") as output:
        return subprocess.Popen(
            command, cwd=PROJECT_ROOT, env=os.environ | {"ATROUS_HOME": str(home)},
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


@pytest.fixture(scope="session")
def profile(browser: Browser) -> BrowserContext:
    """What the windows of all tests share: the scripts of the pages, which a browser keeps and compiles once."""
    return browser.new_context(viewport={"width": 1300, "height": 1000})


@pytest.fixture
def open_tab(profile: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Callable[[], Visit]]:
    """Open fresh browser windows; what their console calls an error, and what they ask for elsewhere, is kept."""
    opened: list[Visit] = []

    def open_one() -> Visit:
        opened.append(Visit(profile.new_page()))
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
        _leave(visit.page)


def _leave(page: Page) -> None:
    """Close a window once its script has ended, which the next test would hear of, and forget what its pages kept."""
    origin = page.evaluate("location.origin")
    if origin != "null":
        with suppress(TookTooLong):  # a page that follows a trainer may never rest
            page.wait_for_selector(AT_REST, timeout=LEAVE_MS)
        kept = {"origin": origin, "storageTypes": "cookies,local_storage,indexeddb"}
        page.context.new_cdp_session(page).send("Storage.clearDataForOrigin", kept)
    page.close()


@pytest.fixture
def visit(open_tab: Callable[[], Visit]) -> Visit:
    """Open one browser window."""
    return open_tab()


def _note_errors(visit: Visit) -> Callable[..., None]:
    def note(message: object) -> None:
        url = message.location["url"]  # type: ignore[attr-defined]
        complaint = f"console: {message.text} {message.location}"  # type: ignore[attr-defined]
        if message.type == "error" and not url.endswith(PROBES) and MEDIA not in complaint:  # type: ignore[attr-defined]
            visit.complaints.append(complaint)

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
