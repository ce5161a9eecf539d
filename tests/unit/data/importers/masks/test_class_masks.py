"""One mask for each class, with truths drawn by hand."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.data.importers import import_data
from core.voc import VOID

SIZE = (12, 8)


def draw_mask(file: Path, region: Any, value: int = 255, mode: str = "L") -> Path:
    mask_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    mask_HW[region] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask_HW).convert(mode).save(file)
    return file


def truth_of(**regions: Any) -> np.ndarray:
    truth_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    for class_id, region in regions.values():
        truth_HW[region] = class_id
    return truth_HW


@pytest.fixture
def source(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    for number, name in enumerate(["a.jpg", "b.png"]):
        draw_photo(tmp_path / "set" / name, number)
    return tmp_path / "set"


def check(imported: Any, masks: dict[str, np.ndarray]) -> None:
    assert imported.classes.names == ("background", "leaf", "stem")
    assert np.array_equal(masks["a"], truth_of(leaf=(1, np.s_[0:3, 0:3]), stem=(2, np.s_[2:5, 2:5])))
    assert np.array_equal(masks["b"], truth_of(stem=(2, np.s_[7, 11])))
    assert any("masks of two classes" in note and ": 1, first in" in note for note in imported.notes)


def test_a_folder_for_each_class(source: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    draw_mask(source / "masks" / "leaf" / "a.png", np.s_[0:3, 0:3], mode="1")
    draw_mask(source / "masks" / "stem" / "a.png", np.s_[2:5, 2:5], value=1)
    draw_mask(source / "masks" / "stem" / "b.png", np.s_[7, 11], mode="RGB")
    draw_mask(source / "masks" / "stem" / "lost.png", np.s_[7, 11])
    imported = import_data("class-masks", source, tmp_path / "out")
    check(imported, sound(imported))
    assert any("Masks without a photo left out: 1" in note for note in imported.notes)
    again = import_data("class-masks", source / "masks", tmp_path / "again", photos=source)
    check(again, sound(again))


def test_numbered_classes_get_their_ids_in_the_order_of_their_numbers(source: Path, tmp_path: Path) -> None:
    """As text, class 10 came before class 2."""
    for number in (1, 2, 10):
        draw_mask(source / "masks" / f"class {number}" / "a.png", np.s_[min(number, 3), :])
    imported = import_data("class-masks", source, tmp_path / "out")
    assert imported.classes.names == ("background", "class 1", "class 2", "class 10")


@pytest.mark.parametrize("separator", ["_", "."])
def test_masks_called_as_photo_and_class(
    source: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], separator: str
) -> None:
    draw_mask(source / f"a{separator}leaf.png", np.s_[0:3, 0:3])
    draw_mask(source / f"a{separator}stem.png", np.s_[2:5, 2:5], mode="RGBA")
    draw_mask(source / f"b{separator}stem.png", np.s_[7, 11])
    draw_photo(source / "c.jpg", 3)
    imported = import_data("class-masks", source, tmp_path / "out")
    check(imported, sound(imported))
    assert any("Photos without any mask left out: 1" in note for note in imported.notes)


@pytest.mark.parametrize("mask", ["masks/{1}/{0}.png", "{0}_{1}.png"])
@pytest.mark.parametrize(
    ("photo", "called", "has_note"),
    [("Bl\u00fcte", "Blu\u0308te", False), ("Blu\u0308te", "Bl\u00fcte", False), ("IMG_1", "img_1", True)],
)
def test_an_umlaut_of_macos_and_upper_case_are_the_same_name(
    tmp_path: Path, draw_photo: Callable[..., Path], mask: str, photo: str, called: str, *, has_note: bool
) -> None:
    """A zip of macOS held masks of two code points for an umlaut: they were left out as without a photo."""
    draw_photo(tmp_path / "set" / f"{photo}.jpg", 1)
    draw_mask(tmp_path / "set" / mask.format(called, "Stiel"), np.s_[0])
    draw_mask(tmp_path / "set" / mask.format(called, "Gru\u0308n"), np.s_[1])
    imported = import_data("class-masks", tmp_path / "set", tmp_path / "out")
    assert imported.classes.names == ("background", "Gr\u00fcn", "Stiel")
    assert imported.pixels == (72, 12, 12)
    assert any("differ from their photo's in upper and lower case: 2" in note for note in imported.notes) is has_note


def test_the_longest_photo_name_that_fits_counts(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    draw_photo(tmp_path / "photos" / "a.jpg", 1)
    draw_photo(tmp_path / "photos" / "a_b.jpg", 2)
    draw_mask(tmp_path / "set" / "a_leaf.png", np.s_[0, 0])
    draw_mask(tmp_path / "set" / "a_b_stem.png", np.s_[0, 0])
    imported = import_data("class-masks", tmp_path / "set", tmp_path / "out", photos=tmp_path / "photos")
    assert imported.classes.names == ("background", "leaf", "stem")
    assert {name: int(mask_HW.max()) for name, mask_HW in sound(imported).items()} == {"a": 1, "a_b": 2}


def test_a_table_orders_and_colours_the_classes(source: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    for label in ("leaf", "stem", "void", "background"):
        draw_mask(source / "masks" / label / "a.png", np.s_[0:2] if label != "void" else np.s_[1:3])
    draw_mask(source / "masks" / "leaf" / "b.png", np.s_[0])
    table = tmp_path / "classes.txt"
    table.write_text("background\nstem #112233\nleaf\nvoid\n")
    imported = import_data("class-masks", source, tmp_path / "out", table=table)
    assert imported.classes.names == ("background", "stem", "leaf")
    assert imported.classes.colors[1] == "#112233"
    assert np.array_equal(sound(imported)["a"], truth_of(leaf=(2, np.s_[0:2]), void=(VOID, np.s_[1:3])))


def test_wrong_folders_are_one_sentence(
    source: Path, tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    assert "no mask of a photo" in refused("class-masks", source)
    assert "is not a folder" in refused("class-masks", source / "a.jpg")
    mask = draw_mask(source / "masks" / "leaf" / "a.png", np.s_[0])
    table = tmp_path / "classes.txt"
    table.write_text("background\nstem\n")
    assert "'leaf'" in refused("class-masks", source, table=table)
    Image.new("L", (5, 5)).save(mask)
    assert "5 x 5 px" in refused("class-masks", source)
    draw_mask(source / "masks" / "stem" / "a.png", np.s_[0])
    assert "another size" in refused("class-masks", source)
    mask.write_bytes(b"no picture")
    assert str(mask) in refused("class-masks", source)
    draw_photo(source / "a.png", 5)
    assert "the same name" in refused("class-masks", source)


@pytest.mark.parametrize("masks", ["masks/{}/leaf", "{}_masks/leaf", "{}/masks/leaf"])
def test_folders_called_after_splits_are_no_classes(
    tmp_path: Path, draw_photo: Callable[..., Path], listed: Callable[..., Any], masks: str
) -> None:
    """`masks/train/leaf` made a class called train, and the photos were split anew."""
    root = tmp_path / "set"
    photos = "images/{}" if masks.startswith("masks") else "{}/images" if "/masks/" in masks else "{}"
    for number, (folder, name) in enumerate([("train", "a"), ("validation", "b"), ("test", "c"), ("test", "a")]):
        draw_photo(root / photos.format(folder) / f"{name}.png", number)
        draw_mask(root / masks.format(folder) / f"{name}.png", np.s_[0])
    imported = import_data("class-masks", root, tmp_path / "out")
    assert imported.classes.names == ("background", "leaf")
    assert {split: len(names) for split, names in listed(imported).items()} == {"train": 1, "val": 1, "test": 2}


def test_a_class_may_be_called_train(source: Path, tmp_path: Path) -> None:
    """VOC has one: its folder of masks is no split."""
    draw_mask(source / "train" / "a.png", np.s_[0])
    draw_mask(source / "test" / "b.png", np.s_[0])
    imported = import_data("class-masks", source, tmp_path / "out")
    assert imported.classes.names == ("background", "test", "train")
    assert any("The source has no splits" in note for note in imported.notes)


def test_numbers_of_single_objects_are_no_classes_and_smoothed_masks_are_cut(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    """leaf_0 and leaf_1 became two classes; every pixel that was not black became object."""
    large = Image.new("L", (480, 320))
    ImageDraw.Draw(large).ellipse((115, 77, 333, 251), fill=255)
    smooth = large.resize((48, 32), Image.Resampling.BILINEAR)
    for number, photo in enumerate(["a", "b"]):
        draw_photo(tmp_path / "set" / f"{photo}.jpg", number, (48, 32))
        white = Image.new("L", smooth.size, 255)
        black = Image.new("L", smooth.size)
        pictures = {"leaf_0": smooth, "leaf_1": smooth.convert("RGB"), "stem_0": Image.merge("LA", (white, smooth))}
        pictures["stem_1"] = Image.merge("RGBA", (white, black, black, smooth))
        for label, picture in pictures.items():
            picture.save(tmp_path / "set" / f"{photo}_{label}.png")
    imported = import_data("auto", tmp_path / "set", tmp_path / "out")
    assert imported.classes.names == ("background", "leaf", "stem")
    assert all(np.array_equal(mask_HW == 2, np.asarray(smooth) >= 128) for mask_HW in sound(imported).values())
    assert any("numbers behind the classes" in note for note in imported.notes)
    assert any("Smoothed masks cut at 128 of 255: 8" in note for note in imported.notes)


@pytest.mark.parametrize("suffix", [".gif", ".jpg", ".png"])
def test_a_mask_called_mask_is_one_class_and_not_several_in_one(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str], suffix: str
) -> None:
    """Roboflow's `plant_mask.png` holds ids, and leaf and stem became one class; Carvana's GIFs were not seen."""
    for number, photo in enumerate(["a", "b"]):
        draw_photo(tmp_path / "set" / "images" / f"{photo}.jpg", number, (48, 32))
        mask = Image.new("L", (48, 32))
        mask.paste(255, (0, 0, 24, 16))
        (tmp_path / "set" / "masks").mkdir(exist_ok=True)
        mask.save(tmp_path / "set" / "masks" / f"{photo}_mask{suffix}")
    imported = import_data("class-masks", tmp_path / "set", tmp_path / "out")
    assert (imported.classes.names, imported.pixels) == (("background", "mask"), (2 * 1152, 2 * 384))
    assert any("JPEG masks cut at 128 of 255: 2" in note for note in imported.notes) is (suffix == ".jpg")
    shutil.rmtree(tmp_path / "out")
    for photo in "ab":
        (tmp_path / "set" / "masks" / f"{photo}_mask{suffix}").unlink()
        mask = Image.new("L", (48, 32), 1)
        mask.paste(2, (0, 0, 9, 9))
        mask.save(tmp_path / "set" / "masks" / f"{photo}_mask.png")
        mask.save(tmp_path / "set" / "masks" / f"{photo}_leaf.png")
    (tmp_path / "set" / "masks" / "a_mask.png").rename(tmp_path / "set" / "masks" / "a_stem.png")
    text = refused("class-masks", tmp_path / "set")
    assert "b_mask.png holds several values (1, 2), and 'mask' is not the name of a class" in text
    assert "Masks of several values, each of which was taken for the class: 3" in text


def test_a_folder_of_photos_is_not_a_class(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    """JPEGs are read as masks, but a copy of the photos, or a depth picture, is none."""
    for number, photo in enumerate(["a", "b"]):
        draw_photo(tmp_path / "set" / "images" / f"{photo}.jpg", number)
        draw_photo(tmp_path / "set" / "copies" / f"{photo}.jpg", number)
    assert "in no format that is recognised" in refused("auto", tmp_path / "set")
    assert "is a JPEG of many greys" in refused("class-masks", tmp_path / "set")


def test_masks_of_several_colours_are_not_taken_for_those_of_a_class(
    source: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    """SuperAnnotate's `a.jpg___save.png` became a class jpg___save, and nothing was said."""
    for name in ("a", "b"):
        draw_photo(source / f"{name}.jpg___save.png", 3)
    assert "in no format that is recognised" in refused("auto", source)
