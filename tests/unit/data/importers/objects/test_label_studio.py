"""Label Studio's brush labels, as PNGs and as packed strokes, with truths drawn by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from core.data.importers import import_data
from core.data.importers.masks.mask_file import decode_brush

SIZE = (12, 8)


def stroke_png(folder: Path, task: int, annotation: int, label: str, region: Any, *, by: str = "1", k: int = 0) -> Path:
    """Write a stroke as 'Brush labels to PNG' does: a grey picture, 0 and 255."""
    stroke_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    stroke_HW[region] = 255
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"task-{task}-annotation-{annotation}-by-{by}-{label}-{k}.png"
    Image.fromarray(stroke_HW).save(file)
    return file


def packed(stroke_HW: np.ndarray) -> list[int]:
    """Pack a region in the plainest way: one run of up to 2**16 values after the other, each with 16 bits of length."""
    values = np.repeat(stroke_HW.ravel().astype(np.uint8) * 255, 4)
    bits = f"{values.size:032b}{7:05b}" + f"{15:04b}" * 4
    at = 0
    while at < values.size:
        same = values[at : at + 2**16] == values[at]
        length = len(same) if same.all() else int(same.argmin())
        bits += f"1{3:02b}{length - 1:016b}{values[at]:08b}"
        at += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def result(label: str | None, region: Any, tag: str = "tag") -> dict[str, Any]:
    stroke_HW = np.zeros(SIZE[::-1], dtype=np.bool_)
    stroke_HW[region] = True
    value = {"format": "rle", "rle": packed(stroke_HW)} | ({"brushlabels": [label]} if label else {})
    about = {"id": "x1", "type": "brushlabels", "from_name": tag, "to_name": "image", "image_rotation": 0}
    return about | {"original_width": SIZE[0], "original_height": SIZE[1], "value": value}


def export(file: Path, tasks: list[dict[str, Any]]) -> Path:
    file.write_text(json.dumps(tasks))
    return file


@pytest.fixture
def photos(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    draw_photo(tmp_path / "photos" / "apple tree.jpg", 1)
    draw_photo(tmp_path / "photos" / "b.png", 2)
    return tmp_path / "photos"


MIN_TASKS = [
    {"image": "/data/upload/1/0a1b2c3d-apple%20tree.jpg", "id": 7, "tag": [], "annotator": 1, "annotation_id": 12},
    {"image": "/data/local-files/?d=set/b.png", "id": 8, "annotator": 1, "annotation_id": 13},
]


def test_strokes_of_a_label_are_joined_and_the_later_class_covers_the_earlier_one(
    photos: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    pngs = tmp_path / "pngs"
    stroke_png(pngs, 7, 12, "tag-Leaf", np.s_[0:2, 0:3])
    stroke_png(pngs, 7, 12, "tag-Leaf", np.s_[5:6, 5:6], k=1)
    stroke_png(pngs, 7, 12, "tag-Apple", np.s_[1:4, 2:6])
    stroke_png(pngs, 8, 13, "tag-Half-ripe fruit", np.s_[0, 0], by="ann@example.org")
    table = export(tmp_path / "export.json", MIN_TASKS)
    imported = import_data("label-studio", pngs, tmp_path / "out", photos=photos, table=table)
    masks = sound(imported)
    assert imported.classes.names == ("background", "Apple", "Half-ripe fruit", "Leaf")
    truth_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    truth_HW[1:4, 2:6] = 1
    truth_HW[0:2, 0:3] = truth_HW[5, 5] = 3
    assert np.array_equal(masks["apple_tree"], truth_HW)
    assert np.argwhere(masks["b"] == 2).tolist() == [[0, 0]]
    assert any("two labels" in note and ": 1, first in" in note for note in imported.notes)


def test_a_tag_with_hyphens_is_known_from_the_full_export_beside_the_pngs(
    photos: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    for task, annotation in ((7, 12), (7, 30), (8, 13)):
        stroke_png(photos, task, annotation, "my-brush-Leaf", np.s_[0, : annotation // 6])
    stroke_png(photos, 7, 30, "my-brush-no_label", np.s_[:, 0])
    tasks = [
        {"id": 7, "data": {"img": "s3://bucket/apple%20tree.jpg"}, "annotations": [{"id": 30, "result": []}]},
        {"id": 8, "data": {"image": "https://x.org/b.png?sig=1#2"}, "annotations": [
            {"id": 13, "result": [result("Leaf", np.s_[0, 0], "my-brush")]}]},
    ]  # fmt: skip
    export(photos / "export.json", tasks)
    imported = import_data("label-studio", photos, tmp_path / "out")
    assert imported.classes.names == ("background", "Leaf")
    mask_HW = sound(imported)["apple_tree"]
    assert mask_HW[0].tolist() == [1] * 5 + [0] * (SIZE[0] - 5), "what the newest annotation painted"
    assert set(mask_HW[1:, 0]) == {255}, "void, where nobody said what is painted"
    said = " ".join(imported.notes)
    assert "several annotations, of which the newest counts: 1, first in task 7" in said
    assert "without a label, which are void: 1" in said


@pytest.mark.parametrize(
    "point",
    [
        {"type": "keypointlabels", "value": {"x": 1, "y": 2, "width": 0.3, "keypointlabels": ["Tip"]}},
        {"type": "keypoint", "value": {"x": 1, "y": 2, "width": 0.3}},
    ],
)
def test_points_are_skipped_and_leave_the_background(
    photos: Path, tmp_path: Path, sound: Callable[..., Any], point: dict[str, Any]
) -> None:
    """A point was taken for a box that cannot be drawn, and all of the background was void."""
    point |= {"original_width": SIZE[0], "original_height": SIZE[1]}
    results = [result("Leaf", np.s_[1:3, 2:5]), point]
    tasks = [{"id": 7, "data": MIN_TASKS[0], "annotations": [{"id": 3, "result": results}]}]
    imported = import_data("label-studio", export(photos / "export.json", tasks), tmp_path / "out", photos=photos)
    assert np.array_equal(np.unique(sound(imported)["apple_tree"]), [0, 1])
    assert any("Points skipped, as they have no area: 1, first in" in note for note in imported.notes)


def test_packed_strokes_are_read_from_the_json_alone(photos: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    other = {"type": "rectanglelabels", "value": {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": ["Leaf"]}}
    done = [result("Leaf", np.s_[1:3, 2:5]), result(None, np.s_[7, 7]), other]
    value = result("Apple", np.s_[4, 4])
    tasks = [
        {"id": 7, "data": MIN_TASKS[0], "annotations": [
            {"id": 3, "result": done}, {"id": 9, "was_cancelled": True, "result": done}]},
        MIN_TASKS[1] | {"tag": [value["value"] | {"original_width": SIZE[0], "original_height": SIZE[1]}]},
        {"id": 9, "data": {"image": "c.jpg"}, "annotations": [{"id": 1, "result": []}]},
    ]  # fmt: skip
    imported = import_data("label-studio", export(tmp_path / "e.json", tasks), tmp_path / "out", photos=photos)
    masks = sound(imported)
    assert masks["apple_tree"][7, 7] == 255
    assert np.argwhere(masks["apple_tree"] == 2).tolist() == [[y, x] for y in (1, 2) for x in (2, 3, 4)]
    assert np.argwhere(masks["b"]).tolist() == [[4, 4]]
    said = " ".join(imported.notes)
    assert "Boxes, which are not outlines, left void: 1" in said
    assert "without a label, which are void: 1" in said
    assert "nothing is painted in them: 1" in said


def test_a_stroke_packed_by_hand() -> None:
    """Two pixels, transparent black and opaque (7, 8, 9), in a run of four and four values one by one."""
    header = f"{8:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"  # 8 values of 8 bits; widths 3, 4, 8, 16
    run = "1" + "00" + "011" + "00000000"  # a run, width 3: 3 + 1 values of 0
    single = "0" + "01" + "0011" + f"{7:08b}{8:08b}{9:08b}{255:08b}"  # no run, width 4: 3 + 1 values follow
    bits = header + run + single
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    assert decode_brush(data, (2, 1)).tolist() == [[False, True]]
    assert decode_brush(data, (1, 2)).tolist() == [[False], [True]]
    for end in range(len(data)):
        with pytest.raises(ValueError, match="ends in the middle"):
            decode_brush(data[:end], (2, 1))
    with pytest.raises(ValueError, match="8 values instead of 12"):
        decode_brush(data, (3, 1))


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_packing_and_unpacking_is_the_same_region(stroke_HW: np.ndarray) -> None:
    height, width = stroke_HW.shape
    assert np.array_equal(decode_brush(bytes(packed(stroke_HW)), (width, height)), stroke_HW)


def test_without_the_json_photos_are_called_after_their_tasks(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], refused: Callable[..., str]
) -> None:
    stroke_png(tmp_path / "e", 7, 1, "tag-Leaf", np.s_[0, 0])
    stroke_png(tmp_path / "e", 8, 2, "tag-Leaf", np.s_[0, 1])
    draw_photo(tmp_path / "e" / "7.jpg", 1)
    text = refused("label-studio", tmp_path / "e")
    assert "Which photo task 8" in text
    assert "JSON" in text
    draw_photo(tmp_path / "e" / "task-8.jpg", 2)
    assert set(sound(import_data("label-studio", tmp_path / "e", tmp_path / "out"))) == {"7", "task-8"}


def test_uploading_renames_photos(tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]) -> None:
    """Label Studio's upload of `plant (1).jpg` is `0a1b2c3d-plant_1.jpg`."""
    draw_photo(tmp_path / "photos" / "plant (1).jpg", 1)
    draw_photo(tmp_path / "photos" / "0a1b2c3e-b.jpg", 2)
    for task in (1, 2):
        stroke_png(tmp_path / "e", task, task, "tag-Leaf", np.s_[0, 0])
    names = ["/data/upload/3/0a1b2c3d-plant_1.jpg", "/data/upload/3/0a1b2c3e-b.jpg"]
    table = export(tmp_path / "e.json", [{"id": n, "image": name} for n, name in enumerate(names, start=1)])
    imported = import_data("label-studio", tmp_path / "e", tmp_path / "out", photos=tmp_path / "photos", table=table)
    assert set(sound(imported)) == {"plant_(1)", "0a1b2c3e-b"}


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ({}, "the document is not a list"),
        ([3], "a task is not an object"),
        ([{"image": "b.png"}], "'id' of a task is missing"),
        ([{"id": 8}], "without the name of a photo"),
        ([{"id": 8, "image": "http://[x"}], "without the name of a photo"),
        ([{"id": 8, "image": "b.png"}], "0 classes"),
        ([{"id": 8, "image": "b.png", "annotations": {}}], "'annotations' of a task is not a list"),
        ([{"id": 8, "image": "b.png", "annotations": [{"result": [4]}]}], "a result is not an object"),
        (
            [{"id": 8, "image": "lost.png", "tag": [result("a", 0) | {"value": {"rle": [], "labels": ["a"]}}]}],
            "lost.png",
        ),
        ([{"id": 8, "image": "b.png", "tag": [{"rle": [], "labels": ["a"]}]}], "original_width"),
    ],
)
def test_a_wrong_export_is_one_sentence(
    photos: Path, tmp_path: Path, refused: Callable[..., str], tasks: Any, expected: str
) -> None:
    assert expected in refused("label-studio", export(tmp_path / "e.json", tasks), photos=photos)


