"""COCO instances, with truths drawn by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools.mask import encode

from core.data.importers import import_data
from core.data.importers.notes import Notes
from core.data.importers.objects.coco import plan_coco
from core.data.importers.objects.outlines import counts_of, region_of
from core.data.importers.plan import Source
from core.voc import VOID

SIZE = (12, 8)
CATEGORIES = [{"id": 18, "name": "dog", "supercategory": "animal"}, {"id": 3, "name": "car"}]


def square(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y, x + side, y + side, x, y + side]


def annotation(segmentation: Any, image: int = 1, category: int = 3, **more: object) -> dict[str, Any]:
    about = {"id": 1, "image_id": image, "category_id": category, "iscrowd": 0, "bbox": [0, 0, 1, 1], "area": 1}
    return about | {"segmentation": segmentation} | more


def instances(file: Path, annotations: list[Any], **changes: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    images = [
        {"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]}
        for number, name in enumerate(["a.jpg", "b.jpg"], start=1)
    ]
    document = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    file.write_text(json.dumps(document | changes))
    return file


@pytest.fixture
def photos(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    draw_photo(tmp_path / "photos" / "a.jpg", 1)
    draw_photo(tmp_path / "photos" / "b.jpg", 2)
    return tmp_path / "photos"


def test_polygons_and_both_kinds_of_run_lengths_become_classes_in_the_order_of_the_ids(
    photos: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    # Column by column from the top: 2 background, 3 of the object, the rest background. Compressed by hand: 2 -> '2',
    # 3 -> '3', and 91 = 27 + 2 * 32 -> 'k' (27 + 32 + 48) and '2'.
    uncompressed, compressed = [2, 3, 91], "23k2"
    file = instances(
        tmp_path / "instances.json",
        [
            annotation([square(1, 1, 2), square(9, 5, 2)], category=18),
            annotation([square(0, 0, 6)], category=3),
            annotation({"size": [8, 12], "counts": uncompressed}, image=2, category=3),
            annotation({"size": [8, 12], "counts": [90, 6]}, image=2, category=18, iscrowd=1),
        ],
    )
    imported = import_data("coco", file, tmp_path / "out", photos=photos)
    masks = sound(imported)
    assert imported.classes.names == ("background", "car", "dog")
    truth_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    truth_HW[:6, :6] = 1
    truth_HW[1:3, 1:3] = truth_HW[5:7, 9:11] = 2
    assert np.array_equal(masks["a"], truth_HW)
    truth_HW[:] = 0
    truth_HW[2:5, 0] = 1
    truth_HW[2:8, 11] = VOID
    assert np.array_equal(masks["b"], truth_HW)
    assert any("Crowds painted as void: 1" in note for note in imported.notes)
    instances(file, [annotation({"size": [8, 12], "counts": compressed}, image=2, category=3)])
    again = import_data("coco", file, tmp_path / "again", photos=photos)
    assert np.argwhere(sound(again)["b"]).tolist() == [[2, 0], [3, 0], [4, 0]]
    assert any("background all over: 1" in note for note in again.notes)


@given(
    regions=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1)),
    is_text=st.booleans(),
)
def test_run_lengths_mean_what_pycocotools_means(regions: np.ndarray, is_text: bool) -> None:
    coded = encode(np.asfortranarray(regions))
    columns = regions.ravel(order="F")
    changes = np.flatnonzero(np.diff(columns, prepend=0)).tolist()
    plain = np.diff([0, *changes, columns.size]).tolist()
    height, width = regions.shape
    counts = coded["counts"].decode() if is_text else plain
    read = counts_of({"size": [height, width], "counts": counts}, (width, height), Path("x.json"))
    assert read == plain
    assert np.array_equal(region_of(read, (width, height)), regions)


def test_what_lies_outside_is_cut_off_and_what_cannot_be_drawn_is_noted(
    photos: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    file = instances(
        tmp_path / "photos" / "instances.json",
        [
            annotation([square(-4, -4, 6)]),
            annotation(
                [[1, 1, 5, 5], [1, 1, 5, 5, 7], [0, 0, float("nan"), 1, 1, 1], ["a"] * 6, "x"],
                category=18,
                bbox=[1, 1, 5, 4],
            ),
            annotation([[-1e6, 7, 1e6, 7, 1e6, 1e6, -1e6, 1e6]]),
            annotation([square(12, 2, 1)]),
            annotation([], image=2),
            annotation([square(1, 1, 2)], image=99),
        ],
    )
    imported = import_data("coco", photos, tmp_path / "out")
    truth_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    truth_HW[1:5, 1:6] = VOID  # the box of the stem that cannot be drawn
    truth_HW[:2, :2] = truth_HW[7] = 1
    assert np.array_equal(sound(imported)["a"], truth_HW)
    said = " ".join(imported.notes)
    assert "fewer than 3 points, which are void in their boxes: 1" in said
    assert "not pairs of numbers, which are void in their boxes: 4" in said
    assert "without a segmentation, which are void in their boxes: 1" in said
    assert "does not list left out: 1" in said
    assert "reach beyond their photo by more than a tenth of its side: check that" in said
    assert "Objects without a pixel in their photo: 1" in said
    assert file.exists()


def test_the_area_that_counts_is_the_drawn_one(photos: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    """Exporters write 0 or the box into `area`; small objects vanished under large ones."""
    file = instances(
        tmp_path / "i.json",
        [annotation([square(2, 2, 2)], area=99), annotation([square(0, 0, 8)], category=18, area=0)],
    )
    masks = sound(import_data("coco", file, tmp_path / "out", photos=photos))
    assert np.argwhere(masks["a"] == 1).tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_a_crowd_lies_below_everything_however_small_it_is(
    photos: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    crowd = annotation({"size": [8, 12], "counts": [6, 4, 86]}, iscrowd=1)
    file = instances(tmp_path / "i.json", [annotation([square(0, 0, 7)])] * 20 + [crowd])
    mask_HW = sound(import_data("coco", file, tmp_path / "out", photos=photos))["a"]
    assert mask_HW[:, 0].tolist() == [1] * 7 + [VOID]
    assert mask_HW[:, 1].tolist() == [1] * 7 + [0]


def test_photos_are_found_in_subfolders_by_the_end_of_their_path(
    tmp_path: Path, draw_photo: Callable[..., Path]
) -> None:
    for number, folder in enumerate(["train", "val"]):
        draw_photo(tmp_path / "data" / folder / "a.jpg", number)
    images = [{"id": 1, "file_name": "val/a.jpg"}, {"id": 2, "file_name": "./train/a.jpg"}]
    file = instances(tmp_path / "i.json", [annotation([square(0, 0, 2)])], images=images)
    plan = plan_coco(Source(file, tmp_path), Notes())
    assert [drawing.file.parent.name for drawing in plan.drawings] == ["val", "train"]
    imported = import_data("coco", file, tmp_path / "out", photos=tmp_path / "data")
    assert {photo.stem for photo in (imported.root / "JPEGImages").iterdir()} == {"a", "a-2"}


def test_missing_photos_are_counted_and_the_first_is_named(
    photos: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    images = [{"id": number, "file_name": f"lost {number}.jpg"} for number in range(3)]
    images.append({"id": 3, "file_name": "../photos/a.jpg"})
    file = instances(tmp_path / "i.json", [], images=images)
    assert "3 of 4 photos" in (text := refused("coco", file, photos=photos))
    assert "first lost 0.jpg" in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"categories": None}, "'categories' of the document is missing"),
        ({"categories": []}, "0 classes"),
        ({"categories": [{"id": n, "name": f"c{n}"} for n in range(300)]}, "300 classes"),
        ({"categories": [{"id": True, "name": "x"}]}, "'id' of a category is not a whole number"),
        ({"images": [3]}, "an image is not an object"),
        ({"images": [{"id": 1}]}, "'file_name' of an image is missing"),
        ({"images": [{"id": 1, "file_name": "a.jpg", "width": 5, "height": 5}]}, "5 x 5 px, but the photo"),
        ({"annotations": {}}, "'annotations' of the document is not a list"),
        ({"annotations": [annotation([], category=7)]}, "category 7"),
        ({"annotations": [{"category_id": 3}]}, "'image_id' of an annotation is missing"),
        ({"annotations": [{"category_id": 3, "iscrowd": ""}]}, "'iscrowd' of '', not of 0 or 1"),
        ({"annotations": [annotation({"size": [12, 8], "counts": [96]})]}, "size [12, 8]"),
        ({"annotations": [annotation({"size": [8, 12], "counts": [95]})]}, "do not fill"),
        ({"annotations": [annotation({"size": [8, 12], "counts": [97, -1]})]}, "do not fill"),
        ({"annotations": [annotation({"size": [8, 12], "counts": [96.5]})]}, "do not fill"),
        ({"annotations": [annotation({"size": [8, 12], "counts": ""})]}, "do not fill"),
        ({"annotations": [annotation({"size": [8, 12], "counts": "23k"})]}, "do not fill"),
        ({"annotations": [annotation({"size": [8, 12], "counts": "é"})]}, "do not fill"),
        ({"annotations": [annotation({"size": [8, 12], "counts": "o" * 99})]}, "do not fill"),
        ({"annotations": [annotation({"size": [8, 12]})]}, "do not fill"),
    ],
)
def test_a_wrong_file_is_one_sentence(
    photos: Path, tmp_path: Path, refused: Callable[..., str], changes: dict[str, Any], expected: str
) -> None:
    file = instances(tmp_path / "i.json", **({"annotations": []} | changes))
    assert expected in refused("coco", file, photos=photos)


@pytest.mark.parametrize("content", ["", "[]", "{", '"text"'])
def test_what_is_no_document_is_one_sentence(
    photos: Path, tmp_path: Path, refused: Callable[..., str], content: str
) -> None:
    (tmp_path / "i.json").write_text(content)
    assert str(tmp_path / "i.json") in refused("coco", tmp_path / "i.json", photos=photos)
    assert "JSON files instead of one" in refused("coco", photos)


BRUSH = {"size": [8, 12], "counts": [0, 4, 92]}


@pytest.mark.parametrize(
    ("others", "is_object"),
    [
        ([], True),
        ([annotation([square(5, 3, 2)])] * 9, True),
        ([annotation([square(5, 3, 2)])] * 20, False),
        ([annotation([square(5, 3, 2)], category=18)] * 20, True),
        ([annotation({"size": [8, 12], "counts": [90, 6]}, iscrowd=0)], False),
    ],
    ids=["alone", "a tenth", "a twentieth", "all of its class", "beside a mask without the mark"],
)
def test_brush_masks_of_cvat_are_objects_and_crowds_of_coco_are_void(
    photos: Path, tmp_path: Path, sound: Callable[..., Any], others: list[Any], is_object: bool
) -> None:
    """CVAT's export marks every brush mask `iscrowd`, so that all objects became void and nothing was left to learn."""
    file = instances(tmp_path / "i.json", [annotation(BRUSH, iscrowd=1), *others])
    imported = import_data("coco", file, tmp_path / "out", photos=photos)
    mask_HW = sound(imported)["a"]
    assert mask_HW[:4, 0].tolist() == [1 if is_object else VOID] * 4
    assert any("painted as objects" in note and ": 1, first in" in note for note in imported.notes) is is_object
    assert any("Crowds painted as void" in note for note in imported.notes) is not is_object


