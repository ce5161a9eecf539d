"""How long a training will take: measured on request before it starts, and held against what it took."""

from pathlib import Path
from typing import Any

import streamlit as st

from core import jobs
from core.training.estimate import stored_estimates
from core.training.estimate.training_time import Estimate
from core.training.run.folders import Run
from core.training.run.log import RunLog
from core.training.settings.config import TrainingConfig
from core.wording import count, duration, megabytes
from ui.job_view import POLL_S, show_job, show_stop
from ui.page import showing_errors
from ui.words import percent, plain

NOTABLE_SHARE = 0.1
RATIO_HELP = "Time against the settings chosen above: 0.5 takes half as long."


def offer_estimate(data: Path, preset_name: str, config: TrainingConfig) -> None:
    """Show how long these settings will take, or how far the measuring is, or offer to measure."""
    job = stored_estimates.estimate_job_dir(data, config)
    if jobs.is_held(job):
        st.fragment(_show_measuring, run_every=POLL_S)(job)
        return
    if found := stored_estimates.find_estimate(data, config):
        _show(found)
        return
    if error := jobs.error(job):
        st.error(plain(error), icon=":material/error:")
    if st.button("How long will it take?", icon=":material/timer:", help="Times a few real batches, up to a minute."):
        with showing_errors(), st.spinner("Starting …"):  # beside the button, which is left where it is
            stored_estimates.start_estimate(data, preset_name, config)
            st.rerun()


def _show_measuring(job: Path) -> None:
    with showing_errors():
        progress = jobs.progress(job)
        if progress is None:
            st.rerun()
        show_job(progress, "Timing real batches", "loading PyTorch", _settings_done)
        show_stop(job)


def _settings_done(done: int, total: int) -> str:
    return f"{done} of {count(total, 'setting')}"


def _show(found: Estimate) -> None:
    """Draw the time these settings take, and what would take less."""
    steps = f"{count(found.steps_per_epoch, 'step')} of {found.seconds_per_step:.1f} s"
    facts = [
        f"{duration(found.seconds_per_epoch)} an epoch: {steps}, {duration(found.validation_seconds)} of validation",
        f"{found.device}, {found.precision}",
    ]
    if found.peak_memory_bytes:
        facts.append(f"up to {megabytes(found.peak_memory_bytes)} of memory")
    if found.is_extrapolated:
        facts.append("reckoned from small batches, since a whole one takes long")
    if found.others_share > NOTABLE_SHARE:
        facts.append(f"other programs took {percent(found.others_share, 0)} of the processor meanwhile")
    most = "At most" if found.settings.get("patience") else "About"
    with st.container(border=True):
        st.markdown(f"##### {most} {duration(found.total_seconds)} for {count(found.epochs, 'epoch')}")
        st.caption(" · ".join(facts))
        if found.alternatives:
            _show_alternatives(found)
        if found.left_out:
            st.caption(f"Not timed, for want of time or memory: {', '.join(found.left_out)}.")


def _show_alternatives(found: Estimate) -> None:
    rows = [
        {"Instead": each.label, "Takes": duration(each.total_seconds), "Ratio": each.ratio, "Gives up": each.gives_up}
        for each in found.alternatives
    ]
    widths = {"Instead": 150, "Takes": 90, "Gives up": 440}
    columns: dict[str, Any] = {name: st.column_config.TextColumn(width=px) for name, px in widths.items()}
    columns["Ratio"] = st.column_config.NumberColumn(format="%.2f", help=RATIO_HELP)
    st.dataframe(rows, hide_index=True, column_config=columns, row_height=76, alt="What would take less time")


def show_prediction(run: Run, log: RunLog) -> None:
    """Draw what was estimated before the run beside what it takes; nothing if nothing was."""
    found = stored_estimates.estimate_of(run)
    if not found or not (pace := stored_estimates.pace(found, log)):
        return
    st.caption(
        f"Estimated {duration(found.total_seconds)} in all; at the pace of the {count(len(log.epochs), 'epoch')} done "
        f"it is {duration(pace * found.total_seconds)} ({pace:.2f} times the estimate)."
    )
