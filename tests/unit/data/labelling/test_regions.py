"""Regions to take at a click: whole, connected, alike from level to level, and on the borders of things."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from core.data.labelling.regions import LEVELS, regions_of


def noisy_halves(width: int, height: int) -> tuple[Image.Image, "np.ndarray[tuple[int, int], np.dtype[np.bool_]]"]:
    """A photo of two colours whose border is a slanted line, with some noise; and which pixels are of the second."""
    is_second_HW = np.add.outer(2 * np.arange(height), np.arange(width)) > (width + 2 * height) // 2
    noise = np.random.default_rng(3).normal(0, 6, (height, width, 3))
    colors_HW3 = np.where(is_second_HW[..., None], (60, 90, 160), (180, 120, 60)) + noise
    return Image.fromarray(colors_HW3.clip(0, 255).astype(np.uint8)), is_second_HW


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (37, 501), (251, 167), (1601, 900)])
def test_every_pixel_is_in_one_region_of_each_level(size: tuple[int, int]) -> None:
    labels_HW, levels = regions_of(noisy_halves(*size)[0])
    assert labels_HW.size <= 1_002_000
    assert labels_HW.shape == size[::-1] or labels_HW.size >= 998_000, "only what is larger is reduced"
    assert len(levels) == LEVELS
    counts = [np.unique(level).size for level in levels]
    assert counts == [int(level.max()) + 1 for level in levels], "no number is left out"
    assert sorted(counts, reverse=True) == counts
    assert all(level.size == int(labels_HW.max()) + 1 for level in levels)


def test_regions_hang_together_and_large_ones_are_made_of_small_ones() -> None:
    labels_HW, levels = regions_of(noisy_halves(251, 167)[0])
    for level in levels:
        for region in np.unique(level):
            assert ndimage.label(level[labels_HW] == region)[1] == 1
    for small, large in pairwise(levels):
        assert len({(int(a), int(b)) for a, b in zip(small, large, strict=True)}) == np.unique(small).size


def test_regions_follow_the_border_of_a_thing() -> None:
    """Of the pixels, 99 % lie in a region whose majority is on their side, even with a few large regions."""
    photo, is_second_HW = noisy_halves(251, 167)
    labels_HW, levels = regions_of(photo)
    large_HW = levels[-1][labels_HW]
    shares = np.bincount(large_HW.ravel(), is_second_HW.ravel()) / np.bincount(large_HW.ravel())
    assert ((shares[large_HW] > 0.5) == is_second_HW).mean() > 0.99


def test_the_same_photo_has_the_same_regions() -> None:
    photo = noisy_halves(90, 70)[0]
    one, other = regions_of(photo), regions_of(photo)
    assert (one.labels_HW == other.labels_HW).all()
    assert all((a == b).all() for a, b in zip(one.levels, other.levels, strict=True))
