"""How far a job is that runs in a process of its own, and the offer to count what a promise of right pixels needs."""

import time
from pathlib import Path

import streamlit as st

from core import jobs
from core.jobs import JobProgress
from core.training import trust
from core.training.run.folders import Run
from core.windows import command_line
from core.wording import count, duration, megabytes
from ui.page import showing_errors
from ui.words import code, plain

POLL_S = 1.0
"""How often a page that shows a job looks again."""

BYTES = "byte"

EVERYTHING = "how its confidence relates to being right, and what its training photos look like"


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
        "Stopping …" if is_asked else "Stop", key=f"stop {folders[0]}", icon=":material/stop:", disabled=is_asked
    ):
        for folder in folders:
            jobs.request_stop(folder)
        st.rerun()


def is_counting(run: Run, checkpoint: Path) -> bool:
    """Return whether a job counts what a promise of this checkpoint needs."""
    return jobs.is_held(trust.job_folder(run.eval_dir, checkpoint))


def offer_figures(run: Run, checkpoint: Path, lacking: str = EVERYTHING) -> None:
    """Offer to count what is `lacking` for trust, in a process of its own, and show its progress."""
    folder = trust.job_folder(run.eval_dir, checkpoint)
    if is_counting(run, checkpoint):
        st.fragment(_show_progress, run_every=POLL_S)(folder)
        return
    if error := jobs.error(folder):
        st.error(plain(error), icon=":material/error:")
    st.caption(
        f"Not measured yet: {lacking}. "
        f"Run {code('python -m core ' + command_line(['trust', str(checkpoint), '--data', run.data]))}, "
        "or press *Count on val*."
    )
    if st.button("Count on val", key=f"trust {checkpoint}", icon=":material/fact_check:"):
        with st.spinner("Starting …"), showing_errors():
            trust.start(run.eval_dir, checkpoint, run.data)
        st.rerun()


def _show_progress(folder: Path) -> None:
    with showing_errors():
        progress = jobs.progress(folder)
        if progress is None:
            st.rerun()
        show_job(progress, "Counting", "opening the checkpoint", "photo")
        show_stop(folder)
