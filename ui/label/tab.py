"""Which browser tab this is, and the photo that it holds open against others."""

import re
from pathlib import Path

import streamlit as st

from core.data.labelling import LabelSet, claim, open_label_set, release
from ui.page import showing_errors

ID = re.compile(r"[0-9a-f]{32}")
TAB, _OPEN = "label tab", "label open"

_mount = st.components.v2.component(
    "browser_tab", html="<span></span>",
    js=(Path(__file__).parent / "browser" / "tab.js").read_text(encoding="utf-8"),
)  # fmt: skip


def know_tab() -> None:
    """Ask the browser for the id of this tab; it comes with the next script run, and stays over reloads."""
    found = _mount(key="browser tab", height=1, on_id_change=_ignore).id
    if isinstance(found, str) and ID.fullmatch(found):
        st.session_state[TAB] = found


def tab() -> str:
    """Return the id of this tab; empty until the browser has said it."""
    name: str = st.session_state.get(TAB, "")
    return name


def hold(label_set: LabelSet, name: str, *, take_over: bool = False) -> str | None:
    """Say to other tabs that this one has a photo open, and no other photo; return a sentence if another tab has it."""
    if not tab():
        return None
    held: tuple[str, str] | None = st.session_state.get(_OPEN)
    if held and held != (str(label_set.root), name):
        with showing_errors():  # the data set before may be gone
            release(open_label_set(Path(held[0])), held[1], tab())
    st.session_state[_OPEN] = (str(label_set.root), name)
    return claim(label_set, name, tab(), take_over=take_over)


def is_open(label_set: LabelSet, name: str) -> bool:
    """Return whether this tab has that photo on its canvas."""
    return st.session_state.get(_OPEN) == (str(label_set.root), name)


def _ignore() -> None:
    """Take the id as it comes; `know_tab` reads it."""
