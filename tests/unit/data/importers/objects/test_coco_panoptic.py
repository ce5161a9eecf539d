"""COCO's panoptic format: what does not fit together is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data.importers import import_data
from tests.unit.data.importers.sources import SOURCES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    SOURCES["coco-panoptic"](tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def png(root: Path) -> Path:
    return root / "annotations" / "panoptic_val2017" / "日本.png"


def test_a_colour_of_no_segment_and_a_crowd_are_void_and_said(
    root: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    file = root / "annotations" / "panoptic_val2017.json"
    document = json.loads(file.read_text())
    leaf = document["annotations"][0]["segments_info"].pop(1)
    file.write_text(json.dumps(document))
    imported = import_data("auto", root, tmp_path / "out")
    assert (leaf["category_id"], imported.classes.names[1]) == (17, "leaf")
    assert set(np.unique(sound(imported)["日本"])) == {0, 2, 3, 255}
    said = " ".join(imported.notes)
    assert "Colours that are not a segment of their PNG, which are void: 1" in said
    assert "Crowds painted as void: 3" in said
    assert "PNGs with pixels of no segment, which are void: 3" in said


def test_pngs_that_do_not_fit_are_one_sentence(root: Path, png: Path, refused: Callable[..., str]) -> None:
    assert "import it as coco-panoptic" in refused("coco", root)
    Image.open(png).convert("L").save(png)
    assert "日本.png is not in colours (L)" in refused("coco-panoptic", root)
    png.unlink()
    assert "unpack its PNGs into a folder called panoptic_val2017" in refused("auto", root)


def test_a_segment_of_no_category_is_an_error(root: Path, refused: Callable[..., str]) -> None:
    file = root / "annotations" / "panoptic_val2017.json"
    file.write_text(file.read_text().replace('"category_id": 201', '"category_id": 202'))
    assert "uses category 202, which 'categories' does not list" in refused("coco-panoptic", root)