@pytest.mark.parametrize("rle", [[], [300], ["a"], [-1], [0] * 20, "text", packed(np.zeros((3, 3), dtype=np.bool_))])
def test_a_damaged_stroke_is_one_sentence(photos: Path, tmp_path: Path, refused: Callable[..., str], rle: Any) -> None:
    one = result("Leaf", np.s_[0, 0])
    one["value"]["rle"] = rle
    tasks = [{"id": 8, "data": {"image": "b.png"}, "annotations": [{"id": 1, "result": [one]}]}]
    file = export(tmp_path / "e.json", tasks)
    assert str(file) in refused("label-studio", file, photos=photos)


def test_wrong_pngs_are_one_sentence(photos: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "Brush labels to PNG" in refused("label-studio", photos)
    file = stroke_png(tmp_path / "e", 8, 2, "tag-Leaf", np.s_[0, 1])
    table = export(tmp_path / "e.json", [{"id": 9, "image": "b.png"}])
    assert "does not know task 8" in refused("label-studio", tmp_path / "e", photos=photos, table=table)
    export(table, [{"id": 8, "image": "b.png"}])
    Image.new("L", (3, 3)).save(file)
    assert "3 x 3 px" in refused("label-studio", tmp_path / "e", photos=photos, table=table)
    file.write_bytes(b"no picture")
    assert str(file) in refused("label-studio", tmp_path / "e", photos=photos, table=table)


def test_a_photo_with_two_tasks_is_imported_once(photos: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    """A photo that was uploaded again came into the data set twice, once in train and once in val."""
    stroke_png(tmp_path / "e", 1, 1, "tag-Old", np.s_[0, 0])
    stroke_png(tmp_path / "e", 2, 2, "tag-Leaf", np.s_[0, 1])
    stroke_png(tmp_path / "e", 3, 3, "tag-Leaf", np.s_[0, 2])
    names = ["0a1b2c31-b.png", "0a1b2c32-b.png", "apple tree.jpg"]
    table = export(tmp_path / "e.json", [{"id": n, "image": name} for n, name in enumerate(names, start=1)])
    imported = import_data("label-studio", tmp_path / "e", tmp_path / "out", photos=photos, table=table)
    assert np.argwhere(sound(imported)["b"]).tolist() == [[0, 1]]
    assert imported.classes.names == ("background", "Leaf")
    assert any("newer one is of the same photo: 1, first in task 1" in note for note in imported.notes)


def polygon_of(label: str | None, corners: list[list[float]], kind: str = "polygon") -> dict[str, Any]:
    """Return a polygon as Label Studio exports it: in percent of the photo."""
    points = [[100 * x / SIZE[0], 100 * y / SIZE[1]] for x, y in corners]
    value = {"points": points, "closed": True} | ({f"{kind}labels": [label]} if label else {})
    about = {"id": "p1", "type": f"{kind}labels", "from_name": "label", "to_name": "image", "image_rotation": 0}
    return about | {"original_width": SIZE[0], "original_height": SIZE[1], "value": value}


def test_polygons_are_drawn_alone_and_beside_strokes(photos: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    """Polygons were left out: their pixels became background, and a class of polygons alone was gone."""
    leaf = polygon_of("Leaf", [[1, 1], [4, 1], [4, 3], [1, 3]])
    circle = polygon_of("Pot", [])
    circle["value"] = {"x": 50, "y": 50, "radiusX": 25, "radiusY": 37.5, "rotation": 0, "ellipselabels": ["Pot"]}
    tasks = [
        {"id": 7, "data": MIN_TASKS[0], "annotations": [{"id": 3, "result": [leaf, result("Stem", np.s_[6, :])]}]},
        {
            "id": 8,
            "data": MIN_TASKS[1],
            "annotations": [{"id": 4, "result": [circle, {"type": "choices", "value": {}}]}],
        },
    ]
    imported = import_data("label-studio", export(tmp_path / "e.json", tasks), tmp_path / "out", photos=photos)
    masks = sound(imported)
    assert imported.classes.names == ("background", "Leaf", "Pot", "Stem")
    assert np.argwhere(masks["apple_tree"] == 1).tolist() == [[y, x] for y in (1, 2) for x in (1, 2, 3)]
    assert set(masks["apple_tree"][6]) == {3}
    down_N, across_N = np.nonzero(masks["b"] == 2)
    assert (across_N.mean() + 0.5, down_N.mean() + 0.5) == pytest.approx((6, 4), abs=0.5)
    assert len(across_N) == pytest.approx(np.pi * 3 * 3, abs=3), "half axes of 25 % of 12 px and 37.5 % of 8 px"


def test_an_outline_that_cannot_be_drawn_or_has_no_label_is_void(
    photos: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    leaf = polygon_of("Leaf", [[1, 1], [4, 1], [4, 3], [1, 3]])
    tasks = [
        {"id": 7, "data": MIN_TASKS[0], "annotations": [
            {"id": 3, "result": [leaf, polygon_of(None, [[6, 1], [8, 1], [8, 3], [6, 3]])]}]},
        {"id": 8, "data": MIN_TASKS[1], "annotations": [{"id": 4, "result": [leaf, polygon_of("Leaf", [[1, 1]])]}]},
    ]  # fmt: skip
    masks = sound(import_data("label-studio", export(tmp_path / "e.json", tasks), tmp_path / "out", photos=photos))
    assert np.argwhere(masks["apple_tree"] == 255).tolist() == [[y, x] for y in (1, 2) for x in (6, 7)]
    assert sorted(set(masks["b"].ravel())) == [1, 255]


@pytest.mark.parametrize(
    "changes", [{"image_rotation": 90}, {"value": {"bitmasklabels": ["Leaf"], "imageDataURL": "x"}}]
)
def test_what_is_not_read_is_void_and_said(
    photos: Path, tmp_path: Path, sound: Callable[..., Any], changes: dict[str, Any]
) -> None:
    """Strokes of a bit mask became background; whether a region turns with its photo, nobody says."""
    odd = result("Leaf", np.s_[0, 0]) | changes
    tasks = [
        MIN_TASKS[number] | {"data": MIN_TASKS[number], "annotations": [{"id": number, "result": results}]}
        for number, results in enumerate([[result("Leaf", np.s_[2, 2]), odd], [result("Leaf", np.s_[2, 2])]])
    ]
    file = export(tmp_path / "export.json", tasks)
    imported = import_data("label-studio", file, tmp_path / "out", photos=photos)
    counts = {
        name: np.bincount(mask_HW.ravel(), minlength=256)[[0, 1, 255]].tolist()
        for name, mask_HW in sound(imported).items()
    }
    assert counts == {"apple_tree": [0, 1, 95], "b": [95, 1, 0]}
    assert any("so their photos are void: 1" in note for note in imported.notes)
