"""The newest runs as cards, and all of them as a table."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.training.settings.config import TrainingConfig
from ui.page import link_to, showing_errors
from ui.sources import title_of
from ui.train.run_view import Entry, show_best, show_progress, show_state
from ui.words import STATES, plain

MAX_CARDS = 4
LABELS = {field.name: field.metadata["label"] for field in fields(TrainingConfig)}
FILTERS = ("Data", "Architecture", "State")


def show_cards(entries: Sequence[Entry]) -> None:
    """Draw a card for each of the newest runs."""
    for first in range(0, min(len(entries), MAX_CARDS), 2):
        for column, entry in zip(st.columns(2), entries[first : first + 2], strict=False):
            with column.container(border=True, height="stretch"), showing_errors():
                show_card(entry)


def show_card(entry: Entry) -> None:
    """Draw a run: name, state, progress and best score beside the floor."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{plain(entry.run.name)}**")
        show_state(entry.state)
    show_progress(entry.run, entry.log, entry.state)
    show_best(entry.log)
    link_to("Train", "Open", run=entry.run.path.name)


def show_table(entries: Sequence[Entry]) -> None:
    """Draw all runs as a table to sort and filter; a chosen row opens its run on Train."""
    table = table_of(entries)
    with st.container(horizontal=True):
        for name in FILTERS:
            values = list(dict.fromkeys(table[name]))
            if len(values) > 1 and (chosen := st.multiselect(name, values, key=f"runs by {name}", placeholder="all")):
                table = table[table[name].isin(chosen)]
    shares = {name: st.column_config.NumberColumn(format="%.1f %%") for name in ("Best mIoU", "Floor")}
    event: Any = st.dataframe(
        table.drop(columns="Folder"), hide_index=True, key="all runs", on_select="rerun", selection_mode="single-row",
        column_config=shares,
    )  # fmt: skip
    for row in event.selection.rows:
        st.switch_page("pages/train.py", query_params={"run": table["Folder"].iloc[row]})
    st.caption("Tick a row to open its run. Scores are of the validation photos; the floor is background everywhere.")


def table_of(entries: Sequence[Entry]) -> pd.DataFrame:
    """Return a row for each run; settings that are equal in all runs have no column. Scores are in percent."""
    settings = [entry.run.config.as_dict() for entry in entries]
    titles = {data: title_of(Path(data)) for data in {entry.run.data for entry in entries}}
    differing = [name for name in LABELS if len({str(each[name]) for each in settings}) > 1 and name != "architecture"]
    return pd.DataFrame(
        {
            "Run": entry.run.name,
            "State": STATES[entry.state].label,
            "Best mIoU": _percent(entry.log.best_epoch.miou if entry.log.best_epoch else None),
            "Floor": _percent(entry.log.legs[-1].floor.get("miou") if entry.log.legs else None),
            "Epochs done": len(entry.log.epochs),
            "Data": titles[entry.run.data],
            "Architecture": config["architecture"],
            **{LABELS[name]: str(config[name]) for name in differing},
            "Note": entry.run.note,
            "Folder": entry.run.path.name,
        }
        for entry, config in zip(entries, settings, strict=True)
    )


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction
