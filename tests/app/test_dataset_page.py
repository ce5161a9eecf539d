"""The Dataset page: nothing yet, the demo, a folder of one's own, a broken pair."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.training import demo_run
from tests.app.conftest import make_pairs, texts

Visit = Callable[..., AppTest]


def test_nothing_yet_offers_to_make_the_demo(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []
    monkeypatch.setattr(demo_run, "make_data", lambda _on_progress: made.append(True))
    app = visit("dataset")
    assert not app.exception
    assert "not made yet" in app.info[0].value
    app.button[0].click().run()
    assert made == [True]


def test_the_demo_shows_its_numbers_and_pictures(visit: Visit, demo_data: Path) -> None:
    app = visit("dataset")
    assert not app.exception
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Photos"] == "4"
    assert shown["Void"] == "2.5 %"  # one column of 40
    assert shown["Floor, pixel accuracy"] == "51.3 %"  # 20 of the 39 columns that count
    assert shown["Floor, mIoU"] == "25.6 %"
    assert shown["Classes in it"] == "2"
    assert len(app.get("image")) == 4
    assert "aeroplane" in texts(app)


def test_every_picture_has_an_alt_text(visit: Visit, demo_data: Path) -> None:
    app = visit("dataset")
    assert all(image.proto.imgs[0].alt for image in app.get("image"))


def test_split_and_class_filter(visit: Visit, demo_data: Path) -> None:
    app = visit("dataset")
    app.segmented_control(key="split").set_value("val").run()
    assert len(app.get("image")) == 2
    app.selectbox(key="class").set_value("cat").run()
    assert len(app.get("image")) == 2
    app.selectbox(key="class").set_value("dog").run()
    assert app.info[0].value == "No photo of val has a dog."
    assert not app.exception


def test_a_folder_survives_a_reload(visit: Visit, tmp_path: Path) -> None:
    make_pairs(tmp_path / "mine", num_train=3)
    app = visit("dataset", source="A folder", data=str(tmp_path / "mine"), view="Mask")
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Photos"] == "3"
    assert app.segmented_control(key="view").value == "Mask"


def test_a_folder_that_is_none_gives_one_sentence(visit: Visit, tmp_path: Path) -> None:
    app = visit("dataset", source="A folder", data=str(tmp_path / "nowhere"))
    assert not app.exception
    assert [error.value for error in app.error] == [
        f"There is no folder {tmp_path / 'nowhere'}; give a VOCdevkit, a VOC2012 folder, or one with images and masks."
    ]


def test_no_path_yet_asks_for_one(visit: Visit) -> None:
    app = visit("dataset", source="A folder")
    assert "Type the folder" in app.info[0].value


def test_a_broken_mask_leaves_the_others_in_view(visit: Visit, demo_data: Path) -> None:
    (demo_data / "SegmentationClass" / "photo_1.png").write_bytes(b"torn")
    app = visit("dataset")
    assert not app.exception
    assert all("photo_1.png" in error.value for error in app.error)
    assert len(app.get("image")) == 3
