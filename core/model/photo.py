"""A photo that somebody wants segmented: opening it, whatever it is, and what its mask holds.

A photo is the bytes of a file from anywhere, so it is believed nothing: only picture formats that are decoded here
are tried, and its size is judged before any of its pixels is read. Torch is not imported.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.data.images import upright_rgb
from core.errors import PhotoError

MAX_PIXELS = 50_000_000
"""The largest photo: a 50-megapixel camera's; segmenting one takes about a gigabyte of memory."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")
"""What is decoded, by Pillow's names (a phone's MPO opens as JPEG); never EPS, which starts Ghostscript."""

SUFFIXES = ("jpg", "jpeg", "png", "webp", "avif", "tif", "tiff", "bmp", "gif")
"""How files of these formats usually end."""

UNSCALED_MODES = ("I", "F")
"""Pixels that are measurements: nothing says which value is white."""


@dataclass(frozen=True)
class ClassArea:
    """A class in a mask: its share of the pixels and the mean probability the model gave it there, in [0, 1]."""

    id: int
    name: str
    share: float
    mean_confidence: float


def open_photo(data: bytes, name: str) -> Image.Image:
    """Return a photo as upright RGB from the bytes of its file; `name` is what the messages call it.

    Of an animation the first picture is taken. What is no photo, is cut short, or has more than `MAX_PIXELS` raises
    `PhotoError`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as photo:
            _check_size(photo, name)
            _check_mode(photo, name)
            return upright_rgb(photo)
    except UnidentifiedImageError:
        raise PhotoError(f"{name} is not a photo that can be read; save it as JPEG, PNG or WebP.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoError(f"{name} {_too_large()}") from None
    except (OSError, SyntaxError, ValueError, struct.error, EOFError) as error:
        raise PhotoError(f"{name} is damaged or was cut short ({error}); copy or save it again.") from error


def _check_size(photo: Image.Image, name: str) -> None:
    if photo.width * photo.height > MAX_PIXELS:
        raise PhotoError(f"{name} is {photo.width} x {photo.height} px and {_too_large()}")


def _check_mode(photo: Image.Image, name: str) -> None:
    if photo.mode in UNSCALED_MODES:
        raise PhotoError(
            f"{name} holds measurements (mode {photo.mode}), not colours; save it with 8 bits per channel."
        )


def _too_large() -> str:
    return f"has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller first."


def file_stem(name: str) -> str:
    """Return the last part of a file's name without its ending, whatever path it came with; never empty."""
    return PurePosixPath(name.replace("\\", "/")).stem or "photo"


def class_areas(
    mask_HW: NDArray[np.uint8], confidence_HW: NDArray[np.float32], class_names: Sequence[str]
) -> tuple[ClassArea, ...]:
    """Return the classes in a mask, largest first.

    Args:
        mask_HW: class ids below the number of names.
        confidence_HW: the probability of that class at each pixel, in [0, 1].
        class_names: names in the order of the ids.
    """
    num_classes = len(class_names)
    pixels_K = np.bincount(mask_HW.ravel(), minlength=num_classes)
    confidence_K = np.bincount(mask_HW.ravel(), weights=confidence_HW.ravel(), minlength=num_classes)
    order = sorted(np.flatnonzero(pixels_K).tolist(), key=lambda class_id: -pixels_K[class_id])
    return tuple(
        ClassArea(
            class_id,
            class_names[class_id],
            share=float(pixels_K[class_id] / mask_HW.size),
            mean_confidence=min(1.0, float(confidence_K[class_id] / pixels_K[class_id])),
        )
        for class_id in order
    )
