"""Everything that is written can be read: WCAG 2's contrast of all text, measured on every page in light and dark.

Also that images are described, and on Label the way of the Tab key.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from core import jobs
from core.classes import classes_of
from core.data.demo import draw_scene, write_demo
from core.data.labelling import mark_done, new_label_set, open_label_set, read_label, save_label
from core.data.labelling.proposals import write_proposal
from core.home import PROJECT_ROOT, demo_dir
from core.report.content import evaluated_checkpoints, gather
from core.report.html.page import render
from core.training.run.folders import Run, create_run
from core.training.settings.config import with_settings
from core.training.settings.presets import preset
from tests.app.conftest import write_records
from tests.app.stored import guess_background, guess_half, store_milestone
from tests.e2e.conftest import Dashboard, Visit
from tests.e2e.hands import AT_REST, click, press, rest
from tests.e2e.readable import tab_stops, unreadable, without_alt
from tests.faulty_data import FAULTS, Patient
from tests.small_data import roboflow_export

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE_MS = 120_000
SETTLED = """
(theme) => getComputedStyle(document.querySelector("[data-testid=stApp]") ?? document.documentElement)
  .colorScheme.includes(theme) && document.getAnimations().every((one) => !(one instanceof CSSTransition))
"""
THEMES = tomllib.loads((PROJECT_ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
COLORS = {
    name: [f"rgb{tuple(bytes.fromhex(color.removeprefix('#')))}" for color in THEMES[name]["chartCategoricalColors"]]
    for name in ("light", "dark")
}
MARKS_IN = """
(colors) => [...document.querySelectorAll("[data-testid=stPlotlyChart] :is(.js-line, .point, .point path)")]
  .flatMap((mark) => [getComputedStyle(mark).stroke, getComputedStyle(mark).fill]).filter((one) => colors.includes(one))
