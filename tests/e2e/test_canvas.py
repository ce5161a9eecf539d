"""The canvas in a real browser: every tool to the pixel, on odd photos at odd zooms; nothing that is drawn gets lost.

Each tool is used at the browser's own zoom, which its profile holds; other tests set the device pixel ratio. References
are written independently of the browser's code: brute force over all pixels in integers, scikit-image for fill.
"""

import functools
import io
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, expect
from skimage.segmentation import flood

from core.classes import classes_of, write_classes
from core.data.images import read_mask, read_photo, write_mask
from core.data.labelling.regions import Regions, regions_of
from core.home import PROJECT_ROOT
from core.voc import VOID
from tests.e2e.conftest import CHROMIUM, FLAGS, free_port, wait_for_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CLASSES = classes_of(("background", "cat", "dog", "bird"), ("#000000", "#cc2222", "#22aa22", "#2244cc"))
GREY = (90, 90, 90)
PATIENCE_MS = 30_000
EXIF_ORIENTATION, TURNED = 0x0112, 6
WIDE, TALL, TURNED_PHOTO = "0 odd", "1 tall", "2 turned"
MASK = NDArray[np.uint8]
POINT = tuple[int, int]


def regions_in(photo: Image.Image) -> Regions:
    """Return the regions of a photo; most tests have the same one."""
    return _regions_in(photo.size, photo.tobytes())


@functools.cache
def _regions_in(size: POINT, pixels: bytes) -> Regions:
    return regions_of(Image.frombytes("RGB", size, pixels))


