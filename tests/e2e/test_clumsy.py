"""Somebody clumsy: all that can be typed, uploaded, pressed or deleted wrongly leads to a sentence, or to nothing."""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect

from core.data.demo import write_demo
from core.training.run import folders
from core.training.run.folders import Run, create_run
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import preset
from tests.app.conftest import write_records
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import AT_REST, click, expect_no_trouble, pick, set_number, type_into
from tests.processes import SETTINGS, trainers, until
from tests.small_models import Malicious, save_lively_model

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE_MS = 120_000
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
LONG_NAME = "x" * 300


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """Let everything that is expected of a page come in its own time."""
    expect.set_options(timeout=PAGE_MS)
    yield
    expect.set_options(timeout=None)


@pytest.fixture
def page(visit: Visit) -> Page:
    visit.page.set_default_timeout(PAGE_MS)
    return visit.page


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    return write_demo(tmp_path / "scenes", num_train=8, num_val=2)


@pytest.fixture
def make_run(dashboard: Dashboard, scenes: Path) -> Callable[[str], Run]:
    """Make runs on a few drawn scenes that end only when somebody stops them."""
    config = TrainingConfig(**SETTINGS | {"image_size": 64, "epochs": 500})
    return lambda name: create_run(name, scenes, "report", config, folder=dashboard.home / "checkpoints")


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((120, 90), 80).convert("RGB").save(buffer, format="JPEG")
    return buffer.getvalue()


def expect_error(page: Page, sentence: str) -> None:
    """Wait for one sentence, the only one of its kind on the page."""
    expect(page.get_by_test_id("stAlert").filter(has_text=sentence)).to_have_count(1)
    expect_shown(page)


def expect_shown(page: Page) -> None:
    """Check that there is a page with its title, and no bug on it."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_selector(AT_REST)
    expect(page.get_by_test_id("stException")).to_have_count(0)


# --- folders and settings -------------------------------------------------------------------------------------------


def make_bad_folders(root: Path) -> dict[str, str]:
    """Make folders that are not data sets, and return what is to be said of each, by path."""
    (root / "file.txt").write_text("no folder")
    (root / "empty").mkdir()
    (root / "no masks" / "images").mkdir(parents=True)
    for folder in ("images", "masks"):
        (root / "bare" / folder).mkdir(parents=True)
    for folder in ("no masks", "bare"):
        (root / folder / "images" / "a.jpg").write_bytes(jpeg())
    return {
        str(root / "nowhere"): "There is no folder",
        "~nobody/photos": "There is no folder",
        str(root / "file.txt"): "There is no folder",
        str(root / "empty"): "is not a data set; it needs the folders",
        str(root / "no masks"): "but no folder of masks",
        str(root / "bare"): "holds no masks",
        str(root / LONG_NAME): "File name too long",
    }


def test_folders_that_are_none_and_settings_that_cannot_be(
    dashboard: Dashboard, visit: Visit, page: Page, scenes: Path, tmp_path: Path
) -> None:
    bad = make_bad_folders(tmp_path)
    page.goto(f"{dashboard.url}/dataset?source=A+folder")
    folder = page.get_by_label("Folder on this computer")
    for path, sentence in bad.items():
        type_into(folder, path)
        expect_error(page, sentence)
    for path in (str(tmp_path / name) for name in ("no masks", LONG_NAME, "nowhere")):
        page.goto(f"{dashboard.url}/train?run=new&source=A+folder&data={quote(path)}")
        expect_error(page, bad[path])
        if path.endswith("nowhere"):  # the form is there, for a folder that may still be made
            expect(page.get_by_role("button", name="Start training")).to_be_disabled()
    type_into(folder, str(scenes))
    enter_wrong_settings(page)
    assert folders.list_runs(dashboard.home / "checkpoints") == []
    expect_no_trouble(dashboard, visit)


def enter_wrong_settings(page: Page) -> None:
    """Type what no setting can be: the box refuses it, or a sentence says why, and what was there stays."""
    expect(page.get_by_role("button", name="How long will it take?")).to_be_visible()
    epochs = page.get_by_role("spinbutton", name="Epochs", exact=True)
    for text in ("100000", "0", "-3"):
        type_into(epochs, text)
        expect(page.get_by_text("Number is outside the allowed range")).to_be_visible()
    type_into(epochs, "")
    expect(epochs).to_have_value(str(preset("own-photos").epochs))
    type_into(page.get_by_role("spinbutton", name="Learning rate"), "1e400")
    expect_shown(page)
    batch_size = page.get_by_label("Batch size", exact=True)
    type_into(batch_size, "1")
    expect(page.get_by_text("BatchNorm needs 2 photos or more: Batch size is now 2.")).to_be_visible()
    expect(batch_size).to_have_value("2")
    name = page.get_by_label("Name of the run")
    type_into(name, "../../etc")
    click(page.get_by_role("button", name="Start training"))
    expect_error(page, "cannot name a run")


# --- uploads --------------------------------------------------------------------------------------------------------


@pytest.fixture
def weights(dashboard: Dashboard, scenes: Path) -> Path:
    """A checkpoint that opens, in a run."""
    run = create_run("drawn", scenes, "report", TrainingConfig(), folder=dashboard.home / "checkpoints")
    return save_lively_model(run.path / "epoch_001.pt")


def upload(page: Page, name: str, content: bytes) -> None:
    """Take a file to the page's only box for files."""
    page.wait_for_selector(AT_REST)
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.locator("input[type=file]").last.set_input_files(files=[file])


