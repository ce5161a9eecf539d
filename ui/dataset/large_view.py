"""One photo of a data set, large: photo, mask and their overlay, and the way to the photos beside it."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from PIL import Image

from core.data.dataset import Dataset, Sample
from core.data.images import jpeg_bytes, read_mask, read_photo
from core.model.output.render import colorize, overlay, show_void
from core.voc import BACKGROUND, VOID
from ui import address
from ui.legend import show_legend
from ui.page import link_to, showing_errors
from ui.pictures import framed, reduced, reduced_mask
from ui.words import percent, plain

PHOTO = "photo"
"""The name of the photo that is shown large, in the query string."""
LARGE_PX = 1000


def opened(samples: Sequence[Sample]) -> int | None:
    """Return the place of the photo that the address names; None if it names none of these."""
    wanted = st.query_params.get(PHOTO)
    return next((place for place, sample in enumerate(samples) if sample.name == wanted), None)


def open_photo(name: str | None) -> None:
    """Show a photo large; None for the sheet of all."""
    address.show(photo=name)


def show_large(data: Dataset, samples: Sequence[Sample], place: int, view: str) -> None:
    """Draw a photo with its mask, what is in it, and the ways to the others."""
    sample = samples[place]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back to all", icon=":material/grid_view:", on_click=open_photo, args=(None,), shortcut="Escape")
        for label, other, key in (("Previous", place - 1, "Left"), ("Next", place + 1, "Right")):
            is_possible = 0 <= other < len(samples)
            name = samples[other].name if is_possible else None
            st.button(label, disabled=not is_possible, shortcut=key, on_click=open_photo, args=(name,))
        st.caption(f"{place + 1} of {len(samples)}: {plain(sample.name)}")
        link_to("Label", "Open in Label", photo=sample.name)
    with showing_errors():
        _draw(data, sample, view)


def _draw(data: Dataset, sample: Sample, view: str) -> None:
    photo, mask_HW = reduced(read_photo(sample.photo), LARGE_PX), read_mask(sample.mask, data.num_classes)
    ids, pixels = np.unique(mask_HW, return_counts=True)
    present = [int(k) for k in ids if k not in (BACKGROUND, VOID)]
    left, right = st.columns([3, 1], gap="medium")
    with right:
        opacity = st.slider("Opacity", 0, 100, 60, step=5, format="%d %%", key="opacity", disabled=view != "overlay")
        shown = st.pills(
            "Classes shown", present, selection_mode="multi", default=present, wrap=True,
            key=f"classes of {sample.name}",
            format_func=lambda k: f"{data.class_names[k]} {percent(pixels[ids == k][0] / mask_HW.size)}",
        )  # fmt: skip
        show_legend([*present, *([VOID] if VOID in ids else [])], data.classes)
        st.caption(f"{mask_HW.shape[1]} × {mask_HW.shape[0]} px")  # noqa: RUF001 - the sign of sizes
    hidden = [k for k in present if k not in shown]
    small_HW = np.asarray(Image.fromarray(mask_HW).resize(photo.size, Image.Resampling.NEAREST))
    shown_HW = np.where(np.isin(small_HW, hidden), np.uint8(BACKGROUND), small_HW)
    palette_2563 = data.classes.palette
    picture = {
        "photo": lambda: photo,
        "overlay": lambda: overlay(photo, shown_HW, palette_2563, opacity / 100),
        "mask": lambda: framed(colorize(reduced_mask(shown_HW, LARGE_PX), palette_2563)),
        "void": lambda: show_void(photo, small_HW),
    }[view]()
    left.container(key="large").image(
        jpeg_bytes(picture.convert("RGB"), 90), width="stretch", alt=f"{view} of {sample.name}"
    )
