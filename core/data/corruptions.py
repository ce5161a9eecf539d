"""Photos made worse on purpose: seven corruptions, each at five levels. Pure functions of photo, mask and name.

Blur, noise, JPEG, brightness and contrast are those of Hendrycks and Dietterich 2019 ("Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations", arXiv 1903.12261): Gaussian blur and noise, with the strengths of
their ImageNet-C, whose photos are 224 px wide. Rotation and scale, which move the mask too, are ours.

A level means the same for photos of any size: they are first reduced to `LONGEST_PX`. Randomness follows from the
photo's name: every level of a photo has the same noise, only stronger, and is rotated the same way.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.data.dataset import Sample
from core.data.images import jpeg_bytes, photo_size, read_mask, read_photo, refuse_size
from core.voc import IMAGE_MEAN, VOID

LONGEST_PX = 512
"""Longer side to which larger photos and masks are reduced: about what models work at, and 224 px would lose detail."""

LEVELS = 5
CLEAN = "clean"
"""Level 0 of every corruption: the photo as it is."""

FILL = tuple(round(255 * mean) for mean in IMAGE_MEAN)
"""Colour around a moved photo: the mean colour, as around photos in the model's square. The mask is void there."""


class Pair(NamedTuple):
    """An RGB photo and its ids, uint8, (H, W), of the same size."""

    photo: Image.Image
    mask_HW: NDArray[np.uint8]


@dataclass(frozen=True)
class Corruption:
    """What is done to a photo: its name, the strength of each level, and what that number is.

    `is_published` is True where the strengths are of Hendrycks and Dietterich, `moves` where the mask changes too.
    """

    name: str
    strengths: tuple[float, ...]
    unit: str
    apply: Callable[[Pair, float, np.random.Generator], Pair]
    is_published: bool = True
    moves: bool = False

    @property
    def label(self) -> str:
        """Its name on a page."""
        return "JPEG" if self.name == "jpeg" else self.name.capitalize()

    def strength(self, level: int) -> str:
        """Return the strength of a level in words, such as `sigma 3 px`."""
        return self.unit.format(self.strengths[level - 1])


def corrupt(pair: Pair, corruption: str, level: int, name: str) -> Pair:
    """Return a pair under a corruption at a level from 0 (as it is) to `LEVELS`; `name` is the photo's."""
    if level == 0:
        return pair
    found = CORRUPTIONS[corruption]
    seed = hashlib.sha256(f"{found.name}\0{name}".encode(errors="surrogateescape")).digest()
    return found.apply(pair, found.strengths[level - 1], np.random.default_rng(list(seed)))


def read_reduced(sample: Sample, num_classes: int) -> Pair:
    """Return a pair from its files, reduced to `LONGEST_PX`; an unusable one raises `DataError`."""
    mask_HW = read_mask(sample.mask, num_classes)
    refuse_size(sample.mask, mask_HW, photo_size(sample.photo))
    return _resized(Pair(read_photo(sample.photo, LONGEST_PX), mask_HW), min(1.0, LONGEST_PX / max(mask_HW.shape)))


def _resized(pair: Pair, factor: float) -> Pair:
    height, width = (max(1, round(factor * side)) for side in pair.mask_HW.shape)
    mask = Image.fromarray(pair.mask_HW).resize((width, height), Image.Resampling.NEAREST)
    return Pair(pair.photo.resize((width, height), Image.Resampling.BILINEAR), np.asarray(mask))


def _blur(pair: Pair, sigma_px: float, _: np.random.Generator) -> Pair:
    photo_HW3 = ndimage.gaussian_filter(_levels(pair), (sigma_px, sigma_px, 0), mode="nearest")
    return _with(pair, photo_HW3)


def _noise(pair: Pair, deviation: float, random: np.random.Generator) -> Pair:
    photo_HW3 = _levels(pair)
    return _with(pair, photo_HW3 + deviation * random.standard_normal(photo_HW3.shape, dtype=np.float32))


