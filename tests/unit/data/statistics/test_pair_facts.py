"""What one photo and its mask show, against loops over every pixel and parts drawn by hand."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.data.statistics import pair_facts as facts_module
from core.data.statistics.pair_facts import GRID, PairFacts, pair_facts
from core.voc import VOID
from tests.small_data import CAT, DOG, draw_pair


def facts_of(mask_HW: NDArray[np.uint8], num_classes: int = 21) -> PairFacts:
    height, width = mask_HW.shape
    return pair_facts(Image.new("RGB", (width, height), "grey"), mask_HW, num_classes)


def drawn(*rows: str) -> NDArray[np.uint8]:
    return np.array([[{".": 0, "c": CAT, "d": DOG, "v": VOID}[cell] for cell in row] for row in rows], dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        elements=st.sampled_from([0, 1, 2, VOID]),
    )
)
def test_pixels_and_parts_agree_with_looking_at_every_pixel(mask_HW: NDArray[np.uint8]) -> None:
    facts = facts_of(mask_HW, num_classes=3)
    assert facts.pixels == Counter(mask_HW.ravel().tolist())
    assert facts.size == mask_HW.shape[::-1]
    # Below 1,000 pixels, the smallest part counts.
    parts = {each: num_parts(mask_HW == each) for each in (1, 2) if (mask_HW == each).any()}
    assert mask_HW.size > 1000 or facts.objects == parts


def num_parts(is_class_HW: NDArray[np.bool_]) -> int:
    """Count connected parts by flooding, one pixel after the other."""
    left = {(row, column) for row, column in np.argwhere(is_class_HW).tolist()}
    parts = 0
    while left:
        parts += 1
        waiting = [left.pop()]
        while waiting:
            row, column = waiting.pop()
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            waiting += near
    return parts


def test_parts_that_touch_at_a_corner_are_one_object_and_void_keeps_objects_apart() -> None:
    mask_HW = drawn(
        "cc....cc",
        "cc....cc",
        "..ccvdd.",
        "..ccvdd.",
        "....vvvv",
        "....dd..",
    )
    assert facts_of(mask_HW).objects == {CAT: 2, DOG: 2}
    assert ndimage.label(mask_HW == CAT, np.ones((3, 3)))[1] == 2


def test_specks_are_no_objects_and_neither_is_the_background() -> None:
    mask_HW = np.zeros((100, 200), dtype=np.uint8)
    mask_HW[10:14, 10:15] = CAT  # 20 of 20,000 pixels: as much as it takes
    mask_HW[50, 50:69] = CAT
    mask_HW[80, 80] = DOG
    facts = facts_of(mask_HW)
    assert facts.objects == {CAT: 1, DOG: 0}
    assert facts.pixels[DOG] == 1


@pytest.mark.parametrize("size", [(48, 40), (500, 375), (160, 320), (7, 5), (1, 1)])
def test_heat_is_the_share_of_each_cell_that_a_class_covers(size: tuple[int, int]) -> None:
    _, mask_HW = draw_pair(0, (max(size[0], 12), max(size[1], 12)))
    mask_HW = mask_HW[: size[1], : size[0]].copy()
    height, width = mask_HW.shape
    facts = facts_of(mask_HW)
    assert set(facts.heat) == set(facts.pixels) - {VOID}
    for class_id, heat_GG in facts.heat.items():
        assert (heat_GG.shape, heat_GG.dtype) == ((GRID, GRID), np.uint8)
        if min(size) >= GRID and width % GRID == height % GRID == 0:
            cells_GG = mask_HW.reshape(GRID, height // GRID, GRID, width // GRID) == class_id
            np.testing.assert_allclose(heat_GG / 255, cells_GG.mean(axis=(1, 3)), atol=1.01 / 255)
        assert heat_GG.mean() / 255 == pytest.approx(facts.pixels[class_id] / mask_HW.size, abs=0.02 + 0.5 / min(size))


def test_heat_is_upright() -> None:
    mask_HW = np.zeros((64, 128), dtype=np.uint8)
    mask_HW[:32, :8] = CAT
    expected_GG = np.zeros((GRID, GRID), dtype=np.uint8)
    expected_GG[:8, 0] = 255
    np.testing.assert_array_equal(facts_of(mask_HW).heat[CAT], expected_GG)


def test_light_and_colour_are_those_of_the_photo() -> None:
    photo_HW3 = np.zeros((100, 200, 3), dtype=np.uint8)
    photo_HW3[:, :50] = (255, 51, 0)
    facts = pair_facts(Image.fromarray(photo_HW3), np.zeros((100, 200), dtype=np.uint8), 21)
    assert facts.color_mean == pytest.approx((0.25, 0.05, 0), abs=1e-5)
    assert facts.color_std == pytest.approx((0.75**0.5 / 2, 0.2 * 0.75**0.5 / 2, 0), abs=1e-5)
    luma = (0.299 * 255 + 0.587 * 51) / 255
    assert facts.brightness == pytest.approx(luma / 4, abs=0.002)
    assert facts.contrast == pytest.approx(luma * 0.75**0.5 / 2, abs=0.002)


def test_a_large_photo_is_reduced_before_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, mask_HW = draw_pair(1, (640, 480))
    reduced = pair_facts(photo, mask_HW, 21)
    monkeypatch.setattr(facts_module, "MAX_PHOTO_PX", 10**6)
    whole = pair_facts(photo, mask_HW, 21)
    assert reduced.brightness == pytest.approx(whole.brightness, abs=0.005)
    assert reduced.contrast < whole.contrast, "the noise of single pixels is averaged"


def test_facts_survive_json() -> None:
    facts = pair_facts(*draw_pair(2), 21)
    again = PairFacts.from_dict(json.loads(json.dumps(facts.as_dict(), allow_nan=False)))
    assert again == facts
    assert again.heat.keys() == facts.heat.keys() == {0, CAT}
    for class_id, heat_GG in facts.heat.items():
        np.testing.assert_array_equal(again.heat[class_id], heat_GG)
    with pytest.raises((KeyError, TypeError, ValueError)):
        PairFacts.from_dict(facts.as_dict() | {"color_mean": [0.5]})
