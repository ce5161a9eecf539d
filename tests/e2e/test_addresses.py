"""What a page shows is in its address: a deep link, a reload, Back, a link and a new tab show the same again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.data.dataset import open_dataset
from core.data.demo import write_demo
from core.training.run.folders import Run, create_run
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import PRESET_HELP
from tests.app.conftest import write_records
from tests.app.stored import guess_background, guess_half, store_milestone
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import click, expect_no_trouble, go_to, rest, type_into

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PAGE_MS = 60_000


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """Let everything that is expected of a page come in its own time."""
    expect.set_options(timeout=PAGE_MS)
    yield
    expect.set_options(timeout=None)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    return write_demo(tmp_path / "scenes", num_train=4, num_val=2)


@pytest.fixture
def run(dashboard: Dashboard, scenes: Path) -> Run:
    """A run with three evaluated milestones, and a newer one that pages would show by themselves."""
    older, newer = (create_run(name, scenes, "report", TrainingConfig(), folder=dashboard.home / "checkpoints")
                    for name in ("older", "newer"))  # fmt: skip
    for each in (older, newer):
        write_records(each, 3, ended="finished")
        for epoch, guess in ((1, guess_background), (2, guess_half), (3, guess_half)):
            store_milestone(each, epoch, guess)
    return older


def shows_dataset(page: Page, scenes: Path) -> None:
    expect(page.get_by_label("Folder on this computer")).to_have_value(str(scenes))
    expect(page.get_by_text("2 photos of val", exact=True)).to_be_visible()


def shows_train(page: Page, scenes: Path) -> None:
    expect(page.get_by_label("Folder on this computer")).to_have_value(str(scenes))
    expect(page.get_by_text(PRESET_HELP["best"])).to_be_visible()


def shows_run(page: Page, _scenes: Path) -> None:
    expect(page.get_by_role("heading", name="older", exact=True)).to_be_visible()


def shows_compare(page: Page, _scenes: Path) -> None:
    expect(page.get_by_role("combobox", name="A, the baseline")).to_have_value("older, 1 epoch")
    expect(page.get_by_role("combobox", name="B, compared with A")).to_have_value("older, 2 epochs")
    expect(page.get_by_text("Right of the line")).to_be_visible()


def shows_present(page: Page, _scenes: Path) -> None:
    expect(page.get_by_role("heading", name="2 epochs and 1 epoch cannot be told apart")).to_be_visible()


def shows_segment(page: Page, _scenes: Path) -> None:
    expect(page.get_by_role("combobox", name="Checkpoint")).to_have_value("older, 1 epoch · mIoU 10.0 %")
    expect(page.get_by_role("combobox", name="Against")).to_have_value("newer, 2 epochs · mIoU 20.0 %")


def choices(scenes: Path, run: Run) -> list[tuple[str, str, dict[str, object], Callable[[Page, Path], None]]]:
    """Return a page's name, its path, choices that are none of its defaults, and what is seen of them."""
    folder: dict[str, object] = {"source": "A folder", "data": str(scenes)}
    ids = [f"{run.path.name}/epoch_00{epoch}.pt" for epoch in (1, 2)]
    newer = run.path.with_name(run.path.name.replace("older", "newer"))
    pair: dict[str, object] = {"checkpoint": ids, "split": "val"}
    return [
        ("Dataset", "dataset", folder | {"split": "val"}, shows_dataset),
        ("Train", "train", {"run": "new", **folder, "preset": "best"}, shows_train),
        ("Train", "train", {"run": run.path.name}, shows_run),
        ("Compare", "compare", pair | {"view": "Slider"}, shows_compare),
        ("Present", "present", pair | {"step": "verdict"}, shows_present),
        ("Segment", "segment", {"checkpoint": ids[0], "against": f"{newer.name}/epoch_002.pt"}, shows_segment),
    ]  # fmt: skip


