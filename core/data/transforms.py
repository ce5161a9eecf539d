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

Pair = tuple[tv_tensors.Image, tv_tensors.Mask]


def photo_to_tensor(photo: Image.Image, image_size: int) -> Tensor:
    """Return an RGB photo as the model takes it: float32, shape (3, image_size, image_size), normalized."""
    return _normalize(_squash(TF.to_image(photo), image_size))


def mask_to_tensor(mask_HW: NDArray[np.uint8], image_size: int) -> Tensor:
    """Return ids squashed like the photo, nearest neighbour: int64, shape (image_size, image_size)."""
    mask = tv_tensors.Mask(torch.from_numpy(mask_HW))
    return _squash(mask, image_size).to(torch.int64).as_subclass(Tensor)


class TrainingTransform:
    """Photo and mask to a training pair, augmented as asked; random numbers come from torch's global generator."""

    def __init__(self, image_size: int, *, flip: bool = False, scale_min: float = 1.0, scale_max: float = 1.0) -> None:
        self._image_size = image_size
        self._scales = (scale_min, scale_max)
        # Zero after normalization is the mean colour; padding is void in the mask and is never trained on.
        fill = {tv_tensors.Image: [round(255 * mean) for mean in IMAGE_MEAN], tv_tensors.Mask: VOID}
        self._crop = v2.RandomCrop((image_size, image_size), pad_if_needed=True, fill=fill)
        self._flip = v2.RandomHorizontalFlip() if flip else None

    def __call__(self, photo: Image.Image, mask_HW: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Return the photo, float32 (3, S, S), normalized, and its ids, int64 (S, S)."""
        pair = (TF.to_image(photo), tv_tensors.Mask(torch.from_numpy(mask_HW)))
        image, mask = (_squash(part, self._image_size) for part in pair)
        if self._scales != (1.0, 1.0):
            size = round(self._image_size * float(torch.empty(1).uniform_(*self._scales)))
            image, mask = self._crop(_squash(image, size), _squash(mask, size))
        if self._flip is not None:
            image, mask = self._flip(image, mask)
        return _normalize(image), mask.to(torch.int64).as_subclass(Tensor)


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


def _normalize(image: Tensor) -> Tensor:
    scaled = TF.to_dtype(image, torch.float32, scale=True)
    normalized: Tensor = TF.normalize(scaled, list(IMAGE_MEAN), list(IMAGE_STD))
    return normalized.as_subclass(Tensor)
