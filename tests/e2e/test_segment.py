"""A photo in a real browser: what the picture says under the cursor, what is saved, and two models at once."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, expect

from core.data.demo import write_demo
from core.home import PROJECT_ROOT
from core.model.photo import open_photo
from core.model.predict.predictor import open_predictor
from core.model.predict.upsampling import Prediction
from core.training.run.folders import Run, create_run
from core.training.settings.config import TrainingConfig
from core.voc import CLASS_NAMES
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import click, expect_no_trouble, go_to, pick, rest
from tests.small_models import save_lively_model

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE_MS = 120_000
HEIGHT_PX = 1000
SIZE = (320, 240)
HINT = "Point at the photo"
STEP = 1 / 64
"""How far an arrow key moves the cursor, as a share of the picture's sides."""


@pytest.fixture
def run(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A run on drawn scenes with two checkpoints that see several classes."""
    monkeypatch.setenv("ATROUS_HOME", str(dashboard.home))
    run = create_run("drawn", write_demo(tmp_path / "scenes", num_train=2, num_val=1), "report", TrainingConfig())
    for epoch in (1, 2):
        save_lively_model(run.path / f"epoch_{epoch:03d}.pt", seed=epoch)
    return run


def drawn_photo() -> bytes:
    colors = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(colors).resize(SIZE, Image.Resampling.BICUBIC).save(buffer, format="PNG")
    return buffer.getvalue()


def sentence_at(x: float, y: float, prediction: Prediction) -> str:
    """Return what the picture should say at shares of its sides."""
    column, row = int(x * SIZE[0]), int(y * SIZE[1])
    assert prediction.confidence_HW is not None
    assert prediction.runner_up_HW is not None
    level = round(255 * float(prediction.confidence_HW[row, column]))
    first, second = (CLASS_NAMES[ids[row, column]] for ids in (prediction.mask_HW, prediction.runner_up_HW))
    return f"{first}, {round(level / 2.55)} % sure, else {second}"


def test_from_home_to_an_animal_that_is_named_in_two_clicks(dashboard: Dashboard, visit: Visit) -> None:
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(dashboard.url)
    click(page.get_by_role("button", name="Try it on a photo"))
    click(page.get_by_role("button", name="Segment the cat"))
    expect(page.get_by_role("application", name="cat.jpg with its classes laid over it")).to_be_visible()
    expect(page.get_by_role("table").get_by_role("cell", name="cat", exact=True)).to_be_visible()
    rest(page)  # until then the picture of Home, with the same words below it, may still be there
    expect(page.get_by_text("Chelsea the cat, by Stéfan van der Walt (CC0)")).to_be_visible()
    pick(page, "Person")
    expect(page.get_by_role("table").get_by_role("cell", name="person", exact=True)).to_be_visible()
    go_to(page, "Home")
    expect(page.get_by_role("button", name="Try it on a photo")).to_be_visible()
    page.locator("input[type=file]").set_input_files(str(PROJECT_ROOT / "core" / "samples" / "person.jpg"))
    expect(page.get_by_role("application", name="person.jpg with its classes laid over it")).to_be_visible()
    expect_no_trouble(dashboard, visit)
    assert not (dashboard.home / "checkpoints").exists(), "nothing is stored, least of all a run"


def test_point_at_a_photo_take_its_mask_and_set_two_models_against_each_other(
    dashboard: Dashboard, visit: Visit, run: Run
) -> None:
    page, photo = visit.page, drawn_photo()
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    predictor, _ = open_predictor(run.path / "epoch_001.pt")
    image = open_photo(photo, "photo")
    prediction = predictor.predict(image, with_confidence=True, with_runner_up=True)

    page.goto(f"{dashboard.url}/segment?checkpoint={run.path.name}/epoch_001.pt")
    page.locator("input[type=file]").first.set_input_files(
        files=[{"name": "holiday.png", "mimeType": "image/png", "buffer": photo}]
    )
    picture = page.get_by_role("application", name="holiday.png with its classes laid over it")
    expect(picture.get_by_text(HINT)).to_be_visible()
    picture.focus()
    for number in (1, 2):
        picture.press("ArrowRight")
        expect(picture.locator(".readout")).to_have_text(sentence_at(0.5 + number * STEP, 0.5, prediction))
    expect(picture.get_by_text(HINT)).to_be_hidden()
    picture.press("Escape")
    expect(picture.locator(".readout")).to_be_hidden()
    picture.hover(position={"x": 5, "y": 5})
    expect(picture.locator(".readout")).to_be_visible()

    rest(page)
    page.get_by_text("Why here", exact=True).click()
    expect(page.get_by_text("Click a place in the photo")).to_be_visible()
    rest(page)
    picture.click(position={"x": 0, "y": 0})
    explained = page.get_by_text("at 0, 0: probability")
    expect(explained).to_be_visible()
    expect(page.get_by_role("img", name="Where the atrous taps fall in holiday.png")).to_be_visible()
    rest(page)
    page.get_by_text("Why here", exact=True).click()
    expect(explained).to_be_hidden()

    with page.expect_download() as downloading:
        click(page.get_by_role("button", name="Index mask"))
    assert downloading.value.suggested_filename == "holiday_mask.png"
    with Image.open(downloading.value.path()) as saved:
        np.testing.assert_array_equal(np.asarray(saved), prediction.mask_HW)

    rest(page)
    pick(page, "Confidence")
    confidence = page.get_by_role("application", name="The confidence of the model on holiday.png")
    expect(confidence).to_be_visible()
    expect(confidence.get_by_text(HINT)).to_be_hidden()
    expect(page.get_by_role("img", name="dark blue is 0 %")).to_be_visible()

    rest(page)
    against = page.get_by_role("combobox", name="Against")
    against.click()
    against.press("ArrowDown")  # the click scrolls the page, which closes the list that it opens
    page.get_by_role("option", name="2 epochs").click()
    expect(page.get_by_text("Where they disagree")).to_be_visible()
    slider = page.get_by_role("slider", name="how much of A: 1 epoch is shown")
    expect(slider).to_have_value("50")
    expect_no_trouble(dashboard, visit)


def test_several_photos_a_click_each_back_and_one_zip(dashboard: Dashboard, visit: Visit, run: Run) -> None:
    page, photo = visit.page, drawn_photo()
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(f"{dashboard.url}/segment?checkpoint={run.path.name}/epoch_001.pt&opacity=20")
    uploader = page.locator("input[type=file]").first
    uploader.set_input_files(files=[_file(f"{name}.png", photo) for name in "abc"])
    cards = page.get_by_role("button", name="with its classes laid over it")
    expect(cards).to_have_count(3)
    click(cards.nth(1))
    large = page.get_by_role("application")
    expect(large).to_have_accessible_name(re.compile(r"b\.png"))
    box = large.bounding_box()
    assert box
    assert box["y"] + box["height"] <= HEIGHT_PX, "the photo lies within the first screen"
    click(page.get_by_role("button", name="Remove a.png"))
    expect(page.get_by_text("1 of 2: b.png")).to_be_visible()
    click(page.get_by_role("button", name="Next"))
    expect(large).to_have_accessible_name(re.compile(r"c\.png"))
    rest(page)
    page.go_back()
    expect(large).to_have_accessible_name(re.compile(r"b\.png"))
    click(page.get_by_role("button", name="Remove b.png"))
    expect(large).to_have_accessible_name(re.compile(r"c\.png"))
    uploader.set_input_files(files=[_file("d.png", photo)])
    expect(large).to_have_accessible_name(re.compile(r"d\.png"))
    click(page.get_by_role("button", name="All 2 photos"))
    expect(cards).to_have_count(2)
    with page.expect_download() as downloading:
        click(page.get_by_role("button", name="All 2 photos"))
    with zipfile.ZipFile(downloading.value.path()) as saved:
        assert {"c_mask.png", "d_overlay.png", "classes.csv"} <= set(saved.namelist())
    page.reload()
    expect(page.get_by_text("30MB per file")).to_be_visible()
    uploader.set_input_files(files=[_file("a.png", photo)])
    expect(large).to_be_visible()
    expect(page.get_by_role("slider", name="Opacity")).to_have_value("20")
    expect_no_trouble(dashboard, visit)


def _file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": content}
