"""Photos and masks from disk: what is read exactly, and what is refused by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.images import mask_image, png_bytes, read_mask, read_pair, read_photo, write_mask
from core.errors import DataError
from core.voc import PALETTE, VOID

Check = Callable[[object, Path], str]
ORIENTATION = 0x0112
IDS_HW = np.array([[0, 1, 2], [VOID, 20, 0]], dtype=np.uint8)


def test_a_mask_comes_back_as_written_with_voc_s_palette(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", IDS_HW)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", 21), IDS_HW)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), PALETTE[IDS_HW])


def test_ids_do_not_depend_on_the_palette(tmp_path: Path) -> None:
    mask = mask_image(IDS_HW)
    mask.putpalette(bytes(reversed(range(256))) * 3)
    mask.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", 21), IDS_HW)


def test_grey_levels_are_ids(tmp_path: Path) -> None:
    Image.fromarray(IDS_HW).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", 21), IDS_HW)


def test_a_one_bit_mask_holds_the_ids_0_and_1(tmp_path: Path) -> None:
    """Its white was read as 255: the whole object became void, and training silently saw background alone."""
    Image.fromarray(np.eye(4) > 0).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", 2), np.eye(4))


def test_a_stack_of_masks_is_told_and_a_mask_with_a_preview_is_read(tmp_path: Path, one_sentence: Check) -> None:
    """One picture for each class: the first was read, and the other classes were background."""
    masks = [Image.new("L", (4, 4), number) for number in (1, 0, 0)]
    masks[0].save(file := tmp_path / "m.tif", save_all=True, append_images=masks[1:])
    with pytest.raises(DataError) as caught:
        read_mask(file, 2)
    assert "holds 3 pictures" in one_sentence(caught.value, file)
    masks[0].save(file, save_all=True, append_images=[masks[1].resize((2, 2))])
    assert read_mask(file, 2).min() == 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "LA"])
def test_a_colour_picture_is_no_mask(tmp_path: Path, mode: str, one_sentence: Check) -> None:
    file = tmp_path / "m.png"
    Image.new(mode, (4, 4)).save(file)
    with pytest.raises(DataError) as caught:
        read_mask(file, 21)
    importer = "color-table" if mode.startswith("RGB") else "id-masks"
    assert f"or import the folder as {importer}" in one_sentence(caught.value, file)


def test_an_id_without_a_class_is_told(tmp_path: Path, one_sentence: Check) -> None:
    file = tmp_path / "m.png"
    Image.fromarray(np.array([[0, 2, 3, 254, VOID]], dtype=np.uint8)).save(file)
    with pytest.raises(DataError) as caught:
        read_mask(file, 3)
    assert "id 3, 254, but the classes go from 0 to 2" in one_sentence(caught.value, file)
    assert read_mask(file, 255).max() == VOID


def test_a_mask_of_another_size_than_its_photo_is_told(tmp_path: Path, one_sentence: Check) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "p.png")
    write_mask(tmp_path / "m.png", np.zeros((6, 4), dtype=np.uint8))
    with pytest.raises(DataError) as caught:
        read_pair(tmp_path / "p.png", tmp_path / "m.png", 21)
    assert "4 x 6 px, but its photo is 6 x 4 px" in one_sentence(caught.value, tmp_path / "m.png")


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.98])
def test_a_truncated_photo_is_named(tmp_path: Path, share: float, one_sentence: Check) -> None:
    """pytorch/vision#485: a damaged file was found after hours of training, and nobody said which it was."""
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Image.effect_noise((200, 200), 80).convert("RGB").save(whole)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError) as caught:
        read_photo(cut)
    one_sentence(caught.value, cut)


def test_a_truncated_mask_and_a_missing_file_are_named(tmp_path: Path, one_sentence: Check) -> None:
    mask = tmp_path / "m.png"
    mask.write_bytes(png_bytes(mask_image(np.random.default_rng(0).integers(0, 20, (90, 90)).astype(np.uint8)))[:-600])
    with pytest.raises(DataError) as cut:
        read_mask(mask, 21)
    one_sentence(cut.value, mask)
    with pytest.raises(DataError) as missing:
        read_photo(tmp_path / "none.jpg")
    assert "does not exist" in one_sentence(missing.value, tmp_path / "none.jpg")


def test_a_phone_photo_is_turned_upright(tmp_path: Path) -> None:
    photo = Image.new("RGB", (40, 20), "red")
    photo.paste("blue", (20, 0, 40, 20))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the camera was held so that the left side is up
    photo.save(tmp_path / "p.jpg", exif=exif)
    upright = read_photo(tmp_path / "p.jpg")
    assert upright.size == (20, 40)
    top, bottom = upright.getpixel((10, 5)), upright.getpixel((10, 35))
    assert top[0] > 200 > top[2]  # type: ignore[index,operator]
    assert bottom[2] > 200 > bottom[0]  # type: ignore[index,operator]


@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0", b"Exif\0\0MM\xd7*\0\0\0\x08"])
def test_a_photo_with_damaged_exif_is_named(tmp_path: Path, exif: bytes, one_sentence: Check) -> None:
    """EXIF is read only when the photo is turned upright: a damaged one ended a training with a traceback."""
    Image.new("RGB", (8, 8)).save(tmp_path / "phone.png", exif=exif)
    with pytest.raises(DataError, match=r"phone\.png cannot be turned upright") as caught:
        read_photo(tmp_path / "phone.png")
    one_sentence(caught.value, tmp_path / "phone.png")


def test_transparency_is_laid_on_white_and_deep_greys_are_scaled(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_photo(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    Image.fromarray(np.full((2, 2), 0x80FF, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert read_photo(tmp_path / "deep.png").getpixel((0, 0)) == (128, 128, 128)


def test_a_thumbnail_of_a_large_jpeg_is_not_decoded_whole(tmp_path: Path) -> None:
    """libjpeg decodes at 1/8, the EXIF orientation stays, and the colours are those of the whole photo reduced."""
    photo = Image.linear_gradient("L").resize((1601, 1203)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "p.jpg", exif=exif, quality=95)
    small = read_photo(tmp_path / "p.jpg", least_px=200)
    assert small.size == (151, 201)
    whole = read_photo(tmp_path / "p.jpg").resize(small.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(small, dtype=int) - np.asarray(whole, dtype=int)).max() <= 4
    assert read_photo(tmp_path / "p.jpg", least_px=1601).size == (1203, 1601)


def test_a_mask_is_never_written_by_half(tmp_path: Path) -> None:
    file = tmp_path / "m.png"
    write_mask(file, IDS_HW)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        write_mask(file, "no mask")  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_mask(file, 21), IDS_HW)
    assert list(tmp_path.glob("*")) + list(tmp_path.glob(".*")) == [file]
