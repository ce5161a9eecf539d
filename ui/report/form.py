"""The form behind the button *Report*: language, title and author; the report, and its tables for other programs."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core.report import exports
from core.report.content import ReportedCheckpoint, gather
from core.report.html.page import Cover, file_name, render
from core.report.language.words import LANGUAGES
from core.report.trust_content import trust_content
from core.report.verdicts import decide
from ui.downloads import offer
from ui.page import showing_errors

TABLES = {
    "scores.csv": ("Scores, CSV", "text/csv"),
    "classes.csv": ("Classes, CSV", "text/csv"),
    "tables.tex": ("LaTeX", "application/x-tex"),
    "report.json": ("JSON", "application/json"),
}
"""Files of `core.report.exports` as buttons: label and media type."""

Find = Callable[[], Sequence[ReportedCheckpoint]]
"""Returns the checkpoints to report on with their evaluations."""


def offer_report(name: str, find: Find) -> None:
    """Draw a button that opens the form of a report; `name` begins its file's, `find` is called when a file is made."""
    with st.popover("Report", icon=":material/description:", help="One file for examiners, in English or Portuguese"):
        st.caption("One file that needs no network. To keep it as PDF, open it and print.")
        language = st.segmented_control(
            "Language of report and LaTeX", list(LANGUAGES), format_func=LANGUAGES.__getitem__, default="en",
            required=True, key="report language",
        )  # fmt: skip
        with st.container(key="cover"):  # two by two on a phone too: below four rows the button was cut
            cover = _ask_cover()
        with_trust = st.checkbox(
            "With robustness and trust", key="report trust", help="One more section, from what is stored of them."
        )
        if with_trust:
            with showing_errors():  # the data may have changed since, or a store be damaged
                _say_missing(find())
        offer(
            "Save the report",
            lambda: render(gather(find(), with_trust=with_trust), language, cover=cover).encode(),
            file_name(name, language),
            "text/html", kind="primary",
        )  # fmt: skip
        st.caption("Its tables, for other programs:")
        with st.container(horizontal=True):
            for table, (label, media_type) in TABLES.items():
                offer(label, partial(_table, table, find, language), table, media_type, icon=":material/table:")


def _say_missing(checkpoints: Sequence[ReportedCheckpoint]) -> None:
    stored = trust_content(checkpoints)
    lacking = [] if stored.robustness else ["curves under corruptions (*Compare*, *Why*, *Robustness*)"]
    lacking += [] if all(stored.held_out) else ["promises (*Compare*, *Why*, *Trust*)"]
    if lacking:
        st.caption(f"Not stored for all of them yet: {' and '.join(lacking)}. The report says how to count them.")


def _ask_cover() -> Cover:
    """Ask for what stands at the head of the report; everything may be left empty."""
    left, right = st.columns(2)
    title = left.text_input("Title", placeholder="the names of the runs", key="report title")
    author = right.text_input("Author", key="report author")
    left, right = st.columns(2)  # a row of its own: on a phone the right ones come after all the left ones
    course = left.text_input("Course", key="report course")
    date = right.text_input("Date", key="report date")
    return Cover(*(text.strip() for text in (title, author, course, date)))


def _table(name: str, find: Find, language: str) -> bytes:
    content = gather(find())
    return exports.tables(content, decide(content), language)[name]
