"""A file calibrated for int8 predicts so where that is faster, and is not written where masks would change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import CheckpointError, DataError
from core.home import home
from core.model.checkpoint.checkpoint_file import meta_of, open_checkpoint
from core.model.checkpoint.export import export
from core.model.fast import int8
from core.model.photo import open_photo_file
from core.model.predict import predictor, quantization
from core.model.predict.quantization import calibrated
from core.model.weights.starter import sample_photos
from tests.small_models import save_lively_model

pytestmark = pytest.mark.skipif(not int8.can_compute(), reason="this PyTorch has no convolutions in int8")


def test_what_was_calibrated_is_stored_and_used_where_it_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks of random weights change more than those of trained ones; the trial is told to allow it."""
    monkeypatch.setattr(quantization, "SAME_MASK", 0.3)
    photos = [sample_photos()[0].file, sample_photos()[1].file] * 2
    told: list[tuple[int, int]] = []
    model = open_checkpoint(save_lively_model(tmp_path / "best.pt"))
    opened, share = calibrated(model, photos, photos, lambda *progress: told.append(progress))
    assert told == [(done, 12) for done in range(1, 13)], "of the first kind once, of the second in fp32 and in int8"
    assert 0.3 < share <= 1
    file = export(opened, "safetensors", tmp_path / "int8.safetensors", half=True).file
    photo, masks = open_photo_file(photos[0]).photo, {}
    for is_faster in (True, False):
        monkeypatch.setattr(predictor, "is_faster", lambda *_, is_faster=is_faster: is_faster)
        ready, again = predictor.open_predictor(file)
        monkeypatch.setattr(predictor, "is_faster", lambda *_, is_faster=is_faster: not is_faster)
        assert predictor.open_predictor(file)[0].precision == ready.precision, "a busy moment changes nothing"
        (verdict,) = (home() / "cache").glob("int8-*.json")
        verdict.unlink()
        assert again.meta.int8 == opened.meta.int8
        masks[ready.precision] = ready.predict(photo).mask_HW
    assert set(masks) > {"int8"}
    assert 0.3 < np.mean(masks["int8"] == next(masks[name] for name in masks if name != "int8")) < 1

    monkeypatch.setattr(predictor, "is_faster", lambda *_: True)
    assert predictor.open_predictor(again)[0].precision == "int8"
    unsaid = {name: value for name, value in again.meta.as_dict().items() if name != "int8_bits"}
    for meta in (meta_of(unsaid), replace(again.meta, int8_bits=9)):
        other = predictor.open_predictor(replace(again, meta=meta))[0]
        assert other.precision != "int8", "its corrections are of another rounding's errors"

    broken = dict(again.meta.int8, **{next(iter(again.meta.int8)): [0.0, 1.0, 0.5]})
    again.meta.int8.update(broken)
    with pytest.raises(CheckpointError, match="export it again with --int8"):
        predictor.open_predictor(again)


def test_where_masks_change_or_photos_lack_nothing_is_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, photo = open_checkpoint(save_lively_model(tmp_path / "best.pt")), sample_photos()[0].file
    with pytest.raises(DataError, match="3 validation photos; there are 2"):
        calibrated(opened, [photo] * 3, [photo] * 2)
    monkeypatch.setattr(quantization, "SAME_MASK", 1.1)
    with pytest.raises(CheckpointError, match="keep their class, too few"):
        calibrated(opened, [photo] * 3, [photo] * 3)


def test_the_faster_of_two_is_found_by_a_picture() -> None:
    class Busy:
        image_size = 8

        def __init__(self, size: int) -> None:
            self._square = torch.rand(size, size)

        def logits_of(self, _picture: torch.Tensor) -> torch.Tensor:
            return self._square @ self._square

    small, large = Busy(4), Busy(1500)
    assert predictor.is_faster(small, large)  # type: ignore[arg-type]
    assert not predictor.is_faster(large, small)  # type: ignore[arg-type]