@pytest.mark.parametrize(("mark", "is_void"), [("0", False), (0, False), (None, False), ("1", True), (True, True)])
def test_a_mark_may_be_a_text(
    photos: Path, tmp_path: Path, sound: Callable[..., Any], mark: object, is_void: bool
) -> None:
    """`"iscrowd": "0"` is not empty, and so it was taken for a crowd."""
    leaf = annotation([square(4, 4, 2)])
    file = instances(tmp_path / "i.json", [annotation([square(0, 0, 2)], iscrowd=mark), leaf])
    mask_HW = sound(import_data("coco", file, tmp_path / "out", photos=photos))["a"]
    assert mask_HW[0, 0] == (VOID if is_void else 1)


def test_a_folder_of_roboflow_is_imported_at_once(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], listed: Callable[..., Any]
) -> None:
    """Its three files were three too many, and each had to be imported, and split anew, on its own."""
    root = tmp_path / "robo"
    for number, (folder, names) in enumerate({"train": "ab", "valid": "b", "test": "c"}.items()):
        images = [{"id": at, "file_name": f"{name}.jpg"} for at, name in enumerate(names)]
        for at, name in enumerate(names):
            draw_photo(root / folder / f"{name}.jpg", 10 * number + at)
        categories = CATEGORIES if folder != "test" else [{"id": 0, "name": "dog"}]
        one = annotation([square(1, 1, 2)], image=0, category=categories[0]["id"])
        instances(root / folder / "_annotations.coco.json", [one], images=images, categories=categories)
    imported = import_data("coco", root, tmp_path / "out")
    assert imported.classes.names == ("background", "car", "dog")
    assert listed(imported) == {"train": ["a", "b"], "val": ["b-2"], "test": ["c"]}
    masks = sound(imported)
    assert masks["c"][1, 1] == 2, "category 0 of this file is a dog too"


