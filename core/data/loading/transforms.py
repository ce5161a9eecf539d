"""Preprocessing of photos and masks, the same for training, validation and the Segment page.

A photo is resized to a square of `image_size` (`core.data.geometry`) and normalized with ImageNet's mean and deviation.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from core.data.geometry import RESIZE, place_of
from core.voc import IMAGE_MEAN, IMAGE_STD, VOID

PADDING: dict[type, Any] = {tv_tensors.Image: [round(255 * mean) for mean in IMAGE_MEAN], tv_tensors.Mask: VOID}
"""Padding around a photo: the mean colour, which is 0 after normalization, as is the padding of convolutions. In the
mask it is void."""


def photo_in_square(photo: Image.Image, image_size: int, geometry: str = RESIZE) -> Tensor:
    """Return an RGB photo in the model's square: uint8, (3, image_size, image_size)."""
    return _in_square(TF.to_image(photo), image_size, geometry)


def mask_in_square(mask_HW: NDArray[np.uint8], image_size: int, geometry: str = RESIZE) -> Tensor:
    """Return ids in the square, where their photo lies, by nearest neighbour: uint8, (image_size, image_size)."""
    return _in_square(tv_tensors.Mask(torch.from_numpy(mask_HW)), image_size, geometry)


def normalize(photos_3SS: Tensor) -> Tensor:
    """Return photos, uint8, (..., 3, S, S), as float32 with ImageNet's mean and deviation."""
    scaled: Tensor = TF.to_dtype(photos_3SS, torch.float32, scale=True).as_subclass(Tensor)
    mean_311, std_311 = _mean_and_std(scaled.device)
    return (scaled - mean_311).div_(std_311)


@cache
def _mean_and_std(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ImageNet's, (3, 1, 1), on a device: copied once, since a GPU is waited for at each copy."""
    mean_3, std_3 = torch.tensor([IMAGE_MEAN, IMAGE_STD], device=device)
    return mean_3[:, None, None], std_3[:, None, None]


class Augmentation(NamedTuple):
    """What is drawn for a pair: both are resized to `size_px`, cut from `top_px` and `left_px` on, then mirrored.

    Top and left are negative where the resized photo is the smaller one: padding comes first.
    """

    size_px: int
    top_px: int
    left_px: int
    is_flipped: bool


FLIPPED_SHARE = 0.5


class TrainingTransform:
    """Augmentation of a pair in the model's square; random numbers come from torch's global generator."""

    def __init__(self, image_size: int, *, flip: bool = False, scale_min: float = 1.0, scale_max: float = 1.0) -> None:
        self.image_size = image_size
        self.scales = (scale_min, scale_max)
        self.has_flips = flip

    def draws_flip(self) -> bool:
        """Draw whether to flip a pair: half of them, if flips are on."""
        return self.has_flips and bool(torch.rand(1) < FLIPPED_SHARE)

    @property
    def has_scales(self) -> bool:
        """Whether pairs are scaled and cut at random."""
        return self.scales != (1.0, 1.0)

    @property
    def is_identity(self) -> bool:
        """Whether no pair is changed."""
        return not self.has_scales and not self.has_flips

    def draw(self) -> Augmentation:
        """Draw a pair's augmentation: the scale, top and left as `v2.RandomCrop` draws them, then the flip."""
        size_px, top_px, left_px = self.image_size, 0, 0
        if self.has_scales:
            size_px = round(self.image_size * float(torch.empty(1).uniform_(*self.scales)))
            top_px, left_px = self._draw_offset(size_px), self._draw_offset(size_px)
        return Augmentation(size_px, top_px, left_px, self.draws_flip())

    def _draw_offset(self, size_px: int) -> int:
        excess_px = size_px - self.image_size
        return int(torch.randint(0, abs(excess_px) + 1, ())) + min(0, excess_px) if excess_px else 0

    def __call__(self, photo_3SS: Tensor, mask_SS: Tensor) -> tuple[Tensor, Tensor]:
        """Draw, and return a photo and its ids, uint8, in the same shapes. `augmented_batch` does it to many at once.

        Random scales resize the square with its padding, which stays void, since ids are never interpolated.
        """
        drawn = self.draw()
        return self.photo_as(drawn, photo_3SS), self.mask_as(drawn, mask_SS)

    def photo_as(self, drawn: Augmentation, photo_3SS: Tensor) -> Tensor:
        """Return a photo, uint8, augmented as drawn."""
        return self._augmented(tv_tensors.Image(photo_3SS), drawn)

    def mask_as(self, drawn: Augmentation, mask_SS: Tensor) -> Tensor:
        """Return ids, uint8, augmented as drawn."""
        return self._augmented(tv_tensors.Mask(mask_SS), drawn)

    def _augmented(self, image: Tensor, drawn: Augmentation) -> Tensor:
        cut = self._cut(image, drawn)
        flipped: Tensor = TF.horizontal_flip(cut) if drawn.is_flipped else cut
        return flipped.as_subclass(Tensor)

    def _cut(self, image: Tensor, drawn: Augmentation) -> Tensor:
        """Return the square of a resized photo or mask, padded where it is smaller."""
        if drawn.size_px == self.image_size:
            return image
        margin_px = max(0, self.image_size - drawn.size_px)
        padded = TF.pad(_resize(image, (drawn.size_px,) * 2), [margin_px], fill=PADDING[type(image)])
        cut: Tensor = TF.crop(padded, drawn.top_px + margin_px, drawn.left_px + margin_px, *(self.image_size,) * 2)
        return cut


def _in_square(image: Tensor, image_size: int, geometry: str) -> Tensor:
    place = place_of((image.shape[-2], image.shape[-1]), image_size, geometry)
    margins = [place.beside_px, place.above_px]
    padded: Tensor = TF.pad(_resize(image, place.size), margins, fill=PADDING[type(image)])
    return padded.as_subclass(Tensor)


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize to (height, width): bilinear with antialias for photos, nearest for masks."""
    if isinstance(image, tv_tensors.Mask):
        # v2 resizes masks by `nearest`, which takes the upper left of the pixels that become one: labels would be up
        # to half a pixel off. `nearest-exact` takes the centre.
        ids_HW = F.interpolate(image.as_subclass(Tensor)[None, None], size, mode="nearest-exact")[0, 0]
        ids: Tensor = tv_tensors.Mask(ids_HW)
        return ids
    resized: Tensor = TF.resize(image, list(size), interpolation=v2.InterpolationMode.BILINEAR, antialias=True)
    return resized
