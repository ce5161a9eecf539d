"""CVAT's XML, YOLO's polygons and Supervisely: two splits, holes, overlaps, odd sizes, and what cannot be drawn."""

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.data.importers import import_data

SIZE = (13, 7)
NAMES = {"über 1": "train", "b": "train", "c": "val"}


def square_at(top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    region_HW = np.zeros(SIZE[::-1], dtype=np.bool_)
    region_HW[top:bottom, left:right] = True
    return region_HW


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "set"


def cvat(root: Path, draw_photo: Callable[..., Path], extra: str = "") -> Path:
    """Write XML as CVAT's documentation describes "CVAT for images 1.1"."""
    images = ""
    for number, (name, split) in enumerate(NAMES.items()):
        draw_photo(root / "images" / split / f"{name}.jpg", number, SIZE)
        images += f"""
  <image id="{number}" name="{name}.jpg" subset="{split}" width="{SIZE[0]}" height="{SIZE[1]}">
    <mask label="stem" source="manual" occluded="0" rle="1, 2, 1, 4" left="1" top="1" width="4" height="2" z_order="2"/>
    <polygon label="leaf" source="manual" occluded="0" points="1.0,1.0;6.0,1.0;6.0,5.0;1.0,5.0" z_order="0"/>
    <box label="pot" source="manual" occluded="0" xtl="8.0" ytl="1.0" xbr="10.0" ybr="3.0" z_order="0"/>
    <points label="tip" source="manual" points="3.0,3.0"/>{extra}
  </image>"""
    head = '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta></meta>'
    (root / "annotations.xml").write_text(f"{head}{images}</annotations>", encoding="utf-8")
    return root


def test_cvat_s_polygons_masks_and_boxes(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    imported = import_data("auto", cvat(root, draw_photo), tmp_path / "out")
    assert (imported.format, imported.splits) == ("cvat-xml", {"train": 2, "val": 1})
    assert imported.classes.names == ("background", "leaf", "pot", "stem")
    truth_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    truth_HW[square_at(1, 1, 5, 6)] = 1
    truth_HW[1, 2:4] = truth_HW[2, 1:5] = 3  # the mask lies above, whatever its place in the file
    truth_HW[square_at(1, 8, 3, 10)] = 255
    assert all(np.array_equal(mask_HW, truth_HW) for mask_HW in sound(imported).values())


@pytest.mark.parametrize(
    "wrong",
    ['<polygon label="leaf" points="1,1;2,x;3,3"/>',
     '<mask label="leaf" rle="1,2" left="0" top="0" width="9" height="1"/>',
     '<mask label="leaf" rle="nan,4,5" left="0" top="0" width="9" height="1"/>',
     '<ellipse label="leaf" cx="1" cy="1" rx="1" ry="1" rotation="x"/>',
     '<polygon label="leaf" points="1,1;2,2"/>', '<ellipse label="leaf" cx="nan" cy="1" rx="1" ry="1"/>'],
)  # fmt: skip
def test_a_shape_of_cvat_that_cannot_be_drawn_is_void(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], wrong: str
) -> None:
    imported = import_data("cvat-xml", cvat(root, draw_photo, wrong), tmp_path / "out")
    assert all(mask_HW[6, 12] == 255 and mask_HW[1, 1] == 1 for mask_HW in sound(imported).values())
    assert any("cannot be drawn" in note and ": 3, first" in note for note in imported.notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<annotations>", "not a whole XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "declares entities"),
        ("<annotation><object/></annotation>", "no annotations of CVAT"),
        ("<annotations><track/></annotations>", "holds no images"),
    ],
)
def test_a_wrong_xml_is_one_sentence(tmp_path: Path, refused: Callable[..., str], text: str, expected: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "annotations.xml").write_text(text)
    assert expected in refused("cvat-xml", tmp_path / "in")


