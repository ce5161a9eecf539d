"""Masks of ids: every layout, every kind of file, names from tables, and what nobody can know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.data.dataset import open_dataset
from core.data.importers import Imported, import_data
from core.errors import DataError
from core.voc import VOID

SIZE = (12, 8)


def truth(leaf: int = 1, stem: int = 2) -> NDArray[np.int64]:
    """6 pixels of leaf and 8 of stem."""
    mask_HW = np.zeros(SIZE[::-1], dtype=np.int64)
    mask_HW[1:3, 2:5], mask_HW[5:7, 6:10] = leaf, stem
    return mask_HW


def save(file: Path, mask_HW: NDArray[Any], **options: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".npy":
        np.save(file, mask_HW)
    else:
        picture = mask_HW if isinstance(mask_HW, Image.Image) else Image.fromarray(mask_HW)
        picture.save(file, **options)


def counted(imported: Imported) -> dict[str, int]:
    """Return the pixels of each class that has any."""
    return {name: n for name, n in zip(imported.classes.names, imported.pixels, strict=True) if n}


@pytest.fixture
def source(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    """Two photos in `images`, and no masks yet."""
    for number, name in enumerate(["a", "b"]):
        draw_photo(tmp_path / "set" / "images" / f"{name}.jpg", number)
    return tmp_path / "set"


LAYOUTS = [
    ("images/{split}/{name}.jpg", "masks/{split}/{name}.png"),
    ("{split}/images/{name}.jpg", "{split}/masks/{name}.png"),
    ("img_dir/{split}/{name}.jpg", "ann_dir/{split}/{name}.png"),
    ("{split}_images/{name}.jpg", "{split}_labels/{name}.png"),
    ("{split}/{name}.jpg", "{split}annot/{name}.png"),
    ("{split}/{name}.jpg", "{split}/{name}_mask.png"),
    ("{split}/{name}_sat.jpg", "{split}/{name}_mask.png"),
    ("Images/{split}/{name}.jpg", "Masks/{split}/{name}_gt.png"),
    ("leftImg8bit/{split}/aachen/{name}_leftImg8bit.png", "gtFine/{split}/aachen/{name}_gtFine_annotation.png"),
    ("{split}/Rural/images_png/{name}.png", "{split}/Rural/masks_png/{name}.png"),
    ("{split}/{name}/image.jpg", "{split}/{name}/label.png"),
    ("original_images/{split}/{name}.jpg", "label_images_semantic/{split}/{name}.png"),
    ("{split}/siteA_images/{name}.jpg", "{split}/siteA_masks/{name}.png"),
    ("{split}Images/{name}.jpg", "{split}Masks/{name}.png"),
]


@pytest.mark.parametrize(("photo", "mask"), LAYOUTS)
def test_pairs_are_found_in_every_layout_with_their_splits(
    tmp_path: Path, draw_photo: Callable[..., Path], listed: Callable[..., Any], photo: str, mask: str
) -> None:
    for number, (split, name) in enumerate([("train", "a"), ("train", "b"), ("val", "c")]):
        draw_photo(tmp_path / "set" / photo.format(split=split, name=name), number)
        save(tmp_path / "set" / mask.format(split=split, name=name), truth().astype(np.uint8))
    imported = import_data("auto", tmp_path / "set", tmp_path / "out")
    assert imported.format == "id-masks"
    assert imported.pixels == (3 * 82, 3 * 6, 3 * 8)
    assert imported.splits == {"train": 2, "val": 1}
    assert len(listed(imported)["val"]) == 1


@pytest.mark.parametrize(
    ("name", "mask_HW"),
    [
        ("{}.png", truth().astype(np.uint8)),
        ("{}_mask.bmp", truth().astype(np.uint8)),
        ("{}.tif", truth().astype(np.uint16)),
        ("{}.tif", truth(stem=-1).astype(np.int32)),
        ("{}.tif", truth(stem=2).astype(np.float32)),
        ("{}_label.npy", truth().astype(np.int16)),
        ("{}.npy", truth()[None]),
        ("{}.gif", truth().astype(np.uint8)),
        ("{}.png", np.repeat(truth().astype(np.uint8)[:, :, None], 3, axis=2)),
    ],
)
def test_every_kind_of_file_is_read(
    source: Path, tmp_path: Path, sound: Callable[..., Any], name: str, mask_HW: NDArray[Any]
) -> None:
    for photo in "ab":
        save(source / "masks" / name.format(photo), mask_HW)
    imported = import_data("id-masks", source, tmp_path / "out")
    expected = np.squeeze(mask_HW if mask_HW.shape[-1] != 3 else mask_HW[:, :, 0])
    assert all(np.array_equal(found, np.where(expected < 0, 255, expected)) for found in sound(imported).values())


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("masks/_classes.csv", "Pixel Value, Class\n0, background\n1, leaf\n2, stem\n", ("background", "leaf", "stem")),
        ("class_names.txt", "__ignore__\n_background_\nleaf\nstem\n", ("background", "leaf", "stem")),
        ("labels.txt", "background\nleaf\nstem\n", ("background", "leaf", "stem")),
        ("codes.txt", "leaf\nstem\n", ("background", "leaf", "stem")),
        ("classes.txt", "background\nleaf #00ff00\nstem #ff0000\nnever seen #0000ff\n",
         ("background", "leaf", "stem", "never seen")),
    ],
)  # fmt: skip
def test_names_come_from_the_table_beside_the_masks(
    source: Path, tmp_path: Path, sound: Callable[..., Any], file: str, text: str, names: tuple[str, ...]
) -> None:
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", truth().astype(np.uint8))
    (source / file).write_text(text)
    imported = import_data("auto", source, tmp_path / "out")
    assert imported.classes.names == names
    assert all(np.array_equal(mask_HW, truth()) for mask_HW in sound(imported).values())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Pixel Value, Class\n0, background\n1, 2-wheeler\n2, car\n", ("background", "2-wheeler", "car")),
        ("Pixel Value, Class\n0, background\n1, 1\n2, 2\n", ("background", "1", "2")),
        ('0;background\n1;"leaf; dry, brown"\n2;stem;\n', ("background", "leaf; dry, brown", "stem")),
    ],
)
def test_names_behind_a_comma_may_be_any(source: Path, tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    """A name that begins with a digit made a plain list of the table, its heading included, and moved all names."""
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", truth().astype(np.uint8))
    (source / "masks" / "_classes.csv").write_text(text)
    assert import_data("auto", source, tmp_path / "out").classes.names == names


@pytest.mark.parametrize("text", ["Value, Class\n0, background\nleaf\n", "0, background\n1, leaf, dry\n2, stem\n"])
def test_a_line_of_a_table_of_values_that_is_none_is_an_error(
    source: Path, refused: Callable[..., str], text: str
) -> None:
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", truth().astype(np.uint8))
    (source / "masks" / "_classes.csv").write_text(text)
    assert "which is not a value with a name; write it as '1, leaf'" in refused("id-masks", source)


def test_0_is_not_taken_for_a_class_where_it_may_be_the_background(
    source: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Names without a background, and masks without the last class: the background was taught as leaf."""
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", truth().astype(np.uint8))
    (source / "classes.txt").write_text("leaf\nstem\nflower\n")
    assert "with --classes 0=background, or --classes 0=leaf" in refused("id-masks", source)
    expected = {
        "background": {"background": 164, "leaf": 12, "stem": 16},
        "leaf": {"leaf": 164, "stem": 12, "flower": 16},
    }
    for said, pixels in expected.items():
        assert counted(import_data("id-masks", source, tmp_path / said, classes=(("0", said),))) == pixels
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", np.roll(truth(0, 2) + 1, 1, axis=0).astype(np.uint8) % 3)
    imported = import_data("id-masks", source, tmp_path / "out")
    assert any("The value 0 is taken for 'leaf'; if it is the background" in note for note in imported.notes)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_a_palette_that_begins_with_white_is_read_by_its_colours(
    source: Path, tmp_path: Path, sound: Callable[..., Any], suffix: str
) -> None:
    """The white object is index 0 there, and was the background."""
    inverted = Image.fromarray((truth() == 0).astype(np.uint8))
    inverted.putpalette([255] * 3 + [0] * 3)
    for photo, mask in {"a": inverted, "b": Image.fromarray(truth() > 0)}.items():
        save(source / "masks" / f"{photo}{suffix}", mask)
    imported = import_data("auto", source, tmp_path / "out")
    assert all(np.array_equal(mask_HW, truth() > 0) for mask_HW in sound(imported).values())
    assert any("palette begins with white" in note and ": 1, first in" in note for note in imported.notes)


