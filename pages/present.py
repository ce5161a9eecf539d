"""Present: two checkpoints on a projector, step by step from the data to the verdict."""

from collections.abc import Sequence

import streamlit as st

from core.report.content import ReportedCheckpoint, gather, require_same_data
from core.report.language.words import LANGUAGES, Words
from core.training.run.evaluations import BY_SIZE
from ui import address
from ui.checkpoints import (
    Choice,
    default_pair,
    evaluation_of,
    fingerprint_of,
    is_by_size,
    list_choices,
    splits_of,
    without_run,
)
from ui.compare import cached_comparison
from ui.compare.scores import side_of, warn_of_old
from ui.page import link_to, open_page
from ui.present.presentation import choose_images, steps_of
from ui.present.presentation_view import Story, show_step
from ui.words import plain


def ask(choices: Sequence[Choice]) -> tuple[list[Choice], str]:
    """Read the pair and the split from the query string; by default, the pair that Compare opens."""
    wanted = list(dict.fromkeys(st.query_params.get_all("checkpoint")))
    by_id = {choice.id: choice for choice in choices}
    chosen = [by_id[choice_id] for choice_id in wanted if choice_id in by_id] if wanted else default_pair(choices)
    split = st.query_params.get("split", "")
    return chosen, split if split in splits_of(chosen) else "val"


def act(chosen: Sequence[Choice], split: str) -> list[ReportedCheckpoint]:
    """Return both checkpoints with their evaluations, or none after saying what is missing."""
    if len(chosen) < 2:
        st.info("Present shows two checkpoints, and the address does not name two that exist; choose them on Compare.")
        link_to("Compare", "Go to Compare")
        return []
    sides, missing = [], []
    for choice in without_run([chosen[0], chosen[-1]]):
        data = fingerprint_of(choice.run.data, split)
        if side := side_of(choice, evaluation_of(choice, split, data), split, data):
            sides.append(side)
        else:
            missing.append(choice.label)
            if is_by_size(choice, split):
                st.info(f"{plain(choice.label)} {BY_SIZE}, and has to be evaluated again.")
    if missing:
        are = "are" if len(missing) > 1 else "is"
        st.info(f"{plain(' and '.join(missing))} {are} not evaluated on {split} yet; Compare does that.")
        link_to("Compare", "Evaluate on Compare", checkpoint=[choice.id for choice in chosen], split=split)
        return []
    require_same_data([(side.label, side.evaluation) for side in sides])
    warn_of_old(sides)
    return [side.reported for side in sides]


def move(steps: Sequence[str], pair: Sequence[ReportedCheckpoint]) -> tuple[str, Words]:
    """Draw Back, Next, Leave and the other language; return the step and the language in the query string."""
    wanted = st.query_params.get("step")
    place = steps.index(wanted) if wanted in steps else 0
    with st.container(key="moves", horizontal=True, vertical_alignment="center"):
        buttons = st.container(horizontal=True, vertical_alignment="center", width="content")
        language = address.held("language", LANGUAGES, "en")
        for other in LANGUAGES.keys() - {language}:  # a button: a row of options would keep the arrow keys to itself
            st.button(LANGUAGES[other], key=f"in {other}", on_click=address.hold, args=("language", other))
    words = Words(language)
    with buttons:
        offer("Back", "Left", words("back"), steps[max(place - 1, 0)], is_possible=place > 0)
        offer("Next", "Right", words("next"), steps[min(place + 1, len(steps) - 1)], is_possible=place + 1 < len(steps))
        st.caption(f"{place + 1} / {len(steps)}")
        asked: dict[str, str | list[str]] = {
            "checkpoint": st.query_params.get_all("checkpoint")
            or [f"{each.run.path.name}/{each.file.name}" for each in pair],
            "split": pair[1].evaluation.split,
        }
        link_to("Compare", words("leave"), **address.as_left("Compare") | asked)
    return steps[place], words


def offer(name: str, key: str, label: str, step: str, *, is_possible: bool) -> None:
    """Draw a button to a step, with an arrow key as its shortcut."""
    st.button(
        label, key=name, shortcut=key, disabled=not is_possible, on_click=go_to, args=(step,),
        type="primary" if name == "Next" else "secondary",
    )  # fmt: skip


def go_to(step: str) -> None:
    """Write the step to the query string."""
    st.query_params["step"] = step


with open_page("Present"):
    presented = act(*ask(list_choices()))
    if presented:
        paths = [each.evaluation.path for each in presented]
        shown = choose_images(cached_comparison.images(*paths))
        wanted_step, wanted_words = move(steps_of(shown), presented)
        show_step(wanted_step, Story(gather(presented), wanted_words, shown, cached_comparison.compared(*paths)))
