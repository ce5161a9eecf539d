"""What Segment gives to take away, as it is served: masks, overlays and zips of what is on the screen."""

import io
import json
import zipfile

import numpy as np
import pytest
import streamlit as st
from PIL import Image

from core.data.labelling import open_label_set
from core.home import datasets_dir
from core.training.run.folders import Run
from core.voc import CLASS_NAMES, PALETTE, VOID
from tests.app.conftest import Visit, button, texts
from tests.app.segment.photos import SIZE, photo_bytes, pictures, upload
from ui.label.label_data import UPLOAD


def download(name: str, offered: list[tuple[object, ...]]) -> bytes:
    """Return what a click on the latest button that saves under this name would save."""
    data = next(data for _, data, file_name, *_ in reversed(offered) if file_name == name)
    return data() if callable(data) else data  # type: ignore[return-value]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The arguments of every download button that is drawn."""
    calls: list[tuple[object, ...]] = []
    original = st.download_button

    def spy(*args: object, **settings: object) -> bool:
        calls.append(args)
        return bool(original(*args, **settings))  # type: ignore[arg-type]

    monkeypatch.setattr(st, "download_button", spy)
    return calls


def test_a_photo_is_segmented_at_its_own_size(visit: Visit, run: Run, offered: list[tuple[object, ...]]) -> None:
    app = upload(visit("segment"), ("my cat.jpg", photo_bytes()))
    assert not app.exception
    assert pictures(app) == ["my cat.jpg with its classes laid over it"]
    mask = Image.open(io.BytesIO(download("my cat_mask.png", offered)))
    assert (mask.mode, mask.size, mask.format) == ("P", SIZE, "PNG")
    assert bytes(mask.getpalette() or []) == PALETTE.tobytes()
    assert set(np.unique(np.asarray(mask))) <= set(range(len(CLASS_NAMES)))
    overlaid = Image.open(io.BytesIO(download("my cat_overlay.png", offered)))
    assert (overlaid.mode, overlaid.size, overlaid.format) == ("RGB", SIZE, "PNG")


def test_the_overlay_is_saved_with_the_opacity_on_the_screen(
    visit: Visit, run: Run, offered: list[tuple[object, ...]]
) -> None:
    app = upload(visit("segment"), ("cat.png", photo_bytes("PNG")))
    app.slider(key="opacity").set_value(0).run()
    app.toggle(key="outlines").set_value(False).run()
    saved = Image.open(io.BytesIO(download("cat_overlay.png", offered)))
    np.testing.assert_array_equal(np.asarray(saved), np.asarray(Image.open(io.BytesIO(photo_bytes("PNG")))))


def test_below_the_threshold_the_mask_is_void_and_the_table_says_so(
    visit: Visit, run: Run, offered: list[tuple[object, ...]]
) -> None:
    app = upload(visit("segment"), ("cat.png", photo_bytes("PNG")))
    app.slider(key="threshold").set_value(95).run()
    assert not app.exception
    ids = np.asarray(Image.open(io.BytesIO(download("cat_mask.png", offered))))
    assert (ids == VOID).mean() > 0.9
    table = next(html.proto.body for html in app.get("html") if "Confidence" in html.proto.body)
    assert "repeating-linear-gradient" in table.partition("void")[0], "its swatch has the stripes of the picture"


def test_a_class_can_be_hidden_and_colours_changed_without_touching_the_mask(
    visit: Visit, run: Run, offered: list[tuple[object, ...]]
) -> None:
    app = upload(visit("segment"), ("cat.png", photo_bytes("PNG")))
    whole, shown = download("cat_mask.png", offered), app.pills[0]
    laid_over = download("cat_overlay.png", offered)
    app.segmented_control(key="palette").set_value("safe").run()
    assert download("cat_overlay.png", offered) != laid_over
    shown.set_value([]).run()
    app.toggle(key="outlines").set_value(False).run()
    assert not app.exception
    assert download("cat_mask.png", offered) == whole
    saved = np.asarray(Image.open(io.BytesIO(download("cat_overlay.png", offered))))
    np.testing.assert_array_equal(saved, np.asarray(Image.open(io.BytesIO(photo_bytes("PNG")))))