class Server:
    """A server of the page with nothing but the canvas; every test has a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.port = root, root, free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/?set={self.folder.name}"

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "tests/programs/canvas_page.py"]
        with (self.root / "server.log").open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--server.port", str(self.port), "--server.headless", "true"], cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=os.environ | {"CANVAS_FOLDER": str(self.root), "PYTHONPATH": str(PROJECT_ROOT)},
            )  # fmt: skip
        wait_for_server(f"http://127.0.0.1:{self.port}/_stcore/health", self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def mask(self, name: str = WIDE) -> MASK:
        return read_mask(self.folder / "masks" / f"{name}.png", len(CLASSES))

    def lines(self) -> list[str]:
        return (self.folder / "log.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("sets"))
    server.start()
    expect.set_options(timeout=PATIENCE_MS)
    yield server
    server.kill()


@pytest.fixture
def server(running: Server) -> Server:
    """Photos of 501 x 333, 37 x 1001, and of 333 x 501 that EXIF turns to 501 x 333; each has something to see."""
    running.folder = running.root / str(sum(1 for _ in running.root.iterdir()))
    photos = running.folder / "photos"
    photos.mkdir(parents=True)
    write_classes(running.folder, CLASSES)
    plain = Image.new("RGB", (501, 333), GREY)
    plain.paste((200, 180, 40), (300, 40, 420, 200))
    plain.save(photos / f"{WIDE}.png")
    Image.new("RGB", (37, 1001), GREY).save(photos / f"{TALL}.png")
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURNED
    plain.transpose(Image.Transpose.ROTATE_90).save(photos / f"{TURNED_PHOTO}.jpg", quality=95, exif=exif)
    return running


class Hand:
    """A person in front of the canvas, who also knows what every stroke should have made of the mask."""

    def __init__(self, page: Page, server: Server, name: str = WIDE) -> None:
        self.page, self.server, self.stage = page, server, page.locator(".stage")
        expect(self.stage).to_have_attribute("aria-label", f"{name}, 501 x 333 pixels, with its mask")
        expect(page.locator(".state")).to_have_text("")
        self.stage.evaluate("stage => stage.scrollIntoView({ block: 'center' })")
        self.wait_for_photo()
        self.wanted: MASK = np.zeros((333, 501), np.uint8)

    def wait_for_photo(self) -> None:
        """Wait until the photo is on the screen and nothing is left to draw; a busy machine decodes it late."""
        self.stage.evaluate(
            "async stage => { const photo = stage.querySelector('canvas.photo');"
            "const frame = () => new Promise(done => requestAnimationFrame(done));"
            "const [x, y] = [photo.width / 2, photo.height / 2];"
            "const isDrawn = () => photo.getContext('2d').getImageData(x, y, 1, 1).data[3];"
            "do await frame(); while (!isDrawn()); await frame(); await frame(); }"
        )

    def view(self) -> tuple[list[float], list[float], list[float]]:
        """Return scale, left, top in device pixels; the canvas's box in CSS pixels; its size in device pixels."""
        box, size = self.stage.evaluate(
            "stage => { const canvas = stage.querySelector('canvas.mask');"
            "const { x, y, width, height } = canvas.getBoundingClientRect();"
            "return [[x, y, width, height], [canvas.width, canvas.height]]; }"
        )
        return [float(part) for part in str(self.stage.get_attribute("data-view")).split()], box, size

    def screen(self, x: float, y: float) -> POINT:
        """Return the whole CSS pixel nearest to a place on the mask."""
        (scale, *start), box, size = self.view()
        at_x, at_y = (
            (at * scale + start[axis]) * box[2 + axis] / size[axis] + box[axis] for axis, at in ((0, x), (1, y))
        )
        return round(at_x), round(at_y)

    def quarters(self, point: POINT) -> POINT:
        """Return where a CSS pixel is on the mask, in whole quarters of a pixel."""
        (scale, *start), box, size = self.view()
        on_screen = [(point[axis] - box[axis]) * size[axis] / box[2 + axis] for axis in (0, 1)]
        x, y = (int(np.floor(4 * (on_screen[axis] - start[axis]) / scale + 0.5)) for axis in (0, 1))
        return x, y

    def stroke(self, places: list[tuple[float, float]], value: int, size: int) -> None:
        points = [self.screen(*place) for place in places]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point)
        self.page.mouse.up()
        on_mask = [self.quarters(point) for point in points]
        for one, other in zip(on_mask, on_mask[1:] or on_mask, strict=False):
            self.wanted[brush(self.wanted.shape, one, other, size)] = value

    def polygon(self, places: list[tuple[float, float]], value: int) -> None:
        points = [self.screen(*place) for place in places]
        for point in points:
            self.page.mouse.click(*point)
        self.page.keyboard.press("Enter")
        self.wanted[polygon(self.wanted.shape, [self.quarters(point) for point in points])] = value

    def pixel(self, point: POINT) -> POINT:
        x, y = self.quarters(point)
        return x // 4, y // 4

    def fill(self, place: tuple[float, float], value: int) -> None:
        point = self.screen(*place)
        self.page.mouse.click(*point)
        name = "void" if value == VOID else CLASSES.names[value]
        expect(self.page.locator(".place")).to_contain_text(f": {name} ")  # at once, and not when the pointer moves
        x, y = self.pixel(point)
        self.wanted[flood(self.wanted, (y, x), connectivity=1)] = value

    def take_region(self, place: tuple[float, float], value: int, level: int) -> None:
        expect(self.page.get_by_role("button", name="Region", exact=True)).to_have_attribute("aria-pressed", "true")
        expect(self.page.get_by_text("Finding the regions")).to_be_hidden()
        point = self.screen(*place)
        self.page.mouse.click(*point)
        labels_HW, levels = regions_in(read_photo(self.photo))
        x, y = self.pixel(point)
        rows, columns = (
            (2 * np.arange(side) + 1) * small // (2 * side)
            for side, small in zip(self.wanted.shape, labels_HW.shape, strict=True)
        )
        map_HW = levels[level][labels_HW][np.ix_(rows, columns)]
        self.wanted[map_HW == map_HW[y, x]] = value

    @property
    def photo(self) -> Path:
        name = str(self.stage.get_attribute("aria-label")).split(",")[0]
        return next((self.server.folder / "photos").glob(f"{name}.*"))

    def save(self) -> None:
        """Leave the stage, on which what is drawn is saved at once."""
        box = self.stage.bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + 5, box["y"] + 5)
        self.page.mouse.move(box["x"] + 5, box["y"] - 8)
        expect(self.page.locator(".state")).to_have_text("Saved")

    def check(self) -> None:
        self.save()
        mask_HW = self.server.mask(self.photo.stem)
        assert (mask_HW == self.wanted).all(), f"{(mask_HW != self.wanted).sum()} pixels of {mask_HW.size}"


