"""A run that is left alone: its server dies, its tab is closed, two servers look at it. In a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from core.data.demo import write_demo
from core.training.run.folders import Run, create_run, run_state
from core.training.run.log import read_log
from core.training.settings.config import TrainingConfig
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import click
from tests.processes import SETTINGS, epochs_told, trainers, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

WAIT_MS = 120_000
"""Longer than anything here takes on a busy machine."""


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """Let everything that is expected of a page come in its own time."""
    expect.set_options(timeout=WAIT_MS)
    yield
    expect.set_options(timeout=None)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[str], Run]:
    """Make runs on a few drawn scenes that end only when somebody stops them."""
    scenes = write_demo(tmp_path / "scenes", num_train=4, num_val=2)
    config = TrainingConfig(**SETTINGS | {"image_size": 64, "epochs": 500})
    return lambda name: create_run(name, scenes, "report", config, folder=tmp_path / "home" / "checkpoints")


def open_page(tab: Visit, dashboard: Dashboard, path: str) -> Page:
    tab.page.set_default_timeout(WAIT_MS)
    tab.page.goto(f"{dashboard.url}/{path}")
    return tab.page


def start(page: Page, run: Run) -> psutil.Process:
    """Press Start, wait until an epoch is done, and return the trainer."""
    press(page, "Start")
    expect_progress(page, run)
    (trainer,) = trainers(run.path.parent)
    return trainer


def expect_progress(page: Page, run: Run) -> None:
    """Wait until the run has one more epoch, and the page shows at least as many."""
    before = num_epochs(run)
    until_more_epochs(run)
    shown = page.get_by_text("of 500 epochs")
    expect(shown).to_be_visible()
    until(lambda: int((shown.text_content() or "0").split()[0]) > before, f"more than {before} epochs on the page")
    expect_state(page, "Running")


def num_epochs(run: Run) -> int:
    return len(read_log(run.log_path).epochs)


def until_more_epochs(run: Run) -> None:
    before = num_epochs(run)
    until(lambda: num_epochs(run) > before, f"epoch {before + 1} of {run.name}")


def press(page: Page, label: str) -> None:
    """Press a button of ours: while a script runs, Streamlit's bar has a *Stop* too."""
    click(page.get_by_test_id("stMain").get_by_role("button", name=label, exact=True))


def expect_state(page: Page, state: str) -> None:
    expect(page.locator(".stMarkdownBadge", has_text=state).first).to_be_visible()


def expect_one_whole_leg(run: Run) -> None:
    """Check that nothing of what happened around the trainer is in its log."""
    log = read_log(run.log_path)
    assert run_state(run, log) == "stopped"
    assert len(log.legs) == 1
    assert (log.warnings, log.bad_lines) == ([], [])
    assert epochs_told(run) == list(range(1, num_epochs(run) + 1))


def expect_clean(servers: list[Dashboard], tabs: list[Visit]) -> None:
    """Check what servers and browser reported; a sample gone before the browser asked is no fault."""
    assert [text for tab in tabs for text in tab.complaints if "/media/" not in text] == []
    for server in servers:
        assert "Traceback" not in server.log.read_text(), server.log.read_text()


def test_the_server_is_killed_and_a_new_one_finds_the_run(
    start_dashboard: Callable[..., Dashboard], visit: Visit, make_run: Callable[[str], Run]
) -> None:
    """With nobody to serve the page the trainer goes on; the page, loaded again, shows it and its end."""
    run, first = make_run("nightly"), start_dashboard()
    page = open_page(visit, first, "train")
    trainer = start(page, run)
    first.kill()
    until_more_epochs(run)
    second = start_dashboard(port=int(first.url.rpartition(":")[2]))
    page.reload()
    visit.complaints.clear()  # while nobody answered
    expect_progress(page, run)
    assert trainers(run.path.parent) == [trainer], "the same process"
    press(page, "Stop")
    expect_state(page, "Stopped")
    expect_one_whole_leg(run)
    expect_clean([first, second], [visit])


def test_the_tab_is_closed_and_a_new_one_finds_the_run(
    dashboard: Dashboard, open_tab: Callable[[], Visit], make_run: Callable[[str], Run]
) -> None:
    run, tab = make_run("nightly"), open_tab()
    trainer = start(open_page(tab, dashboard, "train"), run)
    tab.page.close()
    until_more_epochs(run)
    assert trainers(run.path.parent) == [trainer]
    new = open_tab()
    page = open_page(new, dashboard, "")
    expect(page.get_by_role("heading", name="nightly is training")).to_be_visible()
    page.get_by_role("link", name="Watch it learn").click()
    expect_progress(page, run)
    press(page, "Stop")
    expect_state(page, "Stopped")
    expect_one_whole_leg(run)
    expect_clean([dashboard], [tab, new])


def test_two_servers_on_one_home_show_one_run_and_start_no_second(
    start_dashboard: Callable[..., Dashboard], open_tab: Callable[[], Visit], make_run: Callable[[str], Run]
) -> None:
    servers = [start_dashboard(), start_dashboard()]
    run, other = make_run("nightly"), make_run("other")
    tabs = [open_tab(), open_tab()]
    here, there = (open_page(*pair, f"train?run={run.path.name}") for pair in zip(tabs, servers, strict=True))
    start(here, run)
    there.reload()
    expect_progress(there, run)

    refused = open_page(open_tab(), servers[1], f"train?run={other.path.name}")
    press(refused, "Start")
    expect(refused.get_by_text(f"{run.path.name} is being trained; wait for it or stop it first.")).to_be_visible()
    refused.close()
    assert not other.log_path.exists()

    press(here, "Stop")
    expect_state(there, "Stopped")
    expect_state(here, "Stopped")
    expect_one_whole_leg(run)
    expect_clean(servers, tabs)
