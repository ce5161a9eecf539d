"""Pictures of any mode as 8-bit sRGB, the same for training, validation and the Segment page.

Pillow's conversion clips 16-bit greys and ignores colour profiles. Here 16 bits are scaled, embedded profiles (wide
gamut, CMYK) are applied, and transparent pixels become white. Strips of rows are converted one at a time, so that a
large picture needs little extra memory.
"""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

from core.data.bit_depth import DEEP_GREY

STRIP_PIXELS = 1_000_000
"""Pixels converted at a time."""

PROFILED_MODES = {
    "1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB", "RGBa": "RGB", "RGBX": "RGB",
    "CMYK": "CMYK", "LAB": "LAB",
}  # fmt: skip
"""The colour space of a mode, for colour profiles."""

BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError)
"""Raised for a colour profile that is damaged or does not fit the mode."""


def to_srgb(picture: Image.Image) -> Image.Image:
    """Return a picture as 8-bit RGB; plain RGB is returned unchanged.

    White is 65535 in 16 bits. Without a usable profile (`has_broken_profile`) values count as sRGB.
    """
    transform = _transform(picture)
    if picture.mode == "RGB" and not transform and not picture.has_transparency_data:
        return picture
    rgb = Image.new("RGB", picture.size)
    for box in _strips(picture.size):
        rgb.paste(_strip_to_rgb(picture.crop(box), transform), box[:2])
    return rgb


def has_broken_profile(picture: Image.Image) -> bool:
    """Return whether a picture has a colour profile that cannot be used."""
    try:
        _embedded_transform(picture)
    except BROKEN:
        return True
    return False


def _strips(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    width, height = size
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def _strip_to_rgb(strip: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image:
    if strip.mode.startswith(DEEP_GREY):
        strip = Image.fromarray((np.asarray(strip) >> 8).astype(np.uint8))
    alpha = None
    if strip.has_transparency_data:
        rgba = strip.convert("RGBA")
        alpha, strip = rgba.getchannel("A"), rgba.convert("RGB")
    rgb = strip.convert(transform.input_mode) if transform else strip.convert("RGB")
    rgb = transform.apply(rgb) if transform else rgb
    return _on_white(rgb, alpha) if alpha else rgb


def _on_white(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", rgb.size, "white")
    rgba = rgb.convert("RGBA")
    rgba.putalpha(alpha)
    return Image.alpha_composite(ground, rgba).convert("RGB")


def _transform(picture: Image.Image) -> ImageCms.ImageCmsTransform | None:
    try:
        return _embedded_transform(picture)
    except BROKEN:
        return None


def _embedded_transform(picture: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB, None if not needed; an unusable profile raises one of `BROKEN`."""
    mode = "L" if picture.mode.startswith(DEEP_GREY) else PROFILED_MODES.get(picture.mode)
    data = picture.info.get("icc_profile")
    if mode == "LAB" and not data:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif mode and data:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
    else:
        return None
    if mode == "RGB" and "sRGB" in (profile.profile.profile_description or ""):
        return None
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
