"""Masks in colours, as CamVid, Cityscapes and CVAT store them, with truths drawn by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data.importers import import_data
from core.data.importers.masks.color_table import entry_of
from core.voc import VOID

SIZE = (12, 8)
SKY, ROAD, BLACK = (128, 128, 128), (128, 64, 128), (0, 0, 0)
CAMVID = "128 128 128\tSky\n128 64 128\t\tRoad\n0 0 0\t\tVoid\n"


def colored(file: Path, mode: str = "RGB") -> Path:
    """Draw a mask: sky, with a road below and something unlabelled on the right."""
    mask_HW3 = np.full((*SIZE[::-1], 3), SKY, dtype=np.uint8)
    mask_HW3[5:] = ROAD
    mask_HW3[:, 10:] = BLACK
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask_HW3)
    picture = picture.quantize(4, dither=Image.Dither.NONE) if mode == "P" else picture.convert(mode)
    picture.save(file)
    return file


def truth(sky: int = 1, road: int = 2, void: int = VOID) -> np.ndarray:
    truth_HW = np.full(SIZE[::-1], sky, dtype=np.uint8)
    truth_HW[5:] = road
    truth_HW[:, 10:] = void
    return truth_HW


@pytest.fixture
def source(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    """CamVid's folders: images, and labels with _L behind their names."""
    for number, name in enumerate(["0001TP_1", "0001TP_2"]):
        draw_photo(tmp_path / "set" / "images" / f"{name}.png", number)
        colored(tmp_path / "set" / "labels" / f"{name}_L.png")
    (tmp_path / "set" / "label_colors.txt").write_text(CAMVID)
    return tmp_path / "set"


def test_camvid(source: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    imported = import_data("color-table", source, tmp_path / "out")
    masks = sound(imported)
    assert imported.classes.names == ("background", "Sky", "Road")
    assert imported.classes.colors == ("#000000", "#808080", "#804080")
    assert all(np.array_equal(mask_HW, truth()) for mask_HW in masks.values())
    assert set(masks) == {"0001TP_1", "0001TP_2"}
    said = " ".join(imported.notes)
    assert "'background' was added as class 0" in said
    assert "'Void' is void" in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_dict.csv", "name,r,g,b\nBackground,0,0,0\nSky,128,128,128\nRoad,128,64,128\n"),
        ("mine.csv", '"Sky"; 128; 128; 128\n"Road"; 128; 64; 128\nbackground;0;0;0'),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\nSky:128,128,128::\nRoad:128,64,128::\n"),
        ("classes.txt", "background #000000\nSky #808080\nRoad #804080\n"),
        ("quoted.csv", 'name,r,g,b\nbackground,0,0,0\n"Sky",128,128,128\n"Road",128,64,128\n'),
    ],
)
def test_other_tables_and_a_background_of_its_own(
    source: Path, tmp_path: Path, sound: Callable[..., Any], name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    imported = import_data("color-table", source, tmp_path / "out", table=tmp_path / name)
    assert imported.classes.names == ("background", "Sky", "Road")
    assert all(np.array_equal(mask_HW, truth(void=0)) for mask_HW in sound(imported).values())


@pytest.mark.parametrize("mode", ["P", "RGBA"])
@pytest.mark.parametrize("ending", ["", "_mask", "_label", "_labels", "_gt", "_color"])
def test_masks_in_other_modes_under_other_names(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], mode: str, ending: str
) -> None:
    for number in range(2):
        draw_photo(tmp_path / "photos" / f"p{number}.jpg", number)
        colored(tmp_path / "set" / f"p{number}{ending}.png", mode)
    (tmp_path / "label_colors.txt").write_text(CAMVID)
    imported = import_data("color-table", tmp_path / "set", tmp_path / "out", photos=tmp_path / "photos")
    assert all(np.array_equal(mask_HW, truth()) for mask_HW in sound(imported).values())


