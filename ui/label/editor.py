"""The open photo: its mask on the canvas, how it is saved, who has it open, and what it was before."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from core.data.images import jpeg_bytes, photo_size, read_photo
from core.data.labelling import (
    Entry,
    LabelSet,
    State,
    accept_proposal,
    history,
    holder,
    mark_done,
    open_label_set,
    read_entry,
    read_label,
    remove_label,
    restore,
    save_label,
    version_of,
)
from core.data.labelling.proposals import delete_proposal, is_background_alone, proposal_file, read_proposal
from core.data.labelling.regions import regions_of
from core.errors import DataError
from core.files import stamp
from core.model.output.render import overlay
from ui import address, cached
from ui.label.canvas import CanvasContent, CanvasEvent, CanvasPhoto, show_canvas
from ui.label.queue import LABELS, ONLY_BACKGROUND, beside, next_to_label
from ui.label.tab import hold, is_open, tab
from ui.page import showing_errors
from ui.pictures import reduced
from ui.words import plain

PHOTO = "photo"
"""The name of the open photo in the query string."""
_ASKED = "label asked"
"""In session state, the proposal of only background whose *Accept* was pressed once."""
SENT_PX, HISTORY_PX = 2048, 320
"""The longest side of the photo on the canvas, and of an earlier mask."""
KINDS = {
    "original": "came with the data set",
    "replaced": "yours, replaced",
    "unsaved": "drawn, but not saved as the mask",
}
BADGES: dict[State, Any] = {
    State.UNLABELLED: "gray", State.PROPOSED: "orange", State.STARTED: "blue", State.DONE: "green",
}  # fmt: skip


def open_photo(name: str) -> None:
    """Put a photo on the canvas."""
    address.keep(photo=name)


def show_editor(label_set: LabelSet, name: str, state: State, names: Sequence[str], taken: str | None) -> None:
    """Draw a photo with its mask to draw on.

    Args:
        label_set: the data set.
        name: the photo.
        state: its state.
        names: the photos in their order.
        taken: a sentence if another tab has it open.
    """
    with showing_errors():
        photo = _canvas_photo(label_set, name, state, taken)
        show_canvas(photo, key=f"canvas of {label_set.root}", on_event=partial(_take, label_set.root, names))


def show_head(label_set: LabelSet, name: str, state: State, taken: str | None) -> None:
    """Draw the name and state of the photo, and what can be done about a proposal or another tab, in a row."""
    head = st.container(horizontal=True, vertical_alignment="center", width="content", key="label head")
    with head, showing_errors():
        st.markdown(f"**{plain(name)}**", width="content")
        is_empty = state == State.PROPOSED and is_background_alone(label_set, name)
        st.badge(f"Proposal: {ONLY_BACKGROUND}" if is_empty else LABELS[state], color=BADGES[state])
        if taken:
            if st.button("Take over", icon=":material/back_hand:", help=taken):
                hold(label_set, name, take_over=True)
                st.rerun()
        elif state == State.PROPOSED:
            if _ask_accept(label_set, name, is_empty=is_empty):
                accept_proposal(label_set, name)
                st.rerun()
            if st.button(
                "Discard", icon=":material/layers_clear:", help="Deletes this proposal: you begin with nothing."
            ):
                delete_proposal(label_set, name)
                st.rerun()


def _ask_accept(label_set: LabelSet, name: str, *, is_empty: bool) -> bool:
    """Draw the button that accepts a proposal; one without an object takes a second button, with a key of its own."""
    asked = (str(label_set.root), name, stamp(proposal_file(label_set, name)))
    if is_empty and st.session_state.get(_ASKED) == asked:
        st.markdown("Is the whole photo background?", width="content")
        return st.button("Yes, all of it", icon=":material/check:", shortcut="y")
    is_pressed = st.button(
        "Accept", type="secondary" if is_empty else "primary", icon=":material/check:", shortcut="a",
        help="The model found no object here: the whole photo would be background. You are asked first."
        if is_empty else "The proposal becomes your mask, to be corrected.",
    )  # fmt: skip
    if is_pressed and is_empty:
        st.session_state[_ASKED] = asked
        st.rerun()
    return is_pressed


def _canvas_photo(label_set: LabelSet, name: str, state: State, taken: str | None) -> CanvasPhoto:
    file, is_proposal = label_set.photos[name], state == State.PROPOSED
    width, height = photo_size(file)
    version = f"proposal {stamp(proposal_file(label_set, name))[1:]}" if is_proposal else version_of(label_set, name)

    def content() -> CanvasContent:
        mask_HW, read_version = _read(label_set, name)
        if is_proposal and (proposal_HW := read_proposal(label_set, name)) is not None:
            mask_HW, read_version = proposal_HW, version
        return CanvasContent(jpeg_bytes(reduced(read_photo(file), SENT_PX)), mask_HW, read_version)

    return CanvasPhoto(
        name=name, file=str(stamp(file)), width=width, height=height, version=version, classes=label_set.classes,
        generation=label_set.generation,
        content=content, regions=lambda: regions_of(read_photo(file)),
        is_read_only=bool(taken), is_proposal=is_proposal, problem=taken or "",
    )  # fmt: skip


def _read(label_set: LabelSet, name: str) -> tuple[NDArray[np.uint8], str]:
    """Return the mask of a photo and its version; offer to set one aside that cannot be read."""
    try:
        label = read_label(label_set, name)
    except DataError:
        if st.button("Set its mask aside", icon=":material/layers_clear:",
                     help="It stays in the history, and the photo can be labelled anew."):  # fmt: skip
            remove_label(label_set, name)
            st.rerun()
        raise
    return label.mask_HW, label.version


def _take(root: Path, names: Sequence[str], event: CanvasEvent) -> str:
    """Save what was drawn, open the photo that was asked for, and return the version that is on the disk now."""
    label_set = open_label_set(root)
    if event.name not in label_set.photos:
        raise DataError(f"{root} has no photo {event.name} any more, so its mask cannot be saved; put the photo back.")
    if event.action == "done":
        _refuse_done(label_set, event)
    version, had_mask = event.base_version, label_set.mask_file(event.name).exists()
    if event.mask_HW is not None:
        version = save_label(
            label_set, event.name, event.mask_HW, base_version=version, seen=event.seen_version, tab=tab(),
            is_open=bool(tab()) and is_open(label_set, event.name),
        )  # fmt: skip
    if event.action == "done":
        mark_done(label_set, event.name)
        open_photo(next_to_label(names, label_set.states(), event.name))
        if event.mask_HW is None and not had_mask:
            version = version_of(label_set, event.name)  # of background alone
    elif event.action in ("next", "previous"):
        open_photo(beside(names, event.name, 1 if event.action == "next" else -1))
    return version


def _refuse_done(label_set: LabelSet, event: CanvasEvent) -> None:
    """Raise `DataError` if it is not this tab's mask that would become truth."""
    if holder(label_set, event.name) not in (None, tab()):
        raise DataError(f"'{event.name}' is open in another tab, so it is not done here; take it over first.")
    if event.mask_HW is None and label_set.states()[event.name] == State.PROPOSED:
        raise DataError(f"There is a proposal for '{event.name}' now; accept or discard it first.")


