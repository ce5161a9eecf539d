"""A real server and a real browser for the soak: started, listened to, and ended with what they left running."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from core.home import PROJECT_ROOT
from core.training.run.folders import Run
from tests.processes import trainers, until

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PROBES = ("/_stcore/health", "/_stcore/host-config")
"""What Streamlit's browser code asks for below a page in vain."""

TITLE_OR_MESSAGE = "h1, [data-testid=stAlert]"
"""What every page has: Present has no title where there is nothing to present."""

TROUBLE = ("Traceback", "Uncaught", "ERROR", "Fatal", "Segmentation")


@dataclass(frozen=True)
class Server:
    """A running dashboard."""

    url: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def trouble(self) -> list[str]:
        """Return what is wrong with it: that it has ended, and the lines of its log that name an error."""
        lines = self.log.read_text(errors="replace").splitlines()
        wrong = [f"server: {line}" for line in lines if line.startswith(TROUBLE)]
        code = self.process.poll()
        return wrong if code is None else [*wrong, f"the server ended with {code}: {' / '.join(lines[-3:])}"]


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """Start `streamlit run` on a free port, wait until it answers, and end it afterwards with what it left running."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log, url = home.parent / "server.log", f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", f"--server.port={port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--server.headless=true"], cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until(lambda: answers(f"{url}/_stcore/health"), "the server to answer")
        yield Server(url, log, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        for trainer in trainers(home):
            trainer.kill()
            trainer.wait(timeout=30)


def answers(url: str) -> bool:
    """Return whether a server answers."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server
        return bool(answer.status == 200)
    return False


@contextmanager
def browsing() -> Iterator[Browser | None]:
    """Start the system's chromium; None where there is none."""
    with ExitStack() as stack:
        if not CHROMIUM:
            yield None
            return
        playwright = stack.enter_context(sync_playwright())
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.callback(chromium.close)
        yield chromium


def visit(
    errors: list[str],
    server: Server,
    browser: Browser | None,
    pages: tuple[str, ...],
    run: Run,
    *,
    late: list[str] | None = None,
) -> None:
    """Open pages in a fresh tab each, wait until they are drawn, and close them; note what the console complains of.

    Pictures that the server no longer has go to `late` where that is given: a live page has replaced them by then.
    """
    if browser is None:
        return
    for name in pages:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        listen(page, name or "home", errors, errors if late is None else late)
        try:
            page.goto(f"{server.url}/{name}" + (f"?run={run.path.name}" if name == "train" else ""))
            page.wait_for_selector(TITLE_OR_MESSAGE, timeout=60_000)
            page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=120_000)
            page.reload()
            page.wait_for_selector(TITLE_OR_MESSAGE, timeout=60_000)
            shown = page.locator('[data-testid="stException"]')
            errors += [f"{name or 'home'} shows {text[:300]}" for text in shown.all_inner_texts()]
        finally:
            page.close()


def listen(page: Page, name: str, errors: list[str], late: list[str]) -> None:
    """Note exceptions, errors in the console, and requests to elsewhere; pictures that are gone on their own."""
    page.on("pageerror", lambda error: errors.append(f"{name}: {error}"))

    def hear(message: Any) -> None:
        text = f"{message.text} {message.location['url']}"
        if message.type == "error" and not message.location["url"].endswith(PROBES):
            (late if "/media/" in text else errors).append(f"{name}: {text}")

    def watch(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            errors.append(f"{name} asked elsewhere: {request.url}")

    page.on("console", hear)
    page.on("request", watch)
