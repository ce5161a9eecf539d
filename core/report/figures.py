"""Which photos stand for all of them, and their pictures, small enough to be written into the file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.images import mask_image, read_photo
from core.metrics.image_scores import ImageScore
from core.model.render import difference

LONGEST_PX = 320
"""Longest side of a picture: five of them fill the width of a page at about 200 dpi."""

JPEG_QUALITY = 82


@dataclass(frozen=True)
class Chosen:
    """A photo by its place among the images, and why it was chosen: `gain`, `median` or `loss`."""

    index: int
    reason: str


def choose(images: Sequence[ImageScore], *, is_pair: bool, each: int = 2) -> list[Chosen]:
    """Choose the images that gained most from A to B, those in the middle, and those that lost most.

    Sorted by their gain, ties by their order; none is chosen twice, nor one without a counted pixel. Unless `is_pair`,
    B is the only checkpoint: its best, middle and worst images are chosen.
    """
    scored = [image for image in images if image.b is not None]
    ranked = sorted(scored, key=lambda image: -(image.gain if is_pair else image.b or 0.0))
    order = [image.index for image in ranked]
    each = max(1, min(each, len(order) // 3))
    middle = max(0, (len(order) - each) // 2)
    picked = [
        *((index, "gain") for index in order[:each]),
        *((index, "median") for index in order[middle : middle + each]),
        *((index, "loss") for index in order[max(0, len(order) - each) :]),
    ]
    reasons = dict(reversed(picked))  # of an image that is picked twice, the first reason stays
    return [Chosen(index, reasons[index]) for index in dict.fromkeys(index for index, _ in picked)]


def photo_uri(file: Path) -> str:
    """Return a small copy of a photo, upright, as a data URI."""
    photo = read_photo(file)
    photo.thumbnail((LONGEST_PX, LONGEST_PX))
    return _uri(photo, "JPEG", quality=JPEG_QUALITY)


def mask_uri(mask_HW: NDArray[np.uint8], palette_2563: NDArray[np.uint8]) -> str:
    """Return a small copy of a mask in the colours of a palette as a data URI; ids are never mixed."""
    mask = mask_image(mask_HW, palette_2563)
    return _uri(mask.resize(_small(mask.size), Image.Resampling.NEAREST), "PNG", optimize=True)


def difference_uri(masks: Sequence[NDArray[np.uint8]], truth_HW: NDArray[np.uint8]) -> str:
    """Return where the first and the last of the masks differ (`core.model.render.difference`) as a data URI."""
    picture = difference(masks[0], masks[-1], truth_HW)
    shrunk = picture.resize(_small(picture.size), Image.Resampling.NEAREST).quantize(8)
    return _uri(shrunk, "PNG", optimize=True)


def _small(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST_PX / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _uri(image: Image.Image, kind: str, **options: int | bool) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
