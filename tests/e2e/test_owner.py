"""Somebody with photos of their own: a folder with faults is read, repaired, trained on, and a photo segmented."""

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from core.classes import classes_of
from core.training.settings.presets import PRESET_HELP
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import choose, click, expect_no_trouble, go_to, pick, rest, set_number, type_into
from tests.small_data import roboflow_export, write_pairs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE_MS = 120_000
TRAINING_MS = 300_000
SIZE = (96, 64)
NUM_PHOTOS = 14
CLASSES = classes_of(("background", "red apple", "leaf"), ("#101010", "#cc2222", "#22aa22"))
LYING, CUT, LARGE = 3, 6, 9
"""The trees whose photo lies on its side, whose photo was cut short, and whose mask has twice the photo's size."""


def tree(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a photo of an apple or a leaf, and its mask in colours."""
    rng = np.random.default_rng(number)
    coarse_HW3 = rng.integers(0, 120, (SIZE[1] // 8, SIZE[0] // 8, 3)).astype(np.uint8)
    photo_HW3 = coarse_HW3.repeat(8, axis=0).repeat(8, axis=1)
    left, top = rng.integers(2, 30), rng.integers(2, 16)
    ids_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    ids_HW[top : top + 44, left : left + 60] = 1 + number // 2 % 2  # of both there are some among the validation photos
    mask_HW3 = CLASSES.palette[ids_HW]
    photo_HW3[ids_HW > 0] = mask_HW3[ids_HW > 0]
    return photo_HW3, mask_HW3


@pytest.fixture
def orchard(tmp_path: Path) -> Path:
    """A folder as people have them: named classes, masks in their colours, three pairs with something wrong."""
    root = tmp_path / "my orchard"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    lines = (f"{name} {color}\n" for name, color in zip(CLASSES.names, CLASSES.colors, strict=True))
    (root / "classes.txt").write_text("".join(lines))
    for number in range(NUM_PHOTOS):
        photo_HW3, mask_HW3 = tree(number)
        if number == LARGE:
            mask_HW3 = mask_HW3.repeat(2, axis=0).repeat(2, axis=1)
        Image.fromarray(mask_HW3).save(root / "masks" / f"tree_{number}.png")
        Image.fromarray(photo_HW3).save(root / "images" / f"tree_{number}.jpg", quality=95)
    lay_down(root / "images" / f"tree_{LYING}.jpg")
    cut = root / "images" / f"tree_{CUT}.jpg"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    return root


def lay_down(file: Path) -> None:
    """Store a photo as a telephone does that was held upright: on its side, with a note which way is up."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(file) as photo:
        photo.transpose(Image.Transpose.ROTATE_90).save(file, quality=95, exif=exif)


def test_an_export_is_brought_in_three_clicks(dashboard: Dashboard, visit: Visit, tmp_path: Path) -> None:
    """Upload, *Import*, *Train on this data*; the data set is in the home, and the upload is deleted."""
    (tmp_path / "Leaves.v2.coco.zip").write_bytes(roboflow_export(12))
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(f"{dashboard.url}/dataset")
    expect(page.get_by_role("heading", name="Dataset", exact=True)).to_be_visible()
    rest(page)
    pick(page, "Bring data")
    page.get_by_test_id("stFileUploaderDropzone").locator("input").set_input_files(tmp_path / "Leaves.v2.coco.zip")
    expect(page.get_by_text("The category 'plants' left out")).to_be_visible()
    expect(page.get_by_role("img", name="Masks over").first).to_be_visible()
    assert not (dashboard.home / "datasets").exists()
    click(page.get_by_role("button", name="Import", exact=True))
    out = dashboard.home / "datasets" / "Leaves.v2.coco"
    expect(page).to_have_url(re.compile(re.escape(quote_plus(str(out)))))
    expect(page.get_by_text("The doctor found")).to_be_visible()
    go_to(page, "Train on this data")
    expect(page.get_by_label("Folder on this computer")).to_have_value(str(out))
    assert len(list((out / "JPEGImages").iterdir())) == 13
    assert list((dashboard.home / "cache" / "uploads").iterdir()) == []
    expect_no_trouble(dashboard, visit)


def test_a_folder_is_chosen_by_keyboard_and_its_photos_fill_their_rows(dashboard: Dashboard, visit: Visit) -> None:
    """The last row stays as it is: stretched, one photo would be as wide as the page."""
    root = dashboard.home / "datasets" / "mine"
    for number in range(18):
        write_pairs(root / "images", root / "masks", [f"{number}"], (48 + 5 * (number % 5), 40))
    page = visit.page
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(f"{dashboard.url}/dataset?source=A+folder&look=Content")
    page.get_by_role("button", name="Browse").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="mine").press("Enter")
    expect(page.get_by_role("dialog").get_by_role("button", name="images")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Use this folder").press("Enter")
    expect(page.get_by_label("Folder on this computer")).to_have_value(str(root))
    expect(page.locator("button.card")).to_have_count(14)  # four of five train
    rest(page)
    boxes = page.locator("button.card").evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())")
    frame = page.locator(".st-key-cards").evaluate("one => one.getBoundingClientRect().right")
    ends = {box["top"]: max(each["right"] for each in boxes if each["top"] == box["top"]) for box in boxes}
    *full, last = (ends[top] for top in sorted(ends))
    assert full
    assert all(abs(end - frame) < 2 for end in full)
    assert last < frame - 20
    heights = [box["height"] for box in boxes if box["top"] == min(ends)]
    assert max(heights) - min(heights) < 3
    expect_no_trouble(dashboard, visit)


