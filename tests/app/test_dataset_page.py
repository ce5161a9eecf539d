"""The Dataset page: nothing yet, the demo, a folder of one's own, VOC, something odd."""

import json
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit import config
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data import analysis, voc2012
from core.data.analysis import analyse
from core.data.dataset import open_dataset
from core.data.images import write_mask
from core.home import datasets_dir
from core.training import demo_run
from core.training.run.folders import create_run
from core.training.settings.presets import preset
from tests.app.conftest import MakeRun, Visit, button, make_pairs, texts


@pytest.fixture
def demo(demo_data: Path) -> Path:
    """The demo data, read once."""
    analyse(demo_data)
    return demo_data


def cards(app: AppTest) -> list[dict[str, str]]:
    """Return the small photos: their names, alt texts and pictures."""
    return [json.loads(card.proto.json) for card in app.get("bidi_component")]


def test_nothing_yet_offers_to_make_the_demo(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    monkeypatch.setattr(demo_run, "make_data", lambda _on_progress: made.append(True))
    app = visit("dataset")
    assert not app.exception
    assert "not made yet" in app.info[0].value
    app.button[0].click().run()
    assert made == [True]


def test_the_demo_shows_its_numbers_and_pictures(visit: Visit, demo: Path) -> None:
    app = visit("dataset")
    assert not app.exception
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Photos"] == "4"
    assert shown["Void"] == "2.5 %"  # one column of 40
    assert shown["Floor, pixel accuracy"] == "51.3 %"  # 20 of the 39 columns that count
    assert shown["Floor, mIoU"] == "25.6 %"
    assert shown["Classes in it"] == "2"
    assert len(cards(app)) == 4
    assert "aeroplane" in texts(app)


def test_every_picture_and_chart_has_an_alt_text(visit: Visit, demo: Path) -> None:
    app = visit("dataset")
    assert all(card["alt"] for card in cards(app))
    assert len(app.get("plotly_chart")) == 2


@pytest.mark.parametrize("view", ["Together", "Where", "Objects", "Sizes and light"])
def test_every_view_of_charts_opens(visit: Visit, demo: Path, view: str) -> None:
    app = visit("dataset", chart=view)
    assert not app.exception
    assert app.get("plotly_chart")


def test_split_and_class_filter(visit: Visit, demo: Path) -> None:
    app = visit("dataset")
    app.segmented_control(key="split").set_value("val").run()
    assert len(cards(app)) == 2
    app.selectbox(key="class").set_value("cat").run()
    assert len(cards(app)) == 2
    assert "2 photos of val with cat" in texts(app)
    app.selectbox(key="class").set_value("dog").run()
    assert app.info[0].value == "No photo of val has dog."
    assert not app.exception


def test_what_a_click_on_a_chart_asked_for_survives_a_reload(visit: Visit, demo: Path) -> None:
    app = visit("dataset", only="class:8")
    assert app.selectbox(key="class").value == "cat"
    app = visit("dataset", only="size:1x1")
    assert app.info[0].value.startswith("No photo of train has 1 ")
    app.button[0].click().run()
    assert len(cards(app)) == 4
    assert not app.exception


def test_a_photo_opens_large_and_leads_to_the_next(visit: Visit, demo: Path) -> None:
    app = visit("dataset", photo="photo_1", only="class:8")
    assert not app.exception
    assert "2 of 4: photo_1" in texts(app)
    assert [picture.alt for image in app.get("image") for picture in image.proto.imgs] == ["overlay of photo_1"]
    assert not app.metric, "the photo has the screen to itself"
    before = app.get("image")[0].proto.imgs[0].url
    app.slider(key="opacity").set_value(0).run()
    assert app.get("image")[0].proto.imgs[0].url != before
    button(app, "Next").click().run()
    assert app.query_params["photo"] == "photo_2"
    button(app, "Back to all").click().run()
    assert "photo" not in app.query_params
    assert len(cards(app)) == 4
    app = visit("dataset", photo="nobody")
    assert len(cards(app)) == 4
    assert app.metric
    assert "photo" not in app.query_params
    app = visit("dataset", photo="photo_1")
    app.segmented_control(key="split").set_value("val").run()
    assert "photo" not in app.query_params, "val does not hold it"


def test_a_click_on_a_chart_says_what_it_chose_and_can_be_taken_off(visit: Visit, demo: Path) -> None:
    app = visit("dataset", only="class:8")
    assert "**[4 photos with cat](#photos)**, shown above" in texts(app)
    button(app, "Take it off").click().run()
    assert "4 photos of train" in texts(app)
    assert "shown above" not in texts(app)


def test_a_folder_survives_a_reload(visit: Visit, tmp_path: Path) -> None:
    analyse(make_pairs(tmp_path / "mine", num_train=3))
    app = visit("dataset", source="A folder", data=str(tmp_path / "mine"), view="Mask")
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Photos"] == "3"
    assert app.segmented_control(key="view").value == "Mask"


def test_a_folder_that_is_none_gives_one_sentence(visit: Visit, tmp_path: Path, launched: list[list[str]]) -> None:
    app = visit("dataset", source="A folder", data=str(tmp_path / "nowhere"))
    assert not app.exception
    assert [error.value for error in app.error] == [
        f"There is no folder {tmp_path / 'nowhere'}; give a VOCdevkit, a VOC2012 folder, or one with images and masks."
    ]
    assert launched == []


def test_folders_of_runs_and_imports_are_offered(
    visit: Visit, make_run: MakeRun, demo: Path, tmp_path: Path, launched: list[list[str]]
) -> None:
    mine, imported = make_pairs(tmp_path / "mine"), make_pairs(datasets_dir() / "from a tool")
    create_run("one", mine, "demo", preset("demo"))
    make_run("on the demo")
    app = visit("dataset", source="A folder")
    assert [each.label for each in app.button] == ["Browse", "mine", "from a tool"]
    button(app, "from a tool").click().run()
    assert app.query_params["data"] == str(imported)
    for data in (str(imported), "/nowhere", "bad\0path"):
        app = visit("dataset", source="A folder", data=data)
        assert {"Browse", "mine", "from a tool"} <= {each.label for each in app.button}, "the ways to another one stay"
        assert [bool(app.error), app.text_input(key="data").value] == [data != str(imported), data]


def test_no_path_yet_asks_for_one(visit: Visit) -> None:
    app = visit("dataset", source="A folder")
    assert "Type the folder" in app.info[0].value


# --- reading all files ----------------------------------------------------------------------------------------------


def test_data_that_was_never_read_is_read_by_a_process_of_its_own(
    visit: Visit, demo_data: Path, launched: list[list[str]]
) -> None:
    app = visit("dataset")
    assert not app.exception
    assert launched[0][:2] == ["stats", str(demo_data)]
    assert len(cards(app)) == 4, "the photos can be looked at meanwhile"
    assert not app.metric
    assert app.selectbox(key="class").disabled


def test_how_far_the_reading_is(visit: Visit, demo_data: Path) -> None:
    folder = analysis.job_dir(demo_data)
    folder.mkdir(parents=True)
    with jobs.running(folder) as note:
        note(3, 6)
        app = visit("dataset")
        assert any("3 of 6 pairs" in bar.proto.text for bar in app.get("progress"))
    analyse(demo_data)
    app.run()
    assert app.metric
    assert not app.exception


def test_a_pair_that_comes_during_the_pass_is_read_by_another_pass(
    visit: Visit, demo_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the pass had found was of the folder before, and the page was "getting ready" for ever."""
    passes: list[list[str]] = []

    def run_at_once(arguments: list[str], job: Path) -> None:
        passes.append(arguments)
        with jobs.running(job):
            if len(passes) > 1:
                analyse(demo_data)

    monkeypatch.setattr(jobs, "launch", run_at_once)
    app = visit("dataset")
    assert not app.exception
    assert app.metric
    assert len(passes) == 2


def test_a_broken_mask_leaves_the_others_in_view_and_is_found(visit: Visit, demo_data: Path) -> None:
    (demo_data / "SegmentationClass" / "photo_1.png").write_bytes(b"torn")
    analyse(demo_data)
    app = visit("dataset", look="Content")
    assert not app.exception
    assert all("photo_1.png" in error.value for error in app.error)
    assert len(cards(app)) == 3
    assert {metric.label: metric.value for metric in app.metric}["Photos"] == "3"
    assert "1 pair left out" in texts(app)
    assert "The doctor found 1 error" in texts(app)


# --- VOC 2012 -------------------------------------------------------------------------------------------------------


def test_voc_can_be_downloaded_or_unpacked(visit: Visit, launched: list[list[str]]) -> None:
    app = visit("dataset", source="VOC 2012")
    assert "2.0 GB" in app.info[0].value
    app.button[0].click().run()
    app.text_input(key="tar").set_value("/data/voc.tar").run()
    app.button[1].click().run()
    assert not app.exception
    assert [arguments[:3] for arguments in launched] == [
        ["download", "--job", str(voc2012.job_dir())], ["download", "--tar", "/data/voc.tar"]
    ]  # fmt: skip


def test_a_download_shows_how_far_it_is_and_can_be_stopped(visit: Visit) -> None:
    folder = voc2012.job_dir()
    folder.mkdir(parents=True)
    with jobs.running(folder) as note:
        note(500_000_000, 2_000_000_000)
        app = visit("dataset", source="VOC 2012")
        assert any("500 MB of 2.0 GB" in bar.proto.text for bar in app.get("progress"))
        next(button for button in app.button if button.label == "Stop").click().run()
        assert jobs.is_stop_requested(folder)
    assert not app.exception


# --- odd data -------------------------------------------------------------------------------------------------------


def test_a_photo_that_is_a_line_is_shown(visit: Visit, tmp_path: Path) -> None:
    root = make_pairs(tmp_path / "mine")
    Image.new("RGB", (20_000, 10)).save(root / "JPEGImages" / "photo_0.jpg")
    write_mask(root / "SegmentationClass" / "photo_0.png", np.zeros((10, 20_000), dtype=np.uint8))
    analyse(root)
    app = visit("dataset", source="A folder", data=str(root))
    assert not app.exception
    assert len(cards(app)) == 4


def test_a_class_called_like_a_picture_is_no_picture(visit: Visit, tmp_path: Path) -> None:
    root = make_pairs(tmp_path / "mine")
    names = ["background", *(f"c{number}" for number in range(1, 9)), "![x](http://127.0.0.1:9/p.png)"]
    (root / "classes.txt").write_text("\n".join(names))
    analyse(root)
    app = visit("dataset", source="A folder", data=str(root))
    assert not app.exception
    said = [caption.value for caption in app.caption]
    assert any("p.png" in text for text in said)
    assert not any("![x](" in text for text in said)


def test_masks_written_over_with_more_classes_are_opened_anew(visit: Visit, tmp_path: Path) -> None:
    """The folder's time does not change with a file in it: the page kept three classes and met a sixth."""
    root = make_pairs(tmp_path / "mine")
    palettes = (
        [0, 0, 0, 200, 10, 10, 10, 200, 10],
        [0, 0, 0, 200, 10, 10, 10, 200, 10, 9, 9, 200, 90, 90, 9, 70, 7, 70],
    )
    for palette in palettes:
        for mask in (root / "SegmentationClass").iterdir():
            ids = Image.fromarray(np.full((30, 40), len(palette) // 3 - 1, dtype=np.uint8), mode="L")
            ids.putpalette(palette)
            with mask.open("r+b") as file:
                file.truncate()
                ids.save(file, format="PNG")
        analyse(root)
        app = visit("dataset", source="A folder", data=str(root))
        assert not app.exception
        assert app.selectbox(key="class").options[-1] == f"class {len(palette) // 3 - 1}"


def test_a_folder_is_chosen_by_clicking_through_folders(visit: Visit, home: Path, launched: list[list[str]]) -> None:
    data = make_pairs(datasets_dir() / "mine" / "VOC2012")
    app = visit("dataset", source="A folder")
    button(app, "Browse").click().run()
    for key in (f"folder {data.parent}", f"folder {data}", "folder up", f"folder {data}"):
        app.button(key=key).click().run()
        assert not app.exception
    button(app, "Use this folder").click().run()
    assert app.query_params["data"] == str(data)
    assert app.text_input(key="data").value == str(data)
    assert "Use this folder" not in [each.label for each in app.button], "the browser is closed"


def test_folders_are_not_listed_for_others_than_this_computer(visit: Visit, home: Path) -> None:
    before = st.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")  # noqa: S104 - as in the container
    try:
        assert "Browse" not in [each.label for each in visit("dataset", source="A folder").button]
    finally:
        config.set_option("server.address", before)


def test_charts_of_one_class_are_not_drawn_where_they_compare_several(visit: Visit, demo: Path) -> None:
    app = visit("dataset", chart="Together")
    assert "Together" not in app.segmented_control(key="chart").options
    assert not visit("dataset", look="Splits").get("plotly_chart")


def test_a_test_split_is_set_aside_once_and_stays_closed(visit: Visit, demo: Path, launched: list[list[str]]) -> None:
    app = visit("dataset", look="Splits")
    before = [len(open_dataset(demo).splits[part]) for part in ("train", "val")]
    assert button(app, "Set aside").disabled
    app.number_input(key="test share").set_value(50)
    app.checkbox(key="set aside").check().run()
    button(app, "Set aside").click().run()
    assert not app.exception
    after = open_dataset(demo).splits
    assert len(after["test"]) == sum(before) - len(after["train"]) - len(after["val"]) > 0
    assert launched[0][0] == "stats", "the files are read again, by their new lists"
    analyse(demo)
    assert (
        app.run().success[0].value
        == f"{len(after['test'])} photos of train and val are set aside as the split test now."
    )
    assert "The test split was never opened." in texts(app)
    assert "Set aside" not in [each.label for each in app.button]
