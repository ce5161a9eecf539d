"""A segmented photo on the screen: a picture with an inspector of pixels, a slider, or several side by side.

The inspector's class, confidence and runner-up are the three channels of one PNG that is never drawn. The browser reads
pixels from it, without a request to the server.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st
from PIL import Image

from core.classes import Classes
from core.data.bit_depth import STRETCH
from core.data.images import jpeg_bytes, png_bytes
from core.model.output.render import colorize, confidence_map
from core.model.photo.photo_file import has_deep_greys, open_photo
from core.voc import VOID
from ui.charts import NEUTRAL
from ui.pictures import data_url, framed, reduced, show_slider
from ui.segment.cached_segments import Answers, Segmented
from ui.segment.photo_look import CONFIDENCE, MASK, OVERLAY, SIDE_BY_SIDE, SLIDER, Look
from ui.words import plain

LEAST_SHOWN_PX, ABOVE_REM = 24, 13
"""The least width of a photo on the screen, and the height of what stands above it."""
SHOWN_PX = 1280
"""The largest side of a photo on the screen; downloads have the photo's own size."""

ALTS = {
    OVERLAY: "{} with its classes laid over it",
    MASK: "The mask of {}",
    CONFIDENCE: "The confidence of the model on {}",
}

HTML = """
<div class="photo" tabindex="0" role="application">
  <img>
  <div class="cross" hidden></div>
  <div class="hint" hidden>Point at the photo to read its class and confidence</div>
  <output class="readout" hidden></output>
</div>
"""

CSS = """
.photo { position: relative; margin: 0 auto; line-height: 0; border-radius: 4px; cursor: crosshair; touch-action: pan-y;
  outline: 1px solid #8a929b; outline-offset: 1px; }
.photo:focus-visible { outline: 3px solid var(--st-primary-color); }
img { width: 100%; display: block; border-radius: 4px; }
.cross { position: absolute; width: 11px; height: 11px; margin: -6px 0 0 -6px; border: 2px solid #fff;
  border-radius: 50%; box-shadow: 0 0 3px #000, inset 0 0 2px #000; pointer-events: none; }
.readout, .hint { position: absolute; padding: 4px 8px; border-radius: 3px; background: #000c; color: #fff;
  font: 13px/1.35 var(--st-font, sans-serif); pointer-events: none; }
.readout { white-space: nowrap; }
.hint { bottom: 8px; left: 50%; width: max-content; max-width: 85%; transform: translate(-50%); }
[hidden] { display: none; }
"""

JS = """
const STEP = 1 / 64;
const POINTED = "atrous pointed";
let hasPointed = false;
try { hasPointed = localStorage.getItem(POINTED) !== null; } catch { /* the browser stores nothing */ }

export default function ({ parentElement, data }) {
  const find = (selector) => parentElement.querySelector(selector);
  const photo = find(".photo"), image = find("img"), cross = find(".cross"), readout = find(".readout");
  const hint = find(".hint");
  hint.hidden = hasPointed;
  photo.style.width = data.width;
  image.src = data.picture;
  image.alt = data.alt;
  photo.setAttribute("aria-label", `${data.alt}. Arrow keys move a cursor that shows the class of a pixel.`);

  let answers = null;
  let place = [0.5, 0.5];
  const read = async () => {
    const blob = await (await fetch(data.answers)).blob();
    // Without colour management, which would change ids.
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    answers = context.getImageData(0, 0, bitmap.width, bitmap.height);
  };

  const sentence = (x, y) => {
    const column = Math.min(answers.width - 1, Math.floor(x * answers.width));
    const row = Math.min(answers.height - 1, Math.floor(y * answers.height));
    const [id, confidence, other] = answers.data.slice(4 * (row * answers.width + column));
    if (id === data.void) return data.undecided;
    const second = other === id ? "" : `, else ${data.names[other]}`;
    return `${data.names[id]}, ${Math.round(confidence / 2.55)} % sure${second}`;
  };

  const show = (x, y) => {
    if (!answers) return;
    place = [x, y];
    if (!hasPointed) {
      hint.hidden = hasPointed = true;
      try { localStorage.setItem(POINTED, "1"); } catch { /* it is said again on the next visit */ }
    }
    readout.textContent = sentence(x, y);
    for (const mark of [readout, cross]) {
      mark.hidden = false;
      mark.style.left = `${100 * x}%`;
      mark.style.top = `${100 * y}%`;
    }
    readout.style.transform = `translate(${x > 0.5 ? "calc(-100% - 10px)" : "10px"}, ${y > 0.5 ? "-130%" : "30%"})`;
  };
  const hide = () => { readout.hidden = cross.hidden = true; };
  const inside = (value) => Math.min(0.9999, Math.max(0, value));

  photo.onpointermove = photo.onpointerdown = (event) => {
    const box = photo.getBoundingClientRect();
    show(inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height));
  };
  photo.onpointerleave = hide;
  photo.onblur = hide;
  photo.onkeydown = (event) => {
    const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (event.key === "Escape") hide();
    if (!by) return;
    event.preventDefault();
    show(inside(place[0] + by[0]), inside(place[1] + by[1]));
  };
  read();
}
"""

UNDECIDED = "Void: below the threshold"

_mount = st.components.v2.component("photo_inspector", html=HTML, css=CSS, js=JS)


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


def show_pictures(photo: Photo, result: Segmented, look: Look) -> None:
    """Draw the photo as `look` asks."""
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
            alt=ALTS[look.kind].format(photo.name), key="inspector", width=fitting(small),
        )  # fmt: skip
        if look.kind == CONFIDENCE:
            show_scale()


def picture_file(photo: Image.Image, answers: Answers, classes: Classes, look: Look) -> bytes:
    """Return the picture that `look` asks for as a file: a mask as PNG, anything else as JPEG."""
    picture = look.picture(photo, answers, classes)
    return png_bytes(picture) if look.kind == MASK else jpeg_bytes(picture)


def fitting(picture: Image.Image) -> str:
    """Return the CSS width at which a picture fills its column, but not higher than the window."""
    return f"max({LEAST_SHOWN_PX}px, min(100%, calc((100vh - {ABOVE_REM}rem) * {picture.width / picture.height:.4f})))"


def show_scale() -> None:
    """Draw the colours of the confidence view from 0 to 100 %."""
    colors = np.asarray(confidence_map(np.linspace(0, 1, 9, dtype=np.float32)[None]))[0]
    stops = ", ".join("rgb({}, {}, {})".format(*color) for color in colors)
    marks = "".join(f"<span>{share} %</span>" for share in (0, 25, 50, 75, 100))
    st.html(
        '<div role="img" aria-label="The colours of confidence: dark blue is 0 %, grey 50 %, yellow 100 %" '
        f'style="font-size:.875rem">Confidence<div style="height:.75rem;border:1px solid {NEUTRAL};border-radius:2px;'
        f'background:linear-gradient(to right, {stops})"></div>'
        f'<div style="display:flex;justify-content:space-between">{marks}</div></div>'
    )


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
    picture: bytes, answers: bytes, *, class_names: Sequence[str], alt: str, key: str, width: str
) -> None:
    """Draw a picture (JPEG or PNG) with an inspector of its pixels; `answers` is `Answers.png()`, of any size."""
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
        },
    )
