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


def show_stop(*folders: Path) -> None:
    """Draw the button that asks jobs to end."""
    is_asked = all(map(jobs.is_stop_requested, folders))
    if st.button(
        "Stopping …" if is_asked else "Stop", key=f"stop {folders[0].name}", icon=":material/stop:", disabled=is_asked
    ):
        for folder in folders:
            jobs.request_stop(folder)
        st.rerun()
