"""From a photo and its mask to tensors: the one place where preprocessing happens.

Training, validation and the Segment page all squash a photo to `image_size` x `image_size` here and normalize it with
ImageNet's mean and deviation, so that a photo looks the same to the model wherever it comes from.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from core.voc import IMAGE_MEAN, IMAGE_STD, VOID


def photo_to_tensor(photo: Image.Image, image_size: int) -> Tensor:
    """Return an RGB photo as the model takes it: float32, shape (3, image_size, image_size), normalized."""
    return normalize(squash_photo(photo, image_size))


def squash_photo(photo: Image.Image, image_size: int) -> Tensor:
    """Return an RGB photo squashed to the model's size: uint8, shape (3, image_size, image_size)."""
    return _squash(TF.to_image(photo), image_size).as_subclass(Tensor)


def squash_mask(mask_HW: NDArray[np.uint8], image_size: int) -> Tensor:
    """Return ids squashed like their photo, nearest neighbour: uint8, shape (image_size, image_size)."""
    return _squash(tv_tensors.Mask(torch.from_numpy(mask_HW)), image_size).as_subclass(Tensor)


def normalize(photos_3SS: Tensor) -> Tensor:
    """Return photos of any leading axes (uint8) as the model takes them: float32, ImageNet's mean and deviation."""
    scaled = TF.to_dtype(photos_3SS, torch.float32, scale=True)
    normalized: Tensor = TF.normalize(scaled, list(IMAGE_MEAN), list(IMAGE_STD))
    return normalized.as_subclass(Tensor)


FLIPPED_SHARE = 0.5


class TrainingTransform:
    """A squashed pair, augmented as asked; random numbers come from torch's global generator."""

    def __init__(self, image_size: int, *, flip: bool = False, scale_min: float = 1.0, scale_max: float = 1.0) -> None:
        self.image_size = image_size
        self._scales = (scale_min, scale_max)
        # Zero after normalization is the mean colour; padding is void in the mask and is never trained on.
        fill = {tv_tensors.Image: [round(255 * mean) for mean in IMAGE_MEAN], tv_tensors.Mask: VOID}
        self._crop = v2.RandomCrop((image_size, image_size), pad_if_needed=True, fill=fill)
        self.has_flips = flip

    def draws_flip(self) -> bool:
        """Draw whether a pair is mirrored: half of them are, where any is."""
        return self.has_flips and bool(torch.rand(1) < FLIPPED_SHARE)

    @property
    def is_identity(self) -> bool:
        """Whether every pair stays as it is."""
        return self._scales == (1.0, 1.0) and not self.has_flips

    def __call__(self, photo_3SS: Tensor, mask_SS: Tensor) -> tuple[Tensor, Tensor]:
        """Return a photo (uint8, `squash_photo`) and its ids (uint8, `squash_mask`) in the same shapes."""
        image, mask = tv_tensors.Image(photo_3SS), tv_tensors.Mask(mask_SS)
        if self._scales != (1.0, 1.0):
            size = round(self.image_size * float(torch.empty(1).uniform_(*self._scales)))
            image, mask = self._crop(_squash(image, size), _squash(mask, size))
        if self.draws_flip():
            image, mask = TF.horizontal_flip(image), TF.horizontal_flip(mask)
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)


def _squash(image: Tensor, image_size: int) -> Tensor:
    """Resize both sides to `image_size`: bilinear with antialias for photos, nearest for masks."""
    size = [image_size, image_size]
    if isinstance(image, tv_tensors.Mask):
        # v2 resizes masks by the older `nearest`, which takes the upper left of the pixels that become one: labels
        # would lie up to half a pixel beside what they label.
        ids_HW = F.interpolate(image.as_subclass(Tensor)[None, None], size, mode="nearest-exact")[0, 0]
        squashed: Tensor = tv_tensors.Mask(ids_HW)
        return squashed
    resized: Tensor = TF.resize(image, size, interpolation=v2.InterpolationMode.BILINEAR, antialias=True)
    return resized
