"""One preprocessing for training, validation and Segment, checked against PIL and numpy."""

import numpy as np
import pytest
import torch
from PIL import Image

from core.data.loading.transforms import TrainingTransform, mask_in_square, normalize, photo_in_square
from core.voc import IMAGE_MEAN, IMAGE_STD, VOID
from tests.small_data import draw_pair

SIZE = 33
ONE_LEVEL = 1 / 255 / min(IMAGE_STD)


def independently_preprocessed(photo: Image.Image, size: int) -> np.ndarray:
    resized_HW3 = np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float64) / 255
    return ((resized_HW3 - IMAGE_MEAN) / IMAGE_STD).transpose(2, 0, 1)


@pytest.mark.parametrize("size", [(97, 60), (20, 31), (33, 33)])
def test_a_photo_is_resized_and_normalized_as_pil_and_numpy_would(size: tuple[int, int]) -> None:
    photo, _ = draw_pair(0, size)
    tensor = normalize(photo_in_square(photo, SIZE))
    assert (tensor.dtype, tensor.shape, type(tensor)) == (torch.float32, (3, SIZE, SIZE), torch.Tensor)
    np.testing.assert_allclose(tensor, independently_preprocessed(photo, SIZE), atol=1.01 * ONE_LEVEL)


def test_the_mean_colour_becomes_zero() -> None:
    grey = Image.new("RGB", (8, 8), tuple(round(255 * mean) for mean in IMAGE_MEAN))
    assert normalize(photo_in_square(grey, 8)).abs().max() < ONE_LEVEL


def test_a_resized_mask_holds_no_id_that_was_not_there() -> None:
    mask_HW = np.zeros((50, 70), dtype=np.uint8)
    mask_HW[10:40, 10:60], mask_HW[12:38, 12:58] = VOID, 20
    resized = mask_in_square(mask_HW, 16)
    assert (resized.dtype, resized.shape, type(resized)) == (torch.uint8, (16, 16), torch.Tensor)
    assert set(resized.unique().tolist()) <= {0, 20, VOID}


def test_a_label_lies_where_its_pixels_lie() -> None:
    """The older nearest neighbour took the upper left of three pixels, not the middle: labels slid off objects."""
    mask_HW = np.random.default_rng(0).integers(0, 21, (30, 30)).astype(np.uint8)
    np.testing.assert_array_equal(mask_in_square(mask_HW, 10), mask_HW[1::3, 1::3])


def augmented(transform: TrainingTransform, photo: Image.Image, mask_HW: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Return a pair as a training step sees it."""
    size = transform.image_size
    photo_3SS, mask_SS = transform(photo_in_square(photo, size), mask_in_square(mask_HW, size))
    return normalize(photo_3SS), mask_SS


def test_training_without_augmentation_sees_what_validation_sees() -> None:
    photo, mask_HW = draw_pair(3)
    image, mask = augmented(TrainingTransform(SIZE), photo, mask_HW)
    assert torch.equal(image, normalize(photo_in_square(photo, SIZE)))
    assert torch.equal(mask, mask_in_square(mask_HW, SIZE))
    assert type(image) is type(mask) is torch.Tensor


def test_a_flip_mirrors_photo_and_mask_together_about_half_the_time() -> None:
    photo, mask_HW = draw_pair(1)
    plain_image, plain_mask = augmented(TrainingTransform(SIZE), photo, mask_HW)
    transform = TrainingTransform(SIZE, flip=True)
    torch.manual_seed(0)
    flipped = 0
    for _ in range(40):
        image, mask = augmented(transform, photo, mask_HW)
        is_flipped = not torch.equal(mask, plain_mask)
        flipped += is_flipped
        assert torch.equal(mask.flip(-1) if is_flipped else mask, plain_mask)
        assert torch.equal(image.flip(-1) if is_flipped else image, plain_image)
    assert 10 < flipped < 30


def test_shrinking_pads_with_void_and_the_mean_colour() -> None:
    photo, mask_HW = Image.new("RGB", (64, 64), "white"), np.full((64, 64), 5, dtype=np.uint8)
    torch.manual_seed(1)
    image, mask = augmented(TrainingTransform(64, scale_min=0.25, scale_max=1.0), photo, mask_HW)
    assert image.shape == (3, 64, 64)
    assert set(mask.unique().tolist()) == {5, VOID}
    padding = mask == VOID
    assert image[:, padding].abs().max() < ONE_LEVEL
    white = torch.tensor([(1 - mean) / std for mean, std in zip(IMAGE_MEAN, IMAGE_STD, strict=True)])
    torch.testing.assert_close(image[:, ~padding], white[:, None].expand(-1, int((~padding).sum())))


def test_enlarging_crops_photo_and_mask_at_the_same_place() -> None:
    """Where the photo is bright the mask has class 1; after any crop that must still be so."""
    mask_HW = (np.indices((60, 60)).sum(axis=0) > 60).astype(np.uint8)
    photo = Image.fromarray(np.repeat(mask_HW[..., None] * 255, 3, axis=2))
    transform = TrainingTransform(60, flip=True, scale_min=0.5, scale_max=2.0)
    torch.manual_seed(2)
    for _ in range(10):
        image, mask = augmented(transform, photo, mask_HW)
        counted = mask != VOID
        agrees = (image[0] > 0) == (mask == 1)
        assert agrees[counted].float().mean() > 0.97


def test_augmentation_follows_the_global_seed_alone() -> None:
    photo, mask_HW = draw_pair(2)
    transform = TrainingTransform(SIZE, flip=True, scale_min=0.5, scale_max=2.0)
    pairs = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        pairs.append(augmented(transform, photo, mask_HW))
    assert torch.equal(pairs[0][0], pairs[1][0])
    assert torch.equal(pairs[0][1], pairs[1][1])
    assert not torch.equal(pairs[0][0], pairs[2][0])
