"""A button that saves a file which is made when somebody asks for it."""

import threading
from collections.abc import Callable
from typing import Literal

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import ScriptRunContext, add_script_run_ctx, get_script_run_ctx

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
    """Draw a button that makes a file of that name when it is pressed, and saves it; the page stays as it is."""
    make_held = _held(make, name, media_type, get_script_run_ctx())
    st.download_button(label, make_held, name, media_type, icon=icon, type=kind, on_click="ignore", help=meaning)


def _held(
    make: Callable[[], bytes], name: str, media_type: str, context: ScriptRunContext | None
) -> Callable[[], bytes]:
    """Return what makes a file and holds it for the session until its page is drawn anew.

    Streamlit holds a file that is made on demand for nobody. Whenever anybody's script ends it marks what nobody holds,
    and the next time removes it: of twenty people who saved a mask at once up to six got nothing, as the file was gone
    before their browser had asked for it.
    """

    def make_and_hold() -> bytes:
        data = make()
        if context and runtime.exists():
            # The thread that this runs in belongs to no session; the manager asks its thread for whom it is to hold.
            holder = threading.Thread(
                target=runtime.get_instance().media_file_mgr.add,
                args=(data, media_type, f"saved: {name}", name),
                kwargs={"is_for_static_download": True},
            )
            add_script_run_ctx(holder, context)
            holder.start()
            holder.join()
        return data

    return make_and_hold