def test_a_folder_of_coco_is_imported_at_once(
    tmp_path: Path, draw_photo: Callable[..., Path], listed: Callable[..., Any], refused: Callable[..., str]
) -> None:
    root = tmp_path / "coco"
    for number, split in enumerate(["train", "val"]):
        draw_photo(root / f"{split}2017" / "1.jpg", number)
        file = root / "annotations" / f"instances_{split}2017.json"
        instances(file, [annotation([square(1, 1, 2)])], images=[{"id": 1, "file_name": "1.jpg"}])
        file.with_name(f"captions_{split}2017.json").write_text("{}")
    assert listed(import_data("coco", root, tmp_path / "mine")) == {"train": ["1"], "val": ["1-2"]}
    instances(root / "annotations" / "instances_more.json", [])
    assert "3 JSON files instead of one, or of one for each split" in refused("coco", root)


def test_a_photo_that_is_listed_twice_is_imported_once_with_all_its_annotations(
    photos: Path, tmp_path: Path, sound: Callable[..., Any], refused: Callable[..., str]
) -> None:
    """The objects of the second entry became background."""
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "./a.jpg"}, {"id": 3, "file_name": "b.jpg"}]
    two = [annotation([square(1, 1, 2)]), annotation([square(5, 1, 2)], image=2, category=18)]
    imported = import_data("coco", instances(tmp_path / "i.json", two, images=images), tmp_path / "out", photos=photos)
    masks = sound(imported)
    assert set(masks) == {"a", "b"}
    assert np.bincount(masks["a"].ravel()).tolist() == [88, 4, 4]
    assert any("Photos listed several times, with all their annotations: 1" in note for note in imported.notes)
    images[1] |= {"width": SIZE[0], "height": SIZE[1]}
    file = instances(tmp_path / "i.json", [], images=images)
    assert "lists a.jpg in several sizes" in refused("coco", file, photos=photos)


