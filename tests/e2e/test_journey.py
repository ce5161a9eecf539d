"""One person's way through the dashboard, in a real browser, with a real training."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.data.demo import write_demo
from core.training.settings.presets import PRESET_HELP, PRESETS
from core.voc import CLASS_NAMES, PALETTE
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import choose, click, expect_no_trouble, go_to, pick, press, rest, set_number, type_into

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE_MS = 60_000
TRAINING_MS = 300_000
PHOTO_SIZE = (330, 210)
MOBILENET = "deeplabv3_mobilenet_v3_large"


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """A few drawn scenes."""
    return write_demo(tmp_path / "scenes", num_train=16, num_val=4)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture to upload, not of the size the model works at."""
    noise = np.random.default_rng(0).integers(0, 256, (PHOTO_SIZE[1], PHOTO_SIZE[0], 3), dtype=np.uint8)
    path = tmp_path / "holiday 1.jpg"
    Image.fromarray(noise).save(path)
    return path


def test_train_compare_segment(
    start_dashboard: Callable[..., Dashboard], visit: Visit, scenes: Path, photo: Path
) -> None:
    page, dashboard = visit.page, start_dashboard()
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    train(page, dashboard, scenes)
    compare(page)
    segment(page, photo)
    assert visit.complaints == []
    log = dashboard.log.read_text()
    assert "Traceback" not in log
    assert "Exception" not in log


def test_look_at_data(dashboard: Dashboard, visit: Visit, scenes: Path) -> None:
    """Open a folder, wait until it is read, click a bar, and see its photos alone."""
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(f"{dashboard.url}/dataset?source=A+folder&data={scenes}")
    expect(page.get_by_text("The doctor found 4 warnings.")).to_be_visible()  # val is small
    expect(page.get_by_text("16 photos of train", exact=True)).to_be_visible()
    rest(page)
    presence = page.get_by_test_id("stPlotlyChart").first
    presence.locator(".bars .point path").first.click(force=True)
    expect(page.get_by_text("photos of train with aeroplane")).to_be_visible()
    click(page.locator("button.card").first)
    expect(page.get_by_text("1 of ")).to_be_visible()
    rest(page)
    first = page.url
    press(page, "ArrowRight")
    expect(page.get_by_text("2 of ")).to_be_visible()
    expect(page).not_to_have_url(first)  # it names the photo
    press(page, "Escape")
    click(page.get_by_role("button", name="Take it off"))
    expect(page.get_by_text("16 photos of train", exact=True)).to_be_visible()
    rest(page)
    pick(page, "Together")
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(1)  # the two of the tab before are gone
    rest(page)
    page.get_by_test_id("stPlotlyChart").first.locator(".points path").nth(1).click(force=True)
    expect(page.get_by_text("of train with aeroplane and")).to_be_visible()
    for view in ("Where", "Objects", "Sizes and light", "Findings", "Splits"):
        pick(page, view)  # at once: a tab of Streamlit's own that was clicked so early was closed again
        expect(page.get_by_role("radio", name=view)).to_be_checked()
    expect(page.get_by_text("Random against stratified")).to_be_visible()
    assert visit.complaints == []
    log = dashboard.log.read_text()
    assert "Traceback" not in log
    assert "Exception" not in log


def test_repeat_with_seeds(dashboard: Dashboard, visit: Visit, scenes: Path) -> None:
    """A study of two recipes and two seeds: started, seen at work, stopped, gone on with, its verdict on Compare."""
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(f"{dashboard.url}/train?run=new&source=A+folder&data={scenes}&preset=demo")
    expect(page.get_by_text(PRESET_HELP["demo"])).to_be_visible()
    set_number(page, "Image size (px)", "64")
    rest(page)
    page.get_by_text("More settings").click()
    choose(page, "Architecture", MOBILENET)
    rest(page)
    page.get_by_text("Repeat with seeds, or folds").click()
    set_number(page, "Seeds", "2")
    rest(page)
    recipes = page.get_by_role("textbox", name="Compare recipes")
    recipes.fill("epochs=6,7")  # long enough that Stop comes before the last one ends
    recipes.press("Control+Enter")
    click(page.get_by_role("button", name="Start the study: 4 runs"))
    expect(page.get_by_text(re.compile("[0-3] of 4 runs done"))).to_be_visible()
    click(page.get_by_test_id("stMain").get_by_role("button", name="Stop"))
    expect(page.get_by_role("button", name="Go on")).to_be_visible(timeout=TRAINING_MS)
    click(page.get_by_role("button", name="Go on"))
    expect(page.get_by_text("4 of 4 runs done")).to_be_visible(timeout=TRAINING_MS)
    go_to(page, "Results")
    verdict = "2 runs each are too few for a verdict on 7 epochs and 6 epochs"
    expect(page.get_by_role("heading", name=verdict)).to_be_visible()
    expect_no_trouble(dashboard, visit)


def train(page: Page, dashboard: Dashboard, scenes: Path) -> None:
    """Open the page first of all on a fresh server, start a run of one epoch, and watch it to its end."""
    page.goto(f"{dashboard.url}/train")
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    rest(page)
    pick(page, "A folder")
    type_into(page.get_by_label("Folder on this computer"), str(scenes))
    # Of the presets: while those were still being drawn, the demo among the data sets was the last one.
    presets = page.get_by_test_id("stButtonGroup").filter(has_text="Best accuracy")
    presets.get_by_text("Demo", exact=True).click()
    expect(page.get_by_text(PRESET_HELP["demo"])).to_be_visible()
    expect(page.get_by_label("Image size (px)", exact=True).first).to_have_value(str(PRESETS["demo"].image_size))
    set_number(page, "Epochs", "1")
    set_number(page, "Image size (px)", "64")
    click(page.get_by_role("button", name="Start training"))
    expect(page.get_by_text(re.compile("[01] of 1 epoch(?! done)"))).to_be_visible()
    expect(page.get_by_text("1 of 1 epoch done")).to_be_visible(timeout=TRAINING_MS)


def compare(page: Page) -> None:
    """Score a checkpoint that is not scored yet, and see it stand beside the other."""
    go_to(page, "Compare")
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    expect(page.get_by_alt_text("what 1 epoch predicted").first).to_be_visible()
    choose(page, "B, compared with A", "last (1 epoch)")
    click(page.get_by_role("button", name="Evaluate last"))
    expect(page.get_by_role("heading", name="cannot be told apart on 4 photos")).to_be_visible(timeout=TRAINING_MS)
    expect(page.get_by_alt_text("true mask").first).to_be_visible()


def segment(page: Page, photo: Path) -> None:
    """Upload a photo, see it, and save its mask."""
    go_to(page, "Segment")
    expect(page.get_by_role("heading", name="Segment", exact=True)).to_be_visible()
    page.locator("input[type=file]").set_input_files(photo)
    expect(page.get_by_alt_text("holiday 1.jpg with its classes laid over it")).to_be_visible()
    with page.expect_download() as download:
        click(page.get_by_role("button", name="Index mask"))
    assert download.value.suggested_filename == "holiday 1_mask.png"
    mask = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert (mask.mode, mask.size) == ("P", PHOTO_SIZE)
    assert bytes(mask.getpalette() or []) == PALETTE.tobytes()
    assert np.asarray(mask).max() < len(CLASS_NAMES)
