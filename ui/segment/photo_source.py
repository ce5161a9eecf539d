"""Where the photos on Segment come from: uploads, Home, the camera, samples. None is written to disk."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.classes import VOC_CLASSES
from core.errors import DataError
from core.model.photo import SUFFIXES
from core.model.weights.starter import sample_photos
from core.wording import count
from ui import address, cached
from ui.checkpoints import Choice
from ui.page import say_lost_uploads
from ui.segment.photo_view import SHOWN_PX, Photo
from ui.words import plain

OWN, CAMERA = "Your photos", "Camera"
MAX_PHOTOS, MAX_PHOTO_MB = 50, 30

_HANDED = "handed photos"


SAMPLE = "Sample"
"""The source of the photo in the query string."""
NUM_SAMPLES, SAMPLE_PX = 2, 640


class Offered(NamedTuple):
    """A photo to try a model on: its name in the query string, the button's label, a line about it, and a picture."""

    name: str
    label: str
    credit: str
    alt: str
    picture: bytes


def hand_over(photos: Sequence[tuple[str, bytes]]) -> None:
    """Hand photos (name, bytes of the file) to Segment, which shows them once it is opened; the newest is the last."""
    st.session_state[_HANDED] = list(photos)[-MAX_PHOTOS:]


def ask_photos(choice: Choice | None, *, is_starter: bool) -> list[Photo]:
    """Ask for the user's photos, one from the camera, or a sample: of the data of a checkpoint's run, if it has one.

    Without a photo, two samples stand there; those that come with Atrous as the starter segments them, if it is chosen.
    """
    row = st.container(horizontal=True)
    with row:
        source = address.ask_one("Photo from", [OWN, CAMERA, SAMPLE], "photo", OWN, key="photo_source")
    if source == SAMPLE:
        return [ask_validation_photo(choice.run.data) if choice else ask_shipped_photo(row)]
    if source == CAMERA:
        taken = st.camera_input("Camera", key="camera", label_visibility="collapsed")
        return [Photo("camera.jpg", taken.getvalue())] if taken else []
    photos = _ask_own()
    say_lost_uploads(len(photos))
    if not photos:
        offer_samples(choice, is_starter=is_starter)
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
        help="From the validation split of this run's data.",
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


def offer_samples(choice: Choice | None, *, is_starter: bool) -> None:
    """Show samples large; a click on the button below one segments it."""
    st.caption("Or try one of these:")
    with suppress(DataError):  # the data of the run is gone
        for column, sample in zip(st.columns(NUM_SAMPLES), _samples(choice, is_starter=is_starter), strict=False):
            with column:
                st.image(sample.picture, width="stretch", alt=sample.alt)
                st.button(sample.label, key=f"sample {sample.name}", on_click=address.show,
                          kwargs={"photo": SAMPLE, "sample": sample.name})  # fmt: skip
                st.caption(plain(sample.credit))


def _samples(choice: Choice | None, *, is_starter: bool) -> list[Offered]:
    if choice:
        data = cached.dataset(choice.run.data)
        return [
            Offered(each.name, f"Segment {plain(each.name)}", "A validation photo of the run's data", each.name,
                    cached.thumbnail(each.photo, classes=data.classes, size_px=SAMPLE_PX))
            for each in data.split("val")[:NUM_SAMPLES]
        ]  # fmt: skip
    segmented = "With the starter's mask. " if is_starter else ""
    return [
        Offered(each.shows, f"Segment the {each.shows}", f"{segmented}{each.credit}", each.title,
               cached.thumbnail(each.file, each.mask if is_starter else None, classes=VOC_CLASSES, view="overlay",
                                size_px=SAMPLE_PX))
        for each in sample_photos()[:NUM_SAMPLES]
    ]  # fmt: skip