@pytest.mark.parametrize(
    "segmentation",
    [
        [[[1, 1], [3, 1], [3, 3], [1, 3]]],
        [[1, 1], [3, 1], [3, 3], [1, 3]],
        [1, 1, 3, 1, 3, 3, 1, 3],
        {"size": [8.0, 12.0], "counts": [9.0, 2.0, 6.0, 2.0, 77.0]},
    ],
)
def test_points_in_pairs_and_whole_numbers_with_a_point_are_what_they_are_elsewhere(
    photos: Path, tmp_path: Path, sound: Callable[..., Any], segmentation: Any
) -> None:
    """They were void in their boxes, or refused."""
    file = instances(tmp_path / "i.json", [annotation(segmentation)])
    masks = sound(import_data("coco", file, tmp_path / "out", photos=photos))
    assert np.argwhere(masks["a"]).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


@pytest.mark.parametrize("is_link", [True, False])
def test_a_photo_that_cannot_be_read_is_told_as_such(
    photos: Path, tmp_path: Path, refused: Callable[..., str], is_link: bool
) -> None:
    """A link that leads nowhere, or a folder called a.jpg, was said to be missing from a folder that shows it."""
    (photos / "a.jpg").unlink()
    if is_link:
        (photos / "a.jpg").symlink_to(tmp_path / "nowhere.jpg")
    else:
        (photos / "a.jpg").mkdir()
    text = refused("coco", instances(tmp_path / "i.json", []), photos=photos)
    assert f"The photo of {photos / 'a.jpg'} cannot be read" in text
    assert ("No such file" if is_link else "Is a directory") in text


