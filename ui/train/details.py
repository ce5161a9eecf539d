"""Details of a run, each in an expander: checkpoints, settings, learning rate and speed, log and command."""

import dataclasses

import pandas as pd
import streamlit as st

from core import jobs
from core.training.run import folders
from core.training.run.folders import Run
from core.training.run.log import RunLog
from core.training.run.records import to_line
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import PRESET_LABELS, PRESETS, present_name, preset
from core.wording import megabytes
from ui import cached, charts
from ui.words import percent, plain


def show_details(run: Run, log: RunLog) -> None:
    """Draw checkpoints, learning rate and speed, the latest record, the trainer's output, and the command."""
    with st.expander("Checkpoints", icon=":material/save:"):
        show_checkpoints(run, log)
    with st.expander("Learning rate and speed", icon=":material/speed:"):
        if len(log.steps) > 1:
            st.plotly_chart(cached.step_figure(charts.learning_rate_figure, log), key="learning rate")
            st.plotly_chart(cached.step_figure(charts.throughput_figure, log), key="throughput")
        else:
            st.caption("Drawn from the second record of a training step on.")
    with st.expander("Log and the command", icon=":material/terminal:"):
        st.caption("This command makes and trains the same run again:")
        st.code(folders.command(run), language=None, wrap_lines=True)
        if log.last:
            st.caption(f"The latest record of {plain(str(run.log_path))}:")
            st.code(to_line(log.last).strip(), language=None, wrap_lines=True)
        st.caption("The end of what the trainer printed:")
        st.code(jobs.output_of(run.path) or "(nothing yet)", language=None, wrap_lines=True)


def show_checkpoints(run: Run, log: RunLog) -> None:
    """Draw the checkpoint files that exist, with their records."""
    newest = {record.file: record for record in log.checkpoints if (run.path / record.file).exists()}
    if not newest:
        st.caption("None yet: the first is written and verified after the first epoch.")
        return
    scores = {epoch.epoch: epoch.miou for epoch in log.epochs}
    rows = [
        {
            "File": record.file,
            "Epoch": f"in epoch {record.epoch + 1}" if record.step_in_epoch else str(record.epoch),
            "mIoU": "not evaluated" if record.step_in_epoch else percent(scores.get(record.epoch)),
            "Size": megabytes(record.size_bytes),
            "Verified": "reopened, same answer" if record.verified else "no",
        }
        for record in newest.values()
    ]
    st.dataframe(rows, hide_index=True)
    floor = log.legs[-1].floor.get("miou") if log.legs else None
    st.caption(f"Beside a floor of {percent(floor)} mIoU.")


def show_settings(run: Run) -> None:
    """Draw every setting of a run as a table; those that differ from its preset are bold, beside the preset's.

    They do not change while it trains, so no tick draws them.
    """
    name = present_name(run.preset)
    usual = preset(name) if name in PRESETS else TrainingConfig()
    beside = f"Preset {PRESET_LABELS[name]}" if name in PRESETS else "Default"
    rows = []
    for declared in dataclasses.fields(run.config):
        value, other = (_in_words(getattr(config, declared.name)) for config in (run.config, usual))
        is_same = value == other
        shown = {"Setting": declared.metadata["label"], "Value": value if is_same else f"**{value}**"}
        rows.append(shown | {beside: "same" if is_same else other})
    with st.expander("Settings", icon=":material/tune:"):
        st.table(pd.DataFrame(rows).set_index("Setting"))


def _in_words(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else plain(str(value))
