"""Photos of more than 8 bits and of odd bands: all read the same, or refuse in the same words."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.bit_depth import stretched
from core.data.images import read_photo
from core.data.repair.repaired_copy import repair
from core.errors import DataError, PhotoError
from core.model.photo import has_deep_greys, open_noted, open_photo
from tests.faulty_data import Patient, examine
from tests.photo_files import GOOD, MEASURED, MISREAD, bands_tiff, encoded, values
from tests.small_data import write_voc


def refusal_of(data: bytes, name: str) -> str:
    with pytest.raises(PhotoError) as caught:
        open_photo(data, name)
    return str(caught.value)


@pytest.mark.parametrize("kind", [*MEASURED, *MISREAD])
def test_what_is_refused_is_refused_everywhere_in_the_same_words(kind: str, tmp_path: Path) -> None:
    """Training took a TIFF of measurements for black or white, and three 16-bit planes for stripes; Segment refused."""
    data = (MEASURED | MISREAD)[kind]
    root = write_voc(tmp_path / "VOC2012")
    file = root / "JPEGImages" / "photo_0.tif"
    file.with_suffix(".jpg").unlink()
    file.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_photo(file)
    sentence = str(caught.value).removeprefix(f"The photo {file} ")
    assert refusal_of(data, "p.tif") == f"p.tif {sentence}"
    errors = [(found.kind, found.detail) for found in examine(root).findings if found.severity == "error"]
    assert errors == [("deep photo" if kind in MEASURED else "unreadable photo", f"The photo {sentence}")]


@pytest.mark.parametrize(
    ("dtype", "bands", "extras", "notes"),
    [
        (np.uint8, 3, (), ()),
        (np.uint16, 3, (), ()),
        (np.uint8, 4, (0,), ("Of its bands 1 is no colour and not used.",)),
        (np.uint16, 4, (0,), ("Of its bands 1 is no colour and not used.",)),
        (np.uint8, 5, (0, 0), ("Of its bands 2 are no colour and not used.",)),
    ],
)
def test_red_green_and_blue_of_several_bands_are_read_and_the_others_told(
    dtype: type, bands: int, extras: tuple[int, ...], notes: tuple[str, ...], tmp_path: Path
) -> None:
    pixels_HWC = values(bands, dtype, 256 if dtype == np.uint8 else 2**16)
    data = bands_tiff(pixels_HWC, 2, extras=extras)
    (tmp_path / "photo.tif").write_bytes(data)
    noted = open_noted(data, "photo.tif")
    of_8_bits = pixels_HWC[..., :3] >> 8 * (pixels_HWC.itemsize - 1)
    for photo in (noted.photo, read_photo(tmp_path / "photo.tif")):
        np.testing.assert_array_equal(np.asarray(photo), of_8_bits)
    assert noted.notes == notes


def test_a_phone_s_photo_under_another_ending_is_read_in_training_too(tmp_path: Path) -> None:
    """Segment opened HEIC in a file called .jpg, and training said that it is not a picture."""
    (tmp_path / "p.jpg").write_bytes(GOOD["HEIF"][0]())
    np.testing.assert_array_equal(
        np.asarray(read_photo(tmp_path / "p.jpg")), np.asarray(open_photo(GOOD["HEIF"][0](), "p.jpg"))
    )


def test_twelve_bits_in_sixteen_are_told_and_stretched(tmp_path: Path) -> None:
    """A 12-bit camera's TIFF came out nearly black, without a word."""
    ramp_HW = np.linspace(0, 4095, 101).round().astype(np.uint16)[None].repeat(50, axis=0)
    data = encoded(Image.fromarray(ramp_HW), "TIFF")
    noted = open_noted(data, "cells.tif")
    assert int(np.asarray(noted.photo).max()) == 4095 >> 8
    assert any("nearly black" in note for note in noted.notes)
    scaled = open_noted(data, "cells.tif", stretch=True)
    # Percentiles 1 and 99 of 101 even steps are the steps 1 and 99 themselves: black, white, and 49/98 between them.
    assert np.asarray(scaled.photo)[0, [0, 1, 50, 99, 100], 0].tolist() == [0, 0, 128, 255, 255]
    assert not any("nearly black" in note for note in scaled.notes)


@pytest.mark.parametrize("kind", MEASURED)
def test_measurements_can_be_stretched_into_a_photo(kind: str) -> None:
    photo = open_photo(MEASURED[kind], "heights.tif", stretch=True)
    assert (photo.size, np.ptp(np.asarray(photo))) == ((48, 40), 255)


def test_what_is_no_number_is_black_once_stretched() -> None:
    value_HW = np.array([[np.nan, np.inf, 0, 1]], np.float32)
    assert np.asarray(stretched(Image.fromarray(value_HW)))[0].tolist() == [0, 0, 0, 255]
    assert np.asarray(stretched(Image.fromarray(np.full((2, 2), np.nan, np.float32)))).max() == 0


def test_the_repair_scales_what_is_refused_or_nearly_black(patient: Patient, tmp_path: Path) -> None:
    ramp_HW = np.linspace(0, 4095, 48).astype(np.uint16)[None].repeat(40, axis=0)
    noise_HW = np.random.default_rng(0).random((40, 48), dtype=np.float32)
    for name, value_HW in (("t0", ramp_HW), ("t1", noise_HW)):
        patient.photo(name).unlink()
        Image.fromarray(value_HW).save(patient.photo(name).with_suffix(".tif"))
    found = {(each.kind, each.file) for each in examine(patient.root).findings}
    assert {("dark photo", "JPEGImages/t0.tif"), ("deep photo", "JPEGImages/t1.tif")} <= found
    copy = repair(patient.root, tmp_path / "copy")
    scaled = {change.file: change.detail for change in copy.changes if change.action == "photo rewritten"}
    assert set(scaled) == {"JPEGImages/t0.tif", "JPEGImages/t1.tif"}
    assert all("scaled to 8 bits, black and white at 1 and 99 %" in detail for detail in scaled.values())
    assert examine(copy.root).findings == ()
    values_HW3 = np.asarray(read_photo(copy.root / "JPEGImages" / "t0.png"))
    np.testing.assert_array_equal(values_HW3[..., 0], np.asarray(stretched(Image.fromarray(ramp_HW))))


def test_only_deep_greys_are_offered_to_be_stretched() -> None:
    kinds = ("JPEG", "PNG 16 bits RGB", "PNG 16 bits grey")
    assert [has_deep_greys(GOOD[kind][0]()) for kind in kinds] == [False, False, True]
    assert all(map(has_deep_greys, MEASURED.values()))
    assert not has_deep_greys(b"no photo")
