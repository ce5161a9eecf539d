"""Two models on one photo: overlays under a slider, and where the masks differ."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.data.images import jpeg_bytes
from core.model.output.render import ONLY_A_COLOR, ONLY_B_COLOR, OTHER_CLASS_COLOR, a_against_b
from core.voc import BACKGROUND, VOID
from ui.legend import show_colors
from ui.pictures import show_slider
from ui.segment.cached_segments import Segmented
from ui.segment.photo_look import CONFIDENCE, Look
from ui.segment.photo_view import Photo, fitting, show_scale, small_photo
from ui.words import percent

COLORS = {
    "object in A only": ONLY_A_COLOR,
    "object in B only": ONLY_B_COLOR,
    "different objects": OTHER_CLASS_COLOR,
}


def show_pair(photo: Photo, results: Sequence[Segmented], names: Sequence[str], look: Look) -> None:
    """Draw A's and B's pictures under one slider, and below it where their masks differ."""
    small = small_photo(photo)
    answers = [result.answers().reduced(*small.size) for result in results]
    pictures = [
        jpeg_bytes(look.picture(small, each, result.classes)) for each, result in zip(answers, results, strict=True)
    ]
    ends = (f"A: {names[0]}", f"B: {names[1]}")
    show_slider(*pictures, names=ends, image=photo.name, key="pair", width=fitting(small))
    if look.kind == CONFIDENCE:
        show_scale()
    if results[0].classes.names != results[1].classes.names:
        st.info("The two models know different classes: compare the overlays by eye; where they differ is not shown.")
        return
    a_HW, b_HW = (look.abstaining(each) for each in answers)
    differs = (a_HW != b_HW) & (a_HW != VOID) & (b_HW != VOID)
    st.markdown(f"**Where they disagree**: on {percent(float(np.mean(differs)))} of the photo")
    if differs.any():
        show_colors({meaning: COLORS[meaning] for meaning in _kinds_of(a_HW[differs], b_HW[differs])})
    st.image(a_against_b(small, a_HW, b_HW), alt=f"Where A and B disagree on {photo.name}", width="stretch")


def _kinds_of(a_D: NDArray[np.uint8], b_D: NDArray[np.uint8]) -> list[str]:
    """Return which of `COLORS` occur where masks differ."""
    in_a, in_b = a_D != BACKGROUND, b_D != BACKGROUND
    return [
        kind for kind, occurs in zip(COLORS, (in_a & ~in_b, in_b & ~in_a, in_a & in_b), strict=True) if occurs.any()
    ]
