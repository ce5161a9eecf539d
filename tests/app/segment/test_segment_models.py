"""Segment with other models: two at once, files that are brought, and what is not a checkpoint."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.training.run.folders import Run, create_run
from core.training.run.records import Checkpoint
from core.training.settings.presets import preset
from core.voc import CLASS_NAMES
from tests.app.conftest import Visit, append, button, epoch_record, make_pairs, texts
from tests.app.segment.photos import photo_bytes, pictures, upload
from tests.small_models import save_lively_model, ship_stand_in

OCTETS = "application/octet-stream"


def test_samples_are_a_run_s_validation_photos_and_without_a_run_those_that_come_with_atrous(
    visit: Visit, run: Run, weights: Path
) -> None:
    app = visit("segment")
    assert [image.proto.imgs[0].alt for image in app.image] == ["photo_4", "photo_5"], "large, before any photo"
    button(app, "Segment photo_4").click().run()
    assert pictures(app) == ["photo_4.jpg with its classes laid over it"]
    app.selectbox(key="checkpoint").set_value("file").run()
    app.file_uploader(key="checkpoint_file").set_value(("mine.pt", weights.read_bytes(), OCTETS)).run()
    assert not app.exception
    assert pictures(app) == ["cat.jpg with its classes laid over it"]


def test_a_against_b_shows_where_two_models_disagree(visit: Visit, run: Run, weights: Path) -> None:
    save_lively_model(run.path / "epoch_001.pt", seed=1)
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    app.selectbox(key="against").select_index(0).run()
    assert not app.exception
    assert app.query_params["against"] == f"{run.path.name}/epoch_001.pt"
    gone = visit("segment", against="gone/epoch_001.pt")
    assert gone.warning[0].value.endswith("it may have been moved or deleted."), "nothing stands in for it"
    assert pictures(app) == ["cat.jpg: B: 1 epoch · mIoU 10.0 %"]
    assert "Where they disagree" in texts(app)
    assert app.image[0].proto.imgs[0].alt == "Where A and B disagree on cat.jpg"
    assert "deeplabv3_resnet50 after 1 epoch, validation mIoU 10.0 %" in texts(app), "B says what it is, too"
    app.selectbox(key="against").set_value(None).run()
    assert "against" not in app.query_params


def test_a_checkpoint_of_mid_epoch_is_offered_without_a_score(visit: Visit, run: Run) -> None:
    """Stopped in epoch 3, last.pt stood there as "last (2 epochs)" with the mIoU of best.pt, of other weights."""
    save_lively_model(run.path / "last.pt")
    append(run, Checkpoint(file="last.pt", epoch=2, verified=True, size_bytes=1, step_in_epoch=1))
    app = visit("segment", checkpoint=f"{run.path.name}/last.pt")
    assert not app.exception
    assert app.selectbox(key="checkpoint").options[:2] == ["3 epochs · mIoU 30.0 %", "last (in epoch 3), not evaluated"]
    assert "saved in epoch 3, not evaluated." in texts(app)


def test_a_weak_checkpoint_says_why_and_its_own_score_alone_counts(visit: Visit, run: Run) -> None:
    """Of a checkpoint saved in mid-epoch the weakness of the run's best epoch was said."""
    for epoch in (4, 5):
        append(run, epoch_record(epoch, miou=0.036))
    save_lively_model(run.path / "epoch_005.pt")
    save_lively_model(run.path / "last.pt")
    append(run, Checkpoint(file="last.pt", epoch=5, verified=True, size_bytes=1, step_in_epoch=1))
    said = {}
    for file in ("epoch_003.pt", "epoch_005.pt", "last.pt"):
        app = upload(visit("segment", checkpoint=f"{run.path.name}/{file}"), ("cat.jpg", photo_bytes()))
        assert not app.exception
        said[file] = [warning.value for warning in app.warning]
    assert (said["epoch_003.pt"], said["last.pt"]) == ([], [])
    assert "5 epochs: the mIoU of 3.6 % is 0.1 points above the floor" in said["epoch_005.pt"][0]


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
    assert len(list((home / "cache" / "checkpoint-uploads").iterdir())) == 1
    app.file_uploader(key="photos").set_value([("cat.jpg", photo_bytes(), "image/jpeg")]).run()
    assert pictures(app) == ["cat.jpg with its classes laid over it"]