def yolo(root: Path, draw_photo: Callable[..., Path], names: str, extra: str = "") -> Path:
    for number, (name, split) in enumerate(NAMES.items()):
        draw_photo(root / split / "images" / f"{name}.jpg", number, SIZE)
        corners = [(1, 1), (6, 1), (6, 5), (1, 5)]
        shares = " ".join(f"{x / SIZE[0]:.6f} {y / SIZE[1]:.6f}" for x, y in corners)
        (root / split / "labels").mkdir(exist_ok=True)
        (root / split / "labels" / f"{name}.txt").write_text(f"1 {shares}\n{extra}")
    root.joinpath("data.yaml").write_text(f"train: ../train/images\nval: ../valid/images\n{names}\n")
    return root


@pytest.mark.parametrize(
    "names",
    ["nc: 2 # classes\nnames: [stem, 'leaf']", "names:\n- stem\n- leaf", "names:\n  0: stem\n  1: leaf\nroboflow: x"],
)
def test_yolo_s_polygons(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], names: str
) -> None:
    imported = import_data("auto", yolo(root, draw_photo, names, "0 0.8 0.5 0.2 0.4\n"), tmp_path / "out")
    assert (imported.format, imported.splits) == ("yolo-seg", {"train": 2, "val": 1})
    assert imported.classes.names == ("background", "stem", "leaf")
    for mask_HW in sound(imported).values():
        assert np.array_equal(mask_HW == 2, square_at(1, 1, 5, 6))
        assert mask_HW[3, 10] == 255, "a box is not an outline"
    assert any("Boxes, which are not outlines, left void: 3" in note for note in imported.notes)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: ['leaf, dry', \"stem: #2\"]", ("leaf, dry", "stem: #2")),
        ("nc: 2\nnames:\n  0: leaf  # green\n  # brown\n  '1': 'it''s'", ("leaf", "it's")),
        ("names:\n- dragon's # eye\n- b's", ("dragon's", "b's")),
    ],
)
def test_yolo_s_names_in_quotes_and_before_comments(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], names: str, expected: tuple[str, ...]
) -> None:
    """A comma in quotes made two names of one, and a comment was a part of a name."""
    imported = import_data("yolo-seg", yolo(root, draw_photo, names), tmp_path / "out")
    assert imported.classes.names == ("background", *expected)


def test_yolo_s_names_of_another_number_than_it_states_are_an_error(
    root: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    text = refused("yolo-seg", yolo(root, draw_photo, "nc: 3\nnames: [stem, leaf]"))
    assert "states nc: 3, and names 2 classes" in text


@pytest.mark.parametrize("ending", ["_rgb", "_image", "_img", "_L", "_seg", "_label"])
def test_yolo_s_labels_are_found_by_the_whole_name_first(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], ending: str
) -> None:
    """An ending was cut off on one side alone, and the photo was background all over."""
    yolo(root, draw_photo, "names: [stem, leaf]")
    for file in [*root.rglob("*.jpg"), *root.rglob("labels/*.txt")]:
        file.rename(file.with_stem(file.stem + ending))
    draw_photo(root / "train" / "images" / "b.jpg", 9, SIZE)  # a photo of a bare name has no label
    imported = import_data("auto", root, tmp_path / "out")
    has_leaf = {name: bool(np.any(mask_HW == 2)) for name, mask_HW in sound(imported).items()}
    assert has_leaf == {f"über_1{ending}": True, f"b{ending}": True, f"c{ending}": True, "b": False}


def test_yolo_s_photo_whose_label_is_called_otherwise_is_no_background(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    folder = yolo(root, draw_photo, "names: [stem, leaf]") / "train" / "labels"
    (folder / "b.txt").rename(folder / "B.txt")
    imported = import_data("yolo-seg", root, tmp_path / "one")
    assert np.any(sound(imported)["b"] == 2)
    assert any("in upper and lower case: 1, first in" in note for note in imported.notes)
    (folder / "B.txt").rename(folder / "another.txt")
    imported = import_data("yolo-seg", root, tmp_path / "two")
    assert "b" not in sound(imported)
    assert any("Photos without a label file left out" in note and "b.jpg" in note for note in imported.notes)


@pytest.mark.parametrize("in_px", ["0 7 1 9 1 9 3 7 3\n", "0 60 40 30 20\n"], ids=["corners", "box"])
def test_yolo_s_corners_in_px_are_void_and_names_beside_the_labels_are_read(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], in_px: str
) -> None:
    """Corners in px were moved outside the photo: their objects were background, and nothing was said."""
    yolo(root, draw_photo, "", in_px)
    (root / "data.yaml").unlink()
    (root / "train" / "labels" / "classes.txt").write_text("stem\nleaf\n")
    imported = import_data("auto", root, tmp_path / "out")
    assert imported.classes.names == ("background", "stem", "leaf")
    assert all(set(np.unique(mask_HW).tolist()) == {2, 255} for mask_HW in sound(imported).values())
    assert any("Lines that are not a polygon" in note for note in imported.notes)


