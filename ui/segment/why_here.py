"""Why here: a click on a segmented photo, and below it why the model saw that class there."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.explain.kinds import BRANCHES, CLASS_MAP, RECEPTIVE_FIELD, TAPS
from ui.page import showing_errors
from ui.segment.cached_segments import Segmented, Source, explained
from ui.segment.photo_look import SIDE_BY_SIDE, SLIDER, Look
from ui.segment.photo_view import Photo, show_pair, show_pictures
from ui.words import percent, plain

TITLES = {
    CLASS_MAP: "Where the evidence is",
    RECEPTIVE_FIELD: "What changes the answer",
    TAPS: "Where the atrous taps fall",
    BRANCHES: "What each branch adds",
}
OBJECT, PIXEL = "The whole object", "This pixel"
BASELINE = (
    "On 50 photos, a map of one pixel found the evidence no better than marking whatever is near the pixel; maps of "
    "whole objects did."
)
PLACE = "why at"
"""Where the user clicked, in session state: the name and hash of the photo, and the pixel (x, y)."""


def show_results(source: Source, photo: Photo, results: Sequence[Segmented], names: Sequence[str], look: Look) -> None:
    """Draw a photo segmented by two models of these names, or by one, with a switch for what explains it."""
    if len(results) == 1:
        _show_with_why(source, photo, results[0], look)
    else:
        show_pair(photo, results, names, look)


def _show_with_why(source: Source, photo: Photo, result: Segmented, look: Look) -> None:
    pictures = st.container()
    is_on = look.kind not in (SLIDER, SIDE_BY_SIDE) and st.toggle(
        "Why here", key="why", help="Then click a place in the photo: why did the model see that class there? It takes "
        "a few seconds, and explains one pass of the whole photo, without test-time augmentation or tiles.",
    )  # fmt: skip
    with pictures:
        show_pictures(photo, result, look, partial(_point, photo, result.size) if is_on else None)
    if not is_on:
        return
    if result.size == (1, 1):
        st.info("The photo is a single pixel, so there is no place in it to explain.")
        return
    whose, at = st.session_state.get(PLACE, (None, (0, 0)))
    if whose != (photo.name, hash(photo.data)):
        st.info("Click a place in the photo, or move the cursor with the arrow keys and press Enter.")
        return
    with showing_errors():
        _show_why(source, photo, at)


def _point(photo: Photo, size: tuple[int, int], shares: tuple[float, float]) -> None:
    x, y = (min(of - 1, int(share * of)) for share, of in zip(shares, size, strict=True))
    st.session_state[PLACE] = (photo.name, hash(photo.data)), (x, y)


def _show_why(source: Source, photo: Photo, at: tuple[int, int]) -> None:
    scope = st.segmented_control("Explain", [OBJECT, PIXEL], default=OBJECT, required=True, key="why scope")
    if scope == PIXEL:
        st.caption(BASELINE)
    why = explained(source, photo.data, photo.name, at, whole_object=scope == OBJECT)
    st.markdown(
        f"**{plain(why.class_name)}** at {at[0]}, {at[1]}: probability {percent(why.probability)}, "
        f"then {plain(why.runner_up_name)}"
    )
    for first in range(0, len(why.parts), 2):
        for column, part in zip(st.columns(2), why.parts[first : first + 2], strict=False):
            with column:
                st.markdown(f"**{TITLES[part.kind]}**")
                if part.picture:
                    st.image(part.picture, alt=f"{TITLES[part.kind]} in {photo.name}", width="stretch")
                st.markdown(plain(part.shows))
                st.caption(plain(part.does_not_show))
