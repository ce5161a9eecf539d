"""Segment in its four states: the overlay, the downloads as they are served, and what is no photo or no checkpoint."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import jobs
from core.model.architectures import build_model
from core.model.checkpoint import CheckpointMeta, save_checkpoint
from core.model.predictor import Predictor
from core.training.presets import preset
from core.training.runs import Run, create_run
from core.voc import CLASS_NAMES, palette_bytes
from tests.app.conftest import links, make_pairs, texts, write_records

Visit = Callable[..., AppTest]
MakeRun = Callable[..., Run]
SIZE = (50, 34)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model as a checkpoint file; random weights, so that it sees classes everywhere."""
    torch.manual_seed(0)
    model = build_model("deeplabv3_mobilenet_v3_large", len(CLASS_NAMES), output_stride=16).eval()
    meta = CheckpointMeta(
        architecture="deeplabv3_mobilenet_v3_large", class_names=CLASS_NAMES, output_stride=16, has_aux_head=False,
        image_size=64, epoch=3,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("weights") / "epoch_003.pt"
    save_checkpoint(path, model, meta)
    return path


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


def test_nothing_yet_leads_to_train(visit: Visit) -> None:
    app = visit("segment")
    assert not app.exception
    assert "no checkpoints yet" in texts(app)
    assert "Go to Train" in links(app)


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
    assert app.selectbox(key="checkpoint").options == ["3 epochs · mIoU 30.0 %", "1 epoch · mIoU 10.0 %"]
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
    assert app.image[0].proto.imgs[0].alt == "my cat.jpg with its classes laid over it"
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
    saved = Image.open(io.BytesIO(download("cat_overlay.png", offered)))
    np.testing.assert_array_equal(np.asarray(saved), np.asarray(Image.open(io.BytesIO(photo_bytes("PNG")))))


def test_every_view_has_its_pictures(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    for view, pictures in {"Mask": 1, "Side by side": 3, "Overlay": 1}.items():
        app.segmented_control(key="view").set_value(view).run()
        assert not app.exception
        assert len(app.image) == pictures
        assert all(image.proto.imgs[0].alt for image in app.image)


def test_the_mask_is_what_the_predictor_says(visit: Visit, run: Run, weights: Path) -> None:
    from core.model.photo import open_photo
    from core.model.predictor import open_predictor
    from ui import cached

    data = photo_bytes()
    predictor: Predictor = open_predictor(weights)[0]
    expected_HW = predictor.predict(open_photo(data, "photo")).mask_HW
    result = cached.segmented(run.path / "epoch_003.pt", data, "photo")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(result.mask_png))), expected_HW)
    shares = {area.id: area.share for area in result.areas}
    assert shares == {int(k): pytest.approx((expected_HW == k).mean()) for k in np.unique(expected_HW)}
    assert all(0 <= area.mean_confidence <= 1 for area in result.areas)


def test_of_several_photos_one_is_shown(visit: Visit, run: Run) -> None:
    app = upload(visit("segment"), ("a.jpg", photo_bytes()), ("a.jpg", photo_bytes("PNG")), ("b.jpg", photo_bytes()))
    assert app.pills[0].options == ["1. a.jpg", "2. a.jpg", "3. b.jpg"]
    app.pills[0].set_value("3. b.jpg").run()
    assert not app.exception
    assert app.image[0].proto.imgs[0].alt.startswith("b.jpg")


def test_a_demo_checkpoint_on_a_real_photo_says_so(visit: Visit, run: Run, tmp_path: Path, weights: Path) -> None:
    app = upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert "drawn scenes only" in texts(app)
    app.segmented_control(key="photo_source").set_value("Sample").run()
    assert not app.exception
    assert "drawn scenes only" not in texts(app)
    assert app.selectbox(key="sample").options == ["photo_4", "photo_5"]
    assert app.image[0].proto.imgs[0].alt.startswith("photo_4.jpg")
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
    assert not app.image


def test_a_photo_is_written_nowhere(visit: Visit, run: Run, home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    upload(visit("segment"), ("cat.jpg", photo_bytes()))
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
