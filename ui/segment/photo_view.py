"""A segmented photo on the screen: a picture with an inspector of pixels, a slider, or several side by side.

The inspector's class, confidence and runner-up are the three channels of one PNG that is never drawn. The browser reads
pixels from it, without a request to the server.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes
from core.data.bit_depth import STRETCH
from core.data.images import jpeg_bytes, png_bytes
from core.model.output.render import (
    ONLY_A_COLOR,
    ONLY_B_COLOR,
    OTHER_CLASS_COLOR,
    a_against_b,
    colorize,
    confidence_map,
)
from core.model.photo import has_deep_greys, open_photo
from core.voc import BACKGROUND, VOID
from ui.charts import NEUTRAL
from ui.components import component
from ui.legend import show_colors
from ui.pictures import data_url, framed, reduced, show_slider
from ui.segment.cached_segments import Answers, Segmented
from ui.segment.photo_look import CONFIDENCE, MASK, OVERLAY, SIDE_BY_SIDE, SLIDER, Look
from ui.words import percent, plain

LEAST_SHOWN_PX, ABOVE_REM = 24, 16
"""The least width of a photo on the screen, and the height of what stands above it."""
SHOWN_PX = 1280
"""The largest side of a photo on the screen; downloads have the photo's own size."""

ALTS = {
    OVERLAY: "{} with its classes laid over it",
    MASK: "The mask of {}",
    CONFIDENCE: "The confidence of the model on {}",
}

UNDECIDED = "Void: below the threshold"

_mount = component("photo_inspector", "inspector")

OnPoint = Callable[[tuple[float, float]], None]
"""What a click on a picture calls, with the place as shares of its width and height."""


COLORS = {
    "object in A only": ONLY_A_COLOR,
    "object in B only": ONLY_B_COLOR,
    "different objects": OTHER_CLASS_COLOR,
}


class Photo(NamedTuple):
    """A photo to segment, as the bytes of its file; `truth` is a picture of its true mask."""

    name: str
    data: bytes
    truth: bytes | None = None
    id: str = ""
    """Of the user's own photos, which come and go one by one."""


def ask_stretch(photos: list[Photo]) -> list[Photo]:
    """Ask whether to stretch photos with greys of more than 8 bits; return all photos."""
    deep = [photo for photo in photos if has_deep_greys(photo.data)]
    if not deep or not st.toggle("Stretch greys of more than 8 bits", key="stretch", help=f"Each photo: {STRETCH}."):
        return photos
    return [_stretched(photo) if photo in deep else photo for photo in photos]


def _stretched(photo: Photo) -> Photo:
    return photo._replace(data=png_bytes(open_photo(photo.data, photo.name, stretch=True)))


def show_pictures(photo: Photo, result: Segmented, look: Look, on_point: OnPoint | None = None) -> None:
    """Draw the photo as `look` asks; a click on one picture alone calls `on_point`."""
    small = small_photo(photo)
    answers = result.answers().reduced(*small.size)
    if look.kind == SIDE_BY_SIDE:
        _show_beside(photo, small, answers, result, look)
    elif look.kind == SLIDER:
        show_slider(
            jpeg_bytes(small), jpeg_bytes(look.laid_over(small, answers, result.classes)),
            names=("Photo", "Overlay"), image=photo.name, key="slider", width=fitting(small),
        )  # fmt: skip
    else:
        shown = answers._replace(mask_HW=look.abstaining(answers))
        show_inspector(
            picture_file(small, answers, result.classes, look), shown.png(), class_names=result.classes.names,
            alt=ALTS[look.kind].format(photo.name), key="inspector", width=fitting(small), on_point=on_point,
        )  # fmt: skip
        if look.kind == CONFIDENCE:
            show_scale(look)


def picture_file(photo: Image.Image, answers: Answers, classes: Classes, look: Look) -> bytes:
    """Return the picture that `look` asks for as a file: a mask as PNG, anything else as JPEG."""
    picture = look.picture(photo, answers, classes)
    return png_bytes(picture) if look.kind == MASK else jpeg_bytes(picture)


def fitting(picture: Image.Image) -> str:
    """Return the CSS width at which a picture fills its column, but not higher than the window."""
    return f"max({LEAST_SHOWN_PX}px, min(100%, calc((100vh - {ABOVE_REM}rem) * {picture.width / picture.height:.4f})))"


