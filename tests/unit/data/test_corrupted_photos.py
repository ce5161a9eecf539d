"""Corruptions: the published formulas, repeatable, stronger level by level, and the mask moved with its photo."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.color import hsv2rgb, rgb2hsv
from skimage.filters import gaussian

from core.data.corruptions import CORRUPTIONS, FILL, LEVELS, LONGEST_PX, Pair, corrupt, read_reduced, rotated, scaled
from core.data.dataset import Sample
from core.data.images import write_mask
from core.errors import DataError
from core.voc import VOID
from tests.small_data import draw_pair

MOVING = [name for name, each in CORRUPTIONS.items() if each.moves]
STILL = [name for name in CORRUPTIONS if name not in MOVING]
COLORS = np.array([(20, 200, 40), (230, 30, 60), (40, 60, 220)], dtype=np.uint8)

PUBLISHED = {
    "blur": (1, 2, 3, 4, 6),
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "jpeg": (25, 18, 15, 10, 7),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
}
"""From make_imagenet_c.py of hendrycks/robustness (gaussian_blur, gaussian_noise, jpeg_compression and so on)."""


def jpeg(photo_HW3: NDArray[np.float64], quality: float) -> NDArray[np.float64]:
    file = io.BytesIO()
    Image.fromarray((255 * photo_HW3).round().astype(np.uint8)).save(file, "JPEG", quality=int(quality))
    return np.asarray(Image.open(file)) / 255


def brighter(photo_HW3: NDArray[np.float64], added: float) -> NDArray[np.float64]:
    hsv_HW3 = rgb2hsv(photo_HW3)
    hsv_HW3[..., 2] = np.clip(hsv_HW3[..., 2] + added, 0, 1)
    return np.asarray(hsv2rgb(hsv_HW3))


FORMULAS: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.float64]]] = {
    "blur": lambda photo_HW3, sigma: gaussian(photo_HW3, sigma=sigma, channel_axis=-1),
    "jpeg": jpeg,
    "brightness": brighter,
    "contrast": lambda photo_HW3, kept: (photo_HW3 - photo_HW3.mean((0, 1))) * kept + photo_HW3.mean((0, 1)),
}
"""The paper's own code in other words, on photos in [0, 1]."""


def pair_of(number: int = 0) -> Pair:
    return Pair(*draw_pair(number, (96, 80)))


def blocks() -> Pair:
    """A photo of 8 px blocks in the colours of its mask's ids."""
    ids_HW = np.random.default_rng(3).integers(0, len(COLORS), (12, 12)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    return Pair(Image.fromarray(COLORS[ids_HW]), ids_HW)


def levels_of(pair: Pair) -> NDArray[np.float64]:
    return np.asarray(pair.photo, dtype=np.float64)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_strengths_are_the_published_ones_and_the_photo_follows_the_published_formula(name: str) -> None:
    corruption, pair = CORRUPTIONS[name], pair_of()
    assert corruption.is_published
    assert corruption.strengths == PUBLISHED[name]
    for level in range(1, LEVELS + 1):
        found = corrupt(pair, name, level, "a")
        assert found.mask_HW is pair.mask_HW
        if name in FORMULAS:
            wanted_HW3 = FORMULAS[name](levels_of(pair) / 255, corruption.strengths[level - 1]).clip(0, 1)
            np.testing.assert_allclose(levels_of(found), 255 * wanted_HW3, atol=0.51)


def test_noise_has_the_published_deviation() -> None:
    grey = Pair(Image.new("RGB", (200, 200), (128, 128, 128)), np.zeros((200, 200), dtype=np.uint8))
    noise = (levels_of(corrupt(grey, "noise", 1, "a")) - 128) / 255
    assert abs(noise.mean()) < 0.001
    assert noise.std() == pytest.approx(0.08, rel=0.01)  # 6 deviations from black and white: nothing is clipped


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_level_0_is_the_photo_and_a_photo_has_one_version_of_a_level(name: str) -> None:
    pair = pair_of()
    assert corrupt(pair, name, 0, "a") is pair
    first, again = corrupt(pair, name, 4, "a"), corrupt(pair, name, 4, "a")
    np.testing.assert_array_equal(levels_of(first), levels_of(again))
    others = [corrupt(pair, name, 4, f"photo {number}") for number in range(8)]
    is_random = any(not np.array_equal(levels_of(first), levels_of(other)) for other in others)
    assert is_random == (name in ("noise", "rotation"))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_level_changes_a_photo_more_than_the_last(name: str) -> None:
    pair, changed, void = pair_of(), [0.0], [0.0]
    for level in range(1, LEVELS + 1):
        found = corrupt(pair, name, level, "a")
        assert found.photo.size == pair.photo.size
        changed.append(float(np.abs(levels_of(found) - levels_of(pair)).mean()))
        void.append(float((found.mask_HW == VOID).mean()))
    assert (np.diff(void if name in MOVING else changed) > 0).all()


def test_a_mask_moves_with_its_photo() -> None:
    pair = blocks()
    turned, small = rotated(pair, 90), scaled(pair, 0.5)
    np.testing.assert_array_equal(turned.mask_HW, np.rot90(pair.mask_HW))
    np.testing.assert_array_equal(levels_of(turned), np.rot90(levels_of(pair)))
    middle = np.s_[24:72, 24:72]
    np.testing.assert_array_equal(small.mask_HW[middle], pair.mask_HW[::2, ::2])
    np.testing.assert_array_equal(levels_of(small)[middle][1::4, 1::4], COLORS[pair.mask_HW[2::8, 2::8]])
    assert (small.mask_HW == VOID).sum() == 96 * 96 - 48 * 48
    for name in MOVING:
        for level in range(1, LEVELS + 1):
            found = corrupt(pair, name, level, "a")
            is_in_HW = found.mask_HW != VOID
            wanted_HW3 = np.where(is_in_HW[..., None], COLORS[np.where(is_in_HW, found.mask_HW, 0)], FILL)
            # Half a pixel off, and every block would lose an edge: 2 of its 8 px, each way.
            is_near = np.abs(levels_of(found) - wanted_HW3).max(axis=2) < 128
            assert is_near[is_in_HW].mean() > 0.9


def test_large_pairs_are_reduced_small_ones_kept_and_odd_ones_refused(tmp_path: Path) -> None:
    sample = Sample("a", tmp_path / "a.png", tmp_path / "a_mask.png")
    for size, reduced in (((96, 80), (96, 80)), ((2 * LONGEST_PX, 300), (LONGEST_PX, 150))):
        photo, mask_HW = draw_pair(0, size)
        photo.save(sample.photo)
        write_mask(sample.mask, mask_HW)
        pair = read_reduced(sample, 21)
        assert pair.photo.size == pair.mask_HW.shape[::-1] == reduced
        assert set(np.unique(pair.mask_HW)) <= set(np.unique(mask_HW))
    np.testing.assert_array_equal(levels_of(read_reduced(sample, 21)), levels_of(pair))
    photo.resize((20, 20)).save(sample.photo)
    with pytest.raises(DataError, match="20 x 20"):
        read_reduced(sample, 21)
