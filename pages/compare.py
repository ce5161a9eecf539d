"""Compare: any checkpoints of any runs on the same images, each beside the floor."""

from collections.abc import Sequence

import streamlit as st

from core.report.content import require_same_data
from core.training.run import folders
from ui.checkpoints import Choice, list_choices, say_unknown, without_run
from ui.compare.choosing import act, ask
from ui.compare.gallery import show_first_photos, show_gallery
from ui.compare.recipes import ask_study, show_study
from ui.compare.scores import (
    Side,
    ask_number,
    show_conventions,
    show_curves,
    show_published,
    show_ranking,
    show_runs,
    show_table,
    show_verdict,
    warn_of_old,
)
from ui.compare.why import show_why
from ui.page import link_to, open_page, showing_errors
from ui.report.form import offer_report


def say_what_is_missing(choices: Sequence[Choice]) -> None:
    """Say why there is nothing to compare yet, with a link to Train."""
    if live := folders.live_runs():
        st.info(f"{live[0].name} is being trained; its checkpoints can be compared once there are two.")
    elif choices:
        st.info(f"There is one checkpoint so far ({choices[0].label}); extend its run, or train another.")
    else:
        st.info("There are no checkpoints yet: train a run, for instance the demo to 10 and then to 50 epochs.")
    link_to("Train", "Go to Train")


def show(sides: Sequence[Side], chosen: Sequence[Choice]) -> None:
    """Show verdict, photos and scores; then training and cost, why, and all photos."""
    require_same_data([(side.label, side.evaluation) for side in sides])
    warn_of_old(sides)
    a, b = sides[0], sides[-1]
    if len(sides) > 1:
        show_verdict(a, b)
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(sides) > 1:
            link_to("Present", "Present", checkpoint=[side.choice.id for side in sides], split=a.evaluation.split)
        offer_report(a.choice.run.path.name, lambda: [side.reported for side in sides])
    with showing_errors():  # the data may have moved
        show_first_photos([a] if len(sides) == 1 else [a, b])
    show_table(sides)
    if len(sides) > 2:
        show_ranking(sides)
    st.subheader("Training", anchor=False)
    show_runs(sides, chosen)
    show_curves(sides)
    with st.expander("mIoU by the rules of other libraries", expanded="rule" in st.query_params):  # of older links
        show_conventions(sides)
    with st.expander("Published results, and numbers from elsewhere"):
        show_published(sides)
        ask_number()
    if len(sides) > 1:
        st.subheader("Why", anchor=False)
        show_why(a, b)
    st.subheader("Photos", anchor=False)
    with showing_errors():
        show_gallery(a, b)


with open_page("Compare"):
    st.title("Compare", anchor=False)
    if study := ask_study():
        show_study(study)
    else:
        there = list_choices()
        say_unknown([choice.id for choice in there])
        if len(there) < 2:
            say_what_is_missing(there)
        else:
            asked, on_split = ask(there)
            checkpoints = without_run(asked)  # the names under which A and B are asked for say the run
            if evaluated := act(checkpoints, on_split):
                show(evaluated, checkpoints)
