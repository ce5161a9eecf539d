"""Which photos stand for all of them, and their pictures, small enough to be written into the file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.images import mask_image, read_mask, read_photo
from core.metrics.confusion import Counts, iou
from core.metrics.conventions import mean
from core.model.render import difference

LONGEST_PX = 320
"""Longest side of a picture: five of them fill the width of a page at about 200 dpi."""

JPEG_QUALITY = 82


@dataclass(frozen=True)
class Chosen:
    """A photo by its place among the images, and why it was chosen: `gain`, `median` or `loss`."""

    index: int
    reason: str


def choose(first_NKK: Counts, last_NKK: Counts, each: int = 2) -> list[Chosen]:
    """Choose the photos with the largest gain of the last over the first, those in the middle, and the largest loss.

    Sorted by the difference of their own mIoU, ties by their order; none is chosen twice. Of one checkpoint, given
    as both, the best, the middle and the worst photos are meant.
    """
    first_N, last_N = image_mious(first_NKK), image_mious(last_NKK)
    measured = last_N if first_NKK is last_NKK else last_N - first_N
    order = [int(i) for i in np.argsort(-measured, kind="stable") if not np.isnan(measured[i])]
    each = max(1, min(each, len(order) // 3))
    middle = max(0, (len(order) - each) // 2)
    picked = [
        *((index, "gain") for index in order[:each]),
        *((index, "median") for index in order[middle : middle + each]),
        *((index, "loss") for index in order[len(order) - each :]),
    ]
    reasons = dict(reversed(picked))  # of a photo that is picked twice, the first reason stays
    return [Chosen(index, reasons[index]) for index in dict.fromkeys(index for index, _ in picked)]


def image_mious(counts_NKK: Counts) -> NDArray[np.float64]:
    """Return the mIoU of every image alone, shape (N,), NaN where nothing is counted."""
    values = (mean(iou_K) for iou_K in iou(counts_NKK))
    return np.array([np.nan if value is None else value for value in values])


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


def read_prediction(file: Path, num_classes: int) -> NDArray[np.uint8]:
    """Read a predicted mask; one that is damaged raises `DataError`."""
    return read_mask(file, num_classes)


def _small(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST_PX / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _uri(image: Image.Image, kind: str, **options: int | bool) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