def test_ids_are_keys_whatever_they_are(photos: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    """Texts, and whole numbers with a point, are what pandas and databases write."""
    images = [{"id": "im-a", "file_name": "a.jpg"}, {"id": 2.0, "file_name": "b.jpg"}]
    categories = [{"id": "leaf", "name": "leaf"}, {"id": 7, "name": "stem"}]
    found = [annotation([square(0, 0, 3)], "im-a", "leaf"), annotation([square(0, 0, 2)], "2", 7.0)]  # type: ignore[arg-type]
    file = instances(tmp_path / "i.json", found, images=images, categories=categories)
    imported = import_data("coco", file, tmp_path / "out", photos=photos)
    masks = sound(imported)
    ids = [imported.classes.names.index(name) for name in ("leaf", "stem")]
    assert [(masks["a"] == ids[0]).sum(), (masks["b"] == ids[1]).sum()] == [9, 4]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 1.0, "file_name": "b.jpg"}]},
            "two images, a.jpg and b.jpg",
        ),
        ({"categories": [{"id": 3, "name": "leaf"}, {"id": "3", "name": "stem"}]}, "two categories, leaf and stem"),
    ],
)
def test_an_id_given_twice_is_an_error_that_names_both(
    photos: Path, tmp_path: Path, refused: Callable[..., str], changes: dict[str, Any], expected: str
) -> None:
    """The second image took the first one's place, and was given the objects of both."""
    file = instances(tmp_path / "i.json", [annotation([square(0, 0, 2)])], **changes)
    assert expected in refused("coco", file, photos=photos)


def test_a_polygon_may_be_a_flat_list_of_numbers(photos: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    file = instances(tmp_path / "i.json", [annotation(square(0, 0, 3))])
    assert sound(import_data("coco", file, tmp_path / "out", photos=photos))["a"].sum() == 9


@pytest.mark.parametrize(
    ("segmentation", "cause"),
    [([], "without a segmentation"), ([[1, 1, 5, 5]], "fewer than 3 points"), ([["a"] * 6], "not pairs of numbers")],
)
def test_an_import_in_which_nothing_was_drawn_is_an_error_that_holds_the_cause(
    photos: Path, tmp_path: Path, refused: Callable[..., str], segmentation: Any, cause: str
) -> None:
    """Boxes without outlines became masks of background, and the training ran to an mIoU of 0."""
    text = refused("coco", instances(tmp_path / "i.json", [annotation(segmentation)]), photos=photos)
    assert "Nothing was drawn" in text
    assert f"{cause}, which are void in their boxes: 1" in text


def test_the_category_that_roboflow_calls_after_the_project_is_no_class(
    photos: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    categories = [
        {"id": 0, "name": "plants", "supercategory": "none"},
        {"id": 1, "name": "leaf", "supercategory": "plants"},
        {"id": 2, "name": "none of these", "supercategory": "plants"},
    ]
    file = instances(tmp_path / "i.json", [annotation([square(0, 0, 2)], category=1)], categories=categories)
    imported = import_data("coco", file, tmp_path / "one", photos=photos)
    assert imported.classes.names == ("background", "leaf", "none of these")
    assert any("'plants' left out" in note for note in imported.notes)
    instances(tmp_path / "i.json", [annotation([square(0, 0, 2)], category=0)], categories=categories)
    assert "plants" in import_data("coco", file, tmp_path / "two", photos=photos).classes.names


def test_a_file_for_each_photo_is_imported_at_once(photos: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    for name in ("a", "b"):
        images = [{"id": 1, "file_name": f"{name}.jpg"}]
        instances(tmp_path / "labels" / f"{name}.json", [annotation([square(0, 0, 2)])], images=images)
    masks = sound(import_data("coco", tmp_path / "labels", tmp_path / "out", photos=photos))
    assert {name: mask_HW.sum() for name, mask_HW in masks.items()} == {"a": 4, "b": 4}
