"""Photos from anywhere: a table of good and bad inputs, and what is said about a mask."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from core.data.bit_depth import num_alike
from core.data.images import PHOTO_FORMATS
from core.errors import PhotoError
from core.model.photo import abstain, class_areas, open_photo
from core.voc import VOID

ORIENTATION = 0x0112


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def two_colors(mode: str = "RGB") -> Image.Image:
    """Return 40 x 24 px, red on the left, blue on the right."""
    image = Image.new("RGB", (40, 24), (220, 30, 30))
    image.paste((30, 30, 220), (20, 0, 40, 24))
    return image.convert(mode)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_every_common_format_opens_as_rgb(kind: str) -> None:
    photo = open_photo(encoded(two_colors(), kind), f"photo.{kind}")
    assert (photo.mode, photo.size) == ("RGB", (40, 24))
    left, right = photo.getpixel((5, 12)), photo.getpixel((35, 12))
    assert left[0] > 180 > left[2]  # type: ignore[index,operator]
    assert right[2] > 180 > right[0]  # type: ignore[index,operator]


@pytest.mark.parametrize(("mode", "kind"), [("L", "PNG"), ("P", "PNG"), ("CMYK", "JPEG"), ("1", "PNG"), ("LA", "PNG")])
def test_every_colour_mode_opens_as_rgb(mode: str, kind: str) -> None:
    photo = open_photo(encoded(two_colors().convert("L").convert(mode), kind), "photo")
    assert (photo.mode, photo.size) == ("RGB", (40, 24))


def test_a_phone_photo_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    photo = open_photo(encoded(two_colors(), "JPEG", exif=exif), "phone.jpg")
    assert photo.size == (24, 40)
    assert photo.getpixel((12, 5))[0] > 180  # type: ignore[index,operator]


def test_a_phone_s_double_jpeg_gives_its_first_picture() -> None:
    data = encoded(two_colors(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert open_photo(data, "phone.jpg").size == (40, 24)


def test_transparency_is_laid_on_white() -> None:
    photo = open_photo(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"), "cutout.png")
    assert photo.getpixel((4, 4)) == (255, 255, 255)


def test_sixteen_bit_greys_keep_their_tones() -> None:
    """Pillow clips 16-bit greys at 255 when it converts them to RGB: such a photo used to come out white."""
    ramp_HW = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    photo = open_photo(encoded(Image.fromarray(ramp_HW), "PNG"), "scan.png")
    values = np.asarray(photo)[0, :, 0]
    assert values[0] == 0
    assert values[-1] == 255
    assert abs(int(values[128]) - 128) <= 1


def test_an_animation_gives_its_first_picture() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_photo(data, "moving.gif").getpixel((4, 4))[0] > 200  # type: ignore[index,operator]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow says so of the picture that is cut off
@pytest.mark.parametrize("form", ["GIF", "TIFF"])
def test_a_damaged_second_picture_does_not_keep_the_first_from_being_read(form: str) -> None:
    """Whoever counted the pictures of a mask's or a photo's file got a TypeError or an IndexError."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40), dtype=np.uint8))
    data = encoded(noise, form, save_all=True, append_images=[noise.transpose(Image.Transpose.FLIP_TOP_BOTTOM)])
    cut = data[: len(data) // 2 + 30]
    with Image.open(io.BytesIO(data)) as whole, Image.open(io.BytesIO(cut)) as first:
        assert (num_alike(whole), num_alike(first)) == (2, 1)
    assert open_photo(cut, "cut").tobytes() == open_photo(data, "whole").tobytes()


def test_a_single_pixel_is_a_photo() -> None:
    assert open_photo(encoded(Image.new("RGB", (1, 1)), "PNG"), "dot.png").size == (1, 1)


@pytest.mark.parametrize("data", [b"hello, I am a text file\n", bytes(999)])
def test_what_is_no_photo_is_called_that(data: bytes) -> None:
    with pytest.raises(PhotoError, match=r"^notes\.txt is not a photo that can be read; save it as JPEG"):
        open_photo(data, "notes.txt")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty; copy"),
        (b"%PDF-1.7", "is a PDF document, not a photo; save its picture"),
        (b"PK\x03\x04" + bytes(99), "is a ZIP archive or an office document, not a photo; take the photos out"),
        (b"<?xml version='1.0'?><svg/>", "is a drawing (SVG), not a photo; save it as PNG."),
        (b"\xff\xd8\xff\xe0", "is damaged or was cut short; copy"),
    ],
)
def test_what_a_file_is_instead_is_named(data: bytes, what: str) -> None:
    with pytest.raises(PhotoError) as caught:
        open_photo(data, "photo.jpg")
    assert str(caught.value).startswith(f"photo.jpg {what}")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_cut_short_is_called_that(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(PhotoError, match=r"damaged or was cut short|not a photo"):
        open_photo(data[: len(data) // 2], "half")


def test_a_photo_that_is_too_large_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("pixels were read")

    data = encoded(Image.new("1", (8000, 6300)), "PNG")
    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(PhotoError, match=r"^wall\.png is 8000 x 6300 px and has more than 50 megapixels"):
        open_photo(data, "wall.png")


def test_a_decompression_bomb_is_refused() -> None:
    data = encoded(Image.new("1", (20000, 20000)), "PNG")
    assert len(data) < 100_000
    with pytest.raises(PhotoError, match="more than 50 megapixels"):
        open_photo(data, "bomb.png")


def test_measurements_are_no_photo() -> None:
    data = encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    with pytest.raises(PhotoError, match="holds measurements"):
        open_photo(data, "heights.tif")


def test_formats_that_start_other_programs_are_not_tried() -> None:
    assert not set(PHOTO_FORMATS) & {"EPS", "WMF", "PSD", "FITS"}


def test_areas_are_shares_and_means_largest_first() -> None:
    mask_HW = np.array([[0, 0, 0, 2], [0, 0, 2, 1]], dtype=np.uint8)
    confidence_HW = np.array([[1, 1, 1, 0.5], [1, 0.5, 0.7, 0.4]], dtype=np.float32)
    areas = class_areas(mask_HW, confidence_HW, ["background", "cat", "dog"])
    assert [(area.id, area.name) for area in areas] == [(0, "background"), (2, "dog"), (1, "cat")]
    assert [area.share for area in areas] == pytest.approx([5 / 8, 2 / 8, 1 / 8])
    assert [area.mean_confidence for area in areas] == pytest.approx([0.9, 0.6, 0.4])
    assert [area.pixels for area in areas] == [5, 2, 1]


def test_where_the_model_is_unsure_the_mask_is_void() -> None:
    mask_HW = np.array([[0, 1, 2, 2]], dtype=np.uint8)
    confidence_HW = np.array([[0.9, 0.5, 0.49, np.nan]], dtype=np.float32)
    unsure_HW = abstain(mask_HW, confidence_HW, 0.5)
    assert unsure_HW.dtype == np.uint8
    assert unsure_HW.tolist() == [[0, 1, VOID, VOID]]
    areas = class_areas(unsure_HW[:, :3], confidence_HW[:, :3], ["background", "cat", "dog"])
    assert {(area.id, area.name, area.pixels) for area in areas} == {
        (0, "background", 1), (1, "cat", 1), (VOID, "void", 1),
    }  # fmt: skip


def test_areas_are_counted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    mask_HW = rng.integers(0, 3, (50, 40)).astype(np.uint8)
    confidence_HW = rng.random((50, 40)).astype(np.float32)
    whole = class_areas(mask_HW, confidence_HW, "abc")
    monkeypatch.setattr("core.model.photo.COUNTED_PIXELS", 90)
    pieces = class_areas(mask_HW, confidence_HW, "abc")
    assert [(area.id, area.pixels) for area in pieces] == [(area.id, area.pixels) for area in whole]
    assert [area.mean_confidence for area in pieces] == pytest.approx([area.mean_confidence for area in whole])
