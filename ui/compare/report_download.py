"""Downloads of the Compare page: the report for examiners, and its tables for other programs."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.report import exports
from core.report.content import ReportedCheckpoint, gather
from core.report.html.page import Cover, file_name, render
from core.report.language.words import LANGUAGES
from core.report.trust_content import trust_content
from core.report.verdicts import decide
from ui.compare.scores import Side
from ui.downloads import offer

TABLES = {
    "scores.csv": ("Scores, CSV", "text/csv"),
    "classes.csv": ("Classes, CSV", "text/csv"),
    "tables.tex": ("LaTeX", "application/x-tex"),
    "report.json": ("JSON", "application/json"),
}
"""Files of `core.report.exports` as buttons: label and media type."""


def show_exports(sides: Sequence[Side]) -> None:
    """Offer the report as one HTML file, and its tables; each is made when its button is pressed."""
    checkpoints = [side.reported for side in sides]
    st.subheader("Export", anchor=False)
    st.caption(
        "The report is one file that needs no network: scores beside the floor, figures, verdict, definitions, and the "
        "commands that make it again. To keep it as PDF, open it and print."
    )
    language = st.segmented_control(
        "Language of report and LaTeX", list(LANGUAGES), format_func=LANGUAGES.__getitem__, default="en", required=True,
        key="report language",
    )  # fmt: skip
    cover = ask_cover()
    with_trust = st.checkbox(
        "With robustness and trust", key="report trust", help="One more section, from what is stored of them."
    )
    if with_trust:
        _say_missing(checkpoints)
    with st.container(horizontal=True):
        offer(
            "Report",
            lambda: render(gather(checkpoints, with_trust=with_trust), language, cover=cover).encode(),
            file_name(checkpoints[0].run.path.name, language),
            "text/html", icon=":material/description:", kind="primary",
        )  # fmt: skip
        for name, (label, media_type) in TABLES.items():
            offer(label, partial(_table, name, checkpoints, language), name, media_type, icon=":material/table:")


def _say_missing(checkpoints: Sequence[ReportedCheckpoint]) -> None:
    stored = trust_content(checkpoints)
    lacking = [] if stored.robustness else ["curves under corruptions (*Why*, *Robustness*)"]
    lacking += [] if all(stored.held_out) else ["promises (*Why*, *Trust*)"]
    if lacking:
        st.caption(f"Not stored for all of them yet: {' and '.join(lacking)}. The report says how to count them.")


def ask_cover() -> Cover:
    """Ask for what stands at the head of the report; everything may be left empty."""
    with st.expander("Title, author, course, date"):
        first, second = st.columns(2)
        return Cover(
            title=first.text_input("Title", placeholder="the names of the runs", key="report title").strip(),
            author=second.text_input("Author", key="report author").strip(),
            course=first.text_input("Course", key="report course").strip(),
            date=second.text_input("Date", key="report date").strip(),
        )


def _table(name: str, checkpoints: Sequence[ReportedCheckpoint], language: str) -> bytes:
    content = gather(checkpoints)
    return exports.tables(content, decide(content), language)[name]
