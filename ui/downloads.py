"""A button that makes a file when it is pressed, and saves it."""

from collections.abc import Callable
from typing import Literal

import streamlit as st

from ui.internals import DownloadHolder

DOWNLOAD_ICON = ":material/download:"


def offer(
    label: str,
    make: Callable[[], bytes],
    name: str,
    media_type: str,
    *,
    icon: str = DOWNLOAD_ICON,
    kind: Literal["primary", "secondary"] = "secondary",
    meaning: str | None = None,
) -> None:
    """Draw a button that makes a file of that name when it is pressed, and saves it; the page is not drawn again."""
    make_held = _held(make, name, media_type)
    st.download_button(label, make_held, name, media_type, icon=icon, type=kind, on_click="ignore", help=meaning)


def _held(make: Callable[[], bytes], name: str, media_type: str) -> Callable[[], bytes]:
    """Return a function that makes the file and holds it for this session."""
    holder = DownloadHolder()

    def make_and_hold() -> bytes:
        data = make()
        holder.hold(data, media_type, name)
        return data

    return make_and_hold
