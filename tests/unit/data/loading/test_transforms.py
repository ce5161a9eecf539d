"""One preprocessing for training, validation and Segment, checked against PIL and numpy."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from core.data.loading.batch_augmentation import augmented_batch
from core.data.loading.transforms import PADDING, TrainingTransform, mask_in_square, normalize, photo_in_square
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


SETTINGS = pytest.mark.parametrize(
    ("flip", "scale_min", "scale_max"),
    [(True, 0.6, 1.6), (False, 0.25, 0.9), (False, 1.1, 4.0), (True, 0.97, 1.03), (True, 1.0, 1.0), (False, 1.0, 1.0)],
)


def noise(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pixels_N4SS = torch.randint(0, 256, (count, 4, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    return pixels_N4SS[:, :3], pixels_N4SS[:, 3] % 21


@SETTINGS
def test_crops_are_those_of_torchvision_for_the_same_seed(flip: bool, scale_min: float, scale_max: float) -> None:
    """Drawing was `v2.RandomCrop`'s own until whole batches were drawn for: a seed still gives the same pixels."""
    transform = TrainingTransform(SIZE, flip=flip, scale_min=scale_min, scale_max=scale_max)
    crop = v2.RandomCrop((SIZE, SIZE), pad_if_needed=True, fill=PADDING)
    for seed, (photo_3SS, mask_SS) in enumerate(zip(*noise(30), strict=True)):
        torch.manual_seed(seed)
        image, mask = tv_tensors.Image(photo_3SS), tv_tensors.Mask(mask_SS)
        if scale_min < scale_max:
            side_px = round(SIZE * float(torch.empty(1).uniform_(scale_min, scale_max)))
            ids_HW = torch.nn.functional.interpolate(mask_SS[None, None], (side_px,) * 2, mode="nearest-exact")[0, 0]
            image, mask = crop(TF.resize(image, [side_px, side_px], antialias=True), tv_tensors.Mask(ids_HW))
        if flip and torch.rand(1) < 0.5:
            image, mask = TF.horizontal_flip(image), TF.horizontal_flip(mask)
        after = torch.rand(1)
        torch.manual_seed(seed)
        ours = transform(photo_3SS, mask_SS)
        assert torch.equal(ours[0], image)
        assert torch.equal(ours[1], mask)
        assert torch.equal(torch.rand(1), after), "as many numbers are drawn"


@SETTINGS
def test_a_batch_is_augmented_as_its_photos_are_one_by_one(flip: bool, scale_min: float, scale_max: float) -> None:
    """Where there is a GPU, on it, and without waiting for it: a photo at a time took as long there as training."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    transform = TrainingTransform(SIZE, flip=flip, scale_min=scale_min, scale_max=scale_max)
    photos_N3SS, masks_NSS = noise(40, seed=1)
    torch.manual_seed(3)
    alone = [transform(*pair) for pair in zip(photos_N3SS, masks_NSS, strict=True)]
    torch.manual_seed(3)
    drawn_N4 = torch.tensor([transform.draw() for _ in alone])
    on_device = photos_N3SS.to(device), masks_NSS.to(device), drawn_N4.to(device)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        together = augmented_batch(*on_device)
        assert torch.backends.cuda.matmul.allow_tf32, "left as it was"
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    difference_N3SS = together[0].cpu().int() - torch.stack([photo for photo, _ in alone]).int()
    unchanged = (drawn_N4[:, 0] == SIZE)[:, None, None, None]
    assert (together[0].dtype, together[1].dtype) == (torch.uint8, torch.uint8)
    assert difference_N3SS.abs().max() <= 1
    assert not (difference_N3SS * unchanged).any(), "only scaling rounds"
    assert torch.equal(together[1].cpu(), torch.stack([mask for _, mask in alone]))
    resized_N3SS = [_resized_exactly(*each, transform) for each in zip(photos_N3SS, drawn_N4.tolist(), strict=True)]
    assert (together[0].cpu() != torch.stack(resized_N3SS)).float().mean() < 2e-3, (
        "rounded once: with TF32 2.5 % differ, rounded twice 16 %"
    )


def _resized_exactly(photo_3SS: torch.Tensor, drawn: list[int], transform: TrainingTransform) -> torch.Tensor:
    """Return a photo augmented in floating point and then rounded."""
    side_px, top_px, left_px, is_flipped = drawn
    margin_px = max(0, transform.image_size - side_px)
    resized = TF.resize(photo_3SS.double(), [side_px, side_px], antialias=True)
    padded = TF.pad(resized, [margin_px], fill=PADDING[tv_tensors.Image])
    cut = TF.crop(padded, top_px + margin_px, left_px + margin_px, *(transform.image_size,) * 2)
    return (cut.flip(-1) if is_flipped else cut).round().to(torch.uint8)


@pytest.mark.parametrize("side_px", [32, 100, 256])
def test_labels_of_a_batch_lie_where_those_of_one_photo_lie(side_px: int) -> None:
    """At ties `nearest-exact` rounds as float32 does: labels of every size must be the same pixel."""
    ids_SS = torch.arange(side_px).remainder(251).to(torch.uint8).expand(side_px, -1)
    sizes = range(side_px // 4, 4 * side_px, side_px // 12)
    for size_px in sizes:
        expected_S = torch.nn.functional.interpolate(ids_SS[None, None], (1, size_px), mode="nearest-exact")[0, 0, 0]
        drawn_N4 = torch.tensor([[size_px, 0, 0, 0]])
        _, labels = augmented_batch(torch.zeros((1, 3, side_px, side_px), dtype=torch.uint8), ids_SS[None], drawn_N4)
        assert torch.equal(labels[0, 0, :size_px], expected_S[:side_px])
