"""Home: a photo and its mask, the next step, the runs, the data."""

import streamlit as st

from core.model.photo import SUFFIXES
from core.model.weights import starter
from core.study.folder import list_studies
from core.training import demo_run
from ui.home.hero import hero_of, show_hero, show_small
from ui.home.next_step import show_doors, show_next_step
from ui.home.runs import MAX_CARDS, show_cards, show_data_sets, show_studies, show_table
from ui.page import open_page, showing_errors
from ui.segment.photo_source import MAX_PHOTO_MB, hand_over
from ui.train.run_view import TICK_S, Entry, read_runs
from ui.words import plain

PROMISE = (
    "Train DeepLabV3 to name every pixel of a photo, and evaluate it honestly: beside every score stands the floor, "
    "the score of predicting background everywhere. Everything stays on this computer."
)


def show_now(just_read: list[list[Entry]], *, was_live: bool) -> None:
    """Draw a photo with its mask, beside it the next step, and the newest runs; rerun the page when training ends.

    The first time, the runs are those in `just_read`, which is emptied; each tick reads them again.
    """
    entries = just_read.pop() if just_read else read_runs()[0]
    if was_live and not any(entry.is_live for entry in entries):
        st.rerun()
    hero = hero_of(entries)
    left, right = st.columns([3, 2], gap="large") if hero else (st.container(), st.container())
    if hero:
        with left, showing_errors():
            show_hero(hero)
    with right:
        if entries:
            show_next_step(entries)
        if hero and hero.small:
            with showing_errors():
                show_small(hero)
        ask_photo(has_checkpoint=any(entry.run.checkpoints() for entry in entries))
    if len(entries) > 1:  # of a single one the next step says as much
        st.subheader("Runs", anchor=False)
        show_cards(entries)


def ask_photo(*, has_checkpoint: bool) -> None:
    """Take photos that are dropped here to Segment; before any run has a checkpoint, offer samples too."""
    if not has_checkpoint and not starter.is_there():
        return
    if not has_checkpoint:
        st.markdown(f"#### See it on a photo\nThe starter model finds {starter.KNOWN_TEXT}.")
        if st.button("Try it on a photo", type="primary", icon=":material/auto_awesome:"):
            st.switch_page("pages/segment.py", query_params={"checkpoint": starter.NAME})
    files = st.file_uploader(
        "Or drop your photo here" if not has_checkpoint else "Your photo", type=SUFFIXES, accept_multiple_files=True,
        max_upload_size=MAX_PHOTO_MB, key="dropped", help="Photos stay in memory and are never written to disk.",
    )  # fmt: skip
    if files:
        hand_over([(file.name, file.getvalue()) for file in files])
        st.switch_page("pages/segment.py")


def main() -> None:
    """Show a photo, the next step, the runs, the data."""
    st.title("Atrous", anchor=False)
    st.caption(PROMISE)
    entries, broken = read_runs()
    is_live = any(entry.is_live for entry in entries)
    st.fragment(show_now, run_every=TICK_S if is_live else None)([entries], was_live=is_live)
    if len(entries) > MAX_CARDS:
        show_table(entries)
    show_studies(list_studies())
    for sentence in broken:
        st.warning(plain(sentence), icon=":material/folder_off:")
    st.subheader("Start something new" if entries else "Start here", anchor=False)
    show_doors(has_demo=any(demo_run.is_demo(entry.run) for entry in entries), is_busy=is_live)
    show_data_sets(entries)


with open_page("Home"):
    main()