def _jpeg(pair: Pair, quality: float, _: np.random.Generator) -> Pair:
    with Image.open(io.BytesIO(jpeg_bytes(pair.photo, int(quality)))) as photo:
        return pair._replace(photo=photo.convert("RGB"))


def _brightness(pair: Pair, added: float, _: np.random.Generator) -> Pair:
    """Add to the value of HSV: a colour with the same hue and saturation is proportional to its value."""
    photo_HW3 = _levels(pair)
    value_HW1 = photo_HW3.max(axis=2, keepdims=True)
    brighter_HW1 = np.minimum(value_HW1 + np.float32(added), 1)
    hue_HW3 = np.divide(photo_HW3, value_HW1, out=np.ones_like(photo_HW3), where=value_HW1 > 0)
    return _with(pair, hue_HW3 * brighter_HW1)


def _contrast(pair: Pair, kept: float, _: np.random.Generator) -> Pair:
    photo_HW3 = _levels(pair)
    mean_3 = photo_HW3.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return _with(pair, mean_3 + np.float32(kept) * (photo_HW3 - mean_3))


def _rotation(pair: Pair, degrees: float, random: np.random.Generator) -> Pair:
    return rotated(pair, degrees if random.random() < 0.5 else -degrees)


def rotated(pair: Pair, degrees: float) -> Pair:
    """Return a pair rotated counterclockwise about its centre in a frame of its own size."""
    mask = Image.fromarray(pair.mask_HW).rotate(degrees, Image.Resampling.NEAREST, fillcolor=VOID)
    return Pair(pair.photo.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=FILL), np.asarray(mask))


def _scale(pair: Pair, factor: float, _: np.random.Generator) -> Pair:
    return scaled(pair, factor)


def scaled(pair: Pair, factor: float) -> Pair:
    """Return a pair reduced by a factor, in the middle of a frame of its own size."""
    small = _resized(pair, factor)
    left, top = ((whole - part) // 2 for whole, part in zip(pair.photo.size, small.photo.size, strict=True))
    photo, mask = Image.new("RGB", pair.photo.size, FILL), Image.new("L", pair.photo.size, VOID)
    photo.paste(small.photo, (left, top))
    mask.paste(Image.fromarray(small.mask_HW), (left, top))
    return Pair(photo, np.asarray(mask))


def _levels(pair: Pair) -> NDArray[np.float32]:
    return np.asarray(pair.photo, dtype=np.float32) / np.float32(255)


def _with(pair: Pair, photo_HW3: NDArray[np.float32]) -> Pair:
    return pair._replace(photo=Image.fromarray(np.rint(255 * photo_HW3.clip(0, 1)).astype(np.uint8)))


CORRUPTIONS = {
    each.name: each
    for each in (
        Corruption("blur", (1, 2, 3, 4, 6), "Gaussian, sigma {:g} px", _blur),
        Corruption("noise", (0.08, 0.12, 0.18, 0.26, 0.38), "Gaussian, deviation {:g} of 1", _noise),
        Corruption("jpeg", (25, 18, 15, 10, 7), "quality {:g}", _jpeg),
        Corruption("brightness", (0.1, 0.2, 0.3, 0.4, 0.5), "value (HSV) + {:g}", _brightness),
        Corruption("contrast", (0.4, 0.3, 0.2, 0.1, 0.05), "contrast times {:g}", _contrast),
        Corruption("rotation", (5, 10, 20, 30, 45), "{:g} degrees", _rotation, is_published=False, moves=True),
        Corruption("scale", (0.8, 0.65, 0.5, 0.35, 0.25), "size times {:g}", _scale, is_published=False, moves=True),
    )
}
"""By name, in the order in which they are shown."""

CELLS = ((CLEAN, 0), *((name, level) for name in CORRUPTIONS for level in range(1, LEVELS + 1)))
"""What an evaluation of robustness counts: the photos as they are, then every corruption at every level."""
