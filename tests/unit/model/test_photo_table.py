"""The table of photos: every file gives a mask of the photo's own size, or one sentence; and looks as in training."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.segmentation import DeepLabV3

from core.classes import VOC_CLASSES
from core.data.images import read_photo
from core.errors import PhotoError
from core.home import PROJECT_ROOT
from core.model.output.render import overlay
from core.model.photo import open_noted, open_photo
from core.model.predict.predictor import Predictor
from tests.photo_files import (
    BAD,
    BOMBS,
    GOOD,
    STORED_AS,
    WIDE_GAMMA,
    WIDE_PRIMARIES,
    encoded,
    ink_profile,
    scene,
    turned,
    wide_profile,
)

SAME_COLORS = 12
"""How far JPEG, at quality 100 without subsampling, may move a colour value at an edge, of 255."""


@pytest.fixture(scope="module")
def predictor(mobilenet: DeepLabV3) -> Predictor:
    return Predictor(mobilenet, image_size=32, device=torch.device("cpu"))


def refusal_of(data: bytes, name: str) -> str:
    """Return what is said of a file that cannot be opened."""
    with pytest.raises(PhotoError) as caught:
        open_photo(data, name)
    return str(caught.value)


def is_one_sentence(text: str, name: str) -> bool:
    return text.startswith(f"{name} ") and text.endswith(".") and text.isprintable() and len(text) < 300


def opens_or_tells(data: bytes) -> bool:
    """Tell whether a file gives a photo or one sentence; any other error is raised."""
    try:
        return open_photo(data, "photo.jpg").mode == "RGB"
    except PhotoError as error:
        return is_one_sentence(str(error), "photo.jpg")


@pytest.mark.parametrize("kind", GOOD)
def test_a_photo_gives_a_mask_of_its_own_size_and_looks_as_in_training(
    kind: str, predictor: Predictor, tmp_path: Path
) -> None:
    make, size = GOOD[kind]
    photo = open_photo(make(), kind)
    assert (photo.mode, photo.size) == ("RGB", size)
    mask_HW = predictor.predict(photo).mask_HW
    assert (mask_HW.shape, mask_HW.dtype) == ((size[1], size[0]), np.uint8)
    (tmp_path / "photo").write_bytes(make())
    np.testing.assert_array_equal(np.asarray(photo), np.asarray(read_photo(tmp_path / "photo")))


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_segmented_is_told_in_one_sentence(kind: str) -> None:
    assert is_one_sentence(refusal_of(BAD[kind](), "photo.jpg"), "photo.jpg")


def test_a_file_s_name_cannot_break_the_sentence() -> None:
    assert (
        refusal_of(b"", "a\nb\u202e.jpg")
        == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}.jpg is empty; copy or save it again."
    )


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_photo_held_in_any_of_eight_ways_gives_the_same_overlay(kind: str, predictor: Predictor) -> None:
    overlays = []
    options = {"lossless": True} if kind == "WEBP" else {}
    for turn in STORED_AS:
        photo = open_photo(turned(turn, kind, **options), "phone")
        mask_HW = predictor.predict(photo).mask_HW
        overlays.append(np.asarray(overlay(photo, mask_HW, VOC_CLASSES.palette)))
        np.testing.assert_array_equal(np.asarray(photo), np.asarray(scene()))
    for each in overlays:
        np.testing.assert_array_equal(each, overlays[0])


def test_a_turned_jpeg_differs_by_its_rounding_alone() -> None:
    """A JPEG of the turned picture rounds its blocks of 8 x 8 px in the other direction; a mask may differ at edges."""
    for turn in STORED_AS:
        photo = open_photo(turned(turn, "JPEG", quality=100, subsampling=0), "phone.jpg")
        away = np.abs(np.asarray(photo).astype(int) - np.asarray(scene()))
        assert away.max() <= SAME_COLORS
        assert away.mean() < 1


def test_a_phone_s_wide_gamut_is_brought_to_srgb() -> None:
    """Without its profile, the reds of a photo from a phone look pale to the model."""
    stored, opened = (
        np.asarray(open_photo(encoded(scene(), "PNG", **options), "wide.png")) / 255
        for options in ({}, {"icc_profile": wide_profile()})
    )
    # Red, green and blue of sRGB, X Y Z under D50 (IEC 61966-2-1, Bradford-adapted), and its curve.
    primaries = np.array([(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141)])
    linear = (stored**WIDE_GAMMA @ np.array(WIDE_PRIMARIES) @ np.linalg.inv(primaries)).clip(0, 1)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(opened, expected, atol=2.5 / 255)
    assert np.abs(opened - stored).max() > 0.05


def test_a_printer_s_inks_are_what_its_profile_says() -> None:
    """The profile's inks are grey, whatever they are called: a conversion that leaves it out shows colours."""
    cmyk = scene().convert("CMYK")
    plain, profiled = (
        np.asarray(open_photo(encoded(cmyk, "TIFF", **options), "print.tif")).astype(int)
        for options in ({}, {"icc_profile": ink_profile()})
    )
    assert np.ptp(plain, axis=-1).max() > 100
    assert np.ptp(profiled, axis=-1).max() <= 2


