"""labelme's JSON files, with truths drawn by hand."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data.importers import import_data
from core.voc import VOID

SIZE = (12, 8)


def shape(label: str, points: list[list[float]], kind: str | None = "polygon", **more: object) -> dict[str, Any]:
    about = {"label": label, "points": points, "group_id": None, "description": "", "flags": {}}
    return about | ({"shape_type": kind} if kind else {}) | more


def sheet(file: Path, shapes: list[Any], path: str, **changes: object) -> Path:
    """Write a JSON file as labelme 5 does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": path, "imageData": None,
        "imageHeight": SIZE[1], "imageWidth": SIZE[0],
    }  # fmt: skip
    file.write_text(json.dumps(document | changes))
    return file


@pytest.fixture
def source(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    folder = tmp_path / "labelme"
    draw_photo(folder / "first photo.jpg", 1)
    draw_photo(folder / "second.png", 2)
    return folder


def png_of(mask_HW: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask_HW).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_shapes_are_drawn_over_each_other_in_their_order_edges_included(
    source: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    patch_HW = np.array([[1, 0], [1, 1]], dtype=np.uint8) * 255
    sheet(
        source / "first photo.json",
        [
            shape("leaf", [[1, 1], [5, 1], [5, 4], [1, 4]]),
            shape("apple", [[4, 5], [3, 3]], "rectangle"),
            shape("leaf", [[10, 6], [11, 7]], "mask", mask=png_of(patch_HW)),
            shape("apple", [[8, 2], [9, 2]], "circle"),
            shape("__ignore__", [[0, 7], [2, 7]], "rectangle"),
            shape("stem", [[3, 3]], "point"),
            shape("stem", [[0, 0], [5, 5]], "line"),
        ],
        "first photo.jpg",
    )
    sheet(source / "second.json", [], "second.png")
    imported = import_data("labelme", source, tmp_path / "out")
    masks = sound(imported)
    assert imported.classes.names == ("background", "apple", "leaf")
    truth_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    truth_HW[1:5, 1:6] = 2
    truth_HW[3:6, 3:5] = 1
    truth_HW[6, 10], truth_HW[7, 10:12] = 2, 2
    truth_HW[2, 7:10], truth_HW[1, 8], truth_HW[3, 8] = 1, 1, 1
    truth_HW[7, 0:3] = VOID
    assert np.array_equal(masks["first_photo"], truth_HW)
    assert not masks["second"].any()
    assert any("Points and lines skipped" in note and ": 2, first in" in note for note in imported.notes)
    copied = imported.root / "JPEGImages" / "first_photo.jpg"
    assert copied.read_bytes() == (source / "first photo.jpg").read_bytes()


def test_old_files_without_a_type_hold_polygons_and_what_lies_outside_is_cut_off(
    source: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    sheet(source / "a.json", [shape("leaf", [[-50, -3], [2, -3], [2, 1], [-50, 1]], None)], "first photo.jpg")
    png = png_of(np.full((4, 4), 255, dtype=np.uint8))
    sheet(source / "b.json", [shape("leaf", [[10, -2], [13, 1]], "mask", mask=png)], "second.png")
    masks = sound(import_data("labelme", source, tmp_path / "out"))
    assert np.argwhere(masks["first_photo"]).tolist() == [[y, x] for y in (0, 1) for x in (0, 1, 2)]
    assert np.argwhere(masks["second"]).tolist() == [[y, x] for y in (0, 1) for x in (10, 11)]


def test_what_cannot_be_drawn_is_noted_and_the_rest_is_imported(
    source: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    good = shape("leaf", [[1, 1], [2, 2]], "rectangle")
    wrong = [
        shape("leaf", [[1, 1], [2, 2]]),
        shape("leaf", [[1, 1], [2, 2], [float("nan"), 3]]),
        shape("leaf", [[1, 1], [2, 2], [10**400, 3]]),
        shape("leaf", [[1, 1], [2, 2], ["3", 3]]),
        shape("leaf", [[1, 1], [2, 2], [3, 3]], "circle"),
        shape("leaf", [[1, 1], [2, 2]], "spiral"),
    ]
    sheet(source / "a.json", [good, *wrong], "first photo.jpg")
    sheet(source / "b.json", [good], "second.png")
    (source / "settings.json").write_text("[1, 2]")
    imported = import_data("labelme", source, tmp_path / "out")
    masks = sound(imported)
    assert np.argwhere(masks["first_photo"] == 1).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert np.all(masks["first_photo"][3:] == 255), "an object that was not drawn may be anywhere"
    assert np.argwhere(masks["second"]).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert len(imported.notes) == 6, "five, and that the split is random"
    assert any("coordinate is not a number" in note and ": 3, first" in note for note in imported.notes)
    assert any("'spiral'" in note for note in imported.notes)


def test_a_photo_may_be_inside_the_json(source: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    photo = (source / "first photo.jpg").read_bytes()
    data = base64.b64encode(photo).decode()
    leaf = [shape("leaf", [[1, 1], [2, 2]], "rectangle")]
    sheet(source / "a.json", leaf, "..\\elsewhere\\old name.jpg", imageData=data)
    sheet(source / "sub" / "b.json", leaf, "../second.png")
    imported = import_data("labelme", source, tmp_path / "out")
    assert set(sound(imported)) == {"old_name", "second"}
    assert (imported.root / "JPEGImages" / "old_name.jpg").read_bytes() == photo


def test_photos_may_lie_in_a_folder_of_their_own(source: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    leaf = [shape("leaf", [[1, 1], [2, 2]], "rectangle")]
    for number, name in enumerate(["first photo.jpg", "second.png"]):
        sheet(tmp_path / "json" / f"{number}.json", leaf, f"../../far/{name}")
    assert len(sound(import_data("labelme", tmp_path / "json", tmp_path / "out", photos=source))) == 2


@pytest.mark.parametrize("path", ["../../x.jpg", "/etc/x.jpg", "sub/../../x.jpg", "C:\\x.jpg", ".."])
def test_no_path_of_a_json_file_leads_outside(
    source: Path, refused: Callable[..., str], draw_photo: Callable[..., Path], path: str
) -> None:
    draw_photo(source.parent / "x.jpg", 3)
    file = sheet(source / "a.json", [shape("leaf", [[1, 1], [2, 2]], "rectangle")], path)
    text = refused("labelme", source)
    assert str(file) in text
    assert "outside" in text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"shapes": [', "not a whole JSON"),
        ("[" * 100_000, "not a whole JSON"),
        ("\udcff", "not a whole JSON"),
        ('{"imagePath": "second.png", "shapes": {}}', "'shapes' of the document is not a list"),
        ('{"imagePath": 3, "shapes": []}', "'imagePath' of the document is not a text"),
        ('{"imagePath": "second.png", "shapes": [[]]}', "a shape is not an object"),
        ('{"imagePath": "second.png", "shapes": [{"points": []}]}', "'label' of a shape is missing"),
        ('{"imagePath": "second.png", "shapes": [{"label": " "}]}', "without a label"),
        ('{"imagePath": "second.png", "shapes": [{"label": "a"}]}', "'points' of a shape is missing"),
        ('{"imagePath": "second.png", "shapes": [{"shape_type": [1]}]}', "'shape_type' of a shape is not a text"),
        ('{"imagePath": "lost.png", "shapes": [{"label": "a"}]}', "first lost.png"),
        (r'{"imagePath": "lost\nlost.png", "shapes": [{"label": "a"}]}', "first lost lost.png"),
        ('{"imagePath": "second.png", "shapes": []}', "0 classes beside the background"),
    ],
)
def test_a_wrong_file_is_one_sentence(source: Path, refused: Callable[..., str], content: str, expected: str) -> None:
    (source / "a.json").write_text(content, errors="surrogateescape")
    assert expected in refused("labelme", source)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"imagePath": "lost.jpg", "imageData": "not base64!"}, "base64"),
        ({"imagePath": "lost.jpg", "imageData": "AAAA"}, "cannot be read"),
        ({"imageWidth": 13}, "13 x 8 px, but the photo is 12 x 8 px"),
        ({"imageWidth": 10**6, "imageHeight": 10**6}, "1000000 x 1000000"),
        ({"shapes": [shape("a", [[0, 0], [1, 1]], "mask", mask="AAAA")]}, "cannot be read"),
        ({"shapes": [shape("a", [[0, 0], [1, 1]], "mask", mask="é")]}, "base64"),
        ({"shapes": [shape("a", [[0, 0], [1, 1]], "mask")]}, "'mask' of a shape is missing"),
        ({"shapes": [shape("ignore", [[0, 0], [11, 7]], "rectangle"), shape("a", [])]}, "every photo was skipped"),
    ],
)
def test_a_wrong_picture_is_one_sentence(
    source: Path, refused: Callable[..., str], changes: dict[str, Any], expected: str
) -> None:
    sheet(source / "a.json", changes.pop("shapes", [shape("leaf", [[1, 1], [2, 2]], "rectangle")]), "second.png")
    document = json.loads((source / "a.json").read_text()) | changes
    (source / "a.json").write_text(json.dumps(document))
    assert expected in refused("labelme", source)


def test_a_photo_with_two_files_is_imported_once(source: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    """A copy saved under another name put the photo into the data set twice, once in train and once in val."""
    sheet(source / "a copy.json", [shape("mistake", [[0, 0], [9, 7]], "rectangle")], "second.png")
    sheet(source / "second.json", [shape("leaf", [[1, 1], [2, 2]], "rectangle")], "second.png")
    carried = base64.b64encode((source / "first photo.jpg").read_bytes()).decode()
    for name in ("x", "y"):
        sheet(source / f"{name}.json", [shape("leaf", [[0, 0], [0, 0]], "rectangle")], "far.jpg", imageData=carried)
    sheet(source / "first photo.json", [shape("mistake", [[0, 0], [9, 7]], "rectangle")], "second.png")
    imported = import_data("labelme", source, tmp_path / "out")
    masks = sound(imported)
    assert set(masks) == {"second", "far"}
    assert any("another photo than the one they are called as: 1" in note for note in imported.notes)
    assert np.argwhere(masks["second"]).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert imported.classes.names == ("background", "leaf"), "labels of a file that does not count are no classes"
    assert any("another one is of the same photo: 3, first in" in note for note in imported.notes)


def test_a_rectangle_may_have_four_corners(source: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    """labelme 5.5 stores the four corners; such rectangles were skipped, with a note that nobody read."""
    corners = [[1, 1], [4, 1], [4, 3], [1, 3]]
    sheet(source / "a.json", [shape("leaf", corners, "rectangle")], "first photo.jpg")
    sheet(source / "b.json", [shape("leaf", [corners[0], corners[2]], "rectangle")], "second.png")
    masks = sound(import_data("labelme", source, tmp_path / "out"))
    assert np.argwhere(masks["first_photo"]).tolist() == [[y, x] for y in (1, 2, 3) for x in (1, 2, 3, 4)]
    assert np.array_equal(masks["first_photo"], masks["second"])


def test_folders_called_after_splits_are_kept(
    tmp_path: Path, draw_photo: Callable[..., Path], listed: Callable[..., Any]
) -> None:
    """Photos that somebody had set apart for validation were trained on."""
    for number, name in enumerate(["train/a", "train/b", "valid/c", "test/d"]):
        draw_photo(tmp_path / "set" / f"{name}.jpg", number)
        file = tmp_path / "set" / f"{name}.json"
        sheet(file, [shape("leaf", [[1, 1], [2, 2]], "rectangle")], f"{Path(name).name}.jpg")
    imported = import_data("labelme", tmp_path / "set", tmp_path / "out")
    assert listed(imported) == {"train": ["a", "b"], "val": ["c"], "test": ["d"]}


def test_a_renamed_photo_is_found_by_the_name_of_its_json(
    source: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    leaf = [shape("leaf", [[1, 1], [2, 2]], "rectangle")]
    sheet(source / "first photo.json", leaf, "IMG_1.jpg")
    sheet(source / "second.json", leaf, "..\\old\\IMG_2.png")
    imported = import_data("labelme", source, tmp_path / "out")
    assert set(sound(imported)) == {"first_photo", "second"}
    assert any("called as their JSON file" in note and ": 2, first" in note for note in imported.notes)


@pytest.mark.parametrize("kind", ["rotation", "quadrilateral", "oriented_rectangle"])
def test_four_corners_are_a_polygon(source: Path, tmp_path: Path, sound: Callable[..., Any], kind: str) -> None:
    sheet(source / "second.json", [shape("leaf", [[1, 1], [3, 1], [3, 2], [1, 2]], kind)], "second.png")
    assert sound(import_data("labelme", source, tmp_path / "out"))["second"].sum() == 6


@pytest.mark.parametrize(
    ("encoding", "label"),
    [("gb18030", "叶子"), ("utf-16", "feuille séchée"), ("utf-16-le", "leaf"), ("cp1252", "Blätter")],
)
def test_other_encodings_are_read_and_named(
    source: Path, tmp_path: Path, sound: Callable[..., Any], encoding: str, label: str
) -> None:
    file = sheet(source / "second.json", [shape("L", [[1, 1], [2, 2]], "rectangle")], "second.png")
    file.write_bytes(file.read_text().replace('"L"', f'"{label}"').encode(encoding))
    imported = import_data("labelme", source, tmp_path / "out")
    assert imported.classes.names == ("background", label)
    name = {"cp1252": "WINDOWS-1252"}.get(encoding, encoding.upper())
    assert any(f"Files in {name}, not UTF-8" in note for note in imported.notes)


def test_photos_without_shapes_are_counted_and_hidden_files_are_no_data(
    source: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    sheet(source / "second.json", [shape("leaf", [[1, 1], [2, 2]], "rectangle")], "second.png")
    sheet(source / "first photo.json", [], "first photo.jpg")
    for hidden in (".ipynb_checkpoints/second-checkpoint.json", "__MACOSX/._second.json", "._second.json"):
        (source / hidden).parent.mkdir(exist_ok=True)
        (source / hidden).write_bytes(b"\0\5\x16\7")
    imported = import_data("labelme", source, tmp_path / "out")
    assert len(sound(imported)) == 2
    assert any("background all over: 1, first in" in note for note in imported.notes)


def test_a_photo_in_another_folder_is_found_by_its_name_and_that_is_said(
    source: Path, tmp_path: Path, sound: Callable[..., Any], refused: Callable[..., str]
) -> None:
    """JSON files moved into a folder of their own lost their photos."""
    sheet(source / "json" / "x.json", [shape("leaf", [[0, 0], [2, 2]], "rectangle")], "second.png")
    imported = import_data("labelme", source, tmp_path / "out")
    assert {name: mask_HW.sum() for name, mask_HW in sound(imported).items()} == {"second": 9}
    assert any("Photos found in another folder" in note and "second.png" in note for note in imported.notes)
    (source / "copy").mkdir()
    (source / "copy" / "second.png").write_bytes((source / "second.png").read_bytes())
    (tmp_path / "out").rename(tmp_path / "done")
    assert "names a photo that" in refused("labelme", source)
