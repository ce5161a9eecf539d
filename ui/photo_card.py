"""A small picture that is a button, with its name below; a click or Enter opens something."""

import io
from collections.abc import Callable

import streamlit as st
from PIL import Image

from ui.pictures import ROW_HEIGHT_PX, WIDEST, data_url

HTML = '<button class="card"><img><span class="name"></span></button>'

CSS = """
.card { display: block; width: 100%; padding: 0; border: 0; background: none; color: var(--st-text-color);
  font: 14px/1.4 var(--st-font, sans-serif); text-align: left; cursor: zoom-in; }
.card:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
img { display: block; width: 100%; border-radius: 4px; outline: 1px solid #8a929b; }
.card:hover img { outline: 3px solid var(--st-primary-color); }
.name { display: block; padding-top: 3px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
"""

JS = """
export default function ({ parentElement, data, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  find("img").src = data.picture;
  find("img").alt = data.alt;
  find(".name").textContent = data.name;
  find(".card").title = data.name;
  find(".card").onclick = () => {
    // The large view stands at the top of the page, which may have been scrolled far down.
    for (let part = parentElement.host; part; part = part.parentElement) part.scrollTop = 0;
    setTriggerValue("opened", true);
  };
}
"""

_mount = st.components.v2.component("photo_card", html=HTML, css=CSS, js=JS)


def show_card(
    picture: bytes, name: str, alt: str, *, key: str, on_open: Callable[[], None], height_px: int = ROW_HEIGHT_PX
) -> None:
    """Draw an encoded picture `height_px` high, in a horizontal container; `on_open` is called after a click."""
    with Image.open(io.BytesIO(picture)) as image:
        ratio = image.width / image.height
    width = min(WIDEST * height_px, max(height_px // 2, round(height_px * ratio)))
    _mount(
        key=key, width=width, data={"picture": data_url(picture), "alt": alt, "name": name}, on_opened_change=on_open
    )