def test_a_choice_survives_link_reload_back_and_a_new_tab(
    dashboard: Dashboard, open_tab: Callable[[], Visit], scenes: Path, run: Run
) -> None:
    """*Train on this data* from `/dataset?source=A+folder&data=...` opened Train with the demo, and Back the demo.

    Streamlit removed from every address what the page before had bound: each page lost what it shared with another.
    """
    visits = [open_tab(), open_tab()]
    for visit in visits:
        visit.page.set_default_timeout(PAGE_MS)
    page, tab = (visit.page for visit in visits)
    for name, path, query, is_shown in choices(scenes, run):
        page.goto(f"{dashboard.url}/{path}?{urlencode(query, doseq=True)}")
        is_shown(page, scenes)
        page.reload()
        is_shown(page, scenes)
        tab.goto(page.url)
        is_shown(tab, scenes)
        go_to(page, "Leave" if name == "Present" else "Home")
        expect(page.get_by_role("heading", name="Compare" if name == "Present" else "Atrous", level=1)).to_be_visible()
        rest(page)
        page.go_back()
        is_shown(page, scenes)
        if name == "Present":
            continue  # no page of the sidebar leads to it
        go_to(page, "Home")
        expect(page.get_by_role("heading", name="Atrous", level=1)).to_be_visible()
        go_to(page, name)
        is_shown(page, scenes)
        go_to(page, name)  # a link to the page itself
        is_shown(page, scenes)
    for visit in visits:
        expect_no_trouble(dashboard, visit)


def test_the_data_set_goes_along_to_train_and_home(dashboard: Dashboard, visit: Visit, scenes: Path, run: Run) -> None:
    """What was typed just before the click went along to Train five times of six; then only the address changed."""
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    folder = page.get_by_label("Folder on this computer")
    page.goto(f"{dashboard.url}/dataset?source=A+folder&data={scenes}")
    go_to(page, "Train on this data")
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    expect(folder).to_have_value(str(scenes))
    page.go_back()
    expect(page.get_by_role("heading", name="Dataset", exact=True)).to_be_visible()
    expect(folder).to_have_value(str(scenes))

    page.goto(f"{dashboard.url}/dataset?source=A+folder")
    type_into(folder, str(scenes))
    page.get_by_role("link", name="Train on this data").click()
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    expect(folder).to_have_value(str(scenes))
    go_to(page, "Home")
    go_to(page, "Set up a run")
    expect(folder).to_have_value(str(scenes))
    page.go_back()
    expect(page.get_by_role("heading", name="Atrous", level=1)).to_be_visible()
    expect_no_trouble(dashboard, visit)


def test_a_ticked_run_is_opened_though_another_was_made_meanwhile(
    dashboard: Dashboard, visit: Visit, scenes: Path
) -> None:
    """The newest run is on top: a run made after the table was drawn took the row that was ticked."""
    folder = dashboard.home / "checkpoints"
    shown = [create_run(f"run {number}", scenes, "report", TrainingConfig(), folder=folder) for number in range(5)]
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    page.goto(dashboard.url)
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_be_visible()
    rest(page)
    create_run("made meanwhile", scenes, "report", TrainingConfig(), folder=folder)
    table.click(position={"x": 15, "y": 52})  # the box of the first row; the table is a canvas
    expect(page.get_by_role("heading", name="run 4", exact=True)).to_be_visible()
    assert f"run={shown[-1].path.name}" in page.url


@pytest.mark.parametrize(("width", "height"), [(1300, 850), (400, 850), (1920, 1080)])
def test_a_photo_that_is_open_large_is_whole_on_the_first_screen(
    dashboard: Dashboard, visit: Visit, scenes: Path, width: int, height: int
) -> None:
    """A tall one too, opened from the foot of a page that was scrolled."""
    last = open_dataset(scenes).split("val")[-1]
    for file in (last.photo, last.mask):
        with Image.open(file) as upright:
            upright.resize((400, 800), Image.Resampling.NEAREST).save(file)
    page = visit.page
    page.set_viewport_size({"width": width, "height": height})
    query = {"source": "A folder", "data": str(scenes), "split": "val", "look": "Content"}
    page.goto(f"{dashboard.url}/dataset?{urlencode(query)}")
    click(page.locator(".st-key-cards button").last)
    large = page.locator(".st-key-large img")
    expect(large).to_be_visible()
    rest(page)
    expect(large).to_be_in_viewport(ratio=1)
    expect_no_trouble(dashboard, visit)