def test_photos_and_masks_in_one_folder_and_those_without_a_partner(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    folder = tmp_path / "set"
    for number in range(3):
        draw_photo(folder / f"p{number}.png", number)
    for name in ("p0_L", "p1_L", "p9_L"):
        colored(folder / f"{name}.png")
    (folder / "label_colors.txt").write_text(CAMVID)
    imported = import_data("color-table", folder, tmp_path / "out")
    assert set(sound(imported)) == {"p0", "p1"}
    assert any("Photos without a mask left out: 1" in note for note in imported.notes)
    assert any("Masks without a photo left out: 1" in note for note in imported.notes)


def test_cityscapes(tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]) -> None:
    root = tmp_path / "cityscapes"
    for number, city in enumerate(["aachen", "bochum"]):
        draw_photo(root / "leftImg8bit" / "train" / city / f"{city}_000000_leftImg8bit.png", number)
        mask = colored(root / "gtFine" / "train" / city / f"{city}_000000_gtFine_color.png", "RGBA")
        Image.new("L", SIZE).save(mask.with_name(f"{city}_000000_gtFine_labelIds.png"))
    (root / "table.csv").write_text("unlabeled,0,0,0\nego vehicle,0,0,0\nroad,128,64,128\nsky,128,128,128\n")
    (root / "void.csv").write_text("unlabeled,0,0,0\nvoid,0,0,0\nroad,128,64,128\nsky,128,128,128\n")
    imported = import_data("color-table", root, tmp_path / "out", table=root / "void.csv")
    assert all(np.array_equal(mask_HW, truth(sky=2, road=1)) for mask_HW in sound(imported).values())
    assert any("Masks of ids left out, as there are some in colours: 2" in note for note in imported.notes)


def test_a_colour_that_the_table_does_not_name_is_told_with_its_pixels(
    source: Path, refused: Callable[..., str]
) -> None:
    (source / "label_colors.txt").write_text(CAMVID.replace("0 0 0", "9 9 9"))
    text = refused("color-table", source)
    assert f"{source / 'labels' / '0001TP_1_L.png'} holds the colour #000000 in 16 pixels, which" in text
    assert "JPEG" not in text


def test_the_noise_of_jpeg_is_recognised(source: Path, refused: Callable[..., str]) -> None:
    mask = source / "labels" / "0001TP_1_L.png"
    with Image.open(mask) as picture:
        picture.save(mask.with_suffix(".jpg"), quality=50)
    mask.unlink()
    text = refused("color-table", source)
    assert "other colours" in text
    assert "save them as PNG" in text


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("128 128 128\tSky\nRoad\n", "the line 'Road'"),
        ("128 128 256\tSky\n", "from 0 to 255"),
        ("128 128 128\tSky\n128 128 128\tRoad\n", "'Sky' and 'Road' the same colour"),
        ("0 0 0\tVoid\n", "0 classes"),
        ("", "0 classes"),
        ("\udcff", "UTF-8"),
        ("".join(f"{n % 256} {n // 256} 7\tc{n}\n" for n in range(300)), "300 classes"),
    ],
)
def test_a_wrong_table_is_one_sentence(source: Path, refused: Callable[..., str], table: str, expected: str) -> None:
    (source / "label_colors.txt").write_text(table, errors="surrogateescape")
    text = refused("color-table", source)
    assert expected in text
    assert str(source / "label_colors.txt") in text
    assert expected in refused("auto", source), "it was said to be in no format that is recognised"


def test_other_wrong_files_are_one_sentence(source: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    mask = source / "labels" / "0001TP_1_L.png"
    Image.new("RGBA", SIZE, (128, 128, 128, 99)).save(mask)
    assert "transparent" in refused("color-table", source)
    Image.new("I;16", SIZE).save(mask)
    assert "without colours" in refused("color-table", source)
    Image.new("RGB", (9, 9), SKY).save(mask)
    assert "9 x 9 px" in refused("color-table", source)
    mask.write_bytes(b"no picture")
    assert str(mask) in refused("color-table", source)
    (source / "label_colors.txt").unlink()
    assert "--table" in refused("color-table", source)
    (tmp_path / "none").mkdir()
    (tmp_path / "label_colors.txt").write_text(CAMVID)
    assert "holds no masks" in refused("color-table", tmp_path / "none", photos=source / "images")


def test_cityscapes_keeps_its_splits(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], listed: Callable[..., Any]
) -> None:
    """Frames of one drive came into train and val, as the source's own splits, made by city, were not looked at."""
    root = tmp_path / "cityscapes"
    places = ["train/aachen/aachen_1", "train/bochum/bochum_1", "val/lindau/lindau_1", "test/bonn/bonn_1"]
    for number, place in enumerate(places):
        draw_photo(root / "leftImg8bit" / f"{place}_leftImg8bit.png", number)
        if number < 3:
            colored(root / "gtFine" / f"{place}_gtFine_color.png")
    (root / "label_colors.txt").write_text(CAMVID)
    for options in ({}, {"photos": root / "leftImg8bit"}):
        imported = import_data("color-table", root, tmp_path / f"out{len(options)}", **options)
        names = {"train": ["aachen_1_leftImg8bit", "bochum_1_leftImg8bit"], "val": ["lindau_1_leftImg8bit"]}
        assert listed(imported) == names
        assert any("splits of the source are kept: 2 photos in train, 1 photo in val." in n for n in imported.notes)
        assert any("left out: 1, first in" in note and "bonn" in note for note in imported.notes)
        assert all(np.array_equal(mask_HW, truth()) for mask_HW in sound(imported).values())


