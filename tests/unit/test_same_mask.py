"""One mask per checkpoint and photo: `segment` writes what `evaluate --masks` writes, pixel for pixel.

The classic disappointment is a demo that preprocesses otherwise than the validation that the score comes from.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from tests.photo_files import encoded, scene, turned, wide_profile, with_transparency
from tests.small_data import write_list, write_voc
from tests.small_models import save_lively_model

NUM_REAL_PHOTOS = 6


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose masks hold several classes."""
    return save_lively_model(tmp_path_factory.mktemp("models") / "epoch_001.pt", image_size=96)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    monkeypatch.setattr(sys, "argv", ["core", *map(str, arguments), "--json"])
    capsys.readouterr()
    assert main() == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def odd_photos(data: Path) -> Path:
    """Put photos of odd kinds into a data set's validation split: turned, transparent, 16 bits, of a wide gamut."""
    kinds = {
        "photo_4.jpg": turned(6, "JPEG"),
        "photo_5.png": encoded(with_transparency("RGBA"), "PNG"),
        "wide.jpg": encoded(scene(), "JPEG", icc_profile=wide_profile()),
        "deep.png": encoded(scene().convert("L").convert("I;16"), "PNG"),
    }
    (data / "JPEGImages" / "photo_5.jpg").unlink()
    for name, content in kinds.items():
        (data / "JPEGImages" / name).write_bytes(content)
        Image.new("L", scene().size).save((data / "SegmentationClass" / name).with_suffix(".png"))
    write_list(data, "val", [Path(name).stem for name in kinds])
    return data


def real_photos(source: Path, data: Path) -> Path:
    """Return a data set of a few real pairs."""
    for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        (data / folder).mkdir(parents=True)
        for file in sorted((source / "SegmentationClass").glob("*.png"))[:NUM_REAL_PHOTOS]:
            shutil.copy(source / folder / f"{file.stem}{suffix}", data / folder)
    names = sorted(file.stem for file in (data / "JPEGImages").iterdir())
    write_list(data, "train", names[:1])
    write_list(data, "val", names)
    return data


@pytest.mark.parametrize("kind", ["drawn", "real"])
def test_segment_writes_the_masks_of_evaluate(
    kind: str,
    lively: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if kind == "real":
        voc = request.getfixturevalue("voc_animals") / "VOCdevkit" / "VOC2012"
        data = real_photos(voc, tmp_path / "VOC2012")
    else:
        data = odd_photos(write_voc(tmp_path / "VOC2012"))
    evaluated = tmp_path / "evaluated"
    run(monkeypatch, capsys, "evaluate", lively, "--data", data, "--split", "val", "--masks", evaluated)
    masks = sorted(evaluated.glob("*.png"))
    photos = [next((data / "JPEGImages").glob(f"{mask.stem}.*")) for mask in masks]
    document = run(monkeypatch, capsys, "segment", *photos, "--checkpoint", lively, "--out", tmp_path / "segmented")
    assert len(masks) == (NUM_REAL_PHOTOS if kind == "real" else 4)
    seen = set()
    for mask, photo in zip(masks, document["photos"], strict=True):
        with Image.open(mask) as expected, Image.open(photo["mask"]) as found:
            np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
            assert found.getpalette() == expected.getpalette()
            seen |= set(np.unique(np.asarray(found)).tolist())
    assert len(seen) > 2, "a mask of one class alone would be equal whatever is done to the photo"
