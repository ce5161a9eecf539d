"""The photos of a data set in one row that scrolls, with their states; a filter, an order, and what comes next."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import streamlit as st

from core.data.labelling import LabelSet, State
from core.data.labelling.proposals import RankedPhoto, is_background_alone, proposal_file
from core.errors import DataError
from core.review.ranking import IS_DEFAULT, VERDICT, random_order
from ui import address, cached
from ui.pictures import data_url

ALL, AT_RANDOM, AS_THEY_LIE, UNSURE_FIRST = "all", "at random", "as they lie", "unsure first"
LABELS = {state: state.value.capitalize() for state in State}

MEANINGS = (
    "Unlabelled: no mask. Proposed: a model's mask, which counts as nothing until you accept it. Started: your mask is "
    "saved, and not trained on yet. Done: in train or val."
)
ONLY_BACKGROUND = "only background"
"""What is said of a proposal without an object, whose picture looks like the bare photo."""
SLICE = 24
"""So many thumbnails are made and sent; the ends of the row lead to the others."""
THUMBNAIL_PX = 184
"""Twice its width on the screen."""
KEY, _FROM = "queue", "queue from"

_FOLDER = Path(__file__).parent / "browser"
_mount = st.components.v2.component(
    "label_queue", html='<div class="row" role="group" aria-label="Photos"></div>',
    css=(_FOLDER / "queue.css").read_text(encoding="utf-8"), js=(_FOLDER / "queue.js").read_text(encoding="utf-8"),
)  # fmt: skip


def ask_filter(states: Mapping[str, State]) -> str:
    """Ask which photos to show, each state with its number of photos."""
    numbers = Counter(states.values())
    labels = {ALL: f"All {len(states)}"} | {
        state: f"{label} {numbers[state]}" for state, label in LABELS.items() if numbers[state]
    }
    return address.ask_one("Photos", labels, "only", ALL, label_visibility="collapsed", help=MEANINGS)


def ask_order(ranking: Mapping[str, RankedPhoto]) -> str:
    """Ask for the order; what a model is unsure of first only where one has looked at the photos."""
    orders = {AT_RANDOM: "At random", AS_THEY_LIE: "In file order"}
    orders |= {UNSURE_FIRST: "Unsure first"} if ranking else {}
    usual = UNSURE_FIRST if IS_DEFAULT and ranking else AT_RANDOM
    return address.ask_one(
        "Order", orders, "order", usual, label_visibility="collapsed",
        help=f"At random, photos of one scene are not labelled one after the other. {VERDICT}",
    )  # fmt: skip


def in_order(states: Mapping[str, State], only: str, order: str, ranking: Mapping[str, RankedPhoto]) -> list[str]:
    """Return the names to show; the photos that a model has not looked at come after those it has."""
    names = list(states)
    if order == AT_RANDOM:
        names = random_order(names)
    if order == UNSURE_FIRST:
        names = [*(name for name in ranking if name in states), *(name for name in names if name not in ranking)]
    return [name for name in names if only in (ALL, states[name])]


def beside(names: Sequence[str], open_name: str, step: int) -> str:
    """Return the name `step` places further; the open one at the ends, the first if the open one is not among them."""
    if open_name not in names:
        return names[0] if names else open_name
    return names[min(max(names.index(open_name) + step, 0), len(names) - 1)]


def next_to_label(names: Sequence[str], states: Mapping[str, State], open_name: str) -> str:
    """Return the next photo that is not done, from the start again after the last one; the open one if all are."""
    place = names.index(open_name) if open_name in names else -1
    after = [*names[place + 1 :], *names[: max(place, 0)]]
    return next((name for name in after if states[name] != State.DONE), open_name)


def first_to_label(names: Sequence[str], states: Mapping[str, State]) -> str | None:
    """Return the first photo that is not done, else the first one; None if there is none."""
    return next((name for name in names if states[name] != State.DONE), names[0] if names else None)


def show_queue(
    label_set: LabelSet,
    names: Sequence[str],
    states: Mapping[str, State],
    ranking: Mapping[str, RankedPhoto],
    open_name: str,
    on_open: Callable[[str], None],
) -> None:
    """Draw a slice of the photos that has the open one in it.

    Args:
        label_set: what is labelled.
        names: the photos in their order.
        states: the state of each.
        ranking: why a photo comes when it comes; empty where no model has looked.
        open_name: the photo on the canvas.
        on_open: called with the name of a photo that is clicked.
    """
    begin = _begin(names, open_name)
    end = min(begin + SLICE, len(names))
    masks = label_set.masks()
    cards = []
    for name in names[begin:end]:
        state = states[name]
        mask = proposal_file(label_set, name) if state == State.PROPOSED else masks.get(name)
        picture = _thumbnail(label_set, name, mask)
        is_empty = state == State.PROPOSED and is_background_alone(label_set, name)
        also = f"{', ' + ONLY_BACKGROUND if is_empty else ''}{'' if picture else ', cannot be read'}"
        cards.append({
            "name": name, "picture": data_url(picture) if picture else None, "state": state,
            "alt": f"{name}, {LABELS[state].lower()}{also}", "note": ONLY_BACKGROUND if is_empty else "",
            "reason": ranking[name].reason if name in ranking else "",
        })  # fmt: skip
    _mount(
        key=KEY, on_opened_change=partial(_open, on_open), on_moved_change=_move,
        data={
            "cards": cards, "open": open_name, "before": begin, "after": len(names) - end,
            "earlier": max(begin - SLICE, 0) if begin else None, "later": end if end < len(names) else None,
        },
    )  # fmt: skip


def _thumbnail(label_set: LabelSet, name: str, mask: Path | None) -> bytes | None:
    """Return a photo with its mask laid over it, or alone if its mask cannot be read; None if the photo cannot."""
    photo, classes = label_set.photos[name], label_set.classes
    for each in (mask, None):
        with suppress(DataError):
            return cached.thumbnail(photo, each, classes=classes, view="overlay", size_px=THUMBNAIL_PX)
    return None


def _begin(names: Sequence[str], open_name: str) -> int:
    """Return where the slice begins: where the person moved it, until another photo is opened."""
    held: tuple[str, int] | None = st.session_state.get(_FROM)
    if held and held[0] == open_name and held[1] < len(names):
        return held[1]
    place = names.index(open_name) if open_name in names else 0
    begin = max(0, min(place - SLICE // 3, len(names) - SLICE))
    st.session_state[_FROM] = (open_name, begin)
    return begin


def _open(on_open: Callable[[str], None]) -> None:
    opened = st.session_state[KEY]["opened"]
    if isinstance(opened, str):  # it comes from the browser
        on_open(opened)


def _move() -> None:
    moved = st.session_state[KEY]["moved"]
    if isinstance(moved, int) and _FROM in st.session_state:
        st.session_state[_FROM] = (st.session_state[_FROM][0], max(0, moved))
