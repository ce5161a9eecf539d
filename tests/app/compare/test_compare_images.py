"""The images on Compare: chosen by a mark, in the order asked for, under a slider, and with words."""

import json
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.data.corruptions import CORRUPTIONS
from core.training.run.folders import Run
from core.voc import CLASS_NAMES
from tests.app.conftest import CAT, Visit, texts
from tests.app.stored import store_corrupted
from ui.compare.image_filter import parse
from ui.compare.robustness import takes

PER_IMAGE = 5
"""Pictures for each image: photo, truth, A, B, difference."""


def gallery(app: AppTest) -> list[Any]:
    """Return the images below the charts, without the sheets under the verdict."""
    return [image for image in app.image if ": the photo, its true mask" not in image.proto.imgs[0].alt]


def test_the_photos_under_the_verdict_are_chosen_by_rule(visit: Visit, run: Run) -> None:
    app = visit("compare")
    sheets = [image for image in app.image if image not in gallery(app)]
    assert [sheet.captions[0].rpartition(",")[0] for sheet in sheets] == [
        "Largest gain: photo_5",
        "Smallest gain: photo_4",
    ]
    assert sheets[0].proto.imgs[0].alt == ("photo_5: the photo, its true mask, and what 1 epoch and 3 epochs predicted")


def test_one_side_alone_has_its_photos_while_the_other_waits(visit: Visit, run: Run) -> None:
    """Until both were evaluated there was no picture at all."""
    app = visit("compare", checkpoint=[f"{run.path.name}/epoch_003.pt", f"{run.path.name}/last.pt"])
    assert not app.exception
    assert "Evaluate last" in app.button[0].label
    assert [image.captions[0] for image in app.image][:2] == ["Best: photo_5", "Worst: photo_4"]
    assert [image.captions[0] for image in gallery(app)][:3] == ["photo_4", "Truth", "Predicted · 58.9 %"]


@pytest.mark.parametrize(
    ("only", "shown", "words"),
    [
        (f"cell:a:{CAT}>0", 2, "cat that 1 epoch called background"),
        (f"cell:b:{CAT}>0", 1, "cat that 3 epochs called background"),
        (f"class:b:{CAT}", 1, "pixels of cat wrong under 3 epochs"),
        ("kind:a:0", 2, "false negative pixels under 1 epoch"),
        ("bin:b:13", 2, "pixels that 3 epochs was 86 to 93 % sure of"),
        ("size:b:4", 2, "an object class that covers 30 to 100 % of the photo"),
        ("image:b:1", 1, "the mark that was clicked"),
    ],
)
def test_a_clicked_mark_chooses_its_images_and_lights_their_pixels(
    visit: Visit, run: Run, only: str, shown: int, words: str
) -> None:
    app = visit("compare", only=only)
    assert not app.exception
    assert f"Only photos with **{words}**: {shown} photo" in texts(app)
    assert len(gallery(app)) == shown * (PER_IMAGE + 1)
    assert gallery(app)[0].captions[0].startswith("Lit: ")
    next(button for button in app.button if button.label == "All photos").click().run()
    assert len(gallery(app)) == 2 * PER_IMAGE


def test_a_filter_that_is_none_is_left_alone(visit: Visit, run: Run) -> None:
    for only in ("cell:b:99>3", "kind:b:7", "cell:b:3", "image:b", "nonsense"):
        app = visit("compare", only=only)
        assert not app.exception
        assert len(gallery(app)) == 2 * PER_IMAGE


@pytest.mark.parametrize("view", ["Classes", "Confusion", "Images", "Errors", "Confidence", "Size"])
def test_every_view_draws_marks_that_can_be_clicked(visit: Visit, run: Run, view: str) -> None:
    app = visit("compare", why=view)
    assert not app.exception
    keys = [chart.proto.id.split("-")[-1] for chart in app.get("plotly_chart")]
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")][2:]
    assert len(keys) == 3 + 2 * (view == "Confusion")
    asked = [text for spec in specs for trace in spec["data"] for text in trace.get("customdata", [])]
    assert asked
    assert all(parse(text, len(CLASS_NAMES)) for text in asked)


def test_a_mark_can_be_chosen_by_name_without_a_mouse(visit: Visit, run: Run) -> None:
    app = visit("compare", why="Confusion")
    by_name = app.selectbox(key="mark")
    assert by_name.value is None
    by_name.select_index(0).run()
    assert not app.exception
    only = app.query_params["only"]
    assert parse(only, len(CLASS_NAMES))
    assert "Only photos with" in texts(app)
    next(button for button in app.button if button.label == "All photos").click().run()
    assert app.query_params.get("only", "") == ""
    assert app.selectbox(key="mark").value is None


