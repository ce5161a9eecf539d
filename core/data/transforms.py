"""From a photo and its mask to tensors: the one place where preprocessing happens.

Training, validation and the Segment page all squash a photo to `image_size` x `image_size` here and normalize it with
ImageNet's mean and deviation, so that a photo looks the same to the model wherever it comes from.
"""

import numpy as np
import torch
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
        steps: list[v2.Transform] = []
        if (scale_min, scale_max) != (1.0, 1.0):
            # Zero after normalization is the mean colour; padding is void in the mask and is never trained on.
            mean_color = [round(255 * mean) for mean in IMAGE_MEAN]
            fill = {tv_tensors.Image: mean_color, tv_tensors.Mask: VOID}
            size = (image_size, image_size)
            steps.append(v2.ScaleJitter(size, (scale_min, scale_max), antialias=True))
            steps.append(v2.RandomCrop(size, pad_if_needed=True, fill=fill))
        if flip:
            steps.append(v2.RandomHorizontalFlip())
        self._augment = v2.Compose(steps) if steps else None

    def __call__(self, photo: Image.Image, mask_HW: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Return the photo, float32 (3, S, S), normalized, and its ids, int64 (S, S)."""
        pair = (TF.to_image(photo), tv_tensors.Mask(torch.from_numpy(mask_HW)))
        image, mask = (_squash(part, self._image_size) for part in pair)
        if self._augment is not None:
            image, mask = self._augment(image, mask)
        return _normalize(image), mask.to(torch.int64).as_subclass(Tensor)


def _squash(image: Tensor, image_size: int) -> Tensor:
    """Resize both sides to `image_size`: bilinear with antialias for photos, nearest for masks (v2 tells by type)."""
    size = [image_size, image_size]
    resized: Tensor = TF.resize(image, size, interpolation=v2.InterpolationMode.BILINEAR, antialias=True)
    return resized


def _normalize(image: Tensor) -> Tensor:
    scaled = TF.to_dtype(image, torch.float32, scale=True)
    normalized: Tensor = TF.normalize(scaled, list(IMAGE_MEAN), list(IMAGE_STD))
    return normalized.as_subclass(Tensor)
