"""The starter: its name, its file, what it knows, and the photos to try it on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from core.classes import VOC_CLASSES
from core.data.images import read_mask
from core.errors import CheckpointError, ConfigError
from core.home import PROJECT_ROOT
from core.model.checkpoint.stated import Given
from core.model.photo import class_areas, open_photo
from core.model.predict.predictor import open_predictor
from core.model.weights import starter
from core.model.weights.pretrained import checkpoint_file, checkpoint_path, open_named
from core.model.weights.starter import KNOWN, KNOWN_TEXT, sample_photos, unknown_classes
from core.voc import CLASS_NAMES
from tests.small_models import ship_stand_in

SHIPPED = PROJECT_ROOT / "checkpoints" / "starter"


def test_the_name_stands_for_the_file_that_is_shipped_whatever_the_home() -> None:
    file = ship_stand_in()
    assert (checkpoint_file("starter"), checkpoint_path(Path("starter"))) == (file, file)
    opened = open_named("starter")
    assert (opened.path, opened.format) == (file, "atrous-checkpoint as safetensors, fp16")
    assert (opened.problems, opened.repairs) == ((), ())
    with pytest.raises(ConfigError, match="starter is known here"):
        open_named("starter", given=Given(image_size=64))


def test_a_file_called_starter_stands_for_itself_and_a_folder_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ship_stand_in()
    monkeypatch.chdir(tmp_path)  # in which lies the folder `starter`, as in the project's checkpoints/
    assert checkpoint_file("starter") == file
    monkeypatch.chdir(tmp_path / "starter")
    Path("starter").write_text("mine")
    assert checkpoint_file("starter") == checkpoint_path("starter") == Path("starter")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.safetensors", None, "cannot be read"),
        ("model.safetensors", b"a pointer of Git LFS", "is not the one that was shipped"),
        ("model.safetensors.sha256", None, "cannot be read"),
        ("model.safetensors.sha256", b"", "is not the one that was shipped"),
        ("model.safetensors.sha256", b"\xff", "its hash is not text"),
    ],
)
def test_a_file_that_is_missing_or_altered_is_one_sentence(
    one_sentence: Callable[[object, Path], str], name: str, content: bytes | None, says: str
) -> None:
    file = ship_stand_in()
    if content is None:
        (starter.FOLDER / name).unlink()
    else:
        (starter.FOLDER / name).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        open_named("starter")
    said = one_sentence(caught.value, file)
    assert says in said
    assert "git checkout checkpoints/starter" in said
    assert starter.is_there() == file.exists()


def test_classes_that_it_was_not_trained_on_are_named_where_masks_hold_them() -> None:
    assert set(KNOWN) < set(VOC_CLASSES.names)
    assert KNOWN_TEXT.replace(" and", ",").split(", ") == ["cats", "dogs", "horses", "cows", "sheep", "people"]
    scored = [{"name": name, "truth_pixels": name in ("background", "cat", "bus")} for name in CLASS_NAMES]
    assert unknown_classes(scored) == ["bus"]


# --- the photos that come with it -------------------------------------------------------------------------------------


def test_the_sample_photos_are_small_and_say_whose_they_are() -> None:
    photos = sample_photos()
    assert [photo.shows for photo in photos] == ["cat", "person"]
    for photo in photos:
        with Image.open(photo.file) as image:
            assert (image.format, max(image.size) <= 640) == ("JPEG", True)
        assert photo.file.stat().st_size < 100_000
        assert photo.licence in ("CC0", "public domain")
        assert photo.author in photo.credit
        assert "skimage/data/" in photo.source
    shipped = {file.name for photo in photos for file in (photo.file, photo.mask)}
    assert {file.name for file in starter.SAMPLES.iterdir()} == shipped | {"credits.json"}


@pytest.mark.parametrize("photo", sample_photos(), ids=lambda photo: photo.shows)
def test_the_shipped_model_is_the_one_that_its_hash_says_and_segments_the_samples(
    monkeypatch: pytest.MonkeyPatch, photo: starter.SamplePhoto
) -> None:
    monkeypatch.setattr(starter, "FOLDER", SHIPPED)
    predictor, opened = open_predictor(open_named("starter"))
    assert opened.meta.class_names == CLASS_NAMES
    assert not Path(opened.meta.data).is_absolute(), "nobody's paths are shipped"
    prediction = predictor.predict(open_photo(photo.file.read_bytes(), photo.file.name), with_confidence=True)
    assert prediction.confidence_HW is not None
    areas = class_areas(prediction.mask_HW, prediction.confidence_HW, CLASS_NAMES)
    shares = {area.name: area.share for area in areas if area.name != "background"}
    assert shares[photo.shows] > 0.25
    assert sum(shares.values()) - shares[photo.shows] < 0.1
    shipped_HW = read_mask(photo.mask, len(CLASS_NAMES))
    assert (prediction.mask_HW == shipped_HW).mean() > 0.999, "Home shows the mask that the starter gives"
