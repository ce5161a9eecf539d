"""The progress of a run, the estimate of its time, and that estimate against the time taken."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core import jobs
from core.training.estimate import stored_estimates
from core.training.estimate.stored_estimates import Alternative, Estimate
from core.training.run import folders
from core.training.run.folders import Run
from core.training.run.log import RunLog
from core.training.run.records import Preflight, Preparing, Record, Validating, seconds_between
from core.training.settings.config import TrainingConfig
from core.wording import count, duration, megabytes
from ui.job_view import POLL_S, show_job, show_stop
from ui.page import showing_errors
from ui.words import percent, plain

RECENT_EPOCHS = 5
USUAL_TRAINING_SHARE = 0.9
"""Assumed share of training in an epoch's time, until an epoch is measured; the rest is validation."""

NOTABLE_SHARE = 0.1


@dataclass(frozen=True)
class EpochProgress:
    """How far a run is: `doing` in words, `epoch_share` of the current epoch and `share` of all epochs in [0, 1]."""

    doing: str
    epochs_done: int
    target_epochs: int
    epoch_share: float
    remaining_s: float | None

    @property
    def share(self) -> float:
        """The share of the planned epochs that is done."""
        return min(1.0, (self.epochs_done + self.epoch_share) / self.target_epochs)


def progress_of(log: RunLog, target_epochs: int) -> EpochProgress:
    """Return the progress in a log; `target_epochs` is `folders.target_epochs`."""
    epochs_done = log.epochs_done
    if not log.legs or isinstance(log.last, Preparing | Preflight):
        return EpochProgress(_getting_ready(log.last), epochs_done, target_epochs, 0.0, None)
    if epochs_done >= target_epochs:
        return EpochProgress("Saving the last checkpoint and its scores", epochs_done, target_epochs, 0.0, 0.0)
    doing, epoch_share = _epoch_under_way(log, epochs_done)
    epoch_s = _seconds_per_epoch(log)
    remaining_s = None if epoch_s is None else max(0.0, (target_epochs - epochs_done - epoch_share) * epoch_s)
    return EpochProgress(doing, epochs_done, target_epochs, epoch_share, remaining_s)


def _getting_ready(last: Record | None) -> str:
    if isinstance(last, Preparing):
        return f"{last.doing}: {last.done:,} of {last.total:,}" if last.total else last.doing
    return "Getting ready: loading PyTorch"


def _epoch_under_way(log: RunLog, epochs_done: int) -> tuple[str, float]:
    training_share = _training_share(log)
    if isinstance(log.last, Validating) and log.last.epoch > epochs_done:
        seen = log.last.image / max(1, log.last.images)
        doing = f"Validating after epoch {log.last.epoch}: photo {log.last.image} of {log.last.images}"
        return doing, training_share + (1 - training_share) * seen
    per_epoch = max(1, log.legs[-1].steps_per_epoch)
    step = log.steps[-1].step - epochs_done * per_epoch if log.steps else 0
    step = min(max(step, 0), per_epoch)
    return f"Epoch {epochs_done + 1}: batch {step} of {per_epoch}", training_share * step / per_epoch


def _training_share(log: RunLog) -> float:
    if log.epochs and log.epochs[-1].seconds > 0:
        return min(1.0, log.epochs[-1].train_seconds / log.epochs[-1].seconds)
    return USUAL_TRAINING_SHARE


def _seconds_per_epoch(log: RunLog) -> float | None:
    if log.epochs:
        return statistics.median(epoch.seconds for epoch in log.epochs[-RECENT_EPOCHS:])
    if not log.steps or log.steps[-1].step <= log.legs[-1].steps_done:
        return None
    leg, last = log.legs[-1], log.steps[-1]
    per_step = seconds_between(leg, last) / (last.step - leg.steps_done)
    return per_step * leg.steps_per_epoch / USUAL_TRAINING_SHARE


def offer_estimate(data: Path, preset_name: str, config: TrainingConfig, use: Callable[[dict[str, Any]], None]) -> None:
    """Show the estimate for these settings, or the progress of measuring it, or offer to measure.

    `use` is called with the changed settings of an alternative that is chosen.
    """
    job = stored_estimates.estimate_job_dir(data, config)
    if jobs.is_held(job):
        st.fragment(show_measuring, run_every=POLL_S)(job)
        return
    if found := stored_estimates.find_estimate(data, config):
        _show(found, use)
        return
    if error := jobs.error(job):
        st.error(plain(error), icon=":material/error:")
    live = folders.live_runs()
    is_asked = st.button(
        "How long will it take?", icon=":material/timer:", disabled=bool(live),
        help="Times a few real batches, up to a minute.",
    )  # fmt: skip
    if live:
        st.caption(f"{plain(live[0].name)} is training: timed beside it, both would run at half their speed.")
    if is_asked:
        with showing_errors(), st.spinner("Starting …"):
            stored_estimates.start_estimate(data, preset_name, config)
            st.rerun()


def show_measuring(job: Path) -> None:
    """Draw how far the job is that measures an estimate; rerun the page at its end."""
    with showing_errors():
        progress = jobs.progress(job)
        if progress is None:
            st.rerun()
        show_job(progress, "Timing real batches", "loading PyTorch", "setting")
        show_stop(job)


def _show(found: Estimate, use: Callable[[dict[str, Any]], None]) -> None:
    """Draw the estimated time, and faster alternatives."""
    steps = f"{count(found.steps_per_epoch, 'step')} of {found.seconds_per_step:.1f} s"
    facts = [
        f"{duration(found.seconds_per_epoch)} an epoch: {steps}, {duration(found.validation_seconds)} of validation",
        f"{found.device}, {found.precision}",
    ]
    if found.peak_memory_bytes:
        facts.append(f"up to {megabytes(found.peak_memory_bytes)} of memory")
    if found.is_extrapolated:
        facts.append("extrapolated from small batches, because a whole one takes long")
    if found.others_share > NOTABLE_SHARE:
        facts.append(f"other programs took {percent(found.others_share, 0)} of the processor meanwhile")
    most = "At most" if found.settings.get("patience") else "About"
    with st.container(border=True):
        st.markdown(f"##### {most} {duration(found.total_seconds)} for {count(found.epochs, 'epoch')}")
        st.caption(" · ".join(facts))
        for each in found.alternatives:
            _show_alternative(each, use)
        if found.not_faster:
            st.caption(f"Timed, and not faster here: {', '.join(found.not_faster)}.")
        if found.left_out:
            st.caption(f"Not timed, for lack of time or memory: {', '.join(found.left_out)}.")


def _show_alternative(each: Alternative, use: Callable[[dict[str, Any]], None]) -> None:
    """Draw what would take less time, what it gives up, and the button that sets the form to it."""
    text, button = st.columns([5, 1], vertical_alignment="center")
    text.markdown(f"**{plain(each.label)}** · {duration(each.total_seconds)}, {each.ratio:.2f} times as long")
    text.caption(f"Gives up: {plain(each.gives_up)}")
    button.button("Use this", key=f"use {each.label}", on_click=use, args=(each.changes,), width="stretch")


def show_prediction(run: Run, log: RunLog) -> None:
    """Draw the estimate made before the run beside the time it takes, if there was one."""
    found = stored_estimates.estimate_of(run)
    if not found or not (pace := stored_estimates.pace(found, log)):
        return
    st.caption(
        f"Estimated {duration(found.total_seconds)} in all; at the pace of the {count(len(log.epochs), 'epoch')} done "
        f"it is {duration(pace * found.total_seconds)} ({pace:.2f} times the estimate)."
    )
