"""Where the photos on Segment come from: uploads, Home, the camera, samples. None is written to disk."""

from collections.abc import Sequence

import streamlit as st

from core.model.photo.photo_file import SUFFIXES
from core.wording import count
from ui import address
from ui.checkpoints import Choice
from ui.segment.photo_view import Photo
from ui.segment.sample_photos import SAMPLE, ask_shipped_photo, ask_validation_photo, offer_shipped_photos

OWN, CAMERA = "Your photos", "Camera"
MAX_PHOTOS, MAX_PHOTO_MB = 50, 30

_HANDED = "handed photos"


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
