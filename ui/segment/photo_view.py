"""A segmented photo on the screen: one picture that tells about its pixels, a slider, or several side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st
from PIL import Image

from core.data.bit_depth import STRETCH
from core.data.images import jpeg_bytes, png_bytes
from core.model.output.render import colorize
from core.model.photo.photo_file import has_deep_greys, open_photo
from ui.pictures import show_slider
from ui.segment.cached_segments import Answers, Segmented
from ui.segment.photo_inspector import answers_png, show_inspector
from ui.segment.photo_look import CONFIDENCE, MASK, OVERLAY, SIDE_BY_SIDE, SLIDER, Look
from ui.thumbnails import framed, reduced

SHOWN_PX = 1280
"""Photos are shown at most this large on a side; downloads have the photo's own size."""

ALTS = {
    OVERLAY: "{} with its classes laid over it",
    MASK: "The mask of {}",
    CONFIDENCE: "How sure the model is of {}",
}


class Photo(NamedTuple):
    """A photo to segment, as the bytes of its file; a sample of a data set has its true mask, as a picture, too."""

    name: str
    data: bytes
    truth: bytes | None = None


def ask_stretch(photos: list[Photo]) -> list[Photo]:
    """Where photos have greys of more than 8 bits, ask whether to scale them by their own values; return all photos."""
    deep = [photo for photo in photos if has_deep_greys(photo.data)]
    if not deep or not st.toggle("Stretch greys of more than 8 bits", key="stretch", help=f"Each photo: {STRETCH}."):
        return photos
    return [_stretched(photo) if photo in deep else photo for photo in photos]


def _stretched(photo: Photo) -> Photo:
    return photo._replace(data=png_bytes(open_photo(photo.data, photo.name, stretch=True)))


def show_pictures(photo: Photo, result: Segmented, look: Look) -> None:
    """Draw the photo as `look` asks."""
    small = small_photo(photo)
    answers = result.answers().reduced(*small.size)
    if look.kind == SIDE_BY_SIDE:
        _show_row(photo, small, answers, result, look)
    elif look.kind == SLIDER:
        show_slider(
            jpeg_bytes(small), jpeg_bytes(look.laid_over(small, answers, result.classes)),
            names=("Photo", "Overlay"), image=photo.name, key="slider",
        )  # fmt: skip
    else:
        picture = look.picture(small, answers, result.classes)
        told = answers._replace(mask_HW=look.abstaining(answers))
        show_inspector(
            png_bytes(picture) if look.kind == MASK else jpeg_bytes(picture), answers_png(told),
            class_names=result.classes.names, alt=ALTS[look.kind].format(photo.name), key="inspector",
        )  # fmt: skip


def small_photo(photo: Photo) -> Image.Image:
    """Return the photo, RGB, as large as it is shown."""
    return reduced(open_photo(photo.data, photo.name), SHOWN_PX)


def _show_row(photo: Photo, small: Image.Image, answers: Answers, result: Segmented, look: Look) -> None:
    covered = look.laid_over(small, answers, result.classes)
    mask = framed(colorize(look.shown_mask(answers), look.colors(result.classes).palette))
    truth = [(photo.truth, "Truth", f"The true mask of {photo.name}")] if photo.truth else []
    pictures: Sequence[tuple[Image.Image | bytes, str, str]] = [
        (small, photo.name, photo.name),
        (covered, "Overlay", ALTS[OVERLAY].format(photo.name)),
        (mask, "Mask", ALTS[MASK].format(photo.name)),
        *truth,
    ]
    for column, (image, caption, alt) in zip(st.columns(len(pictures)), pictures, strict=True):
        column.image(image, caption, alt=alt, width="stretch")
