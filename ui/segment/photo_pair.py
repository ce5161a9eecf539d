"""Two models on one photo: overlays under a slider, differences, classes."""

import numpy as np
import streamlit as st

from core.data.images import jpeg_bytes
from core.model.output.render import ONLY_A_COLOR, ONLY_B_COLOR, OTHER_CLASS_COLOR, a_against_b
from core.voc import VOID
from ui.legend import show_areas, show_colors
from ui.pictures import show_slider
from ui.segment.cached_segments import Segmented
from ui.segment.exports import shown_areas
from ui.segment.photo_look import Look
from ui.segment.photo_view import Photo, small_photo
from ui.words import percent, plain

COLORS = {
    "object in A only": ONLY_A_COLOR,
    "object in B only": ONLY_B_COLOR,
    "different objects": OTHER_CLASS_COLOR,
}


def show_pair(photo: Photo, a: Segmented, b: Segmented, names: tuple[str, str], look: Look) -> None:
    """Draw A's and B's overlays under one slider, their differences, and the classes of each."""
    if a.classes.names != b.classes.names:
        st.info("The two models know different classes: compare the overlays by eye; where they differ is not shown.")
    small = small_photo(photo)
    answers = [result.answers().reduced(*small.size) for result in (a, b)]
    pictures = [
        jpeg_bytes(look.picture(small, each, result.classes)) for each, result in zip(answers, (a, b), strict=True)
    ]
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**A and B**")
        show_slider(*pictures, names=(f"A: {names[0]}", f"B: {names[1]}"), image=photo.name, key="pair")
    if a.classes.names == b.classes.names:
        with right:
            a_HW, b_HW = (look.abstaining(each) for each in answers)
            differs = (a_HW != b_HW) & (a_HW != VOID) & (b_HW != VOID)
            st.markdown(f"**Where they disagree**: on {percent(float(np.mean(differs)))} of the photo")
            st.image(a_against_b(small, a_HW, b_HW), alt=f"Where A and B disagree on {photo.name}", width="stretch")
            show_colors(COLORS)
    for column, letter, name, result in zip(st.columns(2, gap="medium"), "AB", names, (a, b), strict=True):
        with column:
            st.markdown(f"**{letter}**: {plain(name)}")
            show_areas(shown_areas(result, look), look.colors(result.classes))
