"""Pictures of masks: exact pixels."""

import numpy as np
from PIL import Image

from core.model.render import DISAGREEMENT_COLOR, LIT_COLOR, colorize, difference, light, overlay
from core.voc import PALETTE, VOID

MASK_HW = np.array([[0, 8], [15, VOID]], dtype=np.uint8)
GREY = Image.new("RGB", (2, 2), (100, 100, 100))


def test_colours_are_voc_s() -> None:
    colored = colorize(MASK_HW, PALETTE)
    assert colored.mode == "RGB"
    # From the VOC devkit's colormap: background, cat, person, void.
    assert [colored.getpixel(xy) for xy in ((0, 0), (1, 0), (0, 1), (1, 1))] == [
        (0, 0, 0), (64, 0, 0), (192, 128, 128), (224, 224, 192),
    ]  # fmt: skip


def test_an_overlay_mixes_objects_and_leaves_the_background() -> None:
    half = np.asarray(overlay(GREY, MASK_HW, PALETTE, 0.5))
    np.testing.assert_array_equal(half[0, 0], [100, 100, 100])
    np.testing.assert_array_equal(half[0, 1], [82, 50, 50])
    np.testing.assert_array_equal(half[1, 1], [162, 162, 146])
    np.testing.assert_array_equal(np.asarray(overlay(GREY, MASK_HW, PALETTE, 0.0)), np.asarray(GREY))
    solid = np.asarray(overlay(GREY, MASK_HW, PALETTE, 1.0))
    np.testing.assert_array_equal(solid[1, 0], PALETTE[15])


def test_a_difference_shows_who_is_right() -> None:
    truth = np.array([[1, 1, 1, 1, VOID]], dtype=np.uint8)
    a = np.array([[1, 1, 2, 2, 1]], dtype=np.uint8)
    b = np.array([[1, 2, 1, 3, 2]], dtype=np.uint8)
    shown = np.asarray(difference(a, b, truth))[0].tolist()
    assert shown == [[235] * 3, [60, 160, 80], [50, 110, 220], list(DISAGREEMENT_COLOR), [255] * 3]


def test_lit_pixels_stand_out_of_a_dark_photo() -> None:
    photo = Image.new("RGB", (4, 3), (250, 250, 250))
    lit_HW = np.zeros((3, 4), dtype=np.bool_)
    lit_HW[1, 2] = True
    picture = np.asarray(light(photo, lit_HW))
    assert picture[1, 2].tolist() == list(LIT_COLOR)
    assert (picture[~lit_HW] < 90).all()