def test_every_file_to_take_away_opens(visit: Visit, run: Run, offered: list[tuple[object, ...]]) -> None:
    upload(visit("segment"), ("cat.png", photo_bytes("PNG")))
    with zipfile.ZipFile(io.BytesIO(download("cat_cutouts.zip", offered))) as cut:
        names = cut.namelist()
        assert names
        with Image.open(io.BytesIO(cut.read(names[0]))) as picture:
            assert (picture.mode, picture.size) == ("RGBA", SIZE)
    coco = json.loads(download("cat_objects.json", offered))
    assert coco["images"] == [{"id": 1, "file_name": "cat.png", "width": SIZE[0], "height": SIZE[1]}]
    rows = download("cat_classes.csv", offered).decode().splitlines()
    assert rows[0] == "photo,class,id,pixels,share,mean_confidence"
    assert sum(int(row.split(",")[3]) for row in rows[1:]) == SIZE[0] * SIZE[1]


def test_several_photos_come_in_one_zip_under_names_of_their_own(
    visit: Visit, run: Run, offered: list[tuple[object, ...]]
) -> None:
    app = upload(visit("segment"), ("../a.jpg", photo_bytes()), ("a.png", photo_bytes("PNG")))
    assert not app.exception
    with zipfile.ZipFile(io.BytesIO(download("segmented.zip", offered))) as all_of_it:
        names = all_of_it.namelist()
    assert {"a_mask.png", "a_overlay.png", "a-2_mask.png", "a-2_overlay.png", "objects.json", "classes.csv"} <= set(
        names
    )


def test_the_zip_holds_the_mask_that_is_on_the_screen(
    visit: Visit, run: Run, offered: list[tuple[object, ...]]
) -> None:
    """It once held masks of one pass, whatever had been chosen."""
    app = upload(visit("segment"), ("a.jpg", photo_bytes()), ("b.png", photo_bytes("PNG")))
    app.radio(key="passes").set_value("Mirrored, three sizes").run()
    assert not app.exception
    with zipfile.ZipFile(io.BytesIO(download("segmented.zip", offered))) as all_of_it:
        in_zip = all_of_it.read("a_mask.png")
    upload(visit("segment", **app.query_params), ("a.jpg", photo_bytes()))
    assert download("a_mask.png", offered) == in_zip


def test_masks_that_are_nearly_right_are_corrected_on_label(visit: Visit, run: Run, launched: list[list[str]]) -> None:
    """There was no way from a photo that one had just segmented to Label."""
    app = upload(visit("segment"), ("my cat.jpg", photo_bytes()), ("b.png", photo_bytes("PNG")))
    button(app, "Correct these 2 masks").click().run()
    assert not app.exception
    assert app.query_params | {"source": UPLOAD, "uploads": "2"} == app.query_params, (
        "Back leads to this query, with which Segment says what it lost"
    )
    assert "From Segment." in texts(app.switch_page("pages/label.py").run()), "an AppTest stays on its page otherwise"
    key = next(box.key for box in app.text_input if box.key.startswith("classes of"))
    names = app.text_input(key=key).value.split(", ")
    assert names
    assert set(names) <= set(CLASS_NAMES[1:]), "those found"
    button(app, "Start labelling").click().run()
    assert not app.exception
    made = open_label_set(datasets_dir() / "photos")
    assert sorted(made.photos) == ["b", "my_cat"]
    assert made.photos["my_cat"].read_bytes() == photo_bytes()
    assert made.classes.names[1:] == tuple(names)
    assert launched[0][:4] == ["propose", str(made.root), "--checkpoint", str(run.path / "epoch_003.pt")]
    assert {f"--map={name}={name}" for name in names} <= set(launched[0]), (
        "what Segment drew, whatever the model is good at"
    )
    assert app.session_state["photos to correct"] is None, "in memory until they are copied"
