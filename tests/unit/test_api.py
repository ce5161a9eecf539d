"""The Python API: masks in the photo's own frame, scores and verdicts, and runs that leave nothing if refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import api
from core.errors import ConfigError, CoreError, DataError, PhotoError, RunError
from core.home import PROJECT_ROOT, checkpoints_dir
from core.jobs import hold
from core.training.run.folders import create_run
from core.training.settings.config import TrainingConfig
from tests.small_data import draw_pair
from tests.small_models import save_lively_model

pytestmark = pytest.mark.usefixtures("thin_networks")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lively_model(tmp_path_factory.mktemp("models") / "lively.pt")


def test_a_mask_has_the_size_of_the_upright_photo_however_the_photo_is_given(checkpoint: Path, tmp_path: Path) -> None:
    photo, _ = draw_pair(0, (48, 40))
    lying = Image.Exif()
    lying[0x0112] = 6  # to be turned by 90 degrees
    photo.save(tmp_path / "photo.png", exif=lying)
    model = api.open_model(str(checkpoint))
    mask_HW = model.segment(str(tmp_path / "photo.png"))
    assert (mask_HW.dtype, mask_HW.shape) == (np.uint8, (48, 40))
    assert len(np.unique(mask_HW)) > 1
    with Image.open(tmp_path / "photo.png") as opened:
        given = [tmp_path / "photo.png", opened, photo.transpose(Image.Transpose.ROTATE_270)]
        assert all((model.segment(each) == mask_HW).all() for each in given)
    prediction = model.predict(tmp_path / "photo.png")
    assert (prediction.mask_HW == mask_HW).all()
    assert prediction.confidence_HW is not None
    assert prediction.confidence_HW.dtype == np.float32
    assert 0 < prediction.confidence_HW.min() <= prediction.confidence_HW.max() <= 1


def test_test_time_augmentation_mirrors_the_mask_with_the_photo(checkpoint: Path) -> None:
    photo, _ = draw_pair(1, (64, 64))
    mirrored = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    model = api.open_model(checkpoint, tta=api.TTA(flip=True))
    assert (model.segment(mirrored) == model.segment(photo)[:, ::-1]).all()


def test_the_verdict_is_about_the_scores_and_nothing_is_printed(
    checkpoint: Path, tiny_voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save_lively_model(tmp_path / "other.pt", seed=1)
    done: list[tuple[int, int]] = []
    a = api.evaluate(checkpoint, str(tiny_voc), on_progress=lambda *now: done.append(now))
    b = api.evaluate(str(other), tiny_voc)
    verdict = api.compare(checkpoint, other, tiny_voc, on_progress=lambda *now: done.append(now))
    assert done == [(1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert (verdict["a"]["confusion"], verdict["b"]["confusion"]) == (a["confusion"], b["confusion"])
    assert verdict["delta_miou"] == pytest.approx(b["miou"] - a["miou"])
    assert verdict["sentence"].startswith("other.pt and lively.pt cannot be told apart on 2 photos")
    said = capsys.readouterr()
    assert said.out + said.err == ""


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"epochs": 0}, ConfigError, "between 1 and"),
        ({"epochs": "3"}, ConfigError, "must be of type int"),
        ({"epoch": 3}, ConfigError, "did you mean 'epochs'"),
        ({"preset": "none"}, ConfigError, "no preset 'none'"),
        ({"name": "a/b"}, RunError, "cannot name a run"),
        ({"data": "nowhere"}, DataError, "There is no folder nowhere"),
    ],
)
def test_a_run_that_is_refused_has_no_folder(
    changes: dict[str, object], error: type[CoreError], text: str, tiny_voc: Path
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        api.start_run(**{"name": "first", "data": tiny_voc} | changes)
    assert not checkpoints_dir().exists() or not list(checkpoints_dir().iterdir())


def test_a_run_that_cannot_start_leaves_no_folder(tiny_voc: Path) -> None:
    other = create_run("other", tiny_voc, "report", TrainingConfig())
    with hold(other.path), pytest.raises(RunError, match=f"{other.path.name} is being trained"):
        api.start_run("first", tiny_voc)
    assert list(checkpoints_dir().iterdir()) == [other.path]


def test_a_photo_that_cannot_be_read_is_named(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=re.escape(f"The photo {tmp_path / 'none.jpg'} cannot be read")):
        api.open_model(checkpoint).segment(tmp_path / "none.jpg")


def test_readme_shows_the_lines_that_the_page_shows() -> None:
    shown = [
        re.findall(r"^```python\n(.*?)^```$", (PROJECT_ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
        for page in ("README.md", "docs/python.md")
    ]
    assert shown[0] == shown[1][:1]
