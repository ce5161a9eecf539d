"""Label: draw masks on photos, with a model's proposals; what is drawn is a data set like any other."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.labelling import LabelSet, State, open_label_set
from core.data.labelling.proposals import read_ranking
from ui import address
from ui.label.assistant import Drawn, activity, ask_proposals, ask_training, follow_up, newest_run, show_live, tick_s
from ui.label.class_changes import show_classes
from ui.label.editor import PHOTO, open_photo, show_editor, show_head, show_history
from ui.label.label_data import ask_data, chosen, offer_export, offer_other, say_findings, say_skipped
from ui.label.queue import ask_filter, ask_order, first_to_label, in_order, show_queue
from ui.label.tab import hold, know_tab
from ui.page import open_page
from ui.words import plain

# The photo gets the room that other pages leave around their text.
STYLE = """<style>
[data-testid=stMainBlockContainer] { padding: 3.75rem min(2.5rem, 4vw) 3rem; }
</style>"""


def show(label_set: LabelSet, top: DeltaGenerator) -> None:
    """Draw the open photo large, the row of photos, and what a model can do."""
    states, ranking = label_set.states(), read_ranking(label_set)
    canvas, row = st.container(), st.container(horizontal=True, vertical_alignment="center", key="label row")
    with row:
        names = in_order(states, ask_filter(states), ask_order(ranking), ranking)
    open_name = open_photo_of(label_set, first_to_label(names, states))
    if not names:
        st.info("No photo is in this state.")
    taken = hold(label_set, open_name)
    with canvas:
        show_editor(label_set, open_name, states[open_name], names, taken)
    if open_name in ranking:
        st.caption(f"{plain(open_name)}: {plain(ranking[open_name].reason)}")
    show_queue(label_set, names, states, ranking, open_name, open_photo)
    show_model(label_set, states, names or list(states), open_name, is_taken=taken is not None)
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("History of this photo", icon=":material/history:"):
            show_history(label_set, open_name)
        with st.popover("Export", icon=":material/download:"):
            offer_export(label_set)
        say_findings(label_set)
    say_skipped(label_set)
    with top:
        with st.popover("Classes", icon=":material/palette:"):
            show_classes(label_set)
        show_head(label_set, open_name, states[open_name], taken)


def open_photo_of(label_set: LabelSet, usual: str | None) -> str:
    """Return the photo that the address names, else `usual`, else the first one; the address names it from then on."""
    wanted = address.kept(PHOTO)
    name = wanted if wanted in label_set.photos else usual or next(iter(label_set.photos))
    if name != wanted:
        open_photo(name)
    return name


def show_model(
    label_set: LabelSet, states: dict[str, State], names: list[str], open_name: str, *, is_taken: bool
) -> None:
    """Draw what a model can do, and what one does now."""
    root = label_set.root
    entry = newest_run(root)
    follow_up(label_set, entry, [name for name in names if states[name] in ("unlabelled", "proposed")])
    was = activity(root, entry)
    drawn = Drawn(open_name, states[open_name], is_taken, was)
    st.fragment(show_live, run_every=tick_s(was))(root, drawn, entry)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("##### Propose")
        ask_proposals(label_set, states, names)
    with right:
        st.markdown("##### Train")
        ask_training(label_set, states, entry)


def main() -> None:
    """Ask what to label, and show it."""
    st.html(STYLE)
    top = st.container(horizontal=True, vertical_alignment="center", key="label top")
    with top:
        st.title("Label", anchor=False, width="content")
        if path := chosen():
            offer_other(path)
    if path or (path := ask_data()):
        know_tab()
        show(open_label_set(path), top)


with open_page("Label"):
    main()