# --- what was there before ------------------------------------------------------------------------------------------


def show_history(label_set: LabelSet, name: str) -> None:
    """Draw the earlier masks of a photo, each with the way back to it."""
    entries = {entry.file.name: entry for entry in history(label_set, name)}
    if not entries:
        st.caption(f"Masks of {plain(name)} that are replaced are kept here.")
        return
    labels = dict(_named(list(entries.values())))
    # A list that grows at its head is a new one: else the browser showed the newest, and the page had the one before.
    chosen = st.selectbox(
        "Earlier masks", list(entries), key=f"history of {name} to {next(iter(entries))}",
        format_func=labels.__getitem__,
    )  # fmt: skip
    with showing_errors():
        st.image(_earlier(label_set, name, entries[chosen]), alt=f"{name} with this mask laid over it")
    with showing_errors():
        if st.button("Restore", icon=":material/history:", help="The current mask is kept here too."):
            restore(label_set, name, entries[chosen])
            st.rerun()


def _named(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Yield the file and the label of each mask; masks of one second have milliseconds, as labels have to differ."""
    seconds = Counter(entry.at.replace(microsecond=0) for entry in entries)
    for entry in entries:
        at = entry.at.astimezone()
        more = f".{at.microsecond // 1000:03}" if seconds[entry.at.replace(microsecond=0)] > 1 else ""
        yield entry.file.name, f"{at:%d %b, %H:%M:%S}{more}: {KINDS[entry.kind]}"


def _earlier(label_set: LabelSet, name: str, entry: Entry) -> bytes:
    """Return a photo with an earlier mask over it, in the classes of today."""
    photo, classes = label_set.photos[name], label_set.classes
    if entry.generation == label_set.generation:
        return cached.thumbnail(photo, entry.file, classes=classes, view="overlay", size_px=HISTORY_PX)
    small = reduced(read_photo(photo), HISTORY_PX)
    mask = Image.fromarray(read_entry(label_set, name, entry)).resize(small.size, Image.Resampling.NEAREST)
    return jpeg_bytes(overlay(small, np.asarray(mask), classes.palette))
