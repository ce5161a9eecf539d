"""A run on Home and on Train: state, progress, scores beside the floor, advice, curves."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from core import jobs
from core.training import demo_run
from core.training.run import folders
from core.training.run.folders import Run
from core.training.run.health import health
from core.training.run.learning import LABEL, LOOK, NEW_RUN
from core.training.run.log import RunLog
from core.training.run.milestones import CHOSEN, CHOSEN_ON_VAL
from core.training.run.records import Record, RunEnded, seconds_between
from core.wording import count, duration, megabytes
from ui import cached, charts
from ui.charts import Curve, loss_curves, miou_curves
from ui.page import link_to
from ui.sources import DEMO, FOLDER, is_demo
from ui.train.duration import progress_of
from ui.words import MISSING, STATES, advised, percent, plain, points

FEW_CLASSES = 2
"""So many scores are numbers; more are bars."""

TICK_S = 2.0
"""Seconds between two updates of a live run."""

MIOU_HELP = (
    "Mean over the classes of intersection over union on the validation photos, whole photos, void left out. "
    "The floor is what predicting background everywhere scores on the same photos."
)
ACCURACY_HELP = (
    "Share of the validation pixels that got the right class, void left out. Background dominates it: the floor, "
    "background everywhere, is already high."
)


class Entry(NamedTuple):
    """A run with its log and state."""

    run: Run
    log: RunLog
    state: str

    @property
    def is_live(self) -> bool:
        """Whether a trainer works on it."""
        return self.state in folders.LIVE_STATES


def read_runs() -> tuple[list[Entry], list[str]]:
    """Return every run, newest first, and a sentence for each run folder that cannot be read."""
    known, broken = folders.read_runs()
    return [read_run(run) for run in known], broken


def read_run(run: Run) -> Entry:
    """Return a run as it is now."""
    log = cached.run_log(run.log_path)
    return Entry(run, log, folders.run_state(run, log))


ADVICE_BOXES = {
    "info": (st.info, ":material/lightbulb:"),
    "warning": (st.warning, ":material/warning:"),
    "error": (st.error, ":material/error:"),
}


LINKS: dict[str, tuple[str, str, dict[str, str]]] = {
    LABEL: ("Label", "Label more photos", {}),
    NEW_RUN: ("Train", "Set up a new run on this data", {"run": "new"}),
    LOOK: ("Dataset", "Look at the masks", {}),
}
"""By what advice asks for, where it is done: page, label and query. A run is extended above the advice."""


def label(entry: Entry | None) -> str:
    """Return the label of a run in the list: name, state, folder."""
    if entry is None:
        return "Set up a new run"
    return f"{entry.run.name} · {STATES[entry.state].label.lower()} · {entry.run.path.name}"


def show_state(state: str) -> None:
    """Draw the state as a badge with its meaning."""
    shown = STATES[state]
    color: Any = shown.color
    st.badge(shown.label, icon=shown.icon, help=shown.meaning, color=color)


def show_about(run: Run, log: RunLog) -> None:
    """Say in one line when the run was made, on which data and which machine."""
    made = f"{datetime.fromtimestamp(run.created_s).astimezone():%d %b %Y, %H:%M}"
    facts = [f"made {made}", f"preset {run.preset}", f"data {plain(run.data)}"]
    if log.legs:
        leg = log.legs[-1]
        photos = f"{count(leg.num_train_images, 'training photo')}, {leg.num_val_images:,} for validation"
        facts += [photos, f"{leg.device}, {leg.precision}", f"{leg.num_params / 1e6:.1f} million weights"]
    st.caption(" · ".join(facts))


def show_progress(run: Run, log: RunLog, state: str) -> None:
    """Draw the bar of a live run with epoch, batch and remaining time; for another, the number of epochs."""
    progress = progress_of(log, folders.target_epochs(run, log))
    epochs = f"{progress.epochs_done} of {count(progress.target_epochs, 'epoch')}"
    if state not in folders.LIVE_STATES:
        st.caption(f"{epochs} done" if state != "unknown" else STATES[state].meaning)
        return
    left = f" · about {duration(progress.remaining_s)} left" if progress.remaining_s else ""
    st.progress(progress.share, f"{epochs}{left}")
    silence = ""
    if state == "stalled" and log.last:
        silent_s = seconds_between(log.last, Record(uptime_s=time.monotonic()))
        silence = f" · nothing new for {duration(silent_s)}"
    st.caption(progress.doing + silence)


def show_best(log: RunLog, *, has_sparkline: bool = True) -> None:
    """Draw the best validation mIoU so far, its distance from the floor, and the curve so far."""
    best, floor = log.best_epoch, _floor(log, "miou")
    if best is None or best.miou is None:
        st.metric("Best mIoU", MISSING, help=MIOU_HELP, delta="no epoch done yet", delta_color="off", delta_arrow="off")
        return
    curve = [100 * epoch.miou for epoch in log.epochs if epoch.miou is not None] if has_sparkline else None
    _score(f"Best mIoU, epoch {best.epoch}", best.miou, floor, f"{MIOU_HELP} {CHOSEN_ON_VAL}", curve, f", {CHOSEN}")


def _score(
    label: str, value: float | None, floor: float | None, help_text: str, curve: list[float] | None = None,
    note: str = "",
) -> None:  # fmt: skip
    """Draw a score with its distance from the floor: green above, red below, grey level with it."""
    gap = None if value is None or floor is None else points(value - floor)
    is_level = gap == points(0.0)
    st.metric(
        label, percent(value), gap, help=help_text, chart_data=curve if curve and len(curve) > 1 else None,
        delta_description=f"from the floor, {percent(floor)}{note}" if gap else None,
        delta_color="off" if is_level else "normal", delta_arrow="off" if is_level else "auto",
    )  # fmt: skip


def _floor(log: RunLog, score: str) -> float | None:
    return log.legs[-1].floor.get(score) if log.legs else None


def show_end(run: Run, log: RunLog, state: str) -> None:
    """Show why a run ended early, with the end of what the trainer printed."""
    reason = log.last.reason if isinstance(log.last, RunEnded) else ""
    if state == "failed":
        st.error(f"The run failed: {plain(reason)}", icon=":material/error:")
    if state == "crashed":
        st.error(
            "The trainer ended without a record of its end; below is the end of its output.", icon=":material/bolt:"
        )
    if state in ("failed", "crashed"):
        st.code(jobs.output_of(run.path) or "(it printed nothing)", language=None, wrap_lines=True)
    if state == "new":
        st.info("This run was made but never started.")


def show_advice(run: Run, log: RunLog, state: str) -> None:
    """Show advice on the health of a run, its warnings, and damaged lines of the log."""
    for advice in health(log, state=state, is_drawn=demo_run.is_drawn(run)):
        box, icon = ADVICE_BOXES[advice.severity]
        box(advised(advice.sentence), icon=icon)
        if advice.action in LINKS:
            page, label, query = LINKS[advice.action]
            where = {"source": DEMO} if is_demo(Path(run.data)) else {"source": FOLDER, "data": run.data}
            link_to(page, label, **query, **where)
    for message in dict.fromkeys(warned.message for warned in log.warnings):
        st.warning(plain(message), icon=":material/warning:")
    if log.bad_lines:
        st.warning(
            f"{count(len(log.bad_lines), 'line')} of {run.log_path.name} cannot be read and left out: "
            f"`{log.bad_lines[0][:80]}`. The rest is shown.",
            icon=":material/broken_image:",
        )


def show_numbers(log: RunLog) -> None:
    """Draw the latest scores beside their floors, then loss, learning rate, speed and memory."""
    epoch = log.epochs[-1] if log.epochs else None
    with st.container(horizontal=True):
        show_best(log, has_sparkline=False)
        if epoch and epoch is not log.best_epoch:
            _score("Latest mIoU", epoch.miou, _floor(log, "miou"), MIOU_HELP)
        accuracy = epoch.pixel_accuracy if epoch else None
        _score("Latest pixel accuracy", accuracy, _floor(log, "pixel_accuracy"), ACCURACY_HELP)
    step = log.steps[-1] if log.steps else None
    loss, rate, speed = (
        (f"{step.loss:.3f}", f"{step.learning_rate:.2g}", f"{step.images_per_second:.1f}") if step else (MISSING,) * 3
    )
    with st.container(horizontal=True):
        st.metric("Loss", loss, help="Cross-entropy per pixel of the latest training batches.")
        st.metric("Learning rate", rate, help="Step size of the latest batch.")
        st.metric("Photos per second", speed, help="Training alone, over the latest batches.")
        st.metric(
            "Peak memory", megabytes(epoch.peak_memory_bytes) if epoch else MISSING,
            help="Most memory the trainer has held: of the GPU where there is one, else of the process.",
        )  # fmt: skip


def show_curves(run: Run, log: RunLog, known: list[Run]) -> None:
    """Draw losses and mIoU over the epochs, beside other runs if chosen; a single epoch is not a curve."""
    names = folders.run_names(known)
    others = {names[other.path]: other for other in known if other.path != run.path}
    chosen = st.multiselect("Beside", list(others), key="beside", placeholder="other runs") if others else []
    curves = [Curve(names.get(run.path, run.name), log), *(_curve(name, others[name]) for name in chosen)]
    has_epochs = bool(chosen) or len(log.epochs) > 1
    left, right = st.columns(2) if has_epochs else (st.container(), None)
    if has_epochs or len(log.steps) > 1:
        left.markdown("**Loss** (cross-entropy per pixel)")
        figure = cached.curves_figure(loss_curves, curves) if chosen else cached.step_figure(charts.loss_figure, log)
        left.plotly_chart(figure, key="loss", alt="Loss over epochs")
    if right:
        right.markdown("**Mean IoU** on the validation photos")
        figure = cached.curves_figure(miou_curves, curves) if chosen else cached.epoch_figure(charts.miou_figure, log)
        right.plotly_chart(figure, key="miou", alt="Validation mIoU over epochs, with the floor")


def _curve(name: str, run: Run) -> Curve:
    return Curve(name, cached.run_log(run.log_path))


def show_classes(log: RunLog) -> None:
    """Draw the IoU of every class after the latest epoch, of one or two as numbers, and over the epochs if several."""
    if not log.epochs:
        return
    classes, epoch = log.legs[-1].classes, log.epochs[-1]
    scored = {name: value for name, value in zip(classes.names, epoch.iou, strict=False) if value is not None}
    left, right = st.columns(2) if len(log.epochs) > 1 else (st.container(), None)
    left.markdown(f"**IoU of each class** after epoch {epoch.epoch}")
    if len(scored) > FEW_CLASSES:
        figure = cached.epoch_figure(charts.class_iou_figure, log)
        left.plotly_chart(figure, key="classes", alt="IoU of each class")
    else:
        numbers = left.container(horizontal=True)
        for name, value in scored.items():
            numbers.metric(plain(name), percent(value))
    if right:
        right.markdown("**How each class grew**, epoch by epoch")
        figure = cached.epoch_figure(charts.class_growth_figure, log)
        right.plotly_chart(figure, key="growth", alt="IoU of each class after each epoch")
    absent = [name for name in classes.names if name not in scored]
    if absent:
        st.caption(f"Not among the validation photos, so without a score: {plain(', '.join(absent))}.")