def test_yolo_s_names_with_a_gap_are_not_moved_up(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    """Class 1 was called after the name that came second, whatever its number."""
    for names, expected in {"[, leaf]": "name is empty", "\n- stem\n-1: leaf": "1 classes are named"}.items():
        assert expected in refused("yolo-seg", yolo(root, draw_photo, f"names: {names}"))
    imported = import_data("yolo-seg", yolo(root, draw_photo, "names:\n  0: stem\n  2: leaf"), tmp_path / "out")
    assert imported.classes.names == ("background", "class 0", "class 1")
    assert any("names no classes" in note for note in imported.notes)


def test_photos_and_labels_that_nothing_goes_with_are_noted(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path]
) -> None:
    (root / "b").mkdir(parents=True)
    draw_photo(cvat(root / "a", draw_photo) / "images" / "more.jpg", 5)
    notes = import_data("cvat-xml", root / "a", tmp_path / "cvat").notes
    assert any("Photos that nothing annotates left out: 1, first in" in note and "more.jpg" in note for note in notes)
    (yolo(root / "b", draw_photo, "names: [stem, leaf]") / "train" / "images" / "b.jpg").unlink()
    notes = import_data("yolo-seg", root / "b", tmp_path / "yolo").notes
    assert any("Label files without a photo left out: 1, first in" in note and "b.txt" in note for note in notes)


def test_yolo_s_boxes_alone_and_classes_without_a_name_are_errors(
    root: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    yolo(root, draw_photo, "names: [stem]")
    assert "1 classes are named" in refused("yolo-seg", root)
    (root / "train" / "labels" / "classes.txt").write_text("leaf\nstem\n")
    assert "name the classes differently; choose one with --table" in refused("auto", root)
    (root / "keypoints.yaml").write_text("kpt_shape: [4, 2]\n")
    assert "states kpt_shape, so its labels are boxes with keypoints" in refused("auto", root)
    (root / "keypoints.yaml").unlink()
    (root / "train" / "labels" / "classes.txt").unlink()
    for file in root.rglob("labels/*.txt"):
        file.write_text("0 0.5 0.5 0.2 0.2\n")
    assert "Nothing was drawn" in refused("auto", root)


def supervisely(
    root: Path, draw_photo: Callable[..., Path], extra: dict[str, Any] | None = None, mode: str = "L"
) -> Path:
    patch = Image.fromarray(np.array([[0, 255], [255, 255]], dtype=np.uint8))
    png = io.BytesIO()
    patch.convert(mode).save(png, "PNG")
    data = base64.b64encode(zlib.compress(png.getvalue())).decode()
    for number, (name, split) in enumerate(NAMES.items()):
        draw_photo(root / split / "img" / f"{name}.jpg", number, SIZE)
        hole = [[[2, 2], [3, 2], [3, 3], [2, 3]]]
        objects = [
            {"classTitle": "leaf", "geometryType": "polygon",
             "points": {"exterior": [[1, 1], [5, 1], [5, 4], [1, 4]], "interior": hole}},
            {"classTitle": "stem", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [8, 2]}},
            *([extra] if extra else []),
        ]  # fmt: skip
        document = {"size": {"width": SIZE[0], "height": SIZE[1]}, "tags": [], "objects": objects}
        (root / split / "ann").mkdir(exist_ok=True)
        (root / split / "ann" / f"{name}.jpg.json").write_text(json.dumps(document))
    (root / "meta.json").write_text(json.dumps({"classes": [{"title": "leaf"}, {"title": "stem"}], "tags": []}))
    return root


