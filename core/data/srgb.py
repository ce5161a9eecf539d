"""Pictures of any mode as 8-bit sRGB: the colours that training, validation and the Segment page all see.

Pillow's own conversion clips 16-bit greys and leaves colour profiles out. Here 16 bits are scaled, an embedded profile
(a camera's wide gamut, a printer's CMYK) is applied, and what is transparent shows white. A strip of rows is converted
at a time, so that a large picture needs little more memory than it has before and after.
"""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

from core.data.bit_depth import DEEP_GREY

STRIP_PIXELS = 1_000_000
"""How much is converted at a time."""

PROFILED_MODES = {
    "1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB", "RGBa": "RGB", "RGBX": "RGB",
    "CMYK": "CMYK", "LAB": "LAB",
}  # fmt: skip
"""What the numbers of a mode mean to a colour profile."""

BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError)
"""What a colour profile that is damaged, or of another kind than its picture, is answered with."""


def to_srgb(picture: Image.Image) -> Image.Image:
    """Return a picture as RGB; one that is plain RGB already is returned as it is.

    White is 65535 of 16 bits. Where the profile cannot be used (`has_broken_profile`), the numbers are taken as sRGB.
    """
    transform = _transform(picture)
    if picture.mode == "RGB" and not transform and not picture.has_transparency_data:
        return picture
    rgb = Image.new("RGB", picture.size)
    for box in _strips(picture.size):
        rgb.paste(_strip_to_rgb(picture.crop(box), transform), box[:2])
    return rgb


def has_broken_profile(picture: Image.Image) -> bool:
    """Tell whether a picture bears a colour profile that cannot be used."""
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
    """Return how a picture becomes sRGB, None if it is that already; a profile that cannot be used raises `BROKEN`."""
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
