"""The data sets that runs used, with a few of their photos."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.errors import DataError
from core.home import demo_dir
from ui import cached
from ui.page import link_to, showing_errors
from ui.pictures import show_picture
from ui.sources import DEMO, FOLDER, is_demo, title_of
from ui.train.run_view import Entry
from ui.words import code, plain

MAX_DATA_SETS, NUM_THUMBNAILS = 6, 5
HEIGHT_PX = 84


def show_data_sets(entries: Sequence[Entry]) -> None:
    """Draw the demo if it is made, and the data of the newest runs."""
    used = dict.fromkeys(Path(entry.run.data) for entry in entries)
    made = {demo_dir(): None} if demo_dir().is_dir() else {}
    paths = list(used | made)
    if paths:
        st.subheader("Data", anchor=False)
    for path in paths[:MAX_DATA_SETS]:
        with st.container(border=True), showing_errors():
            show_data_set(path)


def show_data_set(path: Path) -> None:
    """Draw the splits of a data set and a few photos with their masks; say if it cannot be opened."""
    try:
        data = cached.dataset(path)
    except DataError as error:
        st.caption(plain(str(error)))
        return
    listed = ", ".join(f"{len(data.splits[name]):,} {name}" for name in ("train", "val") if name in data.splits)
    st.markdown(f"**{plain(title_of(path))}**: {listed}")
    if not is_demo(path):
        st.caption(code(path))
    where = {"source": DEMO} if is_demo(path) else {"source": FOLDER, "data": str(path)}
    link_to("Dataset", "Look at it", **where)
    with st.container(horizontal=True):
        for sample in data.split("val")[:NUM_THUMBNAILS]:
            picture = cached.thumbnail(sample.photo, sample.mask, classes=data.classes, view="overlay")
            show_picture(picture, "", f"{sample.name} with its mask laid over it", height_px=HEIGHT_PX)
