"""What is used of Streamlit beyond its API, behind one switch.

Without it the dashboard does the same with `st.download_button` and `st.query_params` alone, and has three faults: a
file made on demand may be gone before the browser asks for it; Back is taken for a rerun, so widgets keep their values;
and the uploader of a Portuguese presentation speaks English.
"""

import json
import threading

from streamlit import runtime
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

IS_USED = True
"""The switch. False leaves Streamlit's public API."""


def is_back() -> bool:
    """Return whether this run of the script comes from the browser's Back or Forward."""
    return IS_USED and bool(getattr(get_script_run_ctx(), "is_history_navigation", False))


def uploader_style(label: str) -> str:
    """Return a style that writes `label` on the uploader's button, and hides its line about size and kinds of files.

    Streamlit has these words in English alone. Where it calls the parts otherwise, its own words stay.
    """
    text = json.dumps(label, ensure_ascii=False)
    button = "[data-testid=stFileUploader] [data-testid=stFileUploaderDropzone] button p"  # before a page's own rules
    rules = (
        f"{button} {{ font-size: 0 !important; }}",
        f"{button}::after {{ content: {text}; font-size: 1rem; }}",
        "[data-testid=stFileUploaderDropzoneInstructions] { display: none; }",
    )
    return f"<style>{' '.join(rules)}</style>" if IS_USED else ""


class DownloadHolder:
    """Holds a file for the session in whose script run this object is made, until that page is drawn again.

    Streamlit holds a file that `st.download_button` makes on demand for nobody. When any script ends, Streamlit marks
    what nobody holds, and removes it the next time: of twenty people who saved a mask at once, up to six got nothing.
    """

    def __init__(self) -> None:
        self._context = get_script_run_ctx() if IS_USED else None

    def hold(self, data: bytes, media_type: str, name: str) -> None:
        """Hold a file that was just made, under the address that Streamlit gives it."""
        if self._context is None or not runtime.exists():
            return
        # The callback's thread belongs to no session, and the manager asks its thread for whom to hold the file.
        thread = threading.Thread(
            target=runtime.get_instance().media_file_mgr.add,
            args=(data, media_type, f"saved: {name}", name),
            kwargs={"is_for_static_download": True},
        )
        add_script_run_ctx(thread, self._context)
        thread.start()
        thread.join()
