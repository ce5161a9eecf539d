"""Figures whose marks filter photos: a click writes the filter of a mark to the query string."""

from collections.abc import Callable
from typing import NamedTuple

import plotly.graph_objects as go
import streamlit as st

ONLY = "only"
"""The name of the filter in the query string."""


class Chart(NamedTuple):
    """A figure with its key, its title, and its description for screen readers."""

    key: str
    title: str
    figure: go.Figure
    alt: str


def show_chart(chart: Chart, on_mark: Callable[[str], None] | None = None) -> bool:
    """Draw a chart; return whether its marks have `customdata`, a filter as a rule, and so can be clicked.

    `on_mark` gets what a click chose ("" for nothing); without it, that is the filter in the query string.
    """
    if chart.title:
        st.markdown(chart.title)

    def choose() -> None:
        points = st.session_state[chart.key].selection.points
        asked = points[0].get("customdata") if points else None
        chosen = asked[0] if isinstance(asked, list) else asked or ""
        if on_mark:
            on_mark(chosen)
        else:
            st.query_params[ONLY] = chosen

    is_clickable = any(trace.customdata is not None for trace in chart.figure.data)
    st.plotly_chart(
        chart.figure, key=chart.key, alt=chart.alt, selection_mode="points",
        on_select=choose if is_clickable else "ignore",
    )  # fmt: skip
    return is_clickable
