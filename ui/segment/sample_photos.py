"""Samples on Segment: validation photos of a run's data, and the photos that come with Atrous."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.model.weights.starter import SamplePhoto, sample_photos
from ui import address, cached
from ui.pictures import show_picture
from ui.segment.photo_view import SHOWN_PX, Photo
from ui.words import plain

SAMPLE = "Sample"
"""The source of the photo in the query string."""
CARD_PX, PICTURE_PX = 168, 108
"""Width of a card and height of its picture; two cards fit side by side on a phone."""


def ask_validation_photo(data_path: str) -> Photo:
    """Ask for a validation photo of the data that the checkpoint's run was trained on."""
    data = cached.dataset(data_path)
    samples = {sample.name: sample for sample in data.split("val")}
    name = st.selectbox(
        "Validation photo", list(samples), **address.keyed("sample", samples, next(iter(samples))),
        help="No checkpoint was trained on these.",
    )  # fmt: skip
    path, mask = samples[name].photo, samples[name].mask
    truth = cached.thumbnail(path, mask, classes=data.classes, view="mask", size_px=SHOWN_PX)
    return Photo(path.name, path.read_bytes(), truth)


def ask_shipped_photo(row: DeltaGenerator) -> Photo:
    """Ask in a row for one of the photos that come with Atrous; show its credit below."""
    samples = {sample.shows: sample for sample in sample_photos()}
    names = {shows: shows.capitalize() for shows in samples}
    with row:
        chosen = samples[address.ask_one("Sample photo", names, "sample", next(iter(names)), key="shipped sample")]
    st.caption(plain(f"{chosen.credit}. Source: {chosen.source}."))
    return Photo(chosen.file.name, chosen.file.read_bytes())


def offer_shipped_photos() -> None:
    """Show the photos that come with Atrous; a click on one segments it."""
    st.caption("Or try one of these:")
    with st.container(horizontal=True):
        for sample in sample_photos():
            with st.container(width=CARD_PX):
                _offer(sample)


def _offer(sample: SamplePhoto) -> None:
    show_picture(sample.file.read_bytes(), "", sample.title, height_px=PICTURE_PX)
    st.button(
        f"Segment the {sample.shows}", key=f"sample {sample.shows}",
        on_click=lambda: address.show(photo=SAMPLE, sample=sample.shows),
    )  # fmt: skip
    st.caption(plain(sample.credit))
