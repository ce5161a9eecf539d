"""How far a job is that runs in a process of its own."""

import time
from pathlib import Path

import streamlit as st

from core import jobs
from core.jobs import JobProgress
from core.wording import count, duration, megabytes

POLL_S = 1.0
"""How often a page that shows a job looks again."""

BYTES = "byte"


def show_job(progress: JobProgress, doing: str, waiting: str, unit: str) -> None:
    """Draw a bar with what is done and the remaining time.

    `waiting` says what happens until a total is known. `unit` is the noun of what is counted; bytes are shown as MB.
    """
    if not progress.total:
        st.progress(0.0, f"{doing}: {waiting} …")
        return
    if unit == BYTES:
        amount = f"{megabytes(progress.done)} of {megabytes(progress.total)}"
    else:
        amount = f"{progress.done:,} of {count(progress.total, unit)}"
    remaining_s = progress.remaining_s(time.time())
    left = f" · about {duration(remaining_s)} left" if remaining_s else ""
    st.progress(progress.share, f"{doing}: {amount}{left}")


def show_stop(folder: Path) -> None:
    """Draw the button that asks a job to end."""
    is_asked = jobs.is_stop_requested(folder)
    if st.button(
        "Stopping …" if is_asked else "Stop", key=f"stop {folder.name}", icon=":material/stop:", disabled=is_asked
    ):
        jobs.request_stop(folder)
        st.rerun()
