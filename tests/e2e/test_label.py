"""From a folder of photos without masks to a model of one's own: drawn, trained, proposed, corrected, trained again.

Beside it a class that another tab removes, and what many photos leave behind in the browser.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from scipy.ndimage import distance_transform_edt

from core.classes import classes_of
from core.data.dataset import open_dataset
from core.data.demo import draw_scene
from core.data.images import read_mask
from core.data.labelling import LabelSet, State, history, new_label_set, open_label_set, read_label, save_label
from core.voc import CLASS_NAMES
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import choose, click, expect_no_trouble, go_to, pick, rest, type_into

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PAGE_MS = 60_000
TRAINING_MS = 300_000
SCENES = (0, 1, 3, 5, 7, 8, 10, 11, 13, 20, 21, 23)
"""Drawn scenes with an animal or a vehicle in each; the first three hold both twice."""
ANIMALS, VEHICLES = ("cow", "sheep"), ("bus", "car", "train")
SIZE = (320, 240)


def name_of(number: int) -> str:
    return f"scene_{number:02}"


def truth_of(number: int) -> NDArray[np.uint8]:
    """Return where the animals (1) and the vehicles (2) of a scene are."""
    _, ids_HW = draw_scene(number, SIZE)
    truth_HW = np.zeros_like(ids_HW)
    for class_id, kinds in ((1, ANIMALS), (2, VEHICLES)):
        truth_HW[np.isin(ids_HW, [CLASS_NAMES.index(kind) for kind in kinds])] = class_id
    return truth_HW


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of twelve photos without masks."""
    folder = tmp_path / "farm"
    folder.mkdir()
    for number in SCENES:
        draw_scene(number, SIZE)[0].save(folder / f"{name_of(number)}.jpg", quality=95)
    return folder


def test_from_a_folder_of_photos_to_a_model(
    start_dashboard: Callable[..., Dashboard], visit: Visit, photos: Path
) -> None:
    dashboard = start_dashboard()
    page, root = visit.page, dashboard.home / "datasets" / "farm"
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    begin(page, dashboard, photos)
    draw_with_brush(page)
    draw_with_polygon(page)
    draw_with_regions(page)
    assert sum(state == State.DONE for state in open_label_set(root).states().values()) == 3
    train(page, 3, proposed=9)
    for number in SCENES[3:5]:
        correct(page, number)
    drawn = {name: (root / "SegmentationClass" / f"{name}.png").read_bytes() for name in map(name_of, SCENES[:5])}
    train(page, 5, proposed=7)
    segment(page, photos / f"{name_of(SCENES[-1])}.jpg")
    for name, mask in drawn.items():
        assert (root / "SegmentationClass" / f"{name}.png").read_bytes() == mask, "training and proposing touch no mask"
    data = open_dataset(root)
    assert sorted(sample.name for samples in data.splits.values() for sample in samples) == sorted(drawn)
    assert data.class_names == ("background", "cow", "bus")
    assert sorted(file.name for file in photos.iterdir()) == sorted(f"{name_of(number)}.jpg" for number in SCENES)
    expect_no_trouble(dashboard, visit)


def begin(page: Page, dashboard: Dashboard, photos: Path) -> None:
    """Go from Home to Label, name the folder and two classes, and start."""
    page.goto(dashboard.url)
    go_to(page, "Label photos")
    type_into(page.get_by_label("Folder on this computer"), str(photos))
    expect(page.get_by_text("12 photos")).to_be_visible()
    type_into(page.get_by_role("textbox", name="Classes, between commas"), "cow, bus")
    click(page.get_by_role("button", name="Start labelling"))
    expect(page.locator(".stage")).to_have_attribute("aria-label", re.compile("pixels"))
    rest(page)
    pick(page, "In file order")
    expect(page.get_by_role("radio", name="In file order")).to_be_checked()
    rest(page)
    page.get_by_role("button", name=f"{name_of(SCENES[0])}, unlabelled").click()
    expect_open(page, SCENES[0], "Unlabelled")


