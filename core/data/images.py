"""Reading photos and masks; writing masks as VOC does.

A mask is a picture of class ids: mode P (ids with a palette, VOC's own), L (ids as grey levels) or 1 (ids 0 and 1).
"""

import functools
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from core.data.bit_depth import Refused, refuse_misread, refuse_stack, refuse_unscaled, refused_tiff
from core.data.srgb import to_srgb
from core.errors import DataError
from core.files import regular, replacing
from core.voc import PALETTE, VOID

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF")
"""Formats of photos, by Pillow's names (a phone's MPO opens as JPEG); never EPS, which starts Ghostscript."""
MASK_MODES = ("P", "L", "1")
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""
JPEG_QUALITY = 95
"""Quality of a photo that is compressed again, for example after turning it upright."""


def load_picture(path: Path, what: str, least_px: int = 0) -> Image.Image:
    """Return a decoded file, in its own mode and not turned upright; an unusable one raises `DataError`.

    `what` is "photo" or "mask". Photos must be of `PHOTO_FORMATS`, and Pillow must decode their colours right. With
    `least_px`, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, its longer side about so long or longer.
    """
    with _opened(path, what) as image:
        if least_px and max(image.size) > least_px:
            scale = least_px / max(image.size)
            image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        image.load()
        return image


def photo_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of a photo as `read_photo` returns it; most formats are not decoded for that."""
    with _opened(path, "photo") as photo:
        orientation = photo.getexif().get(ExifTags.Base.Orientation)
        return photo.size[::-1] if orientation in SIDEWAYS else photo.size


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Image.Image]:
    is_photo = what == "photo"
    if is_photo:
        register_heif()
    try:
        with Image.open(regular(path), formats=PHOTO_FORMATS if is_photo else None) as image:
            if is_photo:
                refuse_misread(image)
            else:
                refuse_stack(image)
            yield image
    except Refused as refused:
        raise DataError(f"The {what} {path} {refused}.") from refused
    except FileNotFoundError:
        raise DataError(f"The {what} {path} does not exist; restore it or take it off the split list.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if is_photo and isinstance(error, UnidentifiedImageError):
            with path.open("rb") as file:
                if odd := refused_tiff(file):
                    raise DataError(f"The photo {path} {odd}.") from odd
        raise DataError(
            f"The {what} {path} cannot be read ({error}); replace it or take it off the split list."
        ) from error


@functools.cache
def register_heif() -> None:
    """Let Pillow open HEIC files, without the thumbnails and depth maps of phones."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def read_photo(path: Path, least_px: int = 0) -> Image.Image:
    """Return a photo as RGB, turned upright by its EXIF orientation; an unusable one raises `DataError`.

    `least_px` is that of `load_picture`, for thumbnails.
    """
    photo = load_picture(path, "photo", least_px)
    try:
        refuse_unscaled(photo)
        return upright_rgb(photo)
    except Refused as refused:
        raise DataError(f"The photo {path} {refused}.") from refused
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # damaged EXIF is first read here
        raise DataError(f"The photo {path} cannot be turned upright ({error}); save it again without EXIF.") from error


def upright_rgb(photo: Image.Image) -> Image.Image:
    """Return a picture of any mode as sRGB (`to_srgb`), turned upright by its EXIF orientation."""
    return to_srgb(ImageOps.exif_transpose(photo))


def read_mask(path: Path, num_classes: int) -> NDArray[np.uint8]:
    """Return a mask as ids, (H, W), uint8: class ids below `num_classes`, and 255 for void.

    A colour picture, an id without a class or a damaged file raises `DataError`.
    """
    mask = load_picture(path, "mask")
    if mask.mode not in MASK_MODES:
        is_deep = mask.mode.startswith(("I", "F")) or mask.mode == "LA"
        importer = "id-masks" if is_deep else "color-table, with a table of its colours"
        raise DataError(
            f"{path} is a {mask.mode} picture, not a mask of class ids; save it with one id per pixel (mode P or L), "
            f"or import the folder as {importer}."
        )
    mask_HW = np.array(mask, dtype=np.uint8)
    strays = sorted({*np.flatnonzero(pixels_of(mask_HW)).tolist()} - set(range(num_classes)) - {VOID})
    if strays:
        listed = ", ".join(map(str, strays[:5])) + (" and more" if len(strays) > 5 else "")
        raise DataError(
            f"{path} holds id {listed}, but the classes go from 0 to {num_classes - 1} (and {VOID} for void)."
        )
    return mask_HW


def read_pair(photo_path: Path, mask_path: Path, num_classes: int) -> tuple[Image.Image, NDArray[np.uint8]]:
    """Return a photo and its ids (`read_photo`, `read_mask`); different sizes raise `DataError`."""
    photo, mask_HW = read_photo(photo_path), read_mask(mask_path, num_classes)
    refuse_size(mask_path, mask_HW, photo.size)
    return photo, mask_HW


def refuse_size(mask_path: Path, mask_HW: NDArray[np.uint8], photo_size: tuple[int, int]) -> None:
    """Raise `DataError` for a mask whose size is not the (width, height) of its photo."""
    height, width = mask_HW.shape
    if photo_size != (width, height):
        raise DataError(
            f"{mask_path} is {width} x {height} px, but its photo is {photo_size[0]} x {photo_size[1]} px; "
            "draw the mask on the photo's own pixels."
        )


def pixels_of(mask_HW: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how many pixels have each of 256 ids: Pillow counts them in a third of the time of `np.bincount`."""
    return np.array(Image.fromarray(mask_HW).histogram(), dtype=np.int64)


def mask_image(mask_HW: NDArray[np.uint8], palette_2563: NDArray[np.uint8] = PALETTE) -> Image.Image:
    """Return ids, (H, W), as a mode P picture with a palette, (256, 3)."""
    image = Image.fromarray(mask_HW, mode="L")
    image.putpalette(palette_2563.tobytes())
    return image


def png_bytes(image: Image.Image, *, optimize: bool = False) -> bytes:
    """Return a picture as a PNG file; `optimize` takes longer for a smaller file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=optimize)
    return buffer.getvalue()


def jpeg_bytes(image: Image.Image, quality: int = 90, subsampling: int = -1) -> bytes:
    """Return a picture as a JPEG file; `subsampling` 0 keeps the resolution of colours, -1 is Pillow's default."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def write_mask(path: Path, mask_HW: NDArray[np.uint8], palette_2563: NDArray[np.uint8] = PALETTE) -> None:
    """Write ids, (H, W), as a mode P PNG with a palette, (256, 3)."""
    with replacing(path) as file:
        mask_image(mask_HW, palette_2563).save(file, format="PNG")
