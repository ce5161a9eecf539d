"""Two checkpoints compared in a real browser: a cell of the matrix, its images, and the slider by keyboard."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from core.data.demo import write_demo
from core.training.run.folders import Run, create_run
from core.training.settings.config import with_settings
from core.training.settings.presets import preset
from core.voc import BACKGROUND, CLASS_NAMES, VOID
from tests.app.conftest import write_records
from tests.app.stored import Mask, guess_background, store_milestone
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import click, pick, press, rest, type_into

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE_MS = 120_000


def confuse(truth_HW: Mask, index: int) -> Mask:
    """Predict the truth, but call every third image's objects a sofa."""
    predicted_HW = np.where(truth_HW == VOID, BACKGROUND, truth_HW).astype(np.uint8)
    if index % 3 == 0:
        predicted_HW[predicted_HW > 0] = CLASS_NAMES.index("sofa")
    return predicted_HW


@pytest.fixture
def run(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A finished run with two evaluated checkpoints, the first of which predicts background everywhere."""
    monkeypatch.setenv("ATROUS_HOME", str(dashboard.home))
    scenes = write_demo(tmp_path / "scenes", num_train=2, num_val=12)
    run = create_run("drawn", scenes, "demo", with_settings(preset("demo"), {"epochs": 2}))
    write_records(run, 2, ended="finished")
    store_milestone(run, 1, guess_background)
    store_milestone(run, 2, confuse)
    return run


def test_click_a_cell_see_its_images_move_the_slider(dashboard: Dashboard, visit: Visit, run: Run) -> None:
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(f"{dashboard.url}/compare?why=Confusion")
    expect(page.get_by_role("heading", name="2 epochs beat 1 epoch by")).to_be_visible()
    expect(page.get_by_text("1 epoch: the mIoU of")).to_contain_text("is on or below the floor")

    sofa = page.get_by_test_id("stPlotlyChart").nth(3)  # after the two curves and A's matrix, B's
    cells = sofa.locator(".points path")
    expect(cells).not_to_have_count(0)
    rest(page)
    cells.last.click(force=True)
    expect(page.get_by_text("Only photos with")).to_contain_text("that 2 epochs")
    expect(page.get_by_alt_text("pixels lit:").first).to_be_visible()

    rest(page)
    pick(page, "Slider")
    slider = page.get_by_role("slider", name="how much of A: 1 epoch is shown").first
    expect(slider).to_have_value("50")
    slider.press("ArrowRight")
    expect(slider).to_have_value("51")
    slider.press("Home")
    right = page.get_by_alt_text(": B: 2 epochs").first
    expect(right).to_have_css("clip-path", "inset(0px 0px 0px 0%)")

    click(page.get_by_role("button", name="All photos"))
    expect(page.get_by_text("of 12 photos of val")).to_be_visible()
    assert visit.complaints == []
    log = dashboard.log.read_text()
    assert "Traceback" not in log
    assert "Exception" not in log


def test_from_a_finished_run_to_its_presentation_and_report_in_portuguese(
    dashboard: Dashboard, visit: Visit, run: Run
) -> None:
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(f"{dashboard.url}/train?run={run.path.name}")
    page.get_by_role("link", name="Compare 1 with 2").click()
    page.get_by_role("link", name="Present").click()
    expect(page.get_by_role("heading", name="Photos: 4 to train on, 12 to evaluate on")).to_be_visible()
    press(page, "ArrowRight")
    expect(page.get_by_role("heading", name="Training")).to_be_visible()
    press(page, "ArrowRight")
    expect(page.get_by_role("heading", name="2 epochs beat 1 epoch by")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="2 epochs beat 1 epoch by")).to_be_visible()
    press(page, "ArrowLeft")
    expect(page.get_by_role("heading", name="Training")).to_be_visible()
    click(page.get_by_role("button", name="Português"))
    expect(page.get_by_role("heading", name="Treino")).to_be_visible()
    press(page, "ArrowRight")
    expect(page.get_by_role("heading", name="pontos de mIoU")).to_be_visible()
    page.get_by_role("link", name="Sair").click()
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    rest(page)
    click(page.get_by_role("button", name="Report"))
    pick(page, "Português")
    rest(page)
    type_into(page.get_by_label("Author"), "A. Student")
    rest(page)
    with page.expect_download() as download:
        click(page.get_by_role("button", name="Save the report"))
    assert download.value.suggested_filename == f"{run.path.name}-report-pt.html"
    report = Path(download.value.path()).read_text(encoding="utf-8")
    assert '<html lang="pt">' in report
    assert '<p class="byline">A. Student</p>' in report
    assert visit.complaints == []