def test_files_that_are_not_what_they_are_called(
    dashboard: Dashboard, visit: Visit, page: Page, weights: Path, tmp_path: Path
) -> None:
    bad_photos = {
        "notes.jpg": (b"just words\n", "notes.jpg is not a photo that can be read"),
        "cut.jpg": (jpeg()[: len(jpeg()) // 2], "cut.jpg"),
        "nothing.jpg": (b"", "nothing.jpg"),
        "drawing.jpg": (SVG, "drawing.jpg"),
    }
    for name, (content, sentence) in bad_photos.items():
        page.goto(f"{dashboard.url}/segment")
        upload(page, name, content)
        expect_error(page, sentence)
    upload(page, "drawing.svg", SVG)
    expect(page.get_by_text("files are not allowed")).to_be_visible()

    canary = tmp_path / "canary"
    pickled = io.BytesIO()
    torch.save({"model": Malicious(canary)}, pickled)
    whole = weights.read_bytes()
    bad_checkpoints = {
        "trap.pt": (pickled.getvalue(), "trap.pt holds pickled Python objects"),
        "half.pt": (whole[: len(whole) // 2], "half.pt is not a PyTorch file or was cut short"),
        "none.pt": (b"", "none.pt"),
        "photo.pth": (jpeg(), "photo.pth"),
    }
    for name, (content, sentence) in bad_checkpoints.items():
        page.goto(f"{dashboard.url}/segment?checkpoint=file")
        upload(page, name, content)
        expect_error(page, sentence)
    assert not canary.exists()
    expect_no_trouble(dashboard, visit)


# --- runs and links -------------------------------------------------------------------------------------------------


def is_removed(folder: Path) -> bool:
    """Delete a folder and return whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


NONSENSE = (
    ("train", "run", "../../etc"),
    ("train", "run", "a\0b"),
    ("segment", "checkpoint", "x"),
    ("segment", "against", "../last.pt"),
    ("compare", "checkpoint", "x"),
    ("compare", "only", "cell:b:99>3"),
    ("compare", "split", "../test"),
    ("dataset", "only", "class:999"),
    ("dataset", "source", "Elsewhere"),
    ("dataset", "source=A+folder&data", f"/{LONG_NAME}"),
    ("dataset", "source=A+folder&data", "a\0b"),
    ("train", "run=new&source=A+folder&data", f"/{LONG_NAME}"),
)


def test_links_that_lead_nowhere(dashboard: Dashboard, visit: Visit, page: Page, weights: Path) -> None:
    run = folders.open_run(weights.parent)
    write_records(run, 2, ended="finished")
    for path, name, value in NONSENSE:
        page.goto(f"{dashboard.url}/{path}?{name}={quote(value)}")
        expect(page.get_by_role("heading", name=path.capitalize(), exact=True)).to_be_visible()
        expect_shown(page)
    expect_no_trouble(dashboard, visit)


def test_two_clicks_a_second_run_and_a_folder_that_vanishes(
    dashboard: Dashboard, visit: Visit, page: Page, scenes: Path, make_run: Callable[[str], Run]
) -> None:
    home = dashboard.home / "checkpoints"
    page.goto(f"{dashboard.url}/train?run=new&source=A+folder&data={quote(str(scenes))}&preset=demo")
    expect(page.get_by_role("button", name="Start training")).to_be_visible()
    page.wait_for_selector(AT_REST)
    pick(page, "Demo", beside="Best accuracy")
    set_number(page, "Epochs", "500")
    set_number(page, "Batch size", "2")
    set_number(page, "Image size (px)", "64")
    page.wait_for_selector(AT_REST)
    page.get_by_role("button", name="Start training").dblclick()
    expect(page.get_by_text("of 500 epochs")).to_be_visible()
    assert len(trainers(home)) == 1
    assert len(folders.list_runs(home)) == 1, "two clicks, one run"
    (first,) = folders.list_runs(home)

    page.goto(f"{dashboard.url}/train?run=new")
    expect_error(page, f"{first.name} is training. One run trains at a time")
    expect(page.get_by_role("button", name="Start training")).to_be_disabled()
    waiting = make_run("waiting")
    page.goto(f"{dashboard.url}/train?run={waiting.path.name}")
    click(page.get_by_role("button", name="Start", exact=True))
    expect_error(page, f"{first.path.name} is being trained; wait for it or stop it first.")

    shutil.rmtree(waiting.path)
    click(page.get_by_role("button", name="Start", exact=True))
    expect_error(page, f"There is no run {waiting.path.name}")

    page.goto(f"{dashboard.url}/train?run={first.path.name}")
    expect(page.get_by_text("of 500 epochs")).to_be_visible()
    until(lambda: is_removed(first.path), "the folder to go, whatever its trainer writes meanwhile")
    expect_shown(page)
    until(lambda: not trainers(home), "the trainer of a run that is gone to end")
    expect_error(page, f"There is no run {first.path.name}")
    expect_no_trouble(dashboard, visit)
