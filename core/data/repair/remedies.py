"""Repairing one mask or one photo; `mask_encoding` decides what mask values mean.

A repair that needs a guess raises `Unmendable`.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.data.bit_depth import STRETCH, stretched
from core.data.images import JPEG_QUALITY, load_picture, read_photo
from core.data.importers.masks.mask_file import is_smoothed
from core.errors import DataError
from core.files import regular
from core.voc import BACKGROUND, VOID

MAX_UNKNOWN_SHARE = 0.01
"""Pixels without a known class become void up to this share; above it the mask is not repaired."""
MAX_RESIZE_DIFFERENCE_PX = 1.0
UNKNOWN = -1
MAX_TINT = 16
"""Colours whose channels differ by no more are grey: JPEG tints them."""
JPEG_FORMATS = ("JPEG", "MPO")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that turns a picture upright, by EXIF orientation."""


class Unmendable(Exception):  # noqa: N818  not an error: the reason why a pair is set aside
    """A file that cannot be repaired without a guess; the message is a clause without a full stop."""


def values_of(mask: Image.Image) -> NDArray[np.uint8]:
    """Return the values of a mask without colours, (H, W) uint8.

    More than 8 bits are scaled to 8, transparent pixels become background. If numbers are not ids, nor ids scaled to
    16 bits or to [0, 1], raise `Unmendable`.
    """
    if mask.mode in ("P", "L", "1"):
        return np.array(mask, dtype=np.uint8)
    if mask.mode.startswith(("I", "F")):
        return _to_8_bits(np.asarray(mask, dtype=np.float64))
    if mask.mode == "PA":
        value_HW2 = np.asarray(mask)
        return np.where(value_HW2[..., 1] == 0, BACKGROUND, value_HW2[..., 0]).astype(np.uint8)
    color_HW, is_clear_HW = colors_of(mask)
    return np.where(is_clear_HW, BACKGROUND, color_HW & 255).astype(np.uint8)


def smoothed_masks(files: Mapping[str, Path]) -> frozenset[str]:
    """Return all masks, by name, if they are black and white with grey edges (smoothed, or JPEGs), else none."""
    counts = Counter[int]()
    is_lossy = False
    for file in files.values():
        picture = load_picture(file, "mask")
        is_lossy |= picture.format in JPEG_FORMATS
        if picture.mode not in ("1", "L", "RGB") or np.ptp(np.asarray(picture.convert("RGB")), axis=2).max() > MAX_TINT:
            return frozenset()
        levels = np.bincount(np.asarray(picture.convert("L")).ravel(), minlength=256).tolist()
        counts.update({level: number for level, number in enumerate(levels) if number})
    return frozenset(files) if counts and is_smoothed(counts, is_lossy=is_lossy) else frozenset()


def _to_8_bits(number_HW: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Divide by 1, 257, 256 or 1/255, whichever gives ids; 65535 is void."""
    for divisor in (1, 257, 256):
        value_HW = np.where(number_HW == 65535, VOID, number_HW / divisor)
        if ((value_HW >= 0) & (value_HW <= VOID) & (value_HW == value_HW.round())).all():
            return value_HW.astype(np.uint8)
    if ((number_HW >= 0) & (number_HW <= 1)).all():
        return (number_HW * VOID).round().astype(np.uint8)
    raise Unmendable("its numbers are neither ids of 8 bits nor such ids scaled to 16 bits")


def colors_of(mask: Image.Image) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return the colours, 0xRRGGBB, (H, W) int32, and which pixels are fully transparent, (H, W)."""
    rgba_HW4 = np.asarray(mask.convert("RGBA"), dtype=np.int32)
    red_HW, green_HW, blue_HW, alpha_HW = (rgba_HW4[..., channel] for channel in range(4))
    return red_HW << 16 | green_HW << 8 | blue_HW, alpha_HW == 0


def translate(
    value_HW: NDArray[np.integer], id_by_value: Mapping[int, int], what: str
) -> tuple[NDArray[np.uint8], str]:
    """Return ids for values, (H, W) uint8, and a sentence about pixels made void ("" if none).

    `what` (colours, levels, ids) is for messages. Too many values without an id raise `Unmendable`.
    """
    found, index_HW = np.unique(value_HW, return_inverse=True)
    ids = np.array([id_by_value.get(value, UNKNOWN) for value in found.tolist()])
    ids_HW = ids[index_HW.reshape(value_HW.shape)]
    share = float((ids_HW == UNKNOWN).mean())
    if share >= MAX_UNKNOWN_SHARE:
        raise Unmendable(f"{100 * share:.1f} % of its pixels have {what} without a known class")
    ids_HW[ids_HW == UNKNOWN] = VOID
    return ids_HW.astype(np.uint8), f"{100 * share:.2g} % of pixels of unknown {what} made void" if share else ""


def turned(mask_HW: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn ids as their photo is turned upright from an EXIF orientation."""
    return np.asarray(Image.fromarray(mask_HW).transpose(TURNS[orientation]))


def resized(mask_HW: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize ids to their photo's (width, height) by nearest neighbour; another shape raises `Unmendable`."""
    height, width = mask_HW.shape
    scale = size[0] / width
    if max(abs(height * scale - size[1]), abs(width * size[1] / height - size[0])) > MAX_RESIZE_DIFFERENCE_PX:
        raise Unmendable(f"its {width} x {height} px have another shape than the photo's {size[0]} x {size[1]} px")
    return np.asarray(Image.fromarray(mask_HW).resize(size, Image.Resampling.NEAREST))


def copied(source: Path, target: Path) -> None:
    """Copy the bytes of a file; an unreadable one raises `DataError`."""
    try:
        content = regular(source).read_bytes()
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror}; restore it, or take it away.") from error
    target.write_bytes(content)


def write_stretched(source: Path, stem: Path) -> tuple[Path, str]:
    """Write a photo of more than 8 bits, scaled to 8, as `stem`.png; return the file and the change."""
    file = stem.with_name(f"{stem.name}.png")
    ImageOps.exif_transpose(stretched(load_picture(source, "photo"))).save(file, format="PNG")
    return file, f"scaled to 8 bits, {STRETCH}, as PNG"


def write_photo(source: Path, stem: Path, content: str, *, is_turned: bool) -> tuple[Path, str]:
    """Write a photo upright as `stem` with .jpg or .png; return the file and the change ("" for equal bytes).

    Upright JPEGs and PNGs are copied byte for byte. A turned JPEG is compressed again; other formats become PNG.
    """
    suffix = ".jpg" if content in JPEG_FORMATS else ".png"
    file = stem.with_name(stem.name + suffix)
    if not is_turned and content in (*JPEG_FORMATS, "PNG"):
        copied(source, file)
        return file, ""
    photo = read_photo(source)
    if suffix == ".jpg":
        photo.save(file, format="JPEG", quality=JPEG_QUALITY, icc_profile=photo.info.get("icc_profile"))
        return file, f"written upright, JPEG of quality {JPEG_QUALITY}"
    photo.save(file, format="PNG")
    return file, "written upright as PNG" if is_turned else f"{content} written as PNG, pixel for pixel"
