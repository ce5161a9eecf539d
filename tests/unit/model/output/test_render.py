"""Pictures of masks: exact pixels."""

import numpy as np
import pytest
from PIL import Image

from core.model.output import render
from core.model.output.render import (
    CONFIDENCE_COLORS,
    DISAGREEMENT_COLOR,
    LIT_COLOR,
    ONLY_A_COLOR,
    ONLY_B_COLOR,
    OTHER_CLASS_COLOR,
    a_against_b,
    colorize,
    confidence_map,
    difference,
    light,
    outline,
    overlay,
    shade,
)
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


def test_strips_are_not_to_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (50, 40, 3), dtype=np.uint8))
    mask_HW, confidence_HW = rng.integers(0, 3, (50, 40), dtype=np.uint8), rng.random((50, 40), np.float32)

    def pictures() -> list[np.ndarray]:
        return [np.asarray(overlay(photo, mask_HW, PALETTE, 0.6, 1)), np.asarray(shade(photo, confidence_HW))]

    whole = pictures()
    monkeypatch.setattr(render, "STRIP_PIXELS", 130)
    for strips, expected in zip(pictures(), whole, strict=True):
        np.testing.assert_array_equal(strips, expected)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_an_outline_is_what_lies_near_another_class(width: int) -> None:
    rng = np.random.default_rng(width)
    mask_HW = np.kron(rng.choice([0, 1, 2, VOID], (5, 6)), np.ones((9, 9))).astype(np.uint8)
    found = outline(mask_HW, width)
    for y, x in np.ndindex(mask_HW.shape):
        near = mask_HW[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1]
        assert found[y, x] == (mask_HW[y, x] != 0 and (near != mask_HW[y, x]).any())


def test_an_outlined_object_has_its_full_colour_at_its_edge_alone() -> None:
    mask_HW = np.zeros((20, 20), dtype=np.uint8)
    mask_HW[5:15, 5:15] = 8
    picture = np.asarray(overlay(Image.new("RGB", (20, 20), (100, 100, 100)), mask_HW, PALETTE, 0.5, outline_px=2))
    assert picture[6, 6].tolist() == PALETTE[8].tolist()
    assert picture[9, 9].tolist() == [82, 50, 50]
    assert picture[4, 4].tolist() == [100, 100, 100]


def test_what_a_model_is_unsure_of_is_dark() -> None:
    confidence_HW = np.array([[1.0, 0.5], [0.1, 0.0]], dtype=np.float32)
    assert np.asarray(shade(GREY, confidence_HW))[..., 0].tolist() == [[100, 50], [10, 0]]
    colors = np.asarray(confidence_map(confidence_HW))
    assert colors[0, 0].tolist() == list(CONFIDENCE_COLORS[2])
    assert colors[1, 1].tolist() == list(CONFIDENCE_COLORS[0])
    assert np.abs(colors[0, 1].astype(int) - CONFIDENCE_COLORS[1]).max() <= 1


def test_two_masks_without_a_truth_show_who_sees_what() -> None:
    a = np.array([[0, 1, 0, 1, 1, VOID]], dtype=np.uint8)
    b = np.array([[0, 1, 2, 0, 2, 2]], dtype=np.uint8)
    picture = np.asarray(a_against_b(Image.new("RGB", (6, 1), (80, 80, 80)), a, b))[0].tolist()
    assert picture == [[190] * 3, [190] * 3, list(ONLY_B_COLOR), list(ONLY_A_COLOR), list(OTHER_CLASS_COLOR), [190] * 3]
