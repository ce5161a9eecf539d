"""Opening a page: title, links to the others, and the place where errors are shown.

Every page is `with open_page(TITLE): ...`. A `CoreError` is shown as its sentence; any other exception is a bug and
passes through.
"""

import atexit
import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import streamlit as st

from core.errors import CoreError
from ui import address
from ui.components import chart_colors, style
from ui.words import plain

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#0f6674"/>'
    + "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="#fff"/>' for x in (7, 16, 25) for y in (7, 16, 25))
    + "</svg>"
)
"""The nine taps of an atrous convolution. The browser would fetch an icon given by name from Google."""


STYLE = style("page.css") + chart_colors()


class Page(NamedTuple):
    """A page of the dashboard."""

    file: str
    icon: str
    purpose: str
    is_listed: bool = True
    """Whether the sidebar links to it."""


PAGES: dict[str, Page] = {
    "Home": Page("streamlit_app.py", ":material/home:", "Your runs, and the next step"),
    "Dataset": Page("pages/dataset.py", ":material/photo_library:", "Look at the photos and masks before training"),
    "Label": Page("pages/label.py", ":material/draw:", "Draw masks on your own photos, with a model's help"),
    "Train": Page("pages/train.py", ":material/model_training:", "Start a run and watch it learn"),
    "Compare": Page("pages/compare.py", ":material/balance:", "Compare checkpoints on the same photos"),
    "Segment": Page("pages/segment.py", ":material/auto_awesome:", "Segment a photo of your own"),
    "Present": Page("pages/present.py", ":material/slideshow:", "Two checkpoints on a projector", is_listed=False),
}


@contextmanager
def open_page(title: str) -> Iterator[None]:
    """Configure the page called `title`, draw the links, and show a `CoreError` of the block as one sentence.

    The sidebar of a page that is not listed starts closed.
    """
    sidebar: Literal["auto", "collapsed"] = "auto" if PAGES[title].is_listed else "collapsed"
    st.set_page_config(page_title=f"{title} · Atrous", page_icon=FAVICON, layout="wide", initial_sidebar_state=sidebar)
    address.arrive(title)
    st.html(STYLE)
    with st.sidebar:
        st.subheader("Atrous", anchor=False)
        for name, other in PAGES.items():
            if other.is_listed:
                query = address.leading_to(name, address.as_left(name))
                st.page_link(other.file, label=name, icon=other.icon, help=other.purpose, query_params=query)
    try:
        with showing_errors():
            yield
    finally:
        settle(title)


@functools.cache
def settle(title: str) -> None:  # noqa: ARG001 - once for each page, after its imports
    """Exclude all present objects from later garbage collections.

    Streamlit collects whenever a script or fragment ends. PyTorch, pandas and plotly hold 450,000 objects that never
    become garbage; scanning them took 0.2 s each time and stopped every other page and segmentation.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # for libraries that report leaks at exit


@contextmanager
def showing_errors() -> Iterator[None]:
    """Show a `CoreError` of the block as one sentence. Fragments need it too: they rerun without their page."""
    try:
        yield
    except CoreError as error:
        st.error(plain(str(error)), icon=":material/error:")


def say_lost_uploads(there: int) -> None:
    """Say which uploads a page lost when it was loaded anew; `there` is the number of those that it has."""
    if lost := address.lost_uploads(there):
        are, them = ("photo that was here is", "it") if lost == 1 else (f"{lost} photos that were here are", "them")
        st.info(
            f"The {are} gone, because a page that is loaded anew forgets its uploads; choose {them} again.",
            icon=":material/refresh:",
        )


def link_to(title: str, label: str, **query: str | list[str]) -> None:
    """Draw a link to the page called `title`. Its query string is `query` and the last data set."""
    page = PAGES[title]
    st.page_link(page.file, label=label, icon=page.icon, query_params=address.leading_to(title, query))
