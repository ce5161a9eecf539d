"""The photo with its mask and the tools that draw, as a component of the browser.

The browser holds the mask at the photo's own size, draws into it, and sends the whole of it as run lengths: three
seconds after a change, also in mid-stroke, and again until the server has answered. What it sends is checked here.
"""

import base64
import binascii
import json
import secrets
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.classes import Classes
from core.data.labelling import KeptInHistoryError, TakenOverError
from core.data.labelling.regions import Regions
from core.errors import CoreError, DataError
from core.voc import VOID

Action = Literal["save", "done", "next", "previous"]
ACTIONS = ("save", "done", "next", "previous")
MAX_PIXELS = 200_000_000
LONGEST_RUN, LONGEST_LABEL_RUN = 2**24 - 1, 2**16 - 1
LONGEST_NAME = 1024

PARTS = Path(__file__).parent / "browser"
SCRIPTS = ("raster.js", "history.js", "view.js", "saving.js", "hands.js", "canvas.js")
"""One module for the browser, in this order: a component has a single one."""


def _read(*names: str) -> str:
    return "\n".join((PARTS / name).read_text(encoding="utf-8") for name in names)


_mount = st.components.v2.component(
    "label_canvas", html=_read("canvas.html"), css=_read("canvas.css"), js=_read(*SCRIPTS)
)
_send = st.components.v2.component("label_content", js=_read("content.js"))


class CanvasContent(NamedTuple):
    """What the browser needs once: the photo as JPEG or WebP, upright, its mask at its own size, and its version."""

    photo: bytes
    mask_HW: NDArray[np.uint8]
    version: str


@dataclass(frozen=True, kw_only=True)
class CanvasPhoto:
    """A photo to label; `content` and `regions` are called only if the browser does not have them."""

    name: str
    file: str
    """Another one for every photo there is: of two data sets, or one that took the place of another."""
    width: int
    height: int
    version: str
    """Of the mask on the disk; another one than the canvas saved last makes it read the content again."""
    classes: Classes
    generation: int = 0
    """How often the classes got other ids: what the browser draws has those of the mask that it holds."""
    content: Callable[[], CanvasContent]
    regions: Callable[[], Regions]
    is_read_only: bool = False
    is_proposal: bool = False
    """Whether the mask is a model's: it is drawn hatched, and not drawn on."""
    problem: str = ""
    """A sentence shown with the photo."""


class CanvasEvent(NamedTuple):
    """What the browser asks for; without a mask nothing was drawn since the last save."""

    name: str
    base_version: str
    """Of the mask that was drawn upon, whose class ids `mask_HW` has."""
    seen_version: str
    """Of the mask that the person chose to replace by it; empty if there was nothing to choose."""
    mask_HW: NDArray[np.uint8] | None
    action: Action


@dataclass
class _Session:
    """What one browser tab has of the canvas."""

    name: str = ""
    file: str = ""
    version: str = ""
    """Of the mask that the browser has or saved last."""
    content_id: str = ""
    content: bytes = b""
    regions_of: str = ""
    regions: bytes = b""
    regions_problem: str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    is_untouched: bool = True
    """Whether nothing of this photo was saved yet: the page shows which photos are begun."""
    moves_on: bool = False


def show_canvas(photo: CanvasPhoto, *, key: str, on_event: Callable[[CanvasEvent], str]) -> None:
    """Draw a photo to label. A run of the script with the same photo sends and resets nothing.

    Args:
        photo: what to label. Every data set needs a `key` of its own: photos of two may have one name.
        key: the component's name on the page.
        on_event: called before the script runs again; saves the mask, if there is one, and returns the version that is
            on the disk then. A `CoreError` is shown in the canvas, which tries again. The event's name comes from the
            browser: it may be that of the photo before, or of none. After anything but "save", and after the
            first save of a photo, the page runs again.
    """
    session: _Session = st.session_state.setdefault(f"{key} session", _Session())
    if (photo.name, photo.file, photo.version) != (session.name, session.file, session.version):
        content_id = f"{photo.name} {secrets.token_hex(8)}"
        session.content, session.version = _photo_bytes(photo, content_id)
        session.name, session.file, session.content_id = photo.name, photo.file, content_id
        session.regions_problem = ""
        session.is_untouched = True
    with st.container(gap=None):
        _draw(photo, key, on_event)
        # Outside the fragment: a server that was started again knows no fragments, and ignores what they ask for until
        # the page has run. By this component the browser can make it run.
        _send(key=f"{key} content", data=session.content, on_run_change=lambda: None)


@st.fragment
def _draw(photo: CanvasPhoto, key: str, on_event: Callable[[CanvasEvent], str]) -> None:
    session: _Session = st.session_state[f"{key} session"]
    if session.moves_on:
        session.moves_on = False
        st.rerun()
    with st.container(gap=None):
        _mount(
            key=key,
            data=_state(photo, session, key),
            on_event_change=lambda: _receive(session, st.session_state[key].event, on_event),
            on_wish_change=lambda: _find_regions(session, photo),
        )
        if session.regions:
            _send(key=f"{key} regions", data=session.regions)


def _state(photo: CanvasPhoto, session: _Session, key: str) -> dict[str, Any]:
    names, colors = photo.classes.names, photo.classes.colors
    classes = [
        {"id": at, "name": name, "color": color} for at, (name, color) in enumerate(zip(names, colors, strict=True))
    ]
    return {
        "key": key,
        "content": session.content_id,
        "classes": [*classes, {"id": VOID, "name": "void", "color": photo.classes.css_color(VOID)}],
        "generation": photo.generation,
        "is_read_only": photo.is_read_only,
        "is_proposal": photo.is_proposal,
        "problem": photo.problem,
        "regions_problem": session.regions_problem,
        "answer": session.answer,
    }


