"""How far a job is that goes on in a process of its own."""

import time

import streamlit as st

from core.jobs import Progress
from ui.words import count, duration

POLL_S = 1.0
"""How often a page that shows a job looks again."""


def show_job(progress: Progress, doing: str, unit: str, waiting: str) -> None:
    """Draw a bar with what is done of all and the remaining time; `waiting` says what goes on until that is known."""
    if not progress.total:
        st.progress(0.0, f"{doing}: {waiting} …")
        return
    remaining_s = progress.remaining_s(time.time())
    left = f" · about {duration(remaining_s)} left" if remaining_s else ""
    st.progress(progress.share, f"{doing}: {progress.done:,} of {count(progress.total, unit)}{left}")