@pytest.mark.parametrize("kind", ["PNG transparent, wide", "TIFF CMYK", "PNG 16 bits grey", "PNG palette transparent"])
def test_the_strips_in_which_colours_are_converted_are_not_to_be_seen(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.asarray(open_photo(GOOD[kind][0](), kind))
    monkeypatch.setattr("core.data.srgb.STRIP_PIXELS", 3 * scene().width)
    np.testing.assert_array_equal(np.asarray(open_photo(GOOD[kind][0](), kind)), whole)


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("JPEG", None),
        ("MPO of a phone", None),
        ("JPEG with sRGB", None),
        ("GIF moving", "Only the first"),
        ("PNG moving", "Only the first"),
        ("TIFF of two pages", "Only the first"),
        ("PNG 16 bits grey", "16-bit"),
        ("PNG transparent", "laid on white"),
        ("JPEG with a broken profile", "ignored"),
        ("CMYK with a colour profile", "ignored"),
    ],
)
def test_what_is_decided_on_the_way_is_noted(kind: str, note: str | None) -> None:
    notes = open_noted(GOOD[kind][0](), kind).notes
    assert len(notes) == (note is not None)
    assert all(note in each for each in notes if note)


@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_is_told_or_shown(seed: int) -> None:
    """Decoders raise KeyError, TypeError, struct.error and more, depending on which byte is wrong."""
    rng = np.random.default_rng(seed)
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF", "TIFF tiff_lzw", "JPEG orientation 6"):
        whole = GOOD[kind][0]()
        for _ in range(40):
            data = bytearray(whole)
            for at in rng.integers(0, min(len(data), rng.choice([40, 400, 10_000])), rng.integers(1, 6)):
                data[at] = rng.integers(0, 256)
            assert opens_or_tells(bytes(data)), (kind, bytes(data))


def test_memory_is_asked_for_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.model.photo.free_bytes", lambda: 10_000)
    assert refusal_of(encoded(scene(), "PNG"), "p.png").startswith("p.png is 48 x 32 px and needs about 0 MB of memory")


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.model.photo.MAX_FILE_BYTES", 1_000_000)
    assert "has 2 MB, more than 1 MB" in refusal_of(bytes(2_000_000), "huge.tif")


BOMB_TEST = """
import resource, sys, warnings
from core.errors import PhotoError
from core.model.photo import open_photo
from tests.photo_files import encoded, scene
warnings.simplefilter("error")
open_photo(encoded(scene(), "HEIF"), "first")  # what opening anything takes
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    open_photo(data, "bomb.png")
except PhotoError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read with `resource`")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(kind: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BOMB_TEST], input=BOMBS[kind](), capture_output=True, cwd=PROJECT_ROOT, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    *sentences, grown_kb = ended.stdout.decode().splitlines()
    assert len(sentences) == 1
    assert is_one_sentence(sentences[0], "bomb.png")
    assert int(grown_kb) < 330_000, "a JPEG is decoded into its 49 megapixels before its end is found to be cut off"