"""
SAMPLES = [PROJECT_ROOT / "core" / "samples" / name for name in ("cat.jpg", "person.jpg")]


@pytest.fixture
def runs(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Run]]:
    """A finished run with two evaluated checkpoints, one that failed, and one that is being trained."""
    monkeypatch.setenv("ATROUS_HOME", str(dashboard.home))
    scenes = write_demo(demo_dir().parents[1], num_train=4, num_val=4)
    made = [create_run(name, scenes, "demo", with_settings(preset("demo"), {"epochs": 2})) for name in "abc"]
    for run, epochs, ended in zip(made, (2, 1, 1), ("finished", "failed", None), strict=True):
        write_records(run, epochs, ended=ended, extra_steps=0 if ended else 2)
    store_milestone(made[0], 1, guess_background)
    store_milestone(made[0], 2, guess_half)
    with jobs.hold(made[2].path):
        yield made


def expect_readable(page: Page, what: str) -> None:
    """Check a page in both themes: its text, that no mark of a chart keeps a colour of the other one, and alt texts."""
    for theme, other in (("light", "dark"), ("dark", "light")):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function(SETTLED, arg=theme)
        assert page.evaluate(MARKS_IN, COLORS[other]) == [], f"{what} in {theme}"
        assert unreadable(page) == [], f"{what} in {theme}"
    assert without_alt(page) == [], what


def visit_all(page: Page, url: str, looks: list[dict[str, str]], *, name: str) -> None:
    """Look at a page with each of these query strings, everything unfolded."""
    for query in looks:
        page.goto(f"{url}/{name}?{urlencode(query)}")
        page.wait_for_selector("h1, [data-testid=stAlert]")
        rest(page)
        page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
        for summary in reversed(page.locator("details:not([open]) > summary").all()):  # each is one less after it
            summary.click()
        rest(page)
        expect_readable(page, f"{name} {query}")


def visit_popovers(page: Page) -> None:
    """Look into each popover of a page."""
    buttons = page.get_by_test_id("stPopover").get_by_role("button")
    expect(buttons).not_to_have_count(0)
    for button in buttons.all():
        button.click()
        expect(page.get_by_test_id("stPopoverBody")).to_be_visible()
        page.mouse.move(5, 5)  # a tooltip over its button keeps the theme in which it was opened
        expect(page.get_by_test_id("stTooltipContent")).to_have_count(0)
        rest(page)
        expect_readable(page, button.inner_text())
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("stPopoverBody")).to_have_count(0)


@pytest.fixture
def page(visit: Visit) -> Page:
    visit.page.set_default_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    return visit.page


def test_home_and_what_leads_to_data(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    export = tmp_path / "Leaves.v2.coco.zip"
    export.write_bytes(roboflow_export(3))
    visit_all(page, dashboard.url, [{}], name="")
    sources = [{"source": "Demo"}, {"source": "VOC 2012"}, {"source": "A folder"}, {"source": "Bring data"}]
    brought = {"source": "Bring data", "from": str(export), "called": export.name}
    visit_all(page, dashboard.url, [*sources, brought], name="dataset")
    page.goto(f"{dashboard.url}/dataset?source=A+folder")
    click(page.get_by_role("button", name="Browse"))
    expect(page.get_by_role("dialog").get_by_role("button", name="Use this folder")).to_be_visible()
    expect_readable(page, "folders")
    visit_all(page, dashboard.url, [{}], name="train")
    visit_all(page, dashboard.url, [{}], name="compare")


def test_data_and_runs(dashboard: Dashboard, page: Page, runs: list[Run], tmp_path: Path) -> None:
    patient = Patient(tmp_path / "faulty")
    for fault in FAULTS[:3]:
        fault.plant_in(patient)
    visit_all(page, dashboard.url, [{}], name="")
    charts = [{"chart": name} for name in ("Classes", "Together", "Where", "Objects", "Sizes and light")]
    looks = [{"look": "Splits"}, {"view": "Void", "only": "objects:2"}, {"photo": "demo_0000"}]
    faulty = {"source": "A folder", "data": str(patient.root), "look": "Findings"}
    visit_all(page, dashboard.url, [*charts, *looks, faulty], name="dataset")
    visit_all(page, dashboard.url, [{"run": run.path.name} for run in runs] + [{"run": "new"}], name="train")


def test_comparing_presenting_reporting(
    dashboard: Dashboard, page: Page, runs: list[Run], browser: Browser, tmp_path: Path
) -> None:
    whys = [{"why": name} for name in ("Classes", "Confusion", "Images", "Errors", "Confidence", "Size", "Robustness")]
    visit_all(page, dashboard.url, whys, name="compare")
    visit_popovers(page)
    page.goto(f"{dashboard.url}/present")
    expect(page.get_by_role("heading").first).to_be_visible()
    while page.get_by_role("button", name="Next").is_enabled():
        rest(page)
        expect_readable(page, page.get_by_role("heading").first.inner_text())
        press(page, "ArrowRight")
        page.wait_for_selector(AT_REST)
    report = tmp_path / "report.html"
    report.write_text(render(gather(evaluated_checkpoints(runs[:1], "val"))), encoding="utf-8")
    paper = browser.new_page()
    paper.goto(report.as_uri())
    for details in reversed(paper.locator("details:not([open]) > summary").all()):
        details.click()
    expect_readable(paper, "report")
    paper.close()


def test_labelling(dashboard: Dashboard, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATROUS_HOME", str(dashboard.home))
    photos = tmp_path / "farm"
    photos.mkdir()
    for number in range(4):
        draw_scene(number, (160, 120))[0].save(photos / f"{number}.png")
    classes = classes_of(("background", "cow", "bus"))
    farm = open_label_set(new_label_set("farm", sorted(photos.iterdir()), classes, lambda *_: None).root)
    for name, class_id in (("0", 1), ("1", 1), ("0", 2)):
        save_label(farm, name, np.full((120, 160), class_id, np.uint8), base_version=read_label(farm, name).version)
    mark_done(farm, "1")
    write_proposal(farm, "2", np.ones((120, 160), np.uint8), {})
    looks = [{"source": "Upload photos"}, {"source": "A folder", "data": str(photos)}]
    opened = [{"source": "A folder", "data": str(farm.root), "photo": name, "order": "as they lie"} for name in "20"]
    visit_all(page, dashboard.url, [*looks, *opened], name="label")
    visit_popovers(page)
    page.get_by_role("button", name="farm").focus()
    tools = ["Brush", "Eraser", "Polygon", "Fill", "Region", "Void", "Size 12 px"]
    view = ["Zoom out", "Fit", "1:1", "Zoom in", "Opacity 60 %", "Hide mask"]
    stage = "0, 160 x 120 pixels, with its mask"
    wanted = ["Classes", *tools, stage, "1 cow", *view, "Previous", "Done", "Next", "Keys", "All 4"]
    assert tab_stops(page, len(wanted)) == wanted


def test_segmenting(dashboard: Dashboard, page: Page) -> None:
    views = [{"view": name} for name in ("Overlay", "Mask", "Confidence", "Slider", "Side by side")]
    visit_all(page, dashboard.url, [{"checkpoint": "starter"}, {"source": "Camera"}], name="segment")
    visit_all(page, dashboard.url, [each | {"photo": "Sample"} for each in views], name="segment")
    visit_popovers(page)
    page.goto(f"{dashboard.url}/segment")
    page.locator("input[type=file]").first.set_input_files(SAMPLES)
    expect(page.get_by_role("button", name="All")).to_be_visible()
    expect_readable(page, "contact sheet")
