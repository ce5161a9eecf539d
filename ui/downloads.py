"""A button that makes a file when it is pressed, and saves it; and the folder of what is written on this computer."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import streamlit as st

from core.errors import DataError
from core.home import exports_dir
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


def exports_folder() -> Path:
    """Return the folder of exports, made if needed; one that cannot be made raises `DataError`."""
    folder = exports_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror}; check the path and its owner.") from error
    return folder
