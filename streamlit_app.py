"""Home: the next step, the runs, the data."""

import streamlit as st

from core.home import demo_dir
from core.model.weights import starter
from core.training import demo_run
from core.wording import count
from ui import cached
from ui.page import link_to, open_page, showing_errors
from ui.sources import DEMO, FOLDER, make_demo_data
from ui.train.run_view import TICK_S, Entry, read_runs, show_best, show_progress, show_state
from ui.words import STATES, plain

MAX_CARDS, NUM_THUMBNAILS = 12, 5
ROCKET = ":material/rocket_launch:"


def show_next_step(entries: list[Entry]) -> None:
    """Say in one sentence what to do next, with the button or links for it."""
    live = next((entry for entry in entries if entry.is_live), None)
    with st.container(border=True):
        if live:
            st.markdown(f"##### {live.run.name} is training\nIt goes on when this page or the server is closed.")
            link_to("Train", "Watch it learn", run=live.run.path.name)
        elif not entries:
            st.markdown(
                "##### Train a model\nOne click draws 200 scenes with exact masks and trains DeepLabV3 on some, to 10 "
                "epochs and then to 50. On two cores the first 10 take a few minutes."
            )
            offer_first_steps()
        else:
            show_what_follows(entries)


def show_first_photo() -> None:
    """Lead to Segment with the starter; shown until a run has a checkpoint."""
    with st.container(border=True):
        st.markdown(f"##### Start here\nThe starter model finds {starter.KNOWN_TEXT}: in a sample, or in your photos.")
        is_asked = st.button("Try it on a photo", type="primary", icon=":material/auto_awesome:")
    if is_asked:
        st.switch_page("pages/segment.py", query_params={"checkpoint": starter.NAME})


def offer_first_steps() -> None:
    """Offer the demo, and links to the user's own data."""
    with st.container(horizontal=True, vertical_alignment="center"):
        is_asked = st.button("Train the demo", type="secondary" if starter.is_there() else "primary", icon=ROCKET)
        link_to("Dataset", "Look at a data set of your own", source=FOLDER)
        link_to("Train", "Set up a run", run="new")
    if is_asked:
        start_demo()


def start_demo() -> None:
    """Draw the demo data unless it is there, start the training, and open Train."""
    make_demo_data()
    with st.spinner("Starting the trainer …"):
        run = demo_run.start_demo()
    st.switch_page("pages/train.py", query_params={"run": run.path.name})


def show_what_follows(entries: list[Entry]) -> None:
    """Offer to go on with the newest run if it broke off, else to compare, segment or train."""
    newest = entries[0]
    if demo_run.is_demo(newest.run) and len(newest.log.epochs) < demo_run.MILESTONES[-1]:
        st.markdown("##### The demo is half done\nIt goes on from its last checkpoint, to 10 epochs and then to 50.")
        if st.button("Go on with the demo", type="primary", icon=ROCKET):
            start_demo()
        return
    if newest.state in ("failed", "crashed", "stopped", "new"):
        meaning = STATES[newest.state].meaning
        st.markdown(f"##### {newest.run.name} is {STATES[newest.state].label.lower()}\n{meaning}")
        link_to("Train", "See why, and go on", run=newest.run.path.name)
        return
    st.markdown("##### Nothing is training\nCompare checkpoints, segment a photo, or train again.")
    with st.container(horizontal=True, vertical_alignment="center"):
        link_to("Compare", "Compare checkpoints")
        link_to("Segment", "Segment a photo")
        link_to("Train", "Set up a run", run="new")
        has_demo = any(demo_run.is_demo(entry.run) for entry in entries)
        is_asked = not has_demo and st.button("Train the demo", icon=ROCKET)
    if is_asked:
        start_demo()


def show_runs(*, was_live: bool) -> None:
    """Draw a card for each of the newest runs; rerun the page when the last live one ends."""
    entries, _ = read_runs()
    if was_live and not any(entry.is_live for entry in entries):
        st.rerun()
    for first in range(0, min(len(entries), MAX_CARDS), 2):
        for column, entry in zip(st.columns(2), entries[first : first + 2], strict=False):
            with column.container(border=True, height="stretch"), showing_errors():
                show_card(entry)
    if len(entries) > MAX_CARDS:
        st.caption(f"{count(len(entries) - MAX_CARDS, 'older run')} on the Train page.")


def show_card(entry: Entry) -> None:
    """Draw a run: name, state, progress and best score beside the floor."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{entry.run.name}**")
        show_state(entry.state)
    show_progress(entry.run, entry.log, entry.state)
    show_best(entry.log)
    link_to("Train", "Open", run=entry.run.path.name)


def show_data() -> None:
    """Say whether the demo data is there, with a few of its photos and masks."""
    with st.container(border=True):
        if not demo_dir().is_dir():
            st.markdown("**Demo data** is not made yet: 200 drawn scenes, each with its exact mask.")
            link_to("Dataset", "Make it, or look at a folder of your own", source=DEMO)
            return
        data = cached.dataset(demo_dir())
        listed = ", ".join(f"{len(data.splits[name])} {name}" for name in ("train", "val") if name in data.splits)
        st.markdown(f"**Demo data** is ready: {listed}.")
        with st.container(horizontal=True):
            for sample in data.split("val")[:NUM_THUMBNAILS]:
                picture = cached.thumbnail(sample.photo, sample.mask, classes=data.classes, view="overlay")
                st.image(picture, width=140, alt=f"Scene {sample.name} with its mask laid over it")
        link_to("Dataset", "Look at it", source=DEMO)


def main() -> None:
    """Show the next step, the runs, and the data."""
    st.title("Atrous", anchor=False)
    st.caption(
        "Train DeepLabV3 to name every pixel of a photo, and evaluate it honestly: beside every score stands the "
        "floor, the score of predicting background everywhere. Everything stays on this computer."
    )
    entries, broken = read_runs()
    if starter.is_there() and not any(entry.run.checkpoints() for entry in entries):
        show_first_photo()
    show_next_step(entries)
    st.subheader("Runs", anchor=False)
    if not entries:
        st.caption("None yet. Each run you train appears here with its progress and its best score.")
    is_live = any(entry.is_live for entry in entries)
    st.fragment(show_runs, run_every=TICK_S if is_live else None)(was_live=is_live)
    for sentence in broken:
        st.warning(plain(sentence), icon=":material/folder_off:")
    st.subheader("Data", anchor=False)
    show_data()


with open_page("Home"):
    main()
