"""A segmented photo on the screen and as downloads: overlay, mask, side by side."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from core.data.images import png_bytes
from core.model.names import file_stem
from core.model.photo import open_photo
from core.model.render import colorize, overlay
from ui.cached import Segmented
from ui.thumbnails import framed

SHOWN_PX = 1280
"""Photos are shown at most this large on a side; downloads have the photo's own size."""

OVERLAY, MASK, SIDE_BY_SIDE = "Overlay", "Mask", "Side by side"


class Photo(NamedTuple):
    """A photo to segment, as the bytes of its file; a sample of a data set has its true mask, as a picture, too."""

    name: str
    data: bytes
    truth: bytes | None = None


class View(NamedTuple):
    """How a segmented photo is looked at; `opacity` of the classes is a fraction."""

    kind: str
    opacity: float


def ask_view() -> View:
    """Ask how to look at the photo."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control("View", [OVERLAY, MASK, SIDE_BY_SIDE], default=OVERLAY, required=True, key="view")
        percentage = st.slider(
            "Opacity", 0, 100, 60, step=5, format="%d %%", key="opacity", disabled=kind == MASK, width=260,
            help="How strongly the class colours cover the photo.",
        )  # fmt: skip
    return View(kind, percentage / 100)


def show_pictures(photo: Photo, result: Segmented, view: View) -> None:
    """Draw the photo with its mask laid over it, the mask alone, or both beside the photo (and the truth)."""
    small, mask_HW = _reduced(open_photo(photo.data, photo.name), _mask(result))
    palette_2563 = result.classes.palette
    covered = overlay(small, mask_HW, palette_2563, view.opacity)
    laid_over = (covered, "Overlay", f"{photo.name} with its classes laid over it")
    mask = (framed(colorize(mask_HW, palette_2563)), "Mask", f"The mask of {photo.name}")
    if view.kind == SIDE_BY_SIDE:
        truth = [(photo.truth, "Truth", f"The true mask of {photo.name}")] if photo.truth else []
        _show_row([(small, photo.name, photo.name), laid_over, mask, *truth])
    else:
        image, _, alt = mask if view.kind == MASK else laid_over
        st.image(image, alt=alt)


def _show_row(pictures: Sequence[tuple[Image.Image | bytes, str, str]]) -> None:
    for column, (image, caption, alt) in zip(st.columns(len(pictures)), pictures, strict=True):
        column.image(image, caption, alt=alt, width="stretch")


def show_downloads(photo: Photo, result: Segmented, opacity: float) -> None:
    """Offer the index mask and the overlay as PNG files of the photo's own size."""
    stem = file_stem(photo.name)
    with st.container(horizontal=True):
        st.download_button(
            "Index mask", result.mask_png, f"{stem}_mask.png", "image/png",
            icon=":material/download:", on_click="ignore",
            help="PNG with one class id per pixel and the classes' colours as its palette, at the photo's own size.",
        )  # fmt: skip
        st.download_button(
            "Overlay", lambda: _overlay_png(photo, result, opacity), f"{stem}_overlay.png", "image/png",
            icon=":material/download:", on_click="ignore",
            help="The photo with the classes laid over it, at its own size.",
        )  # fmt: skip


def _overlay_png(photo: Photo, result: Segmented, opacity: float) -> bytes:
    return png_bytes(overlay(open_photo(photo.data, photo.name), _mask(result), result.classes.palette, opacity))


def _mask(result: Segmented) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(result.mask_png)))


def _reduced(photo: Image.Image, mask_HW: NDArray[np.uint8]) -> tuple[Image.Image, NDArray[np.uint8]]:
    """Shrink a photo and its mask to what is shown; the mask by taking the nearest pixel, so that ids stay ids."""
    photo.thumbnail((SHOWN_PX, SHOWN_PX))
    mask = Image.fromarray(mask_HW).resize(photo.size, Image.Resampling.NEAREST)
    return photo, np.asarray(mask)
