"""Where a photo lies in the model's square: its shape kept, nothing of it lost, and void all around."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from core.data.geometry import FIT, GEOMETRIES, RESIZE, Place, place_of
from core.data.loading.transforms import TrainingTransform, mask_in_square, normalize, photo_in_square
from core.voc import IMAGE_MEAN, VOID
from tests.small_data import draw_pair

MEAN_COLOR = tuple(round(255 * mean) for mean in IMAGE_MEAN)
SIZES = [(375, 500), (500, 375), (333, 499), (1, 2000), (2000, 1), (97, 60), (1, 1), (7, 3), (1080, 1920)]
"""(height, width): VOC's, upright, odd, a line, tiny, a screen."""


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 600))
@example(1, 2000, 256)
@example(2000, 1, 33)
@example(1, 1, 1)
@example(500, 499, 256)
def test_the_longer_side_fills_the_square_and_the_ratio_stays(height: int, width: int, side_px: int) -> None:
    place = place_of((height, width), side_px, FIT)
    assert max(place.size) == side_px
    for found_px, of in zip(place.size, (height, width), strict=True):
        assert found_px >= 1
        assert abs(found_px - side_px * of / max(height, width)) <= 1 or found_px <= 2
    turned = place_of((width, height), side_px, FIT)
    assert (turned.above_px, turned.beside_px) == (place.beside_px, place.above_px)
    assert place_of((height, width), side_px, RESIZE) == Place(side_px)
    assert (height != width) or place == Place(side_px)


@pytest.mark.parametrize(
    ("size", "side_px", "expected"),
    [((375, 500), 256, Place(256, 32, 0)), ((500, 250), 101, Place(101, 0, 25)), ((1, 2000), 256, Place(256, 127, 0))],
)
def test_places_by_hand(size: tuple[int, int], side_px: int, expected: Place) -> None:
    """256 * 375 / 500 is 192, which leaves 32 px above and below; half of 101 leaves 25; of a line two rows stay."""
    assert place_of(size, side_px, FIT) == expected


@pytest.mark.parametrize("side_px", [32, 33])
@pytest.mark.parametrize("own_px", [1, 20, 33, 97])
def test_a_square_photo_fits_as_it_is_resized(own_px: int, side_px: int) -> None:
    photo, mask_HW = (
        draw_pair(0, (own_px, own_px)) if own_px > 1 else (Image.new("RGB", (1, 1)), np.zeros((1, 1), "u1"))
    )
    resized, fitted = (
        (photo_in_square(photo, side_px, geometry), mask_in_square(mask_HW, side_px, geometry))
        for geometry in GEOMETRIES
    )
    assert torch.equal(resized[0], fitted[0])
    assert torch.equal(resized[1], fitted[1])


@pytest.mark.parametrize("side_px", [64, 65])
@pytest.mark.parametrize("size", SIZES)
def test_all_around_is_the_mean_colour_and_void_and_within_nothing_is(size: tuple[int, int], side_px: int) -> None:
    photo, mask_HW = Image.new("RGB", size[::-1], "white"), np.full(size, 5, dtype=np.uint8)
    photo_3SS, mask_SS = photo_in_square(photo, side_px, FIT), mask_in_square(mask_HW, side_px, FIT)
    assert (photo_3SS.dtype, photo_3SS.shape, type(photo_3SS)) == (torch.uint8, (3, side_px, side_px), torch.Tensor)
    assert (mask_SS.dtype, mask_SS.shape, type(mask_SS)) == (torch.uint8, (side_px, side_px), torch.Tensor)
    place = place_of(size, side_px, FIT)
    is_photo_SS = torch.zeros(side_px, side_px, dtype=torch.bool)
    place.part(is_photo_SS)[:] = True
    assert torch.equal(mask_SS, torch.where(is_photo_SS, 5, VOID).to(torch.uint8))
    assert (photo_3SS[:, is_photo_SS] == 255).all()
    assert (photo_3SS[:, ~is_photo_SS] == torch.tensor(MEAN_COLOR)[:, None]).all()


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (333, 499), (97, 60), (100, 1000)])
def test_a_mask_comes_back_from_the_square(size: tuple[int, int]) -> None:
    height, width = size
    y_HW, x_HW = np.indices(size)
    mask_HW = ((((y_HW / height - 0.5) / 0.35) ** 2 + ((x_HW / width - 0.45) / 0.35) ** 2) < 1).astype(np.uint8)
    part_hw = place_of(size, 256, FIT).part(mask_in_square(mask_HW, 256, FIT)).numpy()
    assert VOID not in part_hw
    again_HW = np.asarray(Image.fromarray(part_hw).resize((width, height), Image.Resampling.NEAREST))
    is_there, is_back = mask_HW == 1, again_HW == 1
    assert (is_there & is_back).sum() / (is_there | is_back).sum() > 0.93


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("side_px", [64, 65])
@pytest.mark.parametrize("size", [(75, 101), (101, 75), (97, 30), (40, 41)])
def test_mirroring_the_photo_mirrors_the_square(size: tuple[int, int], side_px: int, geometry: str) -> None:
    photo, _ = draw_pair(1, size[::-1])
    mirrored_3SS = photo_in_square(ImageOps.mirror(photo), side_px, geometry)
    difference_3SS = mirrored_3SS.int() - photo_in_square(photo, side_px, geometry).flip(-1).int()
    assert difference_3SS.abs().max() <= 1  # sums are rounded from the other side


@pytest.mark.parametrize("size", [(40, 90), (90, 40), (5, 200)])
def test_random_scales_leave_the_padding_void_and_the_photo_labelled(size: tuple[int, int]) -> None:
    """Photo and void blend within a pixel of the photo's edge at most: of labels, none is ever mixed."""
    photo, mask_HW = Image.new("RGB", size[::-1], "white"), np.full(size, 5, dtype=np.uint8)
    pair = photo_in_square(photo, 64, FIT), mask_in_square(mask_HW, 64, FIT)
    transform = TrainingTransform(64, flip=True, scale_min=0.25, scale_max=4.0)
    torch.manual_seed(3)
    scales_seen = set()
    for _ in range(30):
        photo_3SS, mask_SS = transform(*pair)
        assert set(mask_SS.unique().tolist()) <= {5, VOID}
        brightness_SS = normalize(photo_3SS).mean(dim=0)
        is_bright_SS = brightness_SS > 1.2  # white is 2.4, the mean colour 0: half of both is on neither side
        is_edge_SS = (brightness_SS > 0.02) & (brightness_SS < 2.1)
        assert torch.equal(is_bright_SS[~is_edge_SS], (mask_SS == 5)[~is_edge_SS])
        scales_seen.add(int((mask_SS == 5).sum()))
    assert len(scales_seen) > 10
