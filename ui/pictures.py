"""Photos and masks as small pictures, drawn in rows of one height, or two in one place under a line that moves.

Mouse, finger and arrow keys move the line.
"""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from core.classes import palette_of
from core.data.images import read_mask, read_photo
from core.model.output.render import colorize
from ui.charts import NEUTRAL
from ui.components import component

LEAST_PX = 8
LEAST_SHEET_PX = 320
"""Pictures of a sheet are repeated pixel by pixel up to about this width: in a smaller one no name is readable."""

BAND, ON_BAND = "#14181d", "#ffffff"
"""Behind and of a text within a picture, the same in light and dark."""

KINDS = {b"\x89PNG": "png", b"RIFF": "webp"}
"""The kind of a picture by its first bytes; any other is a JPEG."""

ROW_HEIGHT_PX = 132
WIDEST = 3
"""A picture with a larger ratio of width to height is drawn lower than its row."""

_mount = component("compare_slider", "slider")


_mount_card = component("photo_card", "card")


def show_picture(picture: bytes, caption: str, alt: str, *, height_px: int = ROW_HEIGHT_PX) -> None:
    """Draw an encoded picture `height_px` high, in a horizontal container."""
    with Image.open(io.BytesIO(picture)) as image:
        width = min(WIDEST * height_px, max(1, round(height_px * image.width / image.height)))
    st.image(picture, caption, width=width, alt=alt)


def data_url(picture: bytes) -> str:
    """Return a PNG, WebP or JPEG file as a data URL; `st.image` then keeps an animation."""
    kind = KINDS.get(picture[:4], "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def show_slider(
    left: bytes, right: bytes, *, names: tuple[str, str], image: str, key: str, width: str = "100%"
) -> None:
    """Draw two JPEG pictures of one size under a movable line; `names` say what each shows, `width` is CSS."""
    _mount(
        key=key,
        data={
            "left": data_url(left),
            "right": data_url(right),
            "left_name": names[0],
            "right_name": names[1],
            "left_alt": f"{image}: {names[0]}",
            "right_alt": f"{image}: {names[1]}",
            "label": f"{image}: how much of {names[0]} is shown",
            "width": width,
        },
    )


# --- made small ------------------------------------------------------------------------------------------------------


def framed(picture: Image.Image) -> Image.Image:
    """Return a picture with a thin grey frame: a mask's black background has no visible edge on a dark page."""
    return ImageOps.expand(picture, border=2, fill=NEUTRAL)


def reduced(photo: Image.Image, size_px: int) -> Image.Image:
    """Return a photo at most `size_px` on a side."""
    small = photo.copy()
    small.thumbnail((size_px, size_px))
    return _wide_enough(small)


def _wide_enough(small: Image.Image) -> Image.Image:
    """Return a picture of at least 8 px on each side: a line of pixels cannot be shown."""
    return small.resize((max(small.width, LEAST_PX), max(small.height, LEAST_PX)), Image.Resampling.NEAREST)


def reduced_mask(mask_HW: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Return a mask at most `size_px` on a side. Nearest pixels are taken, so ids stay ids."""
    small = Image.fromarray(mask_HW)
    small.thumbnail((size_px, size_px), Image.Resampling.NEAREST)
    return np.asarray(_wide_enough(small))


def strip(photo: Path, truth: Path, predicted: Path, colors: tuple[str, ...], size_px: int) -> Image.Image:
    """Return a photo, its true mask and a predicted one side by side, each at most `size_px` wide."""
    masks = [reduced_mask(read_mask(file, len(colors)), size_px) for file in (truth, predicted)]
    colored = [colorize(mask_HW, palette_of(colors)) for mask_HW in masks]
    parts = [framed(picture) for picture in (reduced(read_photo(photo), size_px), *colored)]
    gap = max(2, parts[0].width // 24)
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


def sheet(panels: Sequence[tuple[Image.Image, str]]) -> Image.Image:
    """Return pictures of one size in rows of two as RGB, each with its name on a dark band in its corner."""
    times = max(1, LEAST_SHEET_PX // panels[0][0].width)
    width, height = (times * side + 4 for side in panels[0][0].size)
    gap, font = width // 80, ImageFont.load_default(max(10, width // 11))
    whole = Image.new("RGB", (2 * width + gap, -(-len(panels) // 2) * (height + gap) - gap), NEUTRAL)
    drawing = ImageDraw.Draw(whole)
    for place, (picture, name) in enumerate(panels):
        left, top = place % 2 * (width + gap), place // 2 * (height + gap)
        large = picture.convert("RGB").resize((width - 4, height - 4), Image.Resampling.NEAREST)
        whole.paste(framed(large), (left, top))
        band = drawing.textbbox((left + 8, top + 8), name, font)
        drawing.rectangle((left + 2, top + 2, band[2] + 6, band[3] + 6), fill=BAND)
        drawing.text((left + 8, top + 8), name, ON_BAND, font)
    return whole


def show_card(
    picture: bytes, name: str, alt: str, *, key: str, on_open: Callable[[], None], height_px: int = ROW_HEIGHT_PX
) -> None:
    """Draw an encoded picture about `height_px` high; `on_open` is called after a click.

    In a horizontal container with the key `cards` it grows with its row until the row is full.
    """
    with Image.open(io.BytesIO(picture)) as image:
        ratio = image.width / image.height
    width = min(WIDEST * height_px, max(height_px // 2, round(height_px * ratio)))
    shown = {"picture": data_url(picture), "alt": alt, "name": name, "width": width}
    _mount_card(key=key, width=width, data=shown, on_opened_change=on_open)
