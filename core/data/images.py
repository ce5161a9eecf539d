"""Reading photos and masks from disk, and writing masks as VOC does.

A mask is a picture of class ids: mode P (VOC's own, ids with a palette), mode L (ids as grey levels) or mode 1 (the
ids 0 and 1).
"""

import functools
import io
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from core.data.bit_depth import Refused, refuse_misread, refuse_unscaled, refused_tiff
from core.data.srgb import to_srgb
from core.errors import DataError
from core.files import regular, replacing
from core.voc import PALETTE, VOID

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF")
"""What is decoded as a photo, by Pillow's names (a phone's MPO opens as JPEG); never EPS, which starts Ghostscript."""
MASK_MODES = ("P", "L", "1")
JPEG_QUALITY = 95
"""Of a photo that has to be written anew, as one that is turned upright."""


def load_picture(path: Path, what: str) -> Image.Image:
    """Read a whole file as it is, of any mode and not turned upright; `what` (photo, mask) is for the `DataError`.

    Of photos only `PHOTO_FORMATS` are tried, and what Pillow would decode into wrong colours is refused.
    """
    is_photo = what == "photo"
    if is_photo:
        register_heif()
    try:
        with Image.open(regular(path), formats=PHOTO_FORMATS if is_photo else None) as image:
            if is_photo:
                refuse_misread(image)
            image.load()
            return image
    except Refused as refused:
        raise DataError(f"The photo {path} {refused}.") from refused
    except FileNotFoundError:
        raise DataError(f"The {what} {path} does not exist; restore it or take it off the split list.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if is_photo and isinstance(error, UnidentifiedImageError) and (odd := _odd_tiff(path)):
            raise DataError(f"The photo {path} {odd}.") from odd
        raise DataError(
            f"The {what} {path} cannot be read ({error}); replace it or take it off the split list."
        ) from error


def _odd_tiff(path: Path) -> Refused | None:
    with path.open("rb") as file:
        return refused_tiff(file)


@functools.cache
def register_heif() -> None:
    """Let Pillow open HEIC files, without the thumbnails and depths that come with a phone's."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def read_photo(path: Path) -> Image.Image:
    """Read a photo as RGB, turned upright by its EXIF orientation; a file that cannot be read raises `DataError`.

    It is what the Segment page makes of the same file, or refused in the same words (`bit_depth`).
    """
    photo = load_picture(path, "photo")
    try:
        refuse_unscaled(photo)
        return upright_rgb(photo)
    except Refused as refused:
        raise DataError(f"The photo {path} {refused}.") from refused
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # damaged EXIF, which is read only now
        raise DataError(f"The photo {path} cannot be turned upright ({error}); save it again without EXIF.") from error


def upright_rgb(photo: Image.Image) -> Image.Image:
    """Return a picture of any mode as sRGB (`to_srgb`), its EXIF orientation applied, transparency laid on white."""
    return to_srgb(ImageOps.exif_transpose(photo))


def read_mask(path: Path, num_classes: int) -> NDArray[np.uint8]:
    """Read a mask as ids, shape (H, W), uint8: class ids below `num_classes`, and 255 for void.

    Anything else (a colour picture, an id without a class, a damaged file) raises `DataError` naming the file.
    """
    mask = load_picture(path, "mask")
    if mask.mode not in MASK_MODES:
        raise DataError(
            f"{path} is a {mask.mode} picture, not a mask of class ids; save it with one id per pixel (mode P or L)."
        )
    mask_HW = np.array(mask, dtype=np.uint8)
    strays = sorted(set(np.unique(mask_HW).tolist()) - set(range(num_classes)) - {VOID})
    if strays:
        listed = ", ".join(map(str, strays[:5])) + (" and more" if len(strays) > 5 else "")
        raise DataError(
            f"{path} holds id {listed}, but the classes go from 0 to {num_classes - 1} (and {VOID} for void)."
        )
    return mask_HW


def read_pair(photo_path: Path, mask_path: Path, num_classes: int) -> tuple[Image.Image, NDArray[np.uint8]]:
    """Read a photo and its mask; a mask of another size than its photo raises `DataError`."""
    photo, mask_HW = read_photo(photo_path), read_mask(mask_path, num_classes)
    height, width = mask_HW.shape
    if photo.size != (width, height):
        raise DataError(
            f"{mask_path} is {width} x {height} px, but its photo is {photo.width} x {photo.height} px; "
            "draw the mask on the photo's own pixels."
        )
    return photo, mask_HW


def mask_image(mask_HW: NDArray[np.uint8], palette_2563: NDArray[np.uint8] = PALETTE) -> Image.Image:
    """Return ids as a mode P picture with a palette, VOC's by default."""
    image = Image.fromarray(mask_HW, mode="L")
    image.putpalette(palette_2563.tobytes())
    return image


def png_bytes(image: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def jpeg_bytes(image: Image.Image, quality: int = 90, subsampling: int = -1) -> bytes:
    """Return a picture as the bytes of a JPEG file; `subsampling` 0 keeps colours at full size, -1 is Pillow's own."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def write_mask(path: Path, mask_HW: NDArray[np.uint8], palette_2563: NDArray[np.uint8] = PALETTE) -> None:
    """Write ids as a mode P PNG with a palette, VOC's by default."""
    with replacing(path) as file:
        mask_image(mask_HW, palette_2563).save(file, format="PNG")
