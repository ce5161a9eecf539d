"""Segment in its four states: the checkpoint, the overlay and its views, and what is no photo."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import jobs
from core.model.photo.photo_file import open_photo
from core.model.predict.predictor import Predictor, open_predictor
from core.training.run.folders import Run
from core.voc import CLASS_NAMES
from tests.app.conftest import MakeRun, Visit, links, texts
from tests.app.segment.photos import photo_bytes, pictures, upload
from tests.small_models import ship_stand_in


def test_nothing_yet_leads_to_train_or_to_a_model_on_offer(visit: Visit) -> None:
    app = visit("segment")
    assert not app.exception
    assert "no checkpoints yet" in texts(app)
    assert "The starter model" in texts(app), "its file is missing, and that is said"
    assert "Go to Train" in links(app)
    assert app.selectbox(key="checkpoint").options[0].startswith("DeepLabV3 MobileNetV3, trained on COCO photos")
    assert [button.label for button in app.button] == ["Download 44 MB"]


def test_without_a_run_the_starter_stands_first_with_samples_in_sight_a_click_each(visit: Visit) -> None:
    ship_stand_in()
    app = visit("segment")
    assert not app.exception
    assert app.selectbox(key="checkpoint").value == "starter"
    assert app.selectbox(key="checkpoint").options[0] == "Starter: cats, dogs, horses, cows, sheep, people"
    assert "no checkpoints yet" not in texts(app)
    assert "Chelsea the cat, by Stéfan van der Walt (CC0)" in texts(app)
    app.button(key="sample cat").click().run()
    assert not app.exception
    assert pictures(app) == ["cat.jpg with its classes laid over it"]
    assert app.query_params["sample"] == "cat"
    assert "Source: skimage/data/chelsea.png" in texts(app)
    app.segmented_control(key="shipped sample").set_value("person").run()
    assert pictures(app) == ["person.jpg with its classes laid over it"]
    assert pictures(visit("segment", photo="Sample", sample="person")) == ["person.jpg with its classes laid over it"]


def test_with_runs_the_starter_stands_after_them(visit: Visit, run: Run) -> None:
    ship_stand_in()
    app = visit("segment")
    assert app.selectbox(key="checkpoint").options[:2] == [
        "3 epochs · mIoU 30.0 %", "Starter: cats, dogs, horses, cows, sheep, people"
    ]  # fmt: skip
    assert app.selectbox(key="checkpoint").value == f"{run.path.name}/epoch_003.pt"
    app = upload(visit("segment", checkpoint="starter"), ("cat.jpg", photo_bytes()))
    assert not app.exception
    assert pictures(app) == ["cat.jpg with its classes laid over it"]
    assert "starter`: DeepLabV3 EfficientNet-Lite0" in texts(app)


def test_a_starter_that_finds_nothing_says_what_it_knows(visit: Visit) -> None:
    ship_stand_in(finds_nothing=True)
    app = visit("segment", photo="Sample")
    assert not app.exception
    assert "Nothing was found. The starter finds only cats, dogs, horses, cows, sheep and people" in texts(app)


def test_a_starter_that_was_altered_is_one_sentence(visit: Visit) -> None:
    ship_stand_in().write_bytes(b"nothing of the kind")
    app = visit("segment")
    assert not app.exception
    assert ["is not the one that was shipped" in error.value for error in app.error] == [True]


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
    assert options[-1] == "Upload a checkpoint file …"
    app.selectbox(key="checkpoint").select_index(1).run()
    assert app.query_params["checkpoint"] == f"{run.path.name}/epoch_001.pt"
    assert "after 1 epoch," in texts(app)


def test_every_view_has_its_pictures(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    views = {
        "Mask": "The mask of cat.jpg",
        "Confidence": "The confidence of the model on cat.jpg",
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


def test_more_passes_change_the_mask_and_tell_their_price(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert "1 pass, about" in texts(app)
    before = app.get("bidi_component")[0].proto.json
    app.radio(key="passes").set_value("Mirrored, three sizes").run()
    assert not app.exception
    assert "6 passes, about" in texts(app)
    assert app.get("bidi_component")[0].proto.json != before


def test_the_mask_is_what_the_predictor_says(visit: Visit, run: Run, weights: Path) -> None:
    from ui.segment import cached_segments

    data = photo_bytes()
    predictor: Predictor = open_predictor(weights)[0]
    expected_HW = predictor.predict(open_photo(data, "photo")).mask_HW
    result = cached_segments.segmented(run.path / "epoch_003.pt", data, "photo")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(result.mask_png))), expected_HW)
    shares = {area.id: area.share for area in result.areas}
    assert shares == {int(k): pytest.approx((expected_HW == k).mean()) for k in np.unique(expected_HW)}
    assert all(0 <= area.mean_confidence <= 1 for area in result.areas)


def test_photos_dropped_on_home_are_shown_and_can_be_removed(visit: Visit, run: Run) -> None:
    app = visit()
    app.session_state["handed photos"] = [("first.jpg", photo_bytes()), ("dropped.jpg", photo_bytes())]
    app.switch_page("pages/segment.py").run()
    assert not app.exception
    assert pictures(app) == ["dropped.jpg with its classes laid over it"]
    upload(app, ("added.jpg", photo_bytes()))
    assert pictures(app) == ["added.jpg with its classes laid over it"]
    app.button(key="remove handed").click().run()
    assert pictures(app) == ["added.jpg with its classes laid over it"]
    assert len(app.pills) == 1, "the classes shown"


def test_of_several_photos_the_newest_is_shown(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("a.jpg", photo_bytes()), ("a.jpg", photo_bytes("PNG")), ("b.jpg", photo_bytes()))
    assert app.pills[0].options == ["1. a.jpg", "2. a.jpg", "3. b.jpg"]
    assert pictures(app)[0].startswith("b.jpg")
    app.pills[0].set_value("1. a.jpg").run()
    assert not app.exception
    assert pictures(app)[0].startswith("a.jpg")


def test_a_text_file_is_one_sentence(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("notes.jpg", b"not a photo at all"))
    assert not app.exception
    assert [error.value for error in app.error] == [
        "notes.jpg is not a photo that can be read; save it as JPEG, PNG or WebP."
    ]


def test_a_photo_is_written_nowhere(visit: Visit, run: Run, home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