@pytest.mark.parametrize("mode", ["L", "1", "RGB"])
def test_supervisely_s_polygons_with_holes_and_bitmaps(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], mode: str
) -> None:
    imported = import_data("auto", supervisely(root, draw_photo, mode=mode), tmp_path / "out")
    assert (imported.format, imported.splits) == ("supervisely", {"train": 2, "val": 1})
    truth_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    truth_HW[square_at(1, 1, 5, 6)] = 1
    truth_HW[square_at(2, 2, 4, 4)] = 0
    truth_HW[2, 9] = truth_HW[3, 8] = truth_HW[3, 9] = 2
    assert all(np.array_equal(mask_HW, truth_HW) for mask_HW in sound(imported).values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"geometryType": "polygon", "points": {"exterior": [[1, 1], [2, 2]], "interior": []}},
        {"geometryType": "polygon", "points": {"exterior": [[1, 1], [2, "x"], [3, 3]], "interior": []}},
        {"geometryType": "polygon", "points": {"exterior": [[1, 1], [5, 1], [5, 4], [1, 4]]}},
        {"geometryType": "cuboid", "points": []},
    ],
)
def test_an_object_of_supervisely_that_cannot_be_drawn_is_void(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], wrong: dict[str, Any]
) -> None:
    imported = import_data(
        "supervisely", supervisely(root, draw_photo, {"classTitle": "leaf"} | wrong), tmp_path / "out"
    )
    assert all(mask_HW[6, 12] == 255 and mask_HW[1, 1] == 1 for mask_HW in sound(imported).values())


@pytest.mark.parametrize(
    ("keys", "splits"),
    [
        ("train: images/one\nval: images/two # photos\n", {"train": 2, "val": 1}),
        ("path: /data/x\ntrain: /data/x/images/one\nval: ../x/images/two\n", {"train": 2, "val": 1}),
        ("train: ['images/one']\nval:\n- images/two\n", {"train": 2, "val": 1}),
        ("train: lists/a.txt\nval: lists/b.txt\n", {"train": 1, "val": 2}),
    ],
)
def test_yolo_s_splits_are_those_of_its_yaml(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], keys: str, splits: dict[str, int]
) -> None:
    """Folders that are not called train and val lost their splits, and so did lists elsewhere than at the root."""
    yolo(root, draw_photo, "")
    for name, folder in {"über 1": "one", "b": "one", "c": "two"}.items():
        for kind, suffix in (("images", "jpg"), ("labels", "txt")):
            place = root / kind / folder / f"{name}.{suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            (root / NAMES[name] / kind / place.name).rename(place)
    (root / "lists").mkdir()
    (root / "lists" / "a.txt").write_text("./images/one/über 1.jpg\n", encoding="utf-8")
    (root / "lists" / "b.txt").write_text("data/images/one/b.jpg\n/content/x/images/two/c.jpg\n")
    (root / "data.yaml").write_text(f"{keys}names: [stem, leaf]\n", encoding="utf-8")
    imported = import_data("auto", root, tmp_path / "out")
    assert imported.splits == splits
    assert not any("at random" in note for note in imported.notes)


def test_photos_of_a_project_of_cvat_are_told_by_their_subsets_and_a_turned_box_is_void_alone(
    root: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    box = '<box label="pot" xtl="7" ytl="2" xbr="11" ybr="4" rotation="90" z_order="0"/>'
    cvat(root, draw_photo, box)
    for number, (name, split) in enumerate(NAMES.items()):
        (root / "images" / split / f"{name}.jpg").rename(root / "images" / split / f"{number % 2}.jpg")
    text = (root / "annotations.xml").read_text(encoding="utf-8")
    for number, name in enumerate(NAMES):
        text = text.replace(f'name="{name}.jpg"', f'name="{number % 2}.jpg"')
    (root / "annotations.xml").write_text(text, encoding="utf-8")
    imported = import_data("cvat-xml", root, tmp_path / "out")
    assert imported.splits == {"train": 2, "val": 1}
    void_HW = square_at(1, 8, 3, 10) | square_at(1, 8, 5, 10)  # 4 x 2 px about (9, 3), turned to 2 x 4
    assert all(np.array_equal(mask_HW == 255, void_HW) for mask_HW in sound(imported).values())
