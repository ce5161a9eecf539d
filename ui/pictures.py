"""Pictures in rows of one height, so that a page of them stays calm; and two in one place, under a line that moves.

Mouse, finger and arrow keys move the line.
"""

import base64
import io

import streamlit as st
from PIL import Image

KINDS = {b"\x89PNG": "png", b"RIFF": "webp"}
"""By how a file begins; any other is a JPEG."""

ROW_HEIGHT_PX = 132
WIDEST = 3
"""Width over height beyond which a picture is drawn lower than its row."""

HTML = """
<div class="pictures">
  <img class="left"><img class="right">
  <div class="line"><span aria-hidden="true">&#8596;</span></div>
  <span class="name first"></span><span class="name second"></span>
  <input type="range" min="0" max="100" step="1" value="50">
</div>
"""

CSS = """
.pictures { position: relative; overflow: hidden; border-radius: 4px; line-height: 0; outline-offset: 2px;
  outline: 1px solid #8a929b; touch-action: pan-y; }
.pictures:focus-within { outline: 3px solid var(--st-primary-color); }
img { width: 100%; display: block; }
.right { position: absolute; inset: 0; height: 100%; }
.line { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #fff;
  box-shadow: 0 0 3px #000; pointer-events: none; }
.line span { position: absolute; top: 50%; left: 1px; width: 26px; margin: -13px 0 0 -13px; border-radius: 50%;
  font: 16px/26px sans-serif; text-align: center; background: #fff; color: #222; box-shadow: 0 0 3px #000; }
.name { position: absolute; top: 6px; padding: 2px 6px; border-radius: 3px; background: #000a; color: #fff;
  font: 13px/1.3 var(--st-font, sans-serif); pointer-events: none; max-width: 45%; }
.first { left: 6px; } .second { right: 6px; }
input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
"""

JS = """
export default function ({ parentElement, data }) {
  const find = (selector) => parentElement.querySelector(selector);
  const range = find("input"), right = find(".right"), line = find(".line");
  find(".left").src = data.left; find(".left").alt = data.left_alt;
  right.src = data.right; right.alt = data.right_alt;
  find(".first").textContent = data.left_name; find(".second").textContent = data.right_name;
  range.setAttribute("aria-label", data.label);
  const move = () => {
    right.style.clipPath = `inset(0 0 0 ${range.value}%)`;
    line.style.left = `${range.value}%`;
    range.setAttribute("aria-valuetext", `${range.value} % ${data.left_name}`);
  };
  range.oninput = move;
  move();
}
"""

_mount = st.components.v2.component("compare_slider", html=HTML, css=CSS, js=JS)


def show_picture(picture: bytes, caption: str, alt: str, *, height_px: int = ROW_HEIGHT_PX) -> None:
    """Draw an encoded picture `height_px` high; meant for a container that is `horizontal`."""
    with Image.open(io.BytesIO(picture)) as image:
        width = min(WIDEST * height_px, max(1, round(height_px * image.width / image.height)))
    st.image(picture, caption, width=width, alt=alt)


def data_url(picture: bytes) -> str:
    """Return a picture, the bytes of a PNG, WebP or JPEG file, as an address that holds all of it, films too."""
    kind = KINDS.get(picture[:4], "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def show_slider(left: bytes, right: bytes, *, names: tuple[str, str], image: str, key: str) -> None:
    """Draw two JPEG pictures of one size, `left` to the left of the line; `names` are what they show."""
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
        },
    )
