"""Photos and masks made small for the screen. Pure functions: no streamlit, nothing kept."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from core.classes import palette_of
from core.data.images import read_mask, read_photo
from core.model.output.render import colorize
from ui.charts import NEUTRAL

LEAST_PX = 8
BAND, ON_BAND = "#14181d", "#ffffff"
"""Of a text within a picture, which looks the same in light and dark."""


def framed(picture: Image.Image) -> Image.Image:
    """Return a picture with a thin grey frame, without which a mask's black background has no end in the dark."""
    return ImageOps.expand(picture, border=2, fill=NEUTRAL)


def reduced(photo: Image.Image, size_px: int) -> Image.Image:
    """Return a photo at most `size_px` on a side."""
    small = photo.copy()
    small.thumbnail((size_px, size_px))
    return _wide_enough(small)


def _wide_enough(small: Image.Image) -> Image.Image:
    """Return a picture of at least a few pixels on each side: a line of pixels cannot be shown."""
    return small.resize((max(small.width, LEAST_PX), max(small.height, LEAST_PX)), Image.Resampling.NEAREST)


def reduced_mask(mask_HW: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Return ids at most `size_px` on a side, by taking the nearest, so that none appears that was not there."""
    small = Image.fromarray(mask_HW)
    small.thumbnail((size_px, size_px), Image.Resampling.NEAREST)
    return np.asarray(_wide_enough(small))


def strip(photo: Path, truth: Path, predicted: Path, colors: tuple[str, ...], size_px: int) -> Image.Image:
    """Return a photo, its true mask and a predicted one side by side, each at most `size_px` wide."""
    masks = [reduced_mask(read_mask(file, len(colors)), size_px) for file in (truth, predicted)]
    colored = [colorize(mask_HW, palette_of(colors)) for mask_HW in masks]
    parts = [framed(picture) for picture in (reduced(read_photo(photo), size_px), *colored)]
    gap = size_px // 24
    picture = Image.new("RGBA", (sum(part.width for part in parts) + 2 * gap, max(part.height for part in parts)))
    left = 0
    for part in parts:
        picture.paste(part, (left, 0))
        left += part.width + gap
    return picture


def titled(picture: Image.Image, text: str, font_px: int) -> Image.Image:
    """Return an RGBA picture with a line of text in a dark band below it."""
    font, height = ImageFont.load_default(font_px), round(1.5 * font_px)
    whole = Image.new("RGBA", (picture.width, picture.height + height), BAND)
    whole.paste(picture, (0, 0))
    middle = (font_px // 2, picture.height + height // 2)
    ImageDraw.Draw(whole).text(middle, text, fill=ON_BAND, font=font, anchor="lm")
    return whole