@pytest.mark.parametrize(
    ("photos", "masks"),
    [
        ("{}", "{}_labels"),
        ("{}", "{}annot"),
        ("{}_images", "{}_masks"),
        ("{}", "{}"),
        ("{}/images", "{}/masks"),
        ("images/{}", "masks/{}"),
        ("images/{}", "masks"),
    ],
)
def test_the_usual_folders_of_splits(
    tmp_path: Path,
    draw_photo: Callable[..., Path],
    sound: Callable[..., Any],
    listed: Callable[..., Any],
    photos: str,
    masks: str,
) -> None:
    """CamVid's `train` + `trainannot`, and `train` + `train_labels`, were imported one by one, and split anew."""
    root, mine = tmp_path / "set", {"train": ["a", "b"], "valid": ["c"], "test": ["d"]}
    for folder, names in mine.items():
        for name in names:
            draw_photo(root / photos.format(folder) / f"{name}.png", ord(name))
            colored(root / masks.format(folder) / f"{name}_L.png")
    (root / "label_colors.txt").write_text(CAMVID)
    imported = import_data("color-table", root, tmp_path / "out")
    assert listed(imported) == {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    assert all(np.array_equal(mask_HW, truth()) for mask_HW in sound(imported).values())


def test_what_lies_outside_the_splits_is_told(
    tmp_path: Path, draw_photo: Callable[..., Path], listed: Callable[..., Any]
) -> None:
    root = tmp_path / "set"
    for number, split in enumerate(["train", "val"]):
        draw_photo(root / split / f"p{number}.png", number)
        colored(root / f"{split}_labels" / f"p{number}_L.png")
    draw_photo(root / "test" / "p3.png", 3)
    draw_photo(root / "more" / "p4.png", 4)
    (root / "label_colors.txt").write_text(CAMVID)
    imported = import_data("color-table", root, tmp_path / "out")
    assert listed(imported) == {"train": ["p0"], "val": ["p1"]}
    assert any("Photos without a mask left out: 2" in note for note in imported.notes)


def test_masks_of_ids_need_a_table_of_ids(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], refused: Callable[..., str]
) -> None:
    """Cityscapes' labelIds without the coloured masks were no masks at all."""
    root = tmp_path / "set"
    for number in range(2):
        draw_photo(root / "leftImg8bit" / f"p{number}_leftImg8bit.png", number)
        mask = root / "gtFine" / f"p{number}_gtFine_labelIds.png"
        mask.parent.mkdir(exist_ok=True)
        Image.new("L", SIZE, 7).save(mask)
    (root / "label_colors.txt").write_text(CAMVID)
    assert "'7 7 7 road'" in refused("color-table", root)
    (root / "label_colors.txt").write_text("7 7 7 road\n")
    masks = sound(import_data("color-table", root, tmp_path / "out"))
    assert len(masks) == 2
    assert all((mask_HW == 1).all() for mask_HW in masks.values())


def test_camvid_with_one_subset_that_is_no_split(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    """CVAT calls the subset of a task default, and its masks were in no folder that was known."""
    for number in range(2):
        draw_photo(tmp_path / "set" / "default" / f"p{number}.png", number)
        mask = tmp_path / "set" / "defaultannot" / f"p{number}.png"
        mask.parent.mkdir(exist_ok=True)
        Image.new("RGB", SIZE, (0, 128, 0)).save(mask)
    (tmp_path / "set" / "label_colors.txt").write_text("0 0 0 background\n0 128 0 leaf\n")
    imported = import_data("auto", tmp_path / "set", tmp_path / "out")
    assert (imported.format, imported.images) == ("color-table", 2)
    assert all((mask_HW == 1).all() for mask_HW in sound(imported).values())


def test_names_in_a_table_may_hold_its_separators(tmp_path: Path) -> None:
    for line, name in {'"leaf, dry",1,2,3': "leaf, dry", "plant: leaf:1,2,3::": "plant: leaf"}.items():
        assert entry_of(line, tmp_path) == (name, (1, 2, 3))
