"""Asking what the classes of a folder are called, where nothing in it says so."""

import pandas as pd
import streamlit as st

from core.classes import CLASSES_FILE, NUMBERED, Classes, write_classes
from core.data.dataset import Dataset
from core.data.statistics.split_stats import SplitStats


def offer_names(data: Dataset, stats: list[SplitStats]) -> None:
    """Draw names and colours to edit, and write them to the folder's classes.txt; nothing if it says them itself."""
    if data.has_named_classes:
        return
    highest = max((class_id for each in stats for ids in each.class_ids for class_id in ids), default=1)
    with st.expander("Nothing says what the classes are called: they are numbered. Name them", icon=":material/label:"):
        ids = range(max(2, highest + 1) if data.classes == NUMBERED else data.num_classes)
        table = pd.DataFrame(
            {"Name": [data.class_names[k] for k in ids], "Colour": [data.classes.colors[k] for k in ids]}
        ).rename_axis("Id")
        edited = st.data_editor(table, key="class names", width="content")
        st.caption(f"They are written to `{data.root / CLASSES_FILE}`, a new file; nothing else is changed.")
        if st.button("Name the classes", type="primary", icon=":material/save:"):
            colors = tuple(color.lower() for color in _column(edited, "Colour"))
            write_classes(data.root, Classes(_column(edited, "Name"), colors))
            st.rerun()


def _column(edited: pd.DataFrame, name: str) -> tuple[str, ...]:
    return tuple("" if pd.isna(value) else str(value).strip() for value in edited[name])
