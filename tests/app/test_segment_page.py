"""Segment in its four states: the overlay, the downloads as they are served, and what is no photo or no checkpoint."""

import base64
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import jobs
from core.model.photo import open_photo
from core.model.predictor import Predictor, open_predictor
from core.training.presets import preset
from core.training.runs import Run, create_run
from core.voc import CLASS_NAMES, VOID, palette_bytes
from tests.app.conftest import MakeRun, Visit, links, make_pairs, texts, write_records
from tests.small_models import save_lively_model

SIZE = (50, 34)
OCTETS = "application/octet-stream"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model as a checkpoint file; it sees classes everywhere."""
    return save_lively_model(tmp_path_factory.mktemp("weights") / "epoch_003.pt")


@pytest.fixture
def run(make_run: MakeRun, demo_data: Path, weights: Path) -> Run:
    """A finished run on the demo data with one milestone that opens."""
    run = make_run()
    write_records(run, 3, ended="finished")
    (run.path / "last.pt").unlink()
    (run.path / "epoch_003.pt").write_bytes(weights.read_bytes())
    return run


def photo_bytes(kind: str = "JPEG") -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format=kind)
    return buffer.getvalue()


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    return app.file_uploader[0].set_value([(name, data, "image/jpeg") for name, data in files]).run()


def pictures(app: AppTest) -> list[str]:
    """Return the alt texts of the pictures that tell about their pixels, or lie under a slider."""
    told = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    return [data.get("alt") or data["right_alt"] for data in told]


def test_nothing_yet_leads_to_train_or_to_a_model_on_offer(visit: Visit) -> None:
    app = visit("segment")
    assert not app.exception
    assert "no checkpoints yet" in texts(app)
    assert "Go to Train" in links(app)
    assert app.selectbox(key="checkpoint").options[0].startswith("DeepLabV3 MobileNetV3, trained on COCO photos")
    assert [button.label for button in app.button] == ["Download 44 MB"]


def test_a_run_without_checkpoints_is_named(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    with jobs.hold(make_run("nightly").path):
        app = visit("segment")
    assert "nightly is being trained" in texts(app)


def test_the_checkpoint_says_what_it_is(visit: Visit, run: Run) -> None:
    said = texts(visit("segment"))
    assert f"{run.path.name}/epoch_003.pt" in said
    assert "after 3 epochs, validation mIoU 30.0 %, floor 3.5 %" in said
    assert f"Trained on 4 photos of `{run.data}`" in said


def test_the_best_checkpoint_stands_first(visit: Visit, run: Run, weights: Path) -> None:
    (run.path / "epoch_001.pt").write_bytes(weights.read_bytes())
    app = visit("segment")
    options = app.selectbox(key="checkpoint").options
    assert options[:2] == ["3 epochs · mIoU 30.0 %", "1 epoch · mIoU 10.0 %"]
    assert options[-1] == "A checkpoint file of yours …"
    app.selectbox(key="checkpoint").select_index(1).run()
    assert app.query_params["checkpoint"] == f"{run.path.name}/epoch_001.pt"
    assert "after 1 epoch," in texts(app)


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
    assert bytes(mask.getpalette() or []) == palette_bytes()
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


def test_every_view_has_its_pictures(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    views = {
        "Mask": "The mask of cat.jpg",
        "Confidence": "How sure the model is of cat.jpg",
        "Slider": "cat.jpg: Overlay",
    }
    for view, alt in views.items():
        app.segmented_control(key="view").set_value(view).run()
        assert not app.exception
        assert pictures(app) == [alt]
    app.segmented_control(key="view").set_value("Side by side").run()
    assert pictures(app) == []
    assert [image.proto.imgs[0].alt for image in app.image] == [
        "cat.jpg", "cat.jpg with its classes laid over it", "The mask of cat.jpg"
    ]  # fmt: skip


def test_the_picture_carries_what_the_model_says_of_every_pixel(visit: Visit, run: Run, weights: Path) -> None:
    app = upload(visit("segment"), ("cat.png", photo_bytes("PNG")))
    told = json.loads(app.get("bidi_component")[0].proto.json)
    answers = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["answers"].partition(",")[2]))))
    prediction = open_predictor(weights)[0].predict(
        open_photo(photo_bytes("PNG"), "cat"), with_confidence=True, with_runner_up=True
    )
    assert prediction.confidence_HW is not None
    np.testing.assert_array_equal(answers[..., 0], prediction.mask_HW)
    np.testing.assert_array_equal(answers[..., 1], np.rint(255 * prediction.confidence_HW))
    np.testing.assert_array_equal(answers[..., 2], prediction.runner_up_HW)
    assert told["names"] == list(CLASS_NAMES)


def test_below_the_threshold_the_mask_is_void_and_the_table_says_so(
    visit: Visit, run: Run, offered: list[tuple[object, ...]]
) -> None:
    app = upload(visit("segment"), ("cat.png", photo_bytes("PNG")))
    app.slider(key="threshold").set_value(95).run()
    assert not app.exception
    ids = np.asarray(Image.open(io.BytesIO(download("cat_mask.png", offered))))
    assert (ids == VOID).mean() > 0.9
    assert "void" in next(html.proto.body for html in app.get("html") if "Confidence" in html.proto.body)


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
    app.toggle(key="all").set_value(True).run()
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
    app.toggle(key="all").set_value(True).run()
    assert not app.exception
    with zipfile.ZipFile(io.BytesIO(download("segmented.zip", offered))) as all_of_it:
        assert all_of_it.read("a_mask.png") == download("a_mask.png", offered)


def test_a_model_without_a_run_has_no_samples(visit: Visit, run: Run, weights: Path) -> None:
    app = visit("segment")
    app.segmented_control(key="photo_source").set_value("Sample").run()
    app.selectbox(key="checkpoint").set_value("file").run()
    app.file_uploader(key="checkpoint_file").set_value(("mine.pt", weights.read_bytes(), OCTETS)).run()
    assert not app.exception
    assert app.segmented_control(key="photo_source").value == "Your photos"


def test_more_passes_change_the_mask_and_tell_their_price(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert "1 pass, about" in texts(app)
    before = app.get("bidi_component")[0].proto.json
    app.radio(key="passes").set_value("Mirrored, three sizes").run()
    assert not app.exception
    assert "6 passes, about" in texts(app)
    assert app.get("bidi_component")[0].proto.json != before


def test_a_against_b_shows_where_two_models_disagree(visit: Visit, run: Run, weights: Path) -> None:
    save_lively_model(run.path / "epoch_001.pt", seed=1)
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    app.selectbox(key="against").select_index(0).run()
    assert not app.exception
    assert app.query_params["against"] == f"{run.path.name}/epoch_001.pt"
    assert pictures(app) == ["cat.jpg: B: 1 epoch · mIoU 10.0 %"]
    assert "Where they disagree" in texts(app)
    assert app.image[0].proto.imgs[0].alt == "Where A and B disagree on cat.jpg"
    assert "Against `" in texts(app), "B says what it is, too"
    app.selectbox(key="against").set_value(None).run()
    assert "against" not in app.query_params


def test_with_two_models_every_control_reaches_both(visit: Visit, run: Run, weights: Path) -> None:
    """The view changed nothing, classes that B alone saw could not be hidden, and of a demo as B nothing was said."""
    save_lively_model(run.path / "epoch_001.pt", seed=1)
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    app.selectbox(key="against").select_index(0).run()
    sliders = [app.get("bidi_component")[0].proto.json]
    for view in ("Mask", "Confidence"):
        app.segmented_control(key="view").set_value(view).run()
        sliders.append(app.get("bidi_component")[0].proto.json)
    assert not app.exception
    assert len(set(sliders)) == 3
    tables = [element.proto.body for element in app.get("html") if "<table" in element.proto.body]
    seen = {name for name in CLASS_NAMES[1:] for table in tables if f">{name}<" in table or f"{name}</td>" in table}
    assert len(tables) == 2
    assert set(app.pills[0].options) == seen


def test_a_checkpoint_file_is_brought_opened_and_explained(visit: Visit, run: Run, weights: Path, home: Path) -> None:
    wrapped = io.BytesIO()
    state = {f"module.{key}": value for key, value in torch.load(weights, weights_only=True)["model"].items()}
    torch.save({"model": state, "epoch": 3}, wrapped)
    app = visit("segment", checkpoint="file")
    app.file_uploader(key="checkpoint_file").set_value(
        ("mine.pth", wrapped.getvalue(), "application/octet-stream")
    ).run()
    assert not app.exception
    assert "'module.' is taken off" in texts(app)
    assert len(list((home / "cache" / "brought").iterdir())) == 1
    app.file_uploader(key="photos").set_value([("cat.jpg", photo_bytes(), "image/jpeg")]).run()
    assert pictures(app) == ["cat.jpg with its classes laid over it"]


def test_a_brought_file_that_is_pickled_stays_closed_in_one_sentence(visit: Visit, run: Run, tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(tmp_path / "canary"), "w")

    app = visit("segment", checkpoint="file")
    data = pickle.dumps({"model": Canary()})
    app.file_uploader(key="checkpoint_file").set_value(("bad.pt", data, OCTETS)).run()
    assert not app.exception
    assert len(app.error) == 1
    assert app.error[0].value.startswith("bad.pt holds pickled Python objects")
    assert not (tmp_path / "canary").exists()


def test_the_mask_is_what_the_predictor_says(visit: Visit, run: Run, weights: Path) -> None:
    from ui import cached_segments

    data = photo_bytes()
    predictor: Predictor = open_predictor(weights)[0]
    expected_HW = predictor.predict(open_photo(data, "photo")).mask_HW
    result = cached_segments.segmented(run.path / "epoch_003.pt", data, "photo")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(result.mask_png))), expected_HW)
    shares = {area.id: area.share for area in result.areas}
    assert shares == {int(k): pytest.approx((expected_HW == k).mean()) for k in np.unique(expected_HW)}
    assert all(0 <= area.mean_confidence <= 1 for area in result.areas)


def test_of_several_photos_one_is_shown(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("a.jpg", photo_bytes()), ("a.jpg", photo_bytes("PNG")), ("b.jpg", photo_bytes()))
    assert app.pills[0].options == ["1. a.jpg", "2. a.jpg", "3. b.jpg"]
    app.pills[0].set_value("3. b.jpg").run()
    assert not app.exception
    assert pictures(app)[0].startswith("b.jpg")


def test_a_demo_checkpoint_on_a_real_photo_says_so(visit: Visit, run: Run, tmp_path: Path, weights: Path) -> None:
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert "drawn scenes only" in texts(app)
    app.segmented_control(key="photo_source").set_value("Sample").run()
    assert not app.exception
    assert "drawn scenes only" not in texts(app)
    assert app.selectbox(key="sample").options == ["photo_4", "photo_5"]
    assert pictures(app)[0].startswith("photo_4.jpg")
    app.segmented_control(key="view").set_value("Side by side").run()
    assert [image.captions[0] for image in app.image] == ["photo_4.jpg", "Overlay", "Mask", "Truth"]
    other = create_run("own", make_pairs(tmp_path / "own"), "demo", preset("demo"))
    (other.path / "epoch_001.pt").write_bytes(weights.read_bytes())
    app = upload(visit("segment", checkpoint=f"{other.path.name}/epoch_001.pt"), ("cat.jpg", photo_bytes()))
    assert "drawn scenes only" not in texts(app)


def test_a_text_file_is_one_sentence(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("notes.jpg", b"not a photo at all"))
    assert not app.exception
    assert [error.value for error in app.error] == [
        "notes.jpg is not a photo that can be read; save it as JPEG, PNG or WebP."
    ]


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (lambda whole: whole[: len(whole) // 2], "was cut short"),
        (lambda _: pickle.dumps({"model": Path("/etc")}), "could run code: it stays closed"),
        (lambda _: b"", "was cut short"),
    ],
    ids=["truncated", "pickled", "empty"],
)
def test_a_checkpoint_that_does_not_open_is_one_sentence(
    visit: Visit, run: Run, weights: Path, contents: Callable[[bytes], bytes], sentence: str
) -> None:
    (run.path / "epoch_003.pt").write_bytes(contents(weights.read_bytes()))
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert not app.exception
    assert len(app.error) == 1
    assert sentence in app.error[0].value
    assert not pictures(app)


def test_a_photo_is_written_nowhere(visit: Visit, run: Run, home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