def brush(shape: tuple[int, ...], a: POINT, b: POINT, size: int) -> NDArray[np.bool_]:
    """Return which centres are at most size / 2 from a segment, and the pixels under its ends."""
    y_HW, x_HW = np.mgrid[: shape[0], : shape[1]].astype(np.int64)
    x_HW, y_HW = 4 * x_HW + 2 - a[0], 4 * y_HW + 2 - a[1]
    dx, dy, limit = b[0] - a[0], b[1] - a[1], (2 * size) ** 2
    along_HW = x_HW * dx + y_HW * dy
    from_a, from_b = x_HW**2 + y_HW**2 <= limit, (x_HW - dx) ** 2 + (y_HW - dy) ** 2 <= limit
    length = dx * dx + dy * dy
    is_beside = (along_HW > 0) & (along_HW < length) & ((dx * y_HW - dy * x_HW) ** 2 <= limit * length)
    is_in = from_a | from_b | is_beside
    for x, y in (a, b):
        if 0 <= x // 4 < shape[1] and 0 <= y // 4 < shape[0]:
            is_in[y // 4, x // 4] = True
    return is_in


def polygon(shape: tuple[int, ...], corners: list[POINT]) -> NDArray[np.bool_]:
    """Return which centres are inside by the even-odd rule: how many edges a ray to the right crosses."""
    y_HW, x_HW = np.mgrid[: shape[0], : shape[1]].astype(np.int64)
    x_HW, y_HW = 4 * x_HW + 2, 4 * y_HW + 2
    is_in = np.zeros(shape, bool)
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if ay == by:
            continue
        is_crossed = (ay <= y_HW) != (by <= y_HW)
        side = (x_HW - ax) * (by - ay) - (y_HW - ay) * (bx - ax)
        is_in ^= is_crossed & (side < 0 if by > ay else side > 0)
    return is_in


@pytest.fixture
def open_canvas(browser: Browser, server: Server) -> Iterator[Callable[..., Hand]]:
    """Open the canvas at a device pixel ratio, in a window that has so many CSS pixels."""
    pages: list[Page] = []
    complaints: list[str] = []

    def open_one(ratio: float = 1, size: tuple[int, int] = (1300, 1000), **more: Any) -> Hand:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, device_scale_factor=ratio, **more)
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(server.url)
        return Hand(page, server)

    yield open_one
    for page in pages:
        page.close()
    assert complaints == []
    log = (server.root / "server.log").read_text()
    assert "Traceback" not in log, log


def use_every_tool(hand: Hand) -> None:
    """Draw with each tool on the photo of 501 x 333, the wanted mask along with it."""
    keys = hand.page.keyboard
    keys.press("1")
    hand.stroke([(60.2, 50.7), (180.4, 90.1), (190.9, 160.3)], 1, 12)
    for _ in range(3):
        keys.press("]")
    hand.stroke([(480, 20), (499, 100)], 1, 24)
    keys.press("p")
    keys.press("2")
    hand.polygon([(100, 200), (240, 180), (110, 300), (250, 310), (180, 140)], 2)
    keys.press("g")
    keys.press("3")
    hand.fill((180, 250), 3)
    keys.press("v")
    hand.stroke([(20, 20)], VOID, 24)
    keys.press("e")
    hand.stroke([(150, 80), (185, 170)], 0, 24)
    keys.press("r")
    keys.press("2")
    hand.take_region((350, 100), 2, 1)


@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("zoom", [0.8, 1.25, 2])
def test_every_tool_equals_its_reference_to_the_pixel(
    browser: Browser, server: Server, tmp_path: Path, zoom: float, ratio: int
) -> None:
    """On a photo of odd sides that EXIF turns; 100 % is the zoom of the other tests."""
    (tmp_path / "Default").mkdir()
    level = {"partition": {"default_zoom_level": {"x": math.log(zoom, 1.2)}}}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(level))
    flags = [*FLAGS, f"--force-device-scale-factor={ratio}", "--window-size=1300,1100"]
    with browser.browser_type.launch_persistent_context(
        tmp_path, executable_path=CHROMIUM, args=flags, no_viewport=True
    ) as zoomed:
        page = zoomed.pages[0]
        page.goto(f"{server.url}&at=2")
        hand = Hand(page, server, TURNED_PHOTO)
        assert abs(page.evaluate("devicePixelRatio") - ratio * zoom) < 1e-3
        use_every_tool(hand)
        hand.check()