def expect_open(page: Page, number: int, state: str) -> None:
    """Wait until a photo is on the canvas and the page says its state."""
    seen = f"{name_of(number)}, {SIZE[0]} x {SIZE[1]} pixels, with its mask"
    expect(page.locator(".stage")).to_have_attribute("aria-label", seen)
    head = page.locator("[class*=st-key-label-head]")
    expect(head).to_contain_text(name_of(number))
    expect(head).to_contain_text(state)


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the photo is in the window."""
    stage = page.locator(".stage")
    box, view = stage.bounding_box(), stage.get_attribute("data-view")
    assert box
    assert view
    scale, left, top = map(float, view.split())  # the browser has one device pixel for one of CSS
    return box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale


def middle(number: int, class_id: int) -> tuple[int, int]:
    """Return the pixel of a class that has most of it around it."""
    inside_HW = distance_transform_edt(np.pad(truth_of(number) == class_id, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(np.argmax(inside_HW), inside_HW.shape)
    return int(x), int(y)


def stroke(page: Page, number: int, class_id: int, *, half: int = 24) -> None:
    """Draw with the chosen tool to the left and right of the middle of an object."""
    x, y = middle(number, class_id)
    page.mouse.move(*at(page, x - half, y))
    page.mouse.down()
    page.mouse.move(*at(page, x + half, y), steps=4)
    page.mouse.up()


def press_key(page: Page, *keys: str) -> None:
    for key in keys:
        page.locator(".stage").press(key)


def finish(page: Page) -> None:
    """Press *Done*."""
    click(page.get_by_role("button", name="Done", exact=True))


def draw_with_brush(page: Page) -> None:
    """Paint the animals; what is painted is saved without a click, and the row of photos says so."""
    press_key(page, "b", "1")
    stroke(page, SCENES[0], 1)
    expect(page.locator(".state")).to_have_text("Saved")
    expect_open(page, SCENES[0], "Started")
    finish(page)
    expect_open(page, SCENES[1], "Unlabelled")


def draw_with_polygon(page: Page) -> None:
    """Click the corners of the vehicle."""
    press_key(page, "p", "2")
    ys, xs = np.nonzero(truth_of(SCENES[1]) == 2)
    for x, y in ((xs.min(), ys.min()), (xs.max(), ys.min()), (xs.max(), ys.max()), (xs.min(), ys.max())):
        page.mouse.click(*at(page, x, y))
    press_key(page, "Enter")
    finish(page)
    expect_open(page, SCENES[2], "Unlabelled")


def draw_with_regions(page: Page) -> None:
    """Take the regions of an animal and of a vehicle."""
    for class_id in (1, 2):
        press_key(page, "r", str(class_id))
        expect(page.get_by_text("Finding the regions")).to_be_hidden()
        stroke(page, SCENES[2], class_id, half=12)
        expect(page.locator(".state")).to_have_text("Saved")
    finish(page)
    expect_open(page, SCENES[3], "Unlabelled")


def train(page: Page, num_done: int, *, proposed: int) -> None:
    """Train on what is done, for two epochs; the page goes on, and the proposals follow by themselves."""
    click(page.get_by_role("button", name=f"Train on these {num_done}"))
    expect(page.get_by_text(re.compile(r"^([2-9]|\d\d) of \d+ epochs"))).to_be_visible(timeout=TRAINING_MS)
    click(page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True))
    expect(page.get_by_text(f"{num_done}_photos/best.pt")).to_be_visible(timeout=TRAINING_MS)
    expect(page.get_by_role("radio", name=f"Proposed {proposed}")).to_be_visible(timeout=TRAINING_MS)
    expect(page.get_by_role("link", name="Segment with it")).to_be_visible(timeout=TRAINING_MS)


def correct(page: Page, number: int) -> None:
    """Accept a proposal, draw on it, and call it done."""
    expect_open(page, number, "Proposed")
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    rest(page)
    page.locator(".stage").hover()  # the photo then has the keys, and kept this one from the button
    page.keyboard.press("a")
    expect_open(page, number, "Started")
    class_id = 1 if (truth_of(number) == 1).any() else 2
    press_key(page, "b", str(class_id))
    stroke(page, number, class_id)
    finish(page)


def segment(page: Page, photo: Path) -> None:
    """Segment one of the photos with the model."""
    go_to(page, "Segment with it")
    expect(page.get_by_role("heading", name="Segment", exact=True)).to_be_visible()
    page.locator("input[type=file]").set_input_files(photo)
    expect(page.get_by_alt_text(f"{photo.name} with its classes laid over it")).to_be_visible()
    names = page.locator("table td:first-child")
    expect(names).not_to_have_count(0)
    assert set(names.all_text_contents()) <= {"background", "cow", "bus"}


# --- other tabs, and many photos ------------------------------------------------------------------------------------


@pytest.fixture
def farm(dashboard: Dashboard, photos: Path, monkeypatch: pytest.MonkeyPatch) -> LabelSet:
    """The photos as a data set with three classes."""
    monkeypatch.setenv("ATROUS_HOME", str(dashboard.home))
    classes = classes_of(("background", "cow", "bus", "tree"))
    return open_label_set(new_label_set("farm", sorted(photos.iterdir()), classes, lambda *_: None).root)


def open_at(page: Page, dashboard: Dashboard, label_set: LabelSet, number: int) -> None:
    """Open a photo of a data set by its address."""
    page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    page.goto(f"{dashboard.url}/label?source=A+folder&data={label_set.root}&photo={name_of(number)}&order=as+they+lie")
    expect(page.locator(".stage")).to_have_attribute("aria-label", re.compile(f"^{name_of(number)}, "))
    rest(page)


def draw_line(page: Page, class_name: str, y: int) -> None:
    """Draw a class from the left to the right at a height of the photo."""
    page.locator(".classes").get_by_text(class_name, exact=True).click()
    page.mouse.move(*at(page, 100, y))
    page.mouse.down()
    page.mouse.move(*at(page, 200, y), steps=4)
    page.mouse.up()


def test_a_tab_that_lost_its_photo_says_so_and_shows_the_mask_of_the_other(
    dashboard: Dashboard, open_tab: Callable[[], Visit], farm: LabelSet
) -> None:
    """It saved a stroke into the mask of the tab that had taken the photo over, and spoke later."""
    name = name_of(SCENES[0])
    lost, other = open_tab(), open_tab()
    open_at(lost.page, dashboard, farm, SCENES[0])
    draw_line(lost.page, "cow", 60)
    expect(lost.page.locator(".state")).to_have_text("Saved")
    open_at(other.page, dashboard, farm, SCENES[0])
    click(other.page.get_by_role("button", name="Take over"))
    expect(other.page.get_by_role("button", name="Take over")).to_have_count(0)
    draw_line(lost.page, "tree", 160)
    expect(lost.page.locator(".state")).to_have_text("Read only")
    expect(lost.page.locator(".notice span")).to_contain_text(re.compile("(taken over|open) in another tab"))
    rest(lost.page)
    lost.page.mouse.move(*at(lost.page, 150, 160))
    expect(lost.page.locator(".place")).to_contain_text("150, 160: background")
    saved_HW = read_mask(open_label_set(farm.root).masks()[name], len(farm.classes))
    assert (int(saved_HW[60, 150]), int(saved_HW[160, 150])) == (1, 0)
    draw_line(other.page, "bus", 200)
    expect(other.page.locator(".state")).to_have_text("Saved")
    expect_no_trouble(dashboard, lost)
    expect_no_trouble(dashboard, other)


def test_what_is_drawn_while_another_tab_removes_a_class_keeps_its_classes(
    dashboard: Dashboard, open_tab: Callable[[], Visit], farm: LabelSet
) -> None:
    """The list of classes changed under a mask with ids of before: its colours and the next strokes were wrong."""
    name, mask_HW = name_of(SCENES[0]), np.zeros(SIZE[::-1], np.uint8)
    mask_HW[:80], mask_HW[80:120] = 1, 2
    save_label(farm, name, mask_HW, base_version=read_label(farm, name).version)
    mine, other = open_tab(), open_tab()
    open_at(mine.page, dashboard, farm, SCENES[0])
    open_at(other.page, dashboard, farm, SCENES[1])
    click(other.page.get_by_role("button", name="Classes"))
    choose(other.page, "Class", "cow")
    other.page.get_by_text("Remove cow", exact=True).click()
    click(other.page.get_by_role("button", name="Remove it"))
    buttons = mine.page.locator(".classes button > :last-child")
    expect(other.page.locator(".classes button > :last-child")).to_have_text(["background", "bus", "tree", "void"])
    draw_line(mine.page, "tree", 200)
    mine.page.get_by_role("button", name="Keep mine").wait_for()
    assert buttons.all_text_contents() == ["background", "cow", "bus", "tree", "void"], "the classes of this mask"
    click(mine.page.get_by_role("button", name="Keep mine"))
    draw_line(mine.page, "bus", 160)
    expect(buttons).to_have_text(["background", "bus", "tree", "void"])
    draw_line(mine.page, "tree", 140)
    expect(mine.page.locator(".state")).to_have_text("Saved")
    now = open_label_set(farm.root)
    saved_HW = read_mask(now.masks()[name], len(now.classes))
    rows = {40: 0, 100: 1, 140: 2, 160: 1, 200: 2, 230: 0}
    assert {y: int(saved_HW[y, 150]) for y in rows} == rows
    assert {"replaced", "unsaved"} <= {entry.kind for entry in history(now, name)}
    expect_no_trouble(dashboard, mine)
    expect_no_trouble(dashboard, other)
