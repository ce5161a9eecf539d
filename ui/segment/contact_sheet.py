"""Several photos: a contact sheet of small pictures, each a way to its own large view, and the way back."""

from collections.abc import Iterator, Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.classes import Classes
from core.model.predict.tta import TTA
from core.voc import VOID
from core.wording import count
from ui import address
from ui.legend import show_legend
from ui.page import showing_errors
from ui.pictures import show_card
from ui.segment.cached_segments import Small, Source, segmented_small
from ui.segment.photo_look import CONFIDENCE, OVERLAY, SIDE_BY_SIDE, SLIDER, Look, ask_classes
from ui.segment.photo_view import ALTS, Photo, picture_file, show_scale
from ui.words import plain

NUMBER = "number"
"""The number of the photo that is shown large, in the query string; without one the sheet is shown."""
HEIGHT_PX, FEW = 112, 4
"""Three landscape photos fit into a row of a narrow window."""
_SEEN = "photos seen"


def shown_large(photos: Sequence[Photo]) -> int | None:
    """Return the number, from 1, of the photo to show large; None for the sheet.

    A photo that comes alone is shown large, several at once as a sheet. What is removed does not change what is shown.
    """
    numbers = [str(number) for number in range(1, len(photos) + 1)]
    ids = [photo.id for photo in photos]
    seen: list[str] = st.session_state.get(_SEEN, [])
    if ids != seen and all(ids):
        shown: str | None = st.session_state.get(NUMBER)
        new = [each for each in ids if each not in seen]
        wanted = new if len(new) == 1 else seen[int(shown) - 1 : int(shown)] if shown and not new else []
        st.session_state[_SEEN] = ids
        if seen:
            open_number(str(ids.index(wanted[0]) + 1) if wanted and wanted[0] in ids else None)
    number = address.held(NUMBER, numbers, None)
    if len(photos) == 1:
        return 1
    return int(number) if number else None


def open_number(number: str | None) -> None:
    """Show the photo of that number large; None for the sheet."""
    address.hold(NUMBER, number)


def show_moves(number: int, photos: Sequence[Photo]) -> None:
    """Draw the ways from a large view: to the sheet, and to the photos before and after."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(f"All {len(photos)} photos", icon=":material/grid_view:", on_click=open_number, args=(None,))
        for label, icon, other in (("Previous", "chevron_left", number - 1), ("Next", "chevron_right", number + 1)):
            st.button(
                label, icon=f":material/{icon}:", disabled=not 1 <= other <= len(photos), on_click=open_number,
                args=(str(other),),
            )  # fmt: skip
        st.caption(f"{number} of {len(photos)}: {plain(photos[number - 1].name)}")


def show_sheet(source: Source, photos: Sequence[Photo], look: Look, tta: TTA) -> Iterator[tuple[Photo, Small]]:
    """Segment photos one after the other and draw each as soon as it is there; yield those that can be segmented."""
    line = st.empty()
    kind = OVERLAY if look.kind in (SLIDER, SIDE_BY_SIDE) else look.kind
    height_px = HEIGHT_PX if len(photos) > FEW else 2 * HEIGHT_PX
    with st.container(horizontal=True, key="cards"):
        for number, photo in enumerate(photos, start=1):
            line.progress(number / len(photos), f"Segmenting {number} of {len(photos)} …")
            with showing_errors():
                small = segmented_small(source, photo.data, photo.name, tta, look.temperature)
                _show_card(number, photo, small, look._replace(kind=kind), height_px)
                yield photo, small
    line.caption(f"{count(len(photos), 'photo')}. Click on one to see it large.")
    if kind == CONFIDENCE:
        show_scale(look)


def show_sheet_classes(smalls: Sequence[Small], look: Look, classes: Classes) -> list[int]:
    """Draw the colours in the pictures of a sheet, and ask which of the classes that the model kept to draw.

    Return their ids.
    """
    answers = [small.answers() for small in smalls]
    if look.kind != CONFIDENCE:
        ids = _ids([look.shown_mask(each) for each in answers])
        show_legend(ids, look.colors(classes), is_void_striped=look.is_void_striped)
    kept = _ids([look.abstaining(each) for each in answers])
    ask_classes(kept, classes)
    return kept


def _ids(masks: Sequence[NDArray[np.uint8]]) -> list[int]:
    counts_K = sum((np.bincount(mask_HW.ravel(), minlength=VOID + 1) for mask_HW in masks), np.zeros(VOID + 1, int))
    return np.flatnonzero(counts_K).tolist()


def _show_card(number: int, photo: Photo, small: Small, look: Look, height_px: int) -> None:
    picture = picture_file(small.photo(), small.answers(), small.classes, look)
    show_card(
        picture, photo.name, ALTS[look.kind].format(photo.name), key=f"card {number} {photo.id}",
        on_open=lambda: open_number(str(number)), height_px=height_px,
    )  # fmt: skip