def test_after_zooming_and_panning_pixels_are_where_they_are_seen(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas(1.25, (1040, 800))
    page = hand.page
    use_every_tool(hand)
    page.mouse.move(*hand.screen(100, 100))
    for _ in range(3):
        page.mouse.wheel(0, -400)
    page.keyboard.down("Space")
    start = hand.screen(100, 100)
    page.mouse.down()
    page.mouse.move(start[0] + 37, start[1] + 23)
    page.mouse.up()
    page.keyboard.up("Space")
    page.keyboard.press("b")
    page.keyboard.press("1")
    hand.stroke([(90, 95), (110, 104.3), (95, 99)], 1, 24)
    page.keyboard.press("-")
    for _ in range(12):
        page.keyboard.press("[")
    hand.stroke([(80, 80), (95, 83)], 1, 1)
    hand.check()


def test_a_narrow_photo_is_drawn_on_beyond_its_edges(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas(1)
    hand.page.keyboard.press("Escape")
    hand.page.get_by_role("button", name="Next", exact=True).click()
    expect(hand.stage).to_have_attribute("aria-label", f"{TALL}, 37 x 1001 pixels, with its mask")
    hand.wanted = np.zeros((1001, 37), np.uint8)
    hand.stroke([(-3, 500), (20, 510), (39, 700)], 1, 12)
    hand.page.keyboard.press("p")
    hand.polygon([(5, 100), (36, 300), (-6, 400)], 1)
    hand.check()


def test_regions_of_a_photo_that_is_larger_than_their_map(open_canvas: Callable[..., Hand], server: Server) -> None:
    """Regions are found on a megapixel; each pixel of the photo belongs to what lies under its centre there."""
    noise_HW3 = np.random.default_rng(2).integers(0, 256, (11, 17, 3), dtype=np.uint8)
    Image.fromarray(noise_HW3).resize((1601, 1001), Image.Resampling.BICUBIC).save(server.folder / "photos" / "9.png")
    hand = open_canvas()
    hand.page.get_by_role("button", name="Previous", exact=True).click()
    expect(hand.stage).to_have_attribute("aria-label", "9, 1601 x 1001 pixels, with its mask")
    hand.wanted = np.zeros((1001, 1601), np.uint8)
    hand.stage.focus()
    hand.page.keyboard.press("r")
    hand.take_region((801, 500), 1, 1)
    hand.take_region((1590, 990), 1, 1)
    hand.check()


def seen(hand: Hand) -> NDArray[np.uint8]:
    """Return the stage as it is on the screen, in device pixels, (H, W, 3)."""
    _, (x, y, across, _), (width, height) = hand.view()
    shot = Image.open(io.BytesIO(hand.page.screenshot(scale="device"))).convert("RGB")
    left, top = round(x * width / across), round(y * width / across)
    return np.asarray(shot.crop((left, top, left + int(width), top + int(height))))


@pytest.mark.parametrize("ratio", [1, 1.25, 2])
def test_what_is_shown_is_what_is_saved(open_canvas: Callable[..., Hand], ratio: float) -> None:
    """At 1:1 every pixel of the screen has the colour of its pixel of the mask; of the background, the photo's."""
    hand = open_canvas(ratio)
    use_every_tool(hand)
    hand.page.get_by_role("button", name="1:1").click()
    hand.page.locator("input[name=opacity]").fill("100")
    hand.check()
    (scale, left, top), *_ = hand.view()
    assert scale == 1
    screen_HW3 = seen(hand).astype(int)
    top, left = int(top), int(left)
    shown_HW3 = screen_HW3[max(0, top) : top + 333, max(0, left) : left + 501]
    saved_HW = hand.server.mask()[max(0, -top) :, max(0, -left) :][: shown_HW3.shape[0], : shown_HW3.shape[1]]
    assert saved_HW.size > 300 * 333
    photo_HW3 = np.asarray(read_photo(hand.photo))[max(0, -top) :, max(0, -left) :]
    wanted_HW3 = np.where(
        (saved_HW == 0)[..., None], photo_HW3[: saved_HW.shape[0], : saved_HW.shape[1]], CLASSES.palette[saved_HW]
    )
    # The photo is a JPEG in the browser, drawn pixel for pixel; 3 levels at its edges.
    off_HW = np.abs(shown_HW3 - wanted_HW3).max(axis=2)
    assert (off_HW[saved_HW != 0] == 0).all(), np.argwhere((off_HW > 0) & (saved_HW != 0))
    assert (off_HW[saved_HW == 0] <= 12).all(), f"{off_HW.max()} levels in {(off_HW > 12).sum()} pixels"


def act_elsewhere(hand: Hand, name: str) -> None:
    """Press a button of the page without the mouse, which may be in mid-stroke."""
    hand.page.get_by_role("button", name=name).evaluate("button => button.click()")


def save_on_demand(hand: Hand) -> None:
    """Let nothing be saved because time has passed, however slow the machine is."""
    desks = "window[Symbol.for('atrous canvas')].desks"
    hand.page.evaluate(f"() => {desks}.forEach(desk => {{ desk.schedule = () => {{}}; }})")


def test_a_rerun_in_mid_stroke_changes_nothing(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas()
    places = [(100.0, 100.0), (200.0, 110.0), (300.0, 200.0), (310.0, 220.0)]
    points = [hand.screen(*place) for place in places]
    hand.page.mouse.move(*points[0])
    hand.page.mouse.down()
    for point in points[1:]:
        act_elsewhere(hand, "Run again")
        hand.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        hand.page.mouse.move(*point)
    assert hand.stage.evaluate("stage => stage.getRootNode().activeElement === stage"), "the focus stays"
    hand.page.mouse.up()
    on_mask = [hand.quarters(point) for point in points]
    for one, other in pairwise(on_mask):
        hand.wanted[brush(hand.wanted.shape, one, other, 12)] = 1
    hand.check()
    assert hand.server.lines() == [f"content {WIDE}", f"save {WIDE} mask"], (
        "the photo was sent once, the mask came once"
    )


def test_a_stroke_that_goes_on_is_saved_meanwhile(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas()
    hand.page.mouse.move(*hand.screen(100, 100))
    hand.page.mouse.down()
    hand.page.mouse.move(*hand.screen(200, 100))
    expect(hand.page.locator(".state")).to_have_text("Saved")
    assert (hand.server.mask() == 1).sum() > 1000
    hand.page.mouse.up()


def test_a_full_disk_is_said_and_drawing_goes_on(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas()
    (hand.server.folder / "full").touch()
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    box = hand.stage.bounding_box()
    assert box is not None
    hand.page.mouse.move(box["x"] + 5, box["y"] - 8)
    expect(hand.page.get_by_role("alert")).to_contain_text("The disk is full")
    hand.stroke([(100, 200), (200, 200)], 1, 12)
    hand.page.keyboard.press("n")
    expect(hand.page.locator(".state")).to_have_text("Not saved yet")  # refused, before there is room again
    assert "0 odd" in str(hand.stage.get_attribute("aria-label")), "nobody moves on with what is not saved"
    (hand.server.folder / "full").unlink()
    expect(hand.page.locator(".state")).to_have_text("Saved")
    expect(hand.page.get_by_role("alert")).to_be_hidden()
    assert (hand.server.mask() == hand.wanted).all()


def test_a_server_that_was_killed_gets_the_strokes_when_it_is_back(open_canvas: Callable[..., Hand]) -> None:
    """A server that was started again knows no fragment of the page, and ignored what the canvas sent."""
    hand = open_canvas()
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    hand.save()
    hand.server.kill()
    hand.stroke([(100, 200), (200, 200)], 1, 12)
    expect(hand.page.locator(".state")).to_contain_text("does not answer")
    hand.page.get_by_role("dialog").get_by_role("button").click()  # Streamlit's own word on it lies over the page
    hand.stroke([(300, 200), (320, 250)], 1, 12)
    hand.server.start()
    expect(hand.page.locator(".state")).to_have_text("Saved", timeout=3 * PATIENCE_MS)
    assert (hand.server.mask() == hand.wanted).all()


@pytest.mark.parametrize("choice", ["Keep mine", "Take the other"])
def test_two_masks_of_one_photo_are_the_person_s_choice(open_canvas: Callable[..., Hand], choice: str) -> None:
    """Whatever is chosen, and also if nothing is, what was drawn is kept."""
    hand = open_canvas()
    save_on_demand(hand)
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    hand.save()
    hand.stroke([(100, 200), (200, 200)], 1, 12)
    other_HW = np.full((333, 501), 3, np.uint8)
    write_mask(hand.server.folder / "masks" / f"{WIDE}.png", other_HW, CLASSES.palette)
    act_elsewhere(hand, "Run again")
    expect(hand.page.get_by_role("button", name="Take the other")).to_be_enabled()
    assert (read_mask(hand.server.folder / "kept.png", len(CLASSES)) == hand.wanted).all()
    hand.page.get_by_role("button", name=choice).click()
    expect(hand.page.locator(".state")).to_have_text("Saved")
    if choice == "Take the other":
        hand.wanted = other_HW
        hand.stroke([(300, 200), (320, 250)], 1, 12)
    hand.check()


@pytest.mark.parametrize("choice", ["Keep mine", "Take the other"])
def test_a_conflict_brings_the_other_mask_and_the_choice(open_canvas: Callable[..., Hand], choice: str) -> None:
    """Nobody runs the page: the save that is refused does."""
    hand = open_canvas()
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    hand.save()
    other_HW = np.full((333, 501), 3, np.uint8)
    write_mask(hand.server.folder / "masks" / f"{WIDE}.png", other_HW, CLASSES.palette)
    hand.stroke([(100, 200), (200, 200)], 1, 12)
    hand.page.get_by_role("button", name=choice).click()
    expect(hand.page.locator(".state")).to_have_text("Saved")
    if choice == "Take the other":
        hand.wanted = other_HW
    hand.stroke([(300, 200), (320, 250)], 1, 12)
    hand.check()


def test_what_is_drawn_while_it_turns_out_that_a_photo_is_taken_over_is_kept(open_canvas: Callable[..., Hand]) -> None:
    """It was taken for saved with the stroke before it, which was on its way."""
    hand = open_canvas()
    folder, line = hand.server.folder, f"save {WIDE} mask"
    for name in ("taken", "slow"):
        (folder / name).touch()
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    for _ in range(100):
        if hand.server.lines().count(line) == 1:
            break
        hand.page.wait_for_timeout(100)
    hand.stroke([(100, 200), (200, 200)], 1, 12)
    (folder / "slow").unlink()
    hand.page.mouse.move(*hand.screen(150, 100))
    expect(hand.page.locator(".place")).to_contain_text(", 100: background")  # the mask on the disk is shown
    expect(hand.page.locator(".state")).to_have_text("Read only")
    expect(hand.page.get_by_role("alert")).to_contain_text("was taken over in another tab")
    assert hand.server.lines().count(line) == 2
    assert (read_mask(folder / "kept.png", len(CLASSES)) == hand.wanted).all()


def test_strokes_of_a_tab_that_lost_its_photo_are_kept_where_the_other_mask_is_there_first(
    open_canvas: Callable[..., Hand],
) -> None:
    """It asked which mask to keep, and what was drawn was in neither the mask nor the history."""
    hand = open_canvas()
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    hand.save()
    save_on_demand(hand)
    other_HW = np.full((333, 501), 3, np.uint8)
    write_mask(hand.server.folder / "masks" / f"{WIDE}.png", other_HW, CLASSES.palette)
    hand.stroke([(100, 200), (200, 200)], 1, 12)
    hand.stroke([(100, 250), (200, 250)], 1, 12)
    (hand.server.folder / "taken").touch()
    act_elsewhere(hand, "Run again")
    expect(hand.page.locator(".state")).to_have_text("Read only")
    expect(hand.page.get_by_role("alert")).to_contain_text("was taken over in another tab")
    assert (read_mask(hand.server.folder / "kept.png", len(CLASSES)) == hand.wanted).all()
    expect(hand.page.get_by_role("button", name="Keep mine")).to_be_hidden()
    hand.page.mouse.move(*hand.screen(150, 200))
    expect(hand.page.locator(".place")).to_contain_text(", 200: bird")  # the mask on the disk is shown
    assert (hand.server.mask() == other_HW).all()


def test_strokes_that_were_refused_are_there_again_with_their_photo(open_canvas: Callable[..., Hand]) -> None:
    """And a photo that cannot be saved holds up no other one."""
    hand = open_canvas()
    full = hand.server.folder / f"full {WIDE}"
    full.touch()
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    act_elsewhere(hand, "Other")
    expect(hand.stage).to_have_attribute("aria-label", "1 tall, 37 x 1001 pixels, with its mask")
    expect(hand.page.get_by_role("alert")).to_contain_text("The disk is full")
    first, hand.wanted = hand.wanted, np.zeros((1001, 37), np.uint8)
    hand.stroke([(5, 500), (20, 510)], 1, 12)
    for _ in range(100):  # the state speaks of both photos
        if f"save {TALL} mask" in hand.server.lines():
            break
        hand.page.wait_for_timeout(100)
    assert f"save {TALL} mask" in hand.server.lines()
    act_elsewhere(hand, "Other")
    expect(hand.stage).to_have_attribute("aria-label", "0 odd, 501 x 333 pixels, with its mask")
    hand.wanted = first
    hand.stroke([(100, 200), (200, 200)], 1, 12)
    full.unlink()
    hand.check()


def test_a_photo_that_is_left_from_outside_is_saved_all_the_same(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas()
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    act_elsewhere(hand, "Other")
    expect(hand.stage).to_have_attribute("aria-label", "1 tall, 37 x 1001 pixels, with its mask")
    expect(hand.page.locator(".state")).to_have_text("")
    assert (hand.server.mask() == hand.wanted).all()
    act_elsewhere(hand, "Other")
    expect(hand.stage).to_have_attribute("aria-label", "0 odd, 501 x 333 pixels, with its mask")
    hand.stroke([(100, 200), (200, 200)], 1, 12)
    hand.check()


def test_leaving_with_unsaved_strokes_warns(open_canvas: Callable[..., Hand]) -> None:
    """The browser asks the person where the event is cancelled; without a window it shows no dialog."""
    hand = open_canvas()
    leave = "() => window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert hand.page.evaluate(leave)
    (hand.server.folder / "full").touch()
    hand.stroke([(100, 100), (200, 100)], 1, 12)
    assert not hand.page.evaluate(leave)
    (hand.server.folder / "full").unlink()
    hand.save()
    assert hand.page.evaluate(leave)


def test_a_polygon_closes_at_its_first_corner(open_canvas: Callable[..., Hand]) -> None:
    """A finger has no Enter. Backspace takes the last corner off, Escape drops them all."""
    hand = open_canvas()
    keys, click = hand.page.keyboard, lambda *place: hand.page.mouse.click(*hand.screen(*place))
    hand.page.mouse.move(*hand.screen(20, 20))
    keys.press("p")
    click(20, 20)
    click(60, 20)
    click(60, 60)
    keys.press("Escape")
    corners = [(100, 100), (200, 120), (150, 220)]
    for corner in corners:
        click(*corner)
    click(400, 300)
    keys.press("Backspace")
    click(102, 101)
    hand.wanted[polygon(hand.wanted.shape, [hand.quarters(hand.screen(*corner)) for corner in corners])] = 1
    hand.check()


def test_a_stroke_draws_only_what_it_touches(open_canvas: Callable[..., Hand]) -> None:
    """What keeps a stroke fluid on 12 megapixels: no frame paints the whole mask again, and the photo is left alone."""
    hand = open_canvas()
    hand.page.evaluate(
        "() => { window.painted = []; const { prototype } = CanvasRenderingContext2D;"
        "for (const name of ['putImageData', 'drawImage']) { const before = prototype[name];"
        "prototype[name] = function (...given) { painted.push(name === 'drawImage' ? 1e9 : given[5] * given[6]);"
        "return before.apply(this, given); }; } }"
    )
    hand.stroke([(100 + 10 * step, 100 + 5 * step) for step in range(20)], 1, 12)
    hand.check()
    painted = hand.page.evaluate("() => painted")
    assert painted
    width, height = hand.view()[2]
    assert max(painted) < width * height / 10


def test_fifty_steps_back_and_forth(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas()
    masks = []
    for step in range(52):
        hand.page.keyboard.press(str(1 + step % 3))
        hand.stroke([(20 + 9 * step, 50 + 3 * step), (15 + 9 * step, 120)], 1 + step % 3, 12)
        masks.append(hand.wanted.copy())
    for _ in range(51):
        hand.page.keyboard.press("Control+z")
    hand.wanted = masks[0]
    hand.check()
    for _ in range(51):
        hand.page.keyboard.press("Control+y")
    hand.wanted = masks[-1]
    hand.check()


def count_of(devices: CDPSession, kind: str) -> int:
    """Return how many objects of a kind the browser holds once what nobody needs is gone."""
    prototype = devices.send("Runtime.evaluate", {"expression": f"{kind}.prototype"})["result"]["objectId"]
    found = devices.send("Runtime.queryObjects", {"prototypeObjectId": prototype})["objects"]["objectId"]
    count = {"functionDeclaration": "function () { return this.length; }", "objectId": found, "returnByValue": True}
    return int(devices.send("Runtime.callFunctionOn", count)["result"]["value"])


def test_many_photos_and_visits_leave_nothing_behind(open_canvas: Callable[..., Hand], server: Server) -> None:
    """Every canvas that was ever on the page was held by the window, 25 MB a visit of the page."""
    for number in range(5):
        Image.new("RGB", (31, 23), GREY).save(server.folder / "photos" / f"more {number:02}.png")
    hand = open_canvas()
    page, devices = hand.page, hand.page.context.new_cdp_session(hand.page)
    for name in sorted(file.stem for file in (server.folder / "photos").iterdir()):
        expect(hand.stage).to_have_attribute("aria-label", re.compile(f"^{name}, "))
        hand.stroke([(10, 10), (20, 15)], 1, 12)
        page.keyboard.press("n")
    expect(hand.stage).to_have_attribute("aria-label", re.compile(f"^{WIDE}, "))
    assert len(list((server.folder / "masks").iterdir())) == 8
    for is_there in [False, True] * 3:
        page.get_by_text("Canvas", exact=True).click()
        expect(hand.stage).to_have_count(int(is_there))
    expect(hand.stage).to_have_attribute("aria-label", re.compile(f"^{WIDE}, "))
    kept = "const kept = window[Symbol.for('atrous canvas')]; return [kept.contents, kept.regions, kept.desks]"
    assert page.evaluate(f"() => {{ {kept}.map(({{ size }}) => size); }}") == [1, 0, 1]
    assert count_of(devices, "ImageBitmap") <= 2
    assert count_of(devices, "HTMLCanvasElement") <= 6, "this canvas and the one before"


def test_a_mask_without_a_mouse(open_canvas: Callable[..., Hand]) -> None:
    """The keyboard's cursor: a dot, a line, a polygon; each centre is where the cursor says it is."""
    hand = open_canvas()
    keys = hand.page.keyboard
    hand.page.evaluate("() => { window.heard = []; addEventListener('keydown', ({ key }) => heard.push(key)); }")
    hand.page.locator("input[name=size]").focus()
    keys.press("a")
    hand.stage.focus()
    for key in ("c", "Shift+a", "a"):
        keys.press(key)
    assert hand.page.evaluate("() => heard") == ["a"], "of the canvas's keys the page takes one, from the photo alone"
    keys.press("ArrowRight")
    x, y = map(int, hand.page.locator(".spoken").inner_text().split(":")[0].split(", "))
    keys.press("Enter")
    hand.wanted[brush(hand.wanted.shape, *[(4 * x + 2, 4 * y + 2)] * 2, 12)] = 1
    keys.press("Shift+ArrowDown")
    below = int(hand.page.locator(".spoken").inner_text().split(":")[0].split(", ")[1])
    assert below > y
    hand.wanted[brush(hand.wanted.shape, (4 * x + 2, 4 * y + 2), (4 * x + 2, 4 * below + 2), 12)] = 1
    keys.press("p")
    keys.press("2")
    corners = []
    for arrow in ("ArrowLeft", "ArrowUp", "ArrowRight"):
        for _ in range(6):
            keys.press(arrow)
        corners.append(
            tuple(4 * int(at) + 2 for at in hand.page.locator(".spoken").inner_text().split(":")[0].split(", "))
        )
        keys.press("Enter")
    keys.press("Enter")
    hand.wanted[polygon(hand.wanted.shape, corners)] = 2
    hand.check()


def touch(session: CDPSession, kind: str, *points: POINT) -> None:
    places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})


def test_a_finger_draws_and_two_zoom(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas(2, (800, 900), has_touch=True)
    devices = hand.page.context.new_cdp_session(hand.page)
    one, other = hand.screen(100, 100), hand.screen(200, 140)
    touch(devices, "touchStart", one)
    touch(devices, "touchMove", other)
    touch(devices, "touchEnd")
    hand.wanted[brush(hand.wanted.shape, hand.quarters(one), hand.quarters(other), 12)] = 1
    before = hand.view()[0][0]
    touch(devices, "touchStart", one)
    touch(devices, "touchStart", one, other)
    touch(devices, "touchMove", (one[0] - 20, one[1]), (other[0] + 40, other[1] + 20))
    touch(devices, "touchEnd")
    assert hand.view()[0][0] > 1.2 * before
    hand.check()


def test_a_pen_draws_and_the_palm_beside_it_does_not(open_canvas: Callable[..., Hand]) -> None:
    hand = open_canvas(1, (1000, 900), has_touch=True)
    one, other = hand.screen(100, 100), hand.screen(200, 140)
    devices = hand.page.context.new_cdp_session(hand.page)

    def use_pen(kind: str, at: POINT, buttons: int) -> None:
        devices.send("Input.dispatchMouseEvent", {
            "type": kind, "x": at[0], "y": at[1], "button": "left" if buttons or kind == "mouseReleased" else "none",
            "buttons": buttons, "pointerType": "pen", "clickCount": 1,
        })  # fmt: skip

    use_pen("mouseMoved", one, 0)
    use_pen("mousePressed", one, 1)
    touch(devices, "touchStart", hand.screen(300, 300))
    touch(devices, "touchMove", hand.screen(350, 300))
    use_pen("mouseMoved", other, 1)
    touch(devices, "touchEnd")
    use_pen("mouseReleased", other, 0)
    hand.wanted[brush(hand.wanted.shape, hand.quarters(one), hand.quarters(other), 12)] = 1
    hand.check()