def show_scale(look: Look) -> None:
    """Draw the colours of the confidence view from 0 to 100 %, and say what is striped."""
    colors = np.asarray(confidence_map(np.linspace(0, 1, 9, dtype=np.float32)[None]))[0]
    stops = ", ".join("rgb({}, {}, {})".format(*color) for color in colors)
    marks = "".join(f"<span>{share} %</span>" for share in (0, 25, 50, 75, 100))
    st.html(
        '<div role="img" aria-label="The colours of confidence: dark blue is 0 %, grey 50 %, yellow 100 %" '
        f'style="font-size:.875rem">Confidence<div style="height:.75rem;border:1px solid {NEUTRAL};border-radius:2px;'
        f'background:linear-gradient(to right, {stops})"></div>'
        f'<div style="display:flex;justify-content:space-between">{marks}</div></div>'
    )
    if look.threshold:
        st.caption("Striped: void, where the model abstains.")


def small_photo(photo: Photo) -> Image.Image:
    """Return the photo, RGB, at the size on the screen."""
    return reduced(open_photo(photo.data, photo.name), SHOWN_PX)


def _show_beside(photo: Photo, small: Image.Image, answers: Answers, result: Segmented, look: Look) -> None:
    """Draw photo, overlay, mask and, where there is one, truth two by two."""
    covered = look.laid_over(small, answers, result.classes)
    mask = framed(colorize(look.shown_mask(answers), look.colors(result.classes).palette))
    truth = [(photo.truth, "Truth", f"The true mask of {photo.name}")] if photo.truth else []
    pictures: list[tuple[Image.Image | bytes, str, str]] = [
        (small, plain(photo.name), photo.name),
        (covered, "Overlay", ALTS[OVERLAY].format(photo.name)),
        (mask, "Mask", ALTS[MASK].format(photo.name)),
        *truth,
    ]
    for first in range(0, len(pictures), 2):
        for column, (image, caption, alt) in zip(st.columns(2), pictures[first : first + 2], strict=False):
            column.image(image, caption, alt=alt, width="stretch")


def show_inspector(
    picture: bytes, answers: bytes, *, class_names: Sequence[str], alt: str, key: str, width: str,
    on_point: OnPoint | None = None,
) -> None:  # fmt: skip
    """Draw a picture (JPEG or PNG) with an inspector of its pixels; `answers` is `Answers.png()`, of any size.

    A click, or Enter at the cursor, calls `on_point`.
    """

    def point() -> None:
        if on_point:
            on_point(tuple(st.session_state[key].pointed))

    _mount(
        key=key,
        data={
            "picture": data_url(picture),
            "answers": data_url(answers),
            "names": list(class_names),
            "void": VOID,
            "undecided": UNDECIDED,
            "alt": alt,
            "width": width,
            "asks": on_point is not None,
        },
        on_pointed_change=point,
    )


def show_pair(photo: Photo, results: Sequence[Segmented], names: Sequence[str], look: Look) -> None:
    """Draw A's and B's pictures under one slider, and below it where their masks differ."""
    small = small_photo(photo)
    answers = [result.answers().reduced(*small.size) for result in results]
    pictures = [
        jpeg_bytes(look.picture(small, each, result.classes)) for each, result in zip(answers, results, strict=True)
    ]
    ends = (f"A: {names[0]}", f"B: {names[1]}")
    show_slider(*pictures, names=ends, image=photo.name, key="pair", width=fitting(small))
    if look.kind == CONFIDENCE:
        show_scale(look)
    if results[0].classes.names != results[1].classes.names:
        st.info("The two models know different classes: compare the overlays by eye; where they differ is not shown.")
        return
    a_HW, b_HW = (look.abstaining(each) for each in answers)
    differs = (a_HW != b_HW) & (a_HW != VOID) & (b_HW != VOID)
    st.markdown(f"**Where they disagree**: on {percent(float(np.mean(differs)))} of the photo")
    if differs.any():
        show_colors({meaning: COLORS[meaning] for meaning in _kinds_of(a_HW[differs], b_HW[differs])})
    st.image(a_against_b(small, a_HW, b_HW), alt=f"Where A and B disagree on {photo.name}", width="stretch")


def _kinds_of(a_D: NDArray[np.uint8], b_D: NDArray[np.uint8]) -> list[str]:
    """Return which of `COLORS` occur where masks differ."""
    in_a, in_b = a_D != BACKGROUND, b_D != BACKGROUND
    return [
        kind for kind, occurs in zip(COLORS, (in_a & ~in_b, in_b & ~in_a, in_a & in_b), strict=True) if occurs.any()
    ]