# --- to the browser --------------------------------------------------------------------------------------------------


def _photo_bytes(photo: CanvasPhoto, content_id: str) -> tuple[bytes, str]:
    """Return a photo and its mask as they are sent, and the version of this mask."""
    content = photo.content()
    if content.mask_HW.shape != (photo.height, photo.width):
        raise DataError(
            f"{photo.name} has another size than its mask; the photo was replaced meanwhile, open it again."
        )
    header = {
        "kind": "photo", "id": content_id, "name": photo.name, "file": photo.file, "width": photo.width,
        "height": photo.height, "version": content.version, "is_proposal": photo.is_proposal,
        "generation": photo.generation,
    }  # fmt: skip
    return _packed(header, [content.photo, mask_runs(content.mask_HW).tobytes()]), content.version


def _find_regions(session: _Session, photo: CanvasPhoto) -> None:
    """Find the regions of the photo, which the browser asks for when their tool is first used."""
    if session.regions_of == photo.file:
        return
    try:
        regions = photo.regions()
    except CoreError as error:
        session.regions_problem = str(error)
        return
    height, width = regions.labels_HW.shape
    runs = _runs(regions.labels_HW, LONGEST_LABEL_RUN)
    header = {"kind": "regions", "file": photo.file, "width": width, "height": height}
    coded = (runs[0] << 16 | runs[1]).astype("<u4")
    session.regions = _packed(header, [coded.tobytes(), *(level.astype("<u2").tobytes() for level in regions.levels)])
    session.regions_of, session.regions_problem = photo.file, ""


def _packed(header: dict[str, Any], parts: Sequence[bytes]) -> bytes:
    """Return the length of a header, the header as JSON, and the parts: bytes are not blown up by base64 like text."""
    text = json.dumps(header | {"parts": [len(part) for part in parts]}).encode()
    return b"".join([struct.pack("<I", len(text)), text, *parts])


def mask_runs(mask_HW: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return a mask as runs of equal pixels, row by row, uint32: 256 * length + value."""
    lengths, values = _runs(mask_HW, LONGEST_RUN)
    return (lengths << 8 | values).astype("<u4")


def _runs(array_HW: NDArray[Any], longest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return lengths and values of the runs of an array, none longer than `longest`."""
    flat = array_HW.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(np.append(starts, flat.size))
    pieces = -(-lengths // longest)
    values = np.repeat(flat[starts], pieces).astype(np.int64)
    cut = np.full(values.size, longest, dtype=np.int64)
    cut[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * longest
    return cut, values


# --- from the browser ------------------------------------------------------------------------------------------------


def _receive(session: _Session, sent: object, on_event: Callable[[CanvasEvent], str]) -> None:
    """Let the page act on an event, once however often it arrives, and keep the answer."""
    number = sent.get("number") if isinstance(sent, dict) else None
    if not isinstance(sent, dict) or not isinstance(number, str) or session.answer.get("number") == number:
        return
    try:
        event = read_event(sent)
        version = on_event(event)
    except CoreError as error:
        is_kept = isinstance(error, KeptInHistoryError)
        is_taken = isinstance(error, TakenOverError)
        session.answer = {
            "number": number, "version": "", "problem": str(error), "is_kept": is_kept, "is_taken": is_taken,
        }  # fmt: skip
        session.moves_on = is_kept  # the page shows what is on the disk now
        if is_taken:
            session.file = ""  # so that it is sent again, in place of what was drawn
        return
    session.answer = {"number": number, "version": version, "problem": "", "is_kept": False, "is_taken": False}
    if event.name == session.name:
        session.version = version
    session.moves_on = event.action != "save" or session.is_untouched
    session.is_untouched = session.is_untouched and event.name != session.name


def read_event(sent: dict[str, Any]) -> CanvasEvent:
    """Return an event as the browser sent it; anything that the canvas would not send raises `DataError`."""
    name, action, version, seen = (sent.get(part) for part in ("name", "action", "base_version", "seen_version"))
    texts = (name, action, version, seen)
    if not all(isinstance(text, str) and len(text) <= LONGEST_NAME for text in texts) or action not in ACTIONS:
        raise DataError("The browser sent something that is not a drawn mask; load the page again.")
    coded = sent.get("mask")
    mask_HW = None if coded is None else read_mask_runs(coded, sent.get("width"), sent.get("height"))
    return CanvasEvent(str(name), str(version), str(seen), mask_HW, action)


def read_mask_runs(coded: object, width: object, height: object) -> NDArray[np.uint8]:
    """Return a mask, (H, W), from base64 of `mask_runs`; another length raises `DataError`.

    Its ids are those of `base_version`: whoever saves it checks them, after classes that were removed since.
    """
    if not (isinstance(coded, str) and isinstance(width, int) and isinstance(height, int)):
        raise _damaged("it lacks a part")
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise _damaged(f"a photo has no {width} x {height} pixels")
    # No run is empty, so there are at most as many as pixels.
    if len(coded) > 4 * (4 * width * height // 3 + 2):
        raise _damaged("it is longer than any mask of its size")
    try:
        runs = np.frombuffer(base64.b64decode(coded, validate=True), dtype="<u4")
    except (binascii.Error, ValueError) as error:
        raise _damaged("it is not made of run lengths") from error
    lengths, values = runs >> 8, (runs & 255).astype(np.uint8)
    if not (lengths > 0).all() or int(lengths.sum(dtype=np.uint64)) != width * height:
        raise _damaged(f"its runs do not make {width} x {height} pixels")
    return np.repeat(values, lengths).reshape(height, width)


def _damaged(why: str) -> DataError:
    return DataError(f"The mask that the browser sent cannot be saved: {why}; load the page again.")