def test_pictures_can_be_laid_under_a_slider(visit: Visit, run: Run) -> None:
    app = visit("compare", view="Slider")
    assert not app.exception
    assert len(gallery(app)) == 0
    assert len(app.get("bidi_component")) == 2


def test_every_picture_has_words(visit: Visit, run: Run) -> None:
    app = visit("compare")
    assert len(gallery(app)) == 2 * PER_IMAGE
    assert all(picture.alt for image in gallery(app) for picture in image.proto.imgs)
    assert all(chart.proto.alt for chart in app.get("plotly_chart"))


def test_images_come_in_the_order_asked_for(visit: Visit, run: Run) -> None:
    """`guess_half` does worse on photo_4 than on photo_5, so photo_5 gains most."""
    app = visit("compare")
    assert [image.captions[0] for image in gallery(app)[::PER_IMAGE]] == ["photo_5", "photo_4"]
    assert gallery(app)[3].captions[0] == "B · 100.0 %"
    for order in ("Largest loss", "Worst first", "Name"):
        app.selectbox(key="order").set_value(order).run()
        assert [image.captions[0] for image in gallery(app)[::PER_IMAGE]] == ["photo_4", "photo_5"]
        assert not app.exception


@pytest.mark.parametrize(
    ("speeds", "said"),
    [
        ((None, None), ""),
        ((10.0, 10.0), ", about 20 s"),
        ((2.0, 10.0), ", 20 s to 1 min 20 s"),
        ((None, 10.0), ", about 20 s"),
    ],
)
def test_checkpoints_of_one_model_take_the_same_time(speeds: tuple[float | None, ...], said: str) -> None:
    """Each went by its own evaluation: of two of one model, the one evaluated on a busy machine took twice as long."""
    assert takes(150, speeds) == said


def test_corrupted_photos_are_offered_then_shown_by_level(visit: Visit, run: Run) -> None:
    asked = visit("compare", why="Robustness")
    assert not asked.exception
    offers = [button.label for button in asked.button if "corrupted photos" in button.label]
    assert [label.split(" on ")[0] for label in offers] == ["Evaluate 1 epoch", "Evaluate 3 epochs"]
    store_corrupted(run, 1, 1)
    alone = visit("compare", why="Robustness")
    (table,) = (table.value for table in alone.table if table.value.index.name == "Corruption")
    assert list(table.columns) == ["A"]
    assert [button.label.split(" on ")[0] for button in alone.button if "corrupted photos" in button.label] == [
        "Evaluate 3 epochs"
    ]
    store_corrupted(run, 3, 4)
    app = visit("compare", why="Robustness", corruption="rotation", level="3")
    assert not app.exception
    assert not [button for button in app.button if "corrupted photos" in button.label]
    (table,) = (table.value for table in app.table if table.value.index.name == "Corruption")
    assert list(table.index) == ["None", *(each.label for each in CORRUPTIONS.values())]
    assert table.loc["None", "B"] == table.loc["None", "A"] == "100.0 %"
    lost = ", ".join(each.label for each in CORRUPTIONS.values())
    assert f"Under {lost} from level 4 on, neither A nor B is a point of mIoU above the floor" in texts(app)
    assert table.loc["Blur", "B - A [95 % interval]"].startswith("+")
    assert "**Rotation, 20 degrees**" in texts(app)
    (figure,) = (json.loads(chart.proto.spec) for chart in app.get("plotly_chart") if "levels" in chart.proto.id)
    marks = [trace.get("customdata") for trace in figure["data"]]
    assert marks == [[str(level) for level in range(6)]] * 2 + [None]
    alts = [picture.alt for image in app.image for picture in image.proto.imgs if "rotation level 3" in picture.alt]
    assert [alt.split(": ")[1] for alt in alts] == ["Photo", "Truth", "A", "B"]
    (cell,) = next(run.eval_dir.glob("robustness-*")).glob("noise-2.npz")
    cell.write_bytes(b"torn")
    st.cache_data.clear()
    torn = visit("compare", why="Robustness")
    assert not torn.exception
    assert "noise-2.npz cannot be read" in torn.error[0].value
    assert sum("corrupted photos" in button.label for button in torn.button) == 2
    assert gallery(torn), "the rest of the page is there"
