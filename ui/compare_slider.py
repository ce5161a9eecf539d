"""Two pictures in one place, and a line between them that mouse, finger and arrow keys move.

A range input lies over the pictures, unseen, so that the browser itself brings keyboard, touch and screen reader. The
pictures travel as data, so that nothing is asked of any server.
"""

import streamlit as st

from ui.pictures import data_url

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