def in_palette(mask_HW: NDArray[Any], *colors: tuple[int, int, int]) -> Image.Image:
    picture = Image.fromarray(mask_HW.astype(np.uint8))
    picture.putpalette([channel for color in colors for channel in color])
    return picture


def test_a_palette_of_greys_out_of_order_is_read_by_them(
    source: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    """A program that makes PNGs smaller sorts the palette by what is frequent."""
    save(source / "masks" / "a.png", in_palette((truth() + 1) % 3, (2, 2, 2), (0, 0, 0), (1, 1, 1)))
    save(source / "masks" / "b.png", truth().astype(np.uint8))
    imported = import_data("auto", source, tmp_path / "out")
    assert all(np.array_equal(mask_HW, truth()) for mask_HW in sound(imported).values())
    assert any("holds greys out of order, which are taken for the values: 1" in note for note in imported.notes)


def test_void_stays_void_where_a_palette_is_filled_up_with_black(
    source: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    """Black, white and 254 times black counted as greys out of order, and void became background."""
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", in_palette(truth(1, VOID), (0,) * 3, (255,) * 3, *[(0,) * 3] * 254))
    imported = import_data("id-masks", source, tmp_path / "out", classes=(("0", "background"), ("1", "leaf")))
    assert all(np.array_equal(mask_HW, truth(1, VOID)) for mask_HW in sound(imported).values())


def test_palettes_that_number_colours_anew_are_refused_unless_a_person_says_what_numbers_are(
    source: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """A palette chosen for each picture gave leaf and stem the same number."""
    save(source / "masks" / "a.png", in_palette(truth(), (0, 0, 0), (200, 40, 40), (40, 200, 40)))
    save(source / "masks" / "b.png", in_palette(truth(2, 1), (0, 0, 0), (40, 200, 40), (200, 40, 40)))
    assert "show 1 as #c82828 and #28c828, so classes may be colours, not numbers" in refused("id-masks", source)
    imported = import_data("id-masks", source, tmp_path / "out", classes=(("1", "one"), ("2", "two")))
    assert counted(imported) == {"background": 164, "one": 14, "two": 14}


def test_an_object_at_all_borders_may_be_the_background(source: Path, tmp_path: Path) -> None:
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", (truth() == 0).astype(np.uint8) * 255)
    notes = import_data("auto", source, tmp_path / "out").notes
    assert any("'class 1' lies at the borders of most masks: if it is the background" in note for note in notes)


def test_tables_that_differ_and_values_without_a_name_are_errors(source: Path, refused: Callable[..., str]) -> None:
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", truth(stem=5).astype(np.uint8))
    (source / "labels.txt").write_text("background\nleaf\nstem\n")
    assert "hold the value 5, which the names do not have" in refused("id-masks", source)
    (source / "masks" / "codes.txt").write_text("background\nstem\nleaf\n")
    assert "name the classes differently; choose one with --table" in refused("id-masks", source)


def test_classes_that_nothing_names_are_unnamed(source: Path, tmp_path: Path, sound: Callable[..., Any]) -> None:
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", truth().astype(np.uint8))
    imported = import_data("auto", source, tmp_path / "out")
    sound(imported)
    opened = open_dataset(imported.root)
    assert (opened.class_names, opened.has_named_classes) == (("background", "class 1", "class 2"), False)
    assert any("Nothing names the classes" in note for note in imported.notes)


def test_levels_of_grey_need_a_table(source: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", truth(leaf=85, stem=170).astype(np.uint8))
    assert "hold the values 0, 85, 170, and nothing says what they are" in refused("id-masks", source)
    table = tmp_path / "levels.txt"
    table.write_text("0 0 0 background\n85 85 85 leaf\n170 170 170 stem\n")
    assert import_data("id-masks", source, tmp_path / "out", table=table).pixels == (164, 12, 16)


def smoothed() -> Image.Image:
    """A white ellipse in 48 x 32 pixels, with grey edges as a resize leaves them."""
    large = Image.new("L", (480, 320))
    ImageDraw.Draw(large).ellipse((115, 77, 333, 251), fill=255)
    return large.resize((48, 32), Image.Resampling.BILINEAR)


@pytest.mark.parametrize("name", ["{}.png", "{}_mask.gif", "{}.jpg"])
def test_binary_masks_that_are_smoothed_or_jpeg_are_cut_in_the_middle(
    source: Path, tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any], name: str
) -> None:
    for number, photo in enumerate("ab"):
        draw_photo(source / "images" / f"{photo}.jpg", number, (48, 32))
        save(source / "masks" / name.format(photo), smoothed(), **({"quality": 95} if name.endswith("jpg") else {}))
    imported = import_data("auto", source, tmp_path / "out")
    expected_HW = np.asarray(smoothed()) >= 128
    wrong = [np.count_nonzero(mask_HW != expected_HW) for mask_HW in sound(imported).values()]
    assert max(wrong) <= (8 if name.endswith("jpg") else 0), "of 1,536 pixels, at the edge"
    assert any("grey pixels cut at 128 of 255" in note for note in imported.notes)


@pytest.mark.parametrize("white", [255, 65_535])
def test_of_black_and_white_alone_the_object_is_white(
    source: Path, tmp_path: Path, sound: Callable[..., Any], white: int
) -> None:
    """White of 16 bits ended in a traceback."""
    for photo in "ab":
        save(source / "masks" / f"{photo}.png", truth(white, white).astype(np.min_scalar_type(white)))
    imported = import_data("auto", source, tmp_path / "out")
    assert all(mask_HW.sum() == 14 for mask_HW in sound(imported).values())
    assert any(f"{white} is taken for the object" in note for note in imported.notes)


STACK = [Image.fromarray((truth() == value).astype(np.uint8)) for value in (1, 2)]


@pytest.mark.parametrize(
    ("photo", "mask", "mask_HW", "expected"),
    [
        ("{}", "masks/{}.png", truth(0, 0), "hold no class: every pixel is 0, the background, or void"),
        ("{}", "masks/{}.tif", STACK, "masks/a.tif holds 2 pictures, and only the first would be read"),
        ("{}", "masks/{}.gif", STACK, "masks/a.gif holds 2 pictures, and only the first would be read"),
        ("{}", "annotations/trimaps/{}.png", truth() + 1, "is called as the masks of the Oxford pets"),
        ("ADE_val_0000000{}", "masks/ADE_val_0000000{}.png", truth(), "give --names ade20k for its own"),
    ],
)
def test_masks_that_would_be_misread_are_refused(
    source: Path,
    draw_photo: Callable[..., Path],
    refused: Callable[..., str],
    photo: str,
    mask: str,
    mask_HW: Any,
    expected: str,
) -> None:
    """Of a stack the first picture alone was read, masks without an object ended in a traceback, and `wall` was 0."""
    for number, name in enumerate("12" if photo != "{}" else "ab"):
        draw_photo(source / "images" / f"{photo.format(name)}.jpg", number)
        if mask_HW is STACK:
            save(source / mask.format(name), STACK[0], save_all=True, append_images=STACK[1:])
        else:
            save(source / mask.format(name), mask_HW.astype(np.uint8))
    assert expected in refused("id-masks", source)


def test_ids_in_a_jpeg_are_refused(source: Path, refused: Callable[..., str]) -> None:
    for photo in "ab":
        save(source / "masks" / f"{photo}.jpg", truth(100, 200).astype(np.uint8))
    assert "which cannot hold ids of classes" in refused("id-masks", source)


def test_several_kinds_of_masks_are_chosen_from_by_their_ending_or_by_the_names(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    root = tmp_path / "city"
    for number, name in enumerate("ab"):
        draw_photo(root / "leftImg8bit" / "train" / "x" / f"{name}_leftImg8bit.png", number)
        for ending, (road, sky) in {"labelIds": (7, 23), "labelTrainIds": (0, 10), "instanceIds": (7, 23)}.items():
            save(root / "gtFine" / "train" / "x" / f"{name}_gtFine_{ending}.png", truth(road, sky).astype(np.uint8))
    assert "choose with --masks _gtFine_labelIds or _gtFine_labelTrainIds" in refused("id-masks", root)
    assert "give --names cityscapes-train for" in refused("id-masks", root, masks="_gtFine_labelTrainIds")
    chosen = import_data("id-masks", root, tmp_path / "one", names="cityscapes")
    assert counted(chosen) == {
        "road": 12,
        "sky": 16,
    }
    by_ending = import_data("id-masks", root, tmp_path / "two", masks="_labelIds", names="cityscapes")
    assert by_ending.pixels == chosen.pixels
    train = import_data("id-masks", root, tmp_path / "three", names="cityscapes-train")
    pixels = dict(zip(train.classes.names, train.pixels, strict=True))
    assert (pixels["road"], pixels["sky"], pixels["background"]) == (164 + 12, 16, 0)


@pytest.mark.parametrize(
    ("names", "values", "expected"),
    [
        ("ade20k", (1, 150), {"wall": 12, "flag": 16}),
        ("pet", (1, 2), {"pet": 12, "background": 16}),
        ("loveda", (1, 2), {"background": 12, "building": 16}),
        ("camvid", (8, 11), {"sky": 164, "car": 12}),
    ],
)
def test_known_names(
    source: Path, tmp_path: Path, names: str, values: tuple[int, int], expected: dict[str, int]
) -> None:
    for photo in "ab":
        mask_HW = truth(*values)
        if names == "pet":  # whose border, 3, is void
            mask_HW[mask_HW == 0] = 3
        save(source / "masks" / f"{photo}.png", mask_HW.astype(np.uint8))
    imported = import_data("id-masks", source, tmp_path / "out", names=names)
    assert counted(imported) == expected


@pytest.mark.parametrize(
    ("lists", "text"),
    [
        ("", "images/{0}.jpg masks/{0}.png\n"),
        ("ImageSets/Segmentation", "{0}\n"),
        ("ImageSets", "/elsewhere/train/{0}.jpg /elsewhere/trainannot/{0}.png\n"),
    ],
)
def test_lists_of_the_source_are_its_splits(
    source: Path, tmp_path: Path, draw_photo: Callable[..., Path], listed: Callable[..., Any], lists: str, text: str
) -> None:
    draw_photo(source / "images" / "c.jpg", 3)
    (source / lists).mkdir(parents=True, exist_ok=True)
    for photo, split in {"a": "val", "b": "train", "c": "test"}.items():
        save(source / "masks" / f"{photo}.png", truth().astype(np.uint8))
        (source / lists / f"{split}.txt").write_text(text.format(photo))
    assert listed(import_data("auto", source, tmp_path / "out")) == {"train": ["b"], "val": ["a"], "test": ["c"]}


def test_masks_without_photos_and_folders_that_say_nothing_are_errors(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    """Masks of single objects were taken for the photos."""
    for folder in ("SegmentationClass", "SegmentationObject"):
        save(tmp_path / "set" / folder / "a.png", truth().astype(np.uint8))
    assert "There are no photos in" in refused("id-masks", tmp_path / "set")
    draw_photo(tmp_path / "other" / "one" / "a.jpg", 1)
    save(tmp_path / "other" / "two" / "a.png", truth().astype(np.uint8))
    (tmp_path / "heic" / "masks").mkdir(parents=True)
    (tmp_path / "heic" / "a.HEIC").write_bytes(b"")
    save(tmp_path / "heic" / "masks" / "a.png", truth().astype(np.uint8))
    assert "are as a.HEIC; save them as JPEG or PNG" in refused("auto", tmp_path / "heic")
    assert "that of the masks with --masks" in refused("auto", tmp_path / "other")
    imported = import_data("id-masks", tmp_path / "other", tmp_path / "out", masks="two")
    assert imported.pixels == (82, 6, 8)


def test_a_damaged_array_is_one_sentence(source: Path, tmp_path: Path) -> None:
    save(source / "masks" / "a.npy", truth())
    for wrong in (b"", b"\x93NUMPY", (source / "masks" / "a.npy").read_bytes()[:-9]):
        (source / "masks" / "b.npy").write_bytes(wrong)
        with pytest.raises(DataError, match="cannot be read"):
            import_data("id-masks", source, tmp_path / "out")


@pytest.mark.parametrize(
    ("shape", "expected"), [((10**7, 10**7), "cannot be read"), ((0, 5), "not one number per pixel")]
)
def test_an_array_of_a_stated_shape_that_no_mask_has_is_one_sentence(
    source: Path, refused: Callable[..., str], shape: tuple[int, int], expected: str
) -> None:
    """NumPy reserved as much memory as the header states, and an array without pixels has no lowest value."""
    for name in "ab":
        save(source / "masks" / f"{name}.npy", truth())
        with (source / "masks" / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": shape})
    assert expected in refused("id-masks", source)
    assert expected in refused("auto", source)


def test_twelve_classes_and_much_void_are_not_a_smoothed_mask(source: Path, tmp_path: Path) -> None:
    """Few pixels of many classes beside 0 and 255 were taken for grey edges, and void for the object."""
    mask_HW = np.full((40, 40), 255, dtype=np.uint8)
    mask_HW[:20] = 0
    mask_HW[0, :13] = range(1, 14)
    for photo in "ab":
        Image.new("RGB", (40, 40)).save(source / "images" / f"{photo}.jpg")
        save(source / "masks" / f"{photo}.png", mask_HW)
    imported = import_data("id-masks", source, tmp_path / "out")
    assert imported.pixels == (2 * 787, *[2] * 13)


def test_a_png_with_a_wrong_checksum_is_refused(source: Path, refused: Callable[..., str]) -> None:
    """A flipped bit in a mask made other classes: Pillow does not look at the checksums of a PNG's pixels."""
    for name in "ab":
        save(source / "masks" / f"{name}.png", truth().astype(np.uint8))
    data = bytearray((source / "masks" / "b.png").read_bytes())
    data[data.index(b"IEND") - 5] ^= 1  # the last byte of the sum over the pixels, before the length of the last chunk
    (source / "masks" / "b.png").write_bytes(data)
    assert "b.png cannot be read" in refused("id-masks", source)
