"""Which photo and which mask belong together, and which do not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.importers import import_data

MASK_HW = np.zeros((8, 12), dtype=np.uint8)
MASK_HW[1:3, 2:9] = 1
"""14 pixels of a class, 82 of the background."""


def save(file: Path, mask_HW: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask_HW).save(file)


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("{}/images/{}.jpg", "{}/masks/{}.png"),
        ("{}/{}.jpg", "{}/{}_mask.png"),
        ("images/{}/{}.jpg", "masks/{}/{}.PNG"),
        ("{}_images/{}.jpg", "{}_masks/{}.png"),
    ],
)
@pytest.mark.parametrize("places", [("plotA", "plotB"), ("train", "val"), ("valley", "trainstation")])
def test_a_mask_of_another_folder_or_split_is_not_a_photos_own(
    tmp_path: Path, draw_photo: Callable[..., Path], places: tuple[str, str], photo: str, mask: str
) -> None:
    """The second photo of plotA got the mask of the second photo of plotB; sites beside each other were refused."""
    here, there = places
    for number, (place, name) in enumerate([(here, 1), (here, 2), (there, 1)]):
        draw_photo(tmp_path / "set" / photo.format(place, name), number)
    for place, name in [(here, 1), (there, 1), (there, 2)]:
        save(tmp_path / "set" / mask.format(place, name), MASK_HW)
    imported = import_data("auto", tmp_path / "set", tmp_path / "out")
    assert imported.pixels == (2 * 82, 2 * 14)
    assert any("Photos without a mask left out: 1" in note for note in imported.notes)
    assert any("Masks without a photo left out: 1" in note for note in imported.notes)
    assert any("The source has no splits" in note for note in imported.notes) is (here != "train")


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
@pytest.mark.parametrize("folders", ["{}", "train/{}", "plotA/{}"])
def test_a_lossless_picture_of_few_values_beside_a_jpeg_is_its_mask(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str], folders: str, suffix: str
) -> None:
    """Such folders were refused, with the advice to name two folders that are one."""
    root = tmp_path / "set"
    for number, name in enumerate("ab"):
        draw_photo(root / folders.format(f"{name}.jpg"), number)
        save(root / folders.format(f"{name}{suffix}"), MASK_HW)
    imported = import_data("id-masks", root, tmp_path / "out")
    assert imported.pixels == (2 * 82, 2 * 14)
    assert any("taken for the mask of the JPEG of their name, as they hold few values: 2" in n for n in imported.notes)
    draw_photo(tmp_path / "b.png", 5)
    Image.open(tmp_path / "b.png").convert("L").save(root / folders.format(f"b{suffix}"))  # a copy in grey is no mask
    assert "nothing says which is the mask; call masks as a_mask.png" in refused("id-masks", root)


def test_pairs_of_two_folders_are_noted(tmp_path: Path, draw_photo: Callable[..., Path]) -> None:
    """A photo that nothing calls one, as a preview beside the folders, has no place of its own."""
    root = tmp_path / "set"
    draw_photo(root / "preview.jpg", 3)
    for number, name in enumerate("ab"):
        draw_photo(root / "images" / "first" / f"{name}.jpg", number)
        save(root / "masks" / f"{name}.png", MASK_HW)
    notes = import_data("id-masks", root, tmp_path / "out").notes
    assert any("Pairs of two folders, found by their names alone: 2" in note for note in notes)


@pytest.mark.parametrize(
    ("photo", "mask", "field"),
    [
        ("{0}/images/{1}_{0}.png", "{0}/1st_manual/{1}_manual1.gif", "{0}/mask/{1}_{0}_mask.gif"),
        ("images/{1}_dr.jpg", "manual1/{1}_dr.tif", "mask/{1}_dr_mask.tif"),
        ("{1}L.jpg", "{1}L_1stHO.png", "{1}L_mask.png"),
    ],
)
def test_a_mask_of_the_field_of_view_is_not_that_of_the_vessels(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str], photo: str, mask: str, field: str
) -> None:
    """Of DRIVE the discs were read, which are called mask, and of CHASE two classes called 1stHO and 2ndHO."""
    root = tmp_path / "set"
    for number, (split, name) in enumerate([("training", "21"), ("training", "22"), ("test", "01")]):
        draw_photo(root / photo.format(split, name), number)
        save(root / mask.format(split, name), 255 * MASK_HW)
        save(root / field.format(split, name), np.full_like(MASK_HW, 255))
    imported = import_data("auto", root, tmp_path / "out")
    assert imported.pixels == (3 * 82, 3 * 14)
    assert any("as of the field of view, because others are called drawn by hand: 3" in n for n in imported.notes)
    if "HO" in mask:
        save(root / "21L_2ndHO.png", 255 * MASK_HW)
        assert "choose with --masks _1stHO or _2ndHO" in refused("auto", root)


def test_masks_with_an_ending_are_of_no_class_whatever_their_folder_is_called(
    tmp_path: Path, draw_photo: Callable[..., Path]
) -> None:
    """ISIC's masks were not recognised, and no cause was named."""
    for number, name in enumerate(["ISIC_1", "ISIC_2"]):
        draw_photo(tmp_path / "set" / "ISIC-2017_Training_Data" / f"{name}.jpg", number)
        save(tmp_path / "set" / "ISIC-2017_Training_Part1_GroundTruth" / f"{name}_segmentation.png", 255 * MASK_HW)
    assert import_data("auto", tmp_path / "set", tmp_path / "out").pixels == (2 * 82, 2 * 14)
