"""The next step after the newest run, and three doors to a new one."""

import streamlit as st

from core.data import voc2012
from core.metrics.verdict import sentence
from core.model.weights import starter
from core.training import demo_run
from core.training.run.learning import weakness
from core.training.run.milestones import CHOSEN
from ui import checkpoints
from ui.checkpoints import Choice
from ui.compare import cached_comparison
from ui.page import link_to
from ui.sources import BRING, DEMO, FOLDER, VOC, make_demo_data
from ui.train.run_view import Entry, show_best, show_progress
from ui.words import STATES, advised, percent, plain

ROCKET = ":material/rocket_launch:"


def show_next_step(entries: list[Entry]) -> None:
    """Say what the newest run came to, or that one trains, with links to what follows."""
    entry = next((entry for entry in entries if entry.is_live), entries[0])
    name = plain(entry.run.name)
    if entry.is_live:
        st.markdown(f"#### {name} is training")
        show_progress(entry.run, entry.log, entry.state)
        if entry.log.epochs:
            show_best(entry.log)
        st.caption("It continues if you close this page or stop the server.")
        link_to("Train", "Watch it learn", run=entry.run.path.name)
    elif demo_run.is_demo(entry.run) and len(entry.log.epochs) < demo_run.MILESTONES[-1]:
        done = f"The demo has {len(entry.log.epochs)} of {demo_run.MILESTONES[-1]} epochs"
        why = STATES[entry.state].meaning if entry.state in ("failed", "crashed") else ""
        goes_on = "goes on from its last checkpoint" if entry.run.checkpoints() else "begins anew"
        st.markdown(f"#### {done}\n{why} It {goes_on}, to 10 epochs and then to 50.")
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Go on with the demo", type="primary", icon=ROCKET):
                start_demo()
            link_to("Train", "See why" if why else "Open the run", run=entry.run.path.name)
    elif entry.state in ("failed", "crashed", "stopped", "new", "unknown"):
        state = STATES[entry.state]
        st.markdown(f"#### {name} is {state.label.lower()}\n{state.meaning}")
        link_to("Train", "See why, and go on", run=entry.run.path.name)
    else:
        show_result(entry)


def show_result(entry: Entry) -> None:
    """Say what a run came to; link to Compare, Segment and Train."""
    choices = checkpoints.list_choices([entry.run])
    milestones = [choice for choice in choices if choice.is_milestone]
    ends = milestones[:1] + milestones[1:][-1:]
    compared, score = verdict_of(ends), score_of(entry)
    weak = weakness(entry.log, is_drawn=demo_run.is_drawn(entry.run))
    done = f"{entry.run.name} is done{', but has hardly learned' if weak else f': {score}' if score else ''}"
    st.markdown(f"#### {plain(compared or done)}")
    if compared and score:
        st.caption(f"Best: {score}.")
    if weak:
        st.warning(advised(weak.sentence), icon=":material/warning:")
    with st.container(horizontal=True, vertical_alignment="center"):
        link_to("Compare", "Compare checkpoints", **({"checkpoint": [each.id for each in ends]} if ends[1:] else {}))
        link_to(
            "Segment", "Segment a photo", **({"checkpoint": checkpoints.best_first(choices)[0].id} if choices else {})
        )
        link_to("Train", "Open the run", run=entry.run.path.name)


def verdict_of(ends: list[Choice]) -> str:
    """Return a sentence about the last milestone of a run against its first; "" unless both are evaluated."""
    stored = [checkpoints.evaluation_of(choice, "val", None) for choice in ends]
    if len(stored) > 1 and stored[0] and stored[1] and stored[0].fingerprint == stored[1].fingerprint:
        compared = cached_comparison.compared(stored[0].path, stored[1].path)
        return sentence(compared, ends[0].label, ends[1].label)
    return ""


def score_of(entry: Entry) -> str:
    """Return the best epoch of a run beside its floor, in words; "" before there is one."""
    best = entry.log.best_epoch
    if best is None or best.miou is None:
        return ""
    floor = percent(entry.log.legs[-1].floor.get("miou"))
    return f"{percent(best.miou)} mIoU after epoch {best.epoch}, {CHOSEN}, beside a floor of {floor}"


# --- doors ----------------------------------------------------------------------------------------------------------


def show_doors(*, has_demo: bool, is_busy: bool) -> None:
    """Offer the user's own photos, the demo, and VOC 2012 as three cards."""
    mine, demo, voc = (column.container(border=True, height="stretch") for column in st.columns(3))
    with mine:
        st.markdown("##### My photos\nPhotos without masks, a folder of both, or what another tool exported.")
        link_to("Label", "Label photos", source=FOLDER)
        link_to("Dataset", "Open a folder", source=FOLDER)
        link_to("Dataset", "Bring an export", source=BRING)
        link_to("Train", "Set up a run", run="new")
    with demo:
        st.markdown(
            "##### Demo\n200 drawn scenes with exact masks. Trains to 10 epochs, then to 50: about ten minutes on two "
            "cores."
        )
        if has_demo or is_busy:
            link_to("Dataset", "Look at its scenes", source=DEMO)
        elif st.button("Train the demo", icon=ROCKET, type="secondary" if starter.is_there() else "primary"):
            start_demo()
    with voc:
        st.markdown("##### VOC 2012\nA public benchmark: 2,913 photos with masks of 20 classes.")
        link_to("Dataset", "Look at it" if voc2012.voc_dir().is_dir() else "Download it (2 GB)", source=VOC)


def start_demo() -> None:
    """Draw the demo data unless it is there, start the training, and open Train."""
    make_demo_data()
    with st.spinner("Starting the trainer …"):
        run = demo_run.start_demo()
    st.switch_page("pages/train.py", query_params={"run": run.path.name})
