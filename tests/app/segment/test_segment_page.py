"""Segment in its four states: the checkpoint, the overlay and its views, and what is not a photo."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import jobs
from core.classes import VOC_CLASSES
from core.data.dataset import fingerprint, open_dataset
from core.model.photo import open_photo
from core.model.predict.predictor import Predictor, open_predictor
from core.training.held_out import trust_checkpoint
from core.training.run.folders import Run, create_run
from core.training.settings.presets import preset
from core.training.trust import place, write
from core.voc import CLASS_NAMES
from tests.app.conftest import MakeRun, Visit, append, button, epoch_record, links, make_pairs, started, texts
from tests.app.segment.photos import helps, photo_bytes, pictures, upload
from tests.small_models import ship_stand_in
from ui.segment.cached_segments import Answers
from ui.segment.photo_look import CONFIDENCE, Look
from ui.segment.why_here import PLACE, TAPS, TITLES


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


def test_why_here_is_computed_when_asked_and_a_single_pixel_is_not_explained(visit: Visit) -> None:
    ship_stand_in()
    app = upload(visit("segment"), ("a photo.jpg", photo_bytes()))
    assert TITLES[TAPS] not in texts(app)
    app.toggle(key="why").set_value(True).run()
    assert "Click a place in the photo" in texts(app)
    app.session_state[PLACE] = ("a photo.jpg", hash(photo_bytes())), (49, 33)
    app.run()
    assert not app.exception
    assert "at 49, 33: probability" in texts(app)
    assert all(title in texts(app) for title in TITLES.values())
    single = io.BytesIO()
    Image.new("RGB", (1, 1)).save(single, format="PNG")
    app = upload(visit("segment"), ("one.png", single.getvalue()))
    app.toggle(key="why").set_value(True).run()
    assert "The photo is a single pixel" in texts(app)


@pytest.mark.parametrize(
    ("data", "miou", "is_first"),
    [
        ("demo", 0.3, False), ("scenes elsewhere", 0.3, False), ("photos", 0.04, False), ("photos", 0.3, True),
        ("photos of leaves", 0.04, True),
    ],
)  # fmt: skip
def test_the_starter_stands_after_runs_that_learned_from_photos_and_before_all_others(
    visit: Visit, demo_data: Path, tmp_path: Path, weights: Path, data: str, miou: float, is_first: bool
) -> None:
    """A photo dropped on Home went to the model of the demo, which knows drawn scenes alone."""
    ship_stand_in()
    root = demo_data if data == "demo" else make_pairs(tmp_path / data)
    if data == "scenes elsewhere":
        (root / "demo.json").write_text("{}")
    made = create_run("first", root, "demo", preset("demo"))
    (made.path / "epoch_001.pt").write_bytes(weights.read_bytes())
    names = ["background", "leaf"] if data == "photos of leaves" else list(CLASS_NAMES)
    append(made, started(made, class_names=names), epoch_record(1, miou=miou))
    app = upload(visit(), ("dropped.jpg", photo_bytes()))
    assert not app.exception
    first, second = app.selectbox(key="checkpoint").options[:2]
    assert [option.startswith("Starter") for option in (first, second)] == [not is_first, is_first]
    assert app.selectbox(key="checkpoint").value == (f"{made.path.name}/epoch_001.pt" if is_first else "starter")
    assert pictures(app) == ["dropped.jpg with its classes laid over it"]


def test_the_starter_says_what_it_is(visit: Visit, run: Run) -> None:
    ship_stand_in()
    app = upload(visit("segment", checkpoint="starter"), ("cat.jpg", photo_bytes()))
    assert not app.exception
    assert pictures(app) == ["cat.jpg with its classes laid over it"]
    assert "DeepLabV3 EfficientNet-Lite0" in texts(app)
    assert "`starter`: trained on photos of cats" in helps(app)
    assert "saw VOC's other classes in too few photos" in texts(app), "of a name that it gives all the same"
    app = upload(app, ("cat.jpg", photo_bytes()), ("dog.jpg", photo_bytes()))
    assert "saw VOC's other classes in too few photos" in texts(app)
    for photos in (["cat.jpg"], ["cat.jpg", "dog.jpg"]):
        app = upload(visit("segment", checkpoint="starter", threshold=95), *((name, photo_bytes()) for name in photos))
        assert not app.exception
        assert "Nothing was found" not in texts(app), "it found classes, and abstained"


def test_a_starter_that_finds_nothing_says_what_it_knows(visit: Visit) -> None:
    ship_stand_in(finds_nothing=True)
    app = visit("segment", photo="Sample")
    assert not app.exception
    assert "Nothing was found. The starter is for cats, dogs, horses, cows, sheep and people" in texts(app)


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
    app = visit("segment")
    assert "after 3 epochs, validation mIoU 30.0 %, floor 3.5 %" in texts(app)
    assert f"`{run.path.name}/epoch_003.pt`. Trained on 4 photos of `{run.data}`" in helps(app)


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
    shown = json.loads(app.get("bidi_component")[0].proto.json)
    answers = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["answers"].partition(",")[2]))))
    prediction = open_predictor(weights)[0].predict(
        open_photo(photo_bytes("PNG"), "cat"), with_confidence=True, with_runner_up=True
    )
    assert prediction.confidence_HW is not None
    np.testing.assert_array_equal(answers[..., 0], prediction.mask_HW)
    np.testing.assert_array_equal(answers[..., 1], np.rint(255 * prediction.confidence_HW))
    np.testing.assert_array_equal(answers[..., 2], prediction.runner_up_HW)
    assert shown["names"] == list(CLASS_NAMES)


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


OVERLAID = "{} with its classes laid over it"


def test_photos_dropped_on_home_are_shown_and_can_be_removed(visit: Visit, run: Run) -> None:
    app = visit()
    app.session_state["handed photos"] = [("dropped.jpg", photo_bytes())]
    app.switch_page("pages/segment.py").run()
    assert not app.exception
    assert pictures(app) == [OVERLAID.format("dropped.jpg")]
    upload(app, ("added.jpg", photo_bytes()))
    assert pictures(app) == [OVERLAID.format("added.jpg")]
    assert "2 of 2: added.jpg" in texts(app)
    app.button(key="remove handed").click().run()
    assert pictures(app) == [OVERLAID.format("added.jpg")]
    assert "2 of 2" not in texts(app)


def test_several_photos_dropped_on_home_are_a_contact_sheet(visit: Visit, run: Run) -> None:
    app = visit()
    app.session_state["handed photos"] = [("a.jpg", photo_bytes()), ("b.jpg", photo_bytes())]
    app.switch_page("pages/segment.py").run()
    assert pictures(app) == [OVERLAID.format("a.jpg"), OVERLAID.format("b.jpg")]


def test_a_photo_that_comes_beside_others_is_shown_and_stays_when_another_goes(visit: Visit, run: Run) -> None:
    """A second upload stayed unseen until its name was chosen."""
    app = visit()
    app.session_state["handed photos"] = [("a.jpg", photo_bytes())]
    app.switch_page("pages/segment.py").run()
    files = app.file_uploader(key="photos")
    upload(app, ("b.jpg", photo_bytes("PNG")))
    assert pictures(app) == [OVERLAID.format("b.jpg")]
    button(app, "Previous").click().run()  # type: ignore[attr-defined]
    assert pictures(app) == [OVERLAID.format("a.jpg")]
    assert button(app, "Previous").disabled  # type: ignore[attr-defined]
    files.set_value([]).run()
    assert not app.exception
    assert pictures(app) == [OVERLAID.format("a.jpg")]


def test_several_photos_are_a_sheet_each_a_way_to_its_large_view_and_back(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("a.jpg", photo_bytes()), ("a.jpg", photo_bytes("PNG")), ("b.jpg", photo_bytes()))
    assert pictures(app) == [OVERLAID.format(name) for name in ("a.jpg", "a.jpg", "b.jpg")]
    assert "3 photos. Click on one to see it large." in texts(app)
    app.query_params["number"] = "2"
    app.session_state["page"] = "as after Back"
    app.run()
    assert "2 of 3: a.jpg" in texts(app)
    button(app, "Next").click().run()  # type: ignore[attr-defined]
    assert pictures(app) == [OVERLAID.format("b.jpg")]
    assert app.query_params["number"] == "3"
    app.file_uploader(key="photos").set_value([]).run()
    assert pictures(app) == []
    button_labels = [each.label for each in app.button]
    assert "Next" not in button_labels


def test_the_legend_of_a_sheet_is_of_what_is_drawn(visit: Visit, run: Run) -> None:
    """It listed classes of which nothing was kept, and not void, in which everything was."""
    app = upload(visit("segment", threshold="95"), ("a.jpg", photo_bytes()), ("b.jpg", photo_bytes()))
    assert not app.exception
    legend = [each.proto.body for each in app.get("html") if "display:flex;flex-wrap:wrap" in each.proto.body]
    assert [re.findall("</span>([a-z]+)</span>", each) for each in legend] == [["void"]]
    assert "Classes shown" not in [each.label for each in app.get("button_group")]


def test_the_confidence_view_is_striped_where_the_model_abstains() -> None:
    """Abstaining changed nothing in it."""
    own_HW = np.tile(np.repeat(np.uint8([100, 200]), 30), (20, 1))
    answers = Answers(np.ones_like(own_HW), own_HW, np.zeros_like(own_HW), own_HW)
    bare, striped = (
        np.asarray(Look(CONFIDENCE, threshold=at).picture(Image.new("RGB", (60, 20)), answers, VOC_CLASSES))
        for at in (0.0, 0.5)
    )
    changed_HW = (bare != striped).any(2)
    assert changed_HW[:, :30].any()
    assert not changed_HW[:, 30:].any()


def test_a_file_on_the_sheet_that_is_no_photo_is_one_sentence_and_hides_no_other(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("notes.jpg", b"no photo"), ("b.jpg", photo_bytes()))
    assert not app.exception
    assert [error.value.split(" is not")[0] for error in app.error] == ["notes.jpg"]
    assert pictures(app) == [OVERLAID.format("b.jpg")]
    app.segmented_control(key="view").set_value("Confidence").run()
    assert pictures(app) == ["The confidence of the model on b.jpg"]


def test_the_confidence_view_has_a_scale(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    scale = "0 %</span><span>25 %</span>"
    assert not [each for each in app.get("html") if scale in each.proto.body]
    app.segmented_control(key="view").set_value("Confidence").run()
    (drawn,) = [each.proto.body for each in app.get("html") if scale in each.proto.body]
    assert "rgb(0, 32, 76), " in drawn, "the first colour of core.model.output.render.CONFIDENCE_COLORS"
    assert "rgb(255, 233, 69))" in drawn, "and the last"


def test_choices_survive_a_reload(visit: Visit, run: Run) -> None:
    """They were lost but for the view: a link to what one saw was a link to something else."""
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    first = app.pills[0].options[0]
    app.slider(key="opacity").set_value(0).run()
    app.slider(key="threshold").set_value(5).run()
    app.toggle(key="outlines").set_value(False).run()
    app.segmented_control(key="palette").set_value("safe").run()
    app.radio(key="passes").set_value("Mirrored, three sizes").run()
    app.pills[0].unselect(first).run()
    assert app.query_params["hidden"] == first
    seen = app.get("bidi_component")[0].proto.json
    again = upload(visit("segment", **app.query_params), ("cat.jpg", photo_bytes()))
    assert not again.exception
    assert again.get("bidi_component")[0].proto.json == seen
    assert first not in again.pills[0].value
    again.pills[0].select(first).run()
    assert "hidden" not in again.query_params


def test_after_a_reload_the_page_says_which_photos_it_lost(visit: Visit, run: Run) -> None:
    """They were gone without a word: a page keeps its uploads in memory."""
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()), ("dog.jpg", photo_bytes()))
    assert app.query_params["uploads"] == "2"
    again = visit("segment", **app.query_params)
    assert "The 2 photos that were here are gone" in again.info[0].value
    assert "photos that were here" not in texts(upload(again, ("cat.jpg", photo_bytes())))
    assert "uploads" not in again.file_uploader[0].set_value([]).run().query_params, "who removes a photo lost none"
    assert "that were here" not in texts(again)
    assert "that were here" not in texts(visit("segment", uploads="-1"))


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


def test_the_model_abstains_until_a_promised_share_is_right(
    visit: Visit, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without stored figures the page offers to count them; with them, the bare threshold gives way to a promise."""
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert "python -m core trust" in "".join(caption.value for caption in app.caption)
    assert [each.label for each in app.expander] == ["May I trust it?"]

    file = run.path / "epoch_003.pt"
    data = open_dataset(Path(run.data))
    found = trust_checkpoint(file, data, trained_on=[Path(run.data)])
    run.eval_dir.mkdir(exist_ok=True)
    write(place(run.eval_dir, found.about.checkpoint_hash, "val", fingerprint(data.split("val"))), found)
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert not [each for each in app.slider if each.key == "threshold"]
    app.segmented_control(key="right").set_value("90").run()
    assert not app.exception
    said = "\n".join(each.value for each in (*app.caption, *app.warning))
    assert "Less like the training photos than" in said
    assert "of this photo.**" in said
    kept = next(each.value for each in app.caption if "of this photo.**" in each.value)
    app.toggle(key="calibrated").set_value(True).run()
    assert not app.exception
    assert "calibration error" in "".join(each.value for each in app.caption)
    assert kept in [each.value for each in app.caption], "the same pixels are kept, and the promise stands"
    assert not app.expander
    with monkeypatch.context() as newer:
        newer.setattr("ui.segment.trust.SCHEMA", found.about.schema + 1)
        app.run()
        assert [each.label for each in app.expander] == ["May I trust it?"], "older figures can be counted again"
        assert kept in [each.value for each in app.caption]
    app = upload(app, ("cat.jpg", photo_bytes()), ("dog.jpg", photo_bytes()))
    app.radio(key="passes").set_value("Mirrored, three sizes").run()
    assert not app.error, "the temperature was passed on to a sheet of augmented photos, and refused"
    assert "Confidence is the model's own" in texts(app)
