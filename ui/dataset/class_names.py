"""Names and colours of the classes, with an example of each, to change in place."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.classes import CLASSES_FILE, NUMBERED, Classes, write_classes
from core.data.dataset import Dataset
from core.data.split_view import data_of
from core.data.statistics.split_stats import SplitStats
from core.errors import DataError
from ui import cached
from ui.pictures import data_url
from ui.words import code


def offer_names(data: Dataset, stats: Sequence[SplitStats]) -> None:
    """Offer to name the classes and choose their colours, written to the folder's classes.txt."""
    title = (
        "Class names and colours" if data.has_named_classes else "The classes have no names, only numbers. Name them"
    )
    with st.expander(title, icon=":material/label:"):
        if not data.has_named_classes or st.toggle("Change them", key=f"change classes of {data.root}"):
            _ask(data, stats)


def _ask(data: Dataset, stats: Sequence[SplitStats]) -> None:
    highest = max((class_id for each in stats for ids in each.class_ids for class_id in ids), default=1)
    ids = range(max(2, highest + 1) if data.classes == NUMBERED else data.num_classes)
    table = pd.DataFrame(
        {
            "Example": [_example(data, stats, k) for k in ids],
            "Name": [data.class_names[k] for k in ids],
            "Colour": [data.classes.colors[k] for k in ids],
        }
    ).rename_axis("Id")
    column = st.column_config.ImageColumn(help="From the photo that shows most of it.")
    edited = st.data_editor(
        table, key=f"class names of {data.root}", width="content", row_height=48, column_config={"Example": column}
    )
    root = data_of(data.root)
    file = root / CLASSES_FILE
    kept = f"; the one before stays as {code('classes-before.txt')}" if file.exists() else ", a new file"
    st.caption(f"They are written to {code(file)}{kept}. Masks stay as they are.")
    if st.button("Name the classes", type="primary", icon=":material/save:"):
        colors = tuple(color.lower() for color in _column(edited, "Colour"))
        write_classes(root, Classes(_column(edited, "Name"), colors), replace=True)
        st.rerun()


def _column(edited: pd.DataFrame, name: str) -> tuple[str, ...]:
    return tuple("" if pd.isna(value) else str(value).strip() for value in edited[name])


def _example(data: Dataset, stats: Sequence[SplitStats], class_id: int) -> str | None:
    """Return a piece of the photo that shows most of a class, as a data URL; None if none shows it."""
    sizes = {
        name: facts.pixels.get(class_id, 0)
        for each in stats
        for name, facts in zip(each.names, each.facts, strict=True)
    }
    best = max(sizes, key=lambda name: sizes[name], default=None)
    sample = next((each for samples in data.splits.values() for each in samples if each.name == best), None)
    if sample is None or not sizes[sample.name]:
        return None
    try:
        return data_url(cached.class_example(sample.photo, sample.mask, class_id, num_classes=data.num_classes))
    except DataError:
        return None