@pytest.mark.parametrize(("miou", "said"), [(0.0, "validation mIoU 0.0 %"), (None, "no score is known")])
def test_a_brought_checkpoint_that_scored_0_has_a_score(
    visit: Visit, run: Run, weights: Path, tmp_path: Path, miou: float | None, said: str
) -> None:
    """An mIoU of 0 is a score: it was taken for none."""
    document = torch.load(weights, weights_only=True)
    document["meta"]["scores"] = {"miou": miou}
    torch.save(document, tmp_path / "mine.pt")
    app = visit("segment", checkpoint="file")
    brought = ("mine.pt", (tmp_path / "mine.pt").read_bytes(), OCTETS)
    app.file_uploader(key="checkpoint_file").set_value(brought).run()
    assert not app.exception
    assert said in texts(app)


def test_what_a_brought_file_does_not_say_is_asked_for(visit: Visit, run: Run, weights: Path) -> None:
    """VOC's names were given to any model of 21 classes, and its photo size could not be said."""
    bare = io.BytesIO()
    torch.save(torch.load(weights, weights_only=True)["model"], bare)
    app = visit("segment", checkpoint="file")
    app.file_uploader(key="checkpoint_file").set_value(("mine.pth", bare.getvalue(), OCTETS)).run()
    assert "it has 21 classes without names" in texts(app)
    app.number_input(key="given_size").set_value(64).run()
    app.segmented_control(key="given_geometry").set_value("fit").run()
    app.text_input(key="given_classes").set_value("voc").run()
    assert not app.exception
    assert "without names" not in texts(app)
    assert "520 px" not in texts(app)
    app.file_uploader(key="photos").set_value([("cat.jpg", photo_bytes(), "image/jpeg")]).run()
    assert not app.exception
    assert {option.rsplit(" ", 2)[0] for option in app.pills[0].options} <= set(CLASS_NAMES)


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
    against = app.selectbox(key="against")
    against.set_value(f"{run.path.name}/epoch_003.pt").run()
    assert not app.exception
    assert "3 epochs · mIoU 30.0 % has been trained on drawn scenes only" in texts(app)


def test_from_a_demo_checkpoint_one_click_leads_to_the_starter(visit: Visit, run: Run) -> None:
    ship_stand_in()
    demo = f"{run.path.name}/epoch_003.pt"
    app = upload(visit("segment", checkpoint=demo, against="starter"), ("cat.jpg", photo_bytes()))
    button(app, "Use the starter model").click().run()
    assert not app.exception
    assert app.selectbox(key="checkpoint").value == app.query_params["checkpoint"] == "starter"
    assert app.selectbox(key="against").value is None
    assert "drawn scenes only" not in texts(app)


def test_of_two_demo_checkpoints_it_is_said_once(visit: Visit, run: Run, weights: Path) -> None:
    """Two boxes with the same sentence stood above the picture."""
    (run.path / "best.pt").write_bytes(weights.read_bytes())
    app = upload(visit("segment", checkpoint=f"{run.path.name}/epoch_003.pt"), ("cat.jpg", photo_bytes()))
    app.selectbox(key="against").set_value(f"{run.path.name}/best.pt").run()
    assert not app.exception
    assert texts(app).count("drawn scenes only") == 1
    assert "Both checkpoints have been trained on drawn scenes only" in texts(app)


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (lambda whole: whole[: len(whole) // 2], "was cut short"),
        (lambda _: pickle.dumps({"model": Path("/etc")}), "could run code: it stays closed"),
        (lambda _: b"", "is empty"),
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
