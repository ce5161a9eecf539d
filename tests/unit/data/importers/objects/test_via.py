"""VGG Image Annotator: shapes drawn by hand, the attribute that is the class, and what cannot be drawn."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.importers import import_data

SIZE = (40, 30)
SQUARE = {"name": "polygon", "all_points_x": [2, 8, 8, 2], "all_points_y": [1, 1, 5, 5]}


@pytest.fixture
def project(tmp_path: Path, draw_photo: Callable[..., Path]) -> Callable[..., Path]:
    """Write a project of two photos; the first has these regions, each with its attributes."""

    def write(*regions: tuple[dict[str, Any], dict[str, Any]]) -> Path:
        listed = [{"shape_attributes": shape, "region_attributes": attributes} for shape, attributes in regions]
        entries = {}
        for number, name in enumerate(["a.jpg", "b.jpg"]):
            draw_photo(tmp_path / "set" / name, number, SIZE)
            entries[f"{name}-1"] = {"filename": name, "size": -1, "regions": [] if number else listed}
        (tmp_path / "set" / "p.json").write_text(json.dumps({"_via_img_metadata": entries}))
        return tmp_path / "set"

    return write


def test_every_shape_is_drawn_and_what_is_not_an_outline_is_void(
    project: Callable[..., Path], tmp_path: Path, sound: Callable[..., Any]
) -> None:
    """Circles and ellipses have corners on their edge, so pixels whose centres lie near it may go either way."""
    leaf, turn = {"class": "leaf"}, 0.5
    shapes = [
        {"name": "circle", "cx": 20, "cy": 10, "r": 6.3},
        {"name": "ellipse", "cx": 12, "cy": 21, "rx": 9, "ry": 3.5, "theta": turn},
        SQUARE,
        {"name": "rect", "x": 30, "y": 20, "width": 5, "height": 4},
        {"name": "polyline", "all_points_x": [30, 39], "all_points_y": [1, 1]},
        {"name": "point", "cx": 33, "cy": 3},
    ]
    imported = import_data("auto", project(*((shape, leaf) for shape in shapes)), tmp_path / "out")
    y_H1, x_1W = np.ogrid[0.5 : SIZE[1], 0.5 : SIZE[0]]
    along = (x_1W - 12) * math.cos(turn) + (y_H1 - 21) * math.sin(turn)
    across = (y_H1 - 21) * math.cos(turn) - (x_1W - 12) * math.sin(turn)
    circle_HW, ellipse_HW = np.hypot(x_1W - 20, y_H1 - 10) / 6.3, np.hypot(along / 9, across / 3.5)
    is_leaf_HW, is_near_HW = (
        (circle_HW < 1) | (ellipse_HW < 1),
        (abs(circle_HW - 1) < 0.12) | (abs(ellipse_HW - 1) < 0.2),
    )
    is_leaf_HW[1:5, 2:8] = True
    mask_HW = sound(imported)["a"]
    assert np.array_equal((mask_HW == 1)[~is_near_HW], is_leaf_HW[~is_near_HW])
    assert np.argwhere(mask_HW == 255).tolist() == [[y, x] for y in range(20, 24) for x in range(30, 35)]
    said = " ".join(imported.notes)
    assert "Points and lines skipped, as they have no area: 2" in said
    assert "regions without a class left void: 1" in said
    assert "background all over: 1, first in b.jpg" in said


def test_of_several_attributes_a_person_says_which_is_the_class(
    project: Callable[..., Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    root = project((SQUARE, {"kind": {"leaf": True, "stem": False}, "age": "old"}), (SQUARE, {"kind": {}, "age": "1"}))
    assert "have several attributes: kind (leaf); age (1, old); say which is the class with --names" in refused(
        "via", root
    )
    assert "has no attribute 'class' of regions; there are: kind (leaf)" in refused("via", root, names="class")
    imported = import_data("via", root, tmp_path / "out", names="kind")
    assert (imported.classes.names, imported.pixels[1]) == (("background", "leaf"), 24)


def test_without_attributes_there_is_one_class_that_nothing_names(project: Callable[..., Path], tmp_path: Path) -> None:
    """The best known set of VIA, of balloons, has none."""
    imported = import_data("auto", project((SQUARE, {})), tmp_path / "out")
    assert imported.classes.names == ("background", "class 1")
    assert not (imported.root / "classes.txt").exists()
    assert any("no attribute that says their class" in note for note in imported.notes)


@pytest.mark.parametrize(
    "wrong",
    [{"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, {"name": "blob"}, {},
     {"name": "circle", "cx": 1, "cy": "x", "r": 2}, {"name": "polygon", "all_points_x": [1, 2, 3]}],
)  # fmt: skip
def test_a_region_that_cannot_be_drawn_is_void(
    project: Callable[..., Path], tmp_path: Path, sound: Callable[..., Any], wrong: dict[str, Any]
) -> None:
    imported = import_data("via", project((SQUARE, {"class": "leaf"}), (wrong, {"class": "leaf"})), tmp_path / "out")
    mask_HW = sound(imported)["a"]
    assert [(mask_HW == 1).sum(), (mask_HW == 255).sum()] == [24, mask_HW.size - 24]
    assert any("Regions that cannot be drawn" in note for note in imported.notes)


def test_photos_of_one_name_are_told_by_their_bytes_and_version_3_is_said(
    project: Callable[..., Path], tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    root = project((SQUARE, {"class": "leaf"}))
    other = draw_photo(root / "other" / "x" / "a.jpg", 9, SIZE)
    (root / "a.jpg").rename(root / "other" / "a.jpg")
    assert "'a.jpg' may be" in refused("via", root)
    text = (root / "p.json").read_text().replace('"size": -1', f'"size": {other.stat().st_size}', 1)
    (root / "p.json").write_text(text)
    assert (import_data("via", root, tmp_path / "out").root / "JPEGImages" / "a.jpg").read_bytes() == other.read_bytes()
    for text, expected in (
        (json.dumps({key: {} for key in ("project", "file", "view", "metadata")}), "a project of VIA 3"),
        (json.dumps({"x": {"filename": "a.jpg", "regions": 3}}), "'regions' of a photo is not a list"),
    ):
        (root / "p.json").write_text(text)
        assert expected in refused("via", root)