def fingerprints(root: Path) -> dict[str, str]:
    """Return a hash of every file below a folder."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_from_a_folder_with_faults_to_a_segmented_photo(
    start_dashboard: Callable[..., Dashboard], visit: Visit, orchard: Path, tmp_path: Path
) -> None:
    """Nothing of one's own is touched on the way: not one byte, and no file beside theirs."""
    page, dashboard, before = visit.page, start_dashboard(), fingerprints(orchard)
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    repaired = tmp_path / "mended orchard"
    read(page, dashboard, orchard)
    repair(page, repaired)
    train(page)
    segment(page, orchard / "images" / f"tree_{LYING}.jpg")
    assert fingerprints(orchard) == before
    expect_no_trouble(dashboard, visit)


def read(page: Page, dashboard: Dashboard, folder: Path) -> None:
    """Type the folder and let the doctor read it."""
    page.goto(f"{dashboard.url}/dataset")
    expect(page.get_by_role("heading", name="Dataset", exact=True)).to_be_visible()
    rest(page)
    pick(page, "A folder")
    type_into(page.get_by_label("Folder on this computer"), str(folder))
    expect(page.get_by_text("The doctor found")).to_contain_text("errors")
    rest(page)
    pick(page, "Findings")
    kinds = page.get_by_test_id("stButtonGroup").filter(has_text="colour mask")
    for kind in ("colour mask", "size mismatch (1)", "rotated photo (1)", "unreadable photo (1)"):
        expect(kinds.get_by_text(kind)).to_be_visible()


def repair(page: Page, out: Path) -> None:
    """Make a mended copy, look at it, and find it sound but for what was set aside."""
    type_into(page.get_by_label("New folder for the copy"), str(out))
    click(page.get_by_role("button", name="Make a repaired copy"))
    expect(page.get_by_label("Folder on this computer")).to_have_value(str(out))
    expect(page).to_have_url(re.compile(re.escape(quote_plus(str(out)))))
    expect(page.get_by_text("The doctor found 1 warning.")).to_be_visible()  # fewer than ten validation photos
    assert len(list((out / "JPEGImages").iterdir())) == NUM_PHOTOS - 1


def train(page: Page) -> None:
    """Go on to Train with the copy, ask for a small run, and wait until it is done."""
    go_to(page, "Train on this data")
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    rest(page)
    pick(page, "Demo", beside="Best accuracy")
    expect(page.get_by_text(PRESET_HELP["demo"])).to_be_visible()
    for label, value in {"Epochs": "2", "Batch size": "4", "Image size (px)": "64"}.items():
        set_number(page, label, value)
    page.get_by_text("More settings").click()
    choose(page, "Architecture", "deeplabv3_efficientnet_lite0")
    click(page.get_by_role("button", name="Start training"))
    expect(page.get_by_text("2 of 2 epochs done")).to_be_visible(timeout=TRAINING_MS)
    chart = page.get_by_test_id("stPlotlyChart").filter(has_text="red apple").first
    expect(chart).to_contain_text("leaf")


def segment(page: Page, photo: Path) -> None:
    """Segment the photo that lies on its side: the mask stands upright and knows the owner's classes alone."""
    go_to(page, "Segment")
    page.locator("input[type=file]").set_input_files(photo)
    expect(page.get_by_alt_text(f"{photo.name} with its classes laid over it")).to_be_visible()
    names = page.locator("table td:first-child")
    expect(names).not_to_have_count(0)
    assert set(names.all_text_contents()) <= set(CLASSES.names)
    with page.expect_download() as download:
        click(page.get_by_role("button", name="Index mask"))
    mask = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert (mask.mode, mask.size) == ("P", SIZE)
    assert np.reshape(mask.getpalette() or [], (-1, 3))[: len(CLASSES)].tolist() == CLASSES.palette[:3].tolist()
    assert set(np.unique(np.asarray(mask))) <= set(range(len(CLASSES)))
