"""Where the photos on Segment come from: uploads, Home, the camera, samples. None is written to disk."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.model.photo import SUFFIXES
from core.model.weights.starter import SamplePhoto, sample_photos
from core.wording import count
from ui import address, cached
from ui.checkpoints import Choice
from ui.pictures import show_picture
from ui.segment.photo_view import SHOWN_PX, Photo
from ui.words import plain

OWN, CAMERA = "Your photos", "Camera"
MAX_PHOTOS, MAX_PHOTO_MB = 50, 30

_HANDED = "handed photos"


SAMPLE = "Sample"
"""The source of the photo in the query string."""
CARD_PX, PICTURE_PX = 168, 108
"""Width of a card and height of its picture; two cards fit side by side on a phone."""


def hand_over(photos: Sequence[tuple[str, bytes]]) -> None:
    """Hand photos (name, bytes of the file) to Segment, which shows them once it is opened; the newest is the last."""
    st.session_state[_HANDED] = list(photos)[-MAX_PHOTOS:]


def ask_photos(choice: Choice | None) -> list[Photo]:
    """Ask for the user's photos, one from the camera, or a sample: of the data of a checkpoint's run, if it has one."""
    row = st.container(horizontal=True)
    with row:
        source = address.ask_one("Photo from", [OWN, CAMERA, SAMPLE], "photo", OWN, key="photo_source")
    if source == SAMPLE:
        return [ask_validation_photo(choice.run.data) if choice else ask_shipped_photo(row)]
    if source == CAMERA:
        taken = st.camera_input("Camera", key="camera", label_visibility="collapsed")
        return [Photo("camera.jpg", taken.getvalue())] if taken else []
    photos = _ask_own()
    if not photos and not choice:
        offer_shipped_photos()
    return photos


def _ask_own() -> list[Photo]:
    """Ask for the user's photos; return those from Home and the uploaded ones, the newest last."""
    files = st.file_uploader(
        "Your photos", type=SUFFIXES, accept_multiple_files=True, key="photos", label_visibility="collapsed",
        max_upload_size=MAX_PHOTO_MB,
        help="They stay on this machine, in memory, until this tab is closed, and are never written to disk.",
    )  # fmt: skip
    handed: list[tuple[str, bytes]] = st.session_state.get(_HANDED, [])
    if handed:
        st.button(
            f"Remove {count(len(handed), 'photo')} from Home", key="remove handed", icon=":material/close:",
            on_click=hand_over, args=([],),
        )  # fmt: skip
    photos = [Photo(name, data, id=f"{number} {hash(data)}") for number, (name, data) in enumerate(handed)]
    photos += [Photo(file.name, file.getvalue(), id=file.file_id) for file in files]
    if len(photos) > MAX_PHOTOS:
        st.warning(f"The newest {MAX_PHOTOS} of {len(photos)} photos are taken.")
    return photos[-MAX_PHOTOS:]


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
