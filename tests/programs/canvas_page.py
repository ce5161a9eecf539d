"""A page with nothing but the canvas, on a folder of photos whose masks it saves: `streamlit run`, with $CANVAS_FOLDER.

The folder, or the one in it that `?set=` names, has `photos/`, `classes.txt`, and `masks/` once something is saved;
`?at=` opens another photo than the first. A file `full` in it stands for a full disk, `full NAME` for one that has no
room for this photo, `taken` for another tab that has taken all photos over. What is drawn and not saved, for that or
another mask, comes into `kept.png`. While there is a file `slow` nothing is answered. `log.txt` gets a line for every
event and every content that is read.
"""

import hashlib
import os
import time
from pathlib import Path

import streamlit as st

from core.classes import read_classes
from core.data.images import jpeg_bytes, read_mask, read_photo, write_mask
from core.data.labelling import LabelConflictError, TakenOverError
from core.data.labelling.regions import regions_of
from core.errors import CoreError
from ui.label.canvas import CanvasContent, CanvasEvent, CanvasPhoto, show_canvas

FOLDER = Path(os.environ["CANVAS_FOLDER"]) / st.query_params.get("set", "")
CLASSES = read_classes(FOLDER / "classes.txt")
PHOTOS = {file.stem: file for file in sorted((FOLDER / "photos").iterdir())}


def log(line: str) -> None:
    with (FOLDER / "log.txt").open("a") as file:
        file.write(line + "\n")


def mask_file(name: str) -> Path:
    return FOLDER / "masks" / f"{name}.png"


def version_of(name: str) -> str:
    return hashlib.sha256(mask_file(name).read_bytes()).hexdigest()[:12] if mask_file(name).exists() else ""


def content(name: str) -> CanvasContent:
    import numpy as np

    log(f"content {name}")
    photo = read_photo(PHOTOS[name])
    empty_HW = np.zeros((photo.height, photo.width), np.uint8)
    mask_HW = read_mask(mask_file(name), len(CLASSES)) if mask_file(name).exists() else empty_HW
    photo.thumbnail((2048, 2048))
    return CanvasContent(jpeg_bytes(photo, 95, 0), mask_HW, version_of(name))


def save(event: CanvasEvent) -> str:
    log(f"{event.action} {event.name} {'mask' if event.mask_HW is not None else 'nothing'}")
    while (FOLDER / "slow").exists():
        time.sleep(0.02)
    if event.mask_HW is not None:
        if (FOLDER / "taken").exists():
            write_mask(FOLDER / "kept.png", event.mask_HW, CLASSES.palette)
            raise TakenOverError(f"{event.name} was taken over in another tab.")
        if (FOLDER / "full").exists() or (FOLDER / f"full {event.name}").exists():
            raise CoreError("The disk is full; make room, it is tried again.")
        if version_of(event.name) not in (event.base_version, event.seen_version or event.base_version):
            write_mask(FOLDER / "kept.png", event.mask_HW, CLASSES.palette)
            raise LabelConflictError(f"The mask of {event.name} was changed elsewhere.")
        mask_file(event.name).parent.mkdir(exist_ok=True)
        write_mask(mask_file(event.name), event.mask_HW, CLASSES.palette)
    step = {"next": 1, "done": 1, "previous": -1}.get(event.action, 0)
    st.session_state.at = (st.session_state.at + step) % len(PHOTOS)
    return version_of(event.name)


st.set_page_config(layout="wide")
st.session_state.setdefault("at", int(st.query_params.get("at", 0)))
name = list(PHOTOS)[st.session_state.at]
size = read_photo(PHOTOS[name]).size
st.button("Run again")
is_there = st.toggle("Canvas", value=True)
st.button("Other", on_click=lambda: st.session_state.update(at=1 - st.session_state.at))
photo = CanvasPhoto(
    name=name, file=str(PHOTOS[name]), width=size[0], height=size[1], version=version_of(name), classes=CLASSES,
    content=lambda: content(name), regions=lambda: regions_of(read_photo(PHOTOS[name])),
    is_read_only=(FOLDER / "taken").exists(),
)  # fmt: skip
if is_there:
    show_canvas(photo, key="canvas", on_event=save)
st.caption("Below the canvas")
