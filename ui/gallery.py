"""Images side by side: photo, truth, what A and B made of it, and where those two differ."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from core.classes import Classes
from core.data.dataset import Dataset, Sample
from core.errors import DataError
from core.metrics.confusion import Counts
from core.metrics.image_scores import ImageScore, score_images
from core.voc import VOID
from ui import cached
from ui.cached import View
from ui.comparison import ORDERS, in_order
from ui.legend import show_legend
from ui.score_view import Side
from ui.words import count, percent, points

PER_PAGE = 6
PICTURE_PX = 480
"""Pictures are drawn as wide as their column, and at most this large when looked at alone."""

DIFFERENCE_MEANING = (
    "Where they differ: green is right in A alone, blue right in B alone, red wrong in both; grey is where they agree, "
    "white is void."
)


def show_gallery(a: Side, b: Side) -> None:
    """Draw the controls and one page of the images that both sides were evaluated on."""
    names, a_NKK = cached.evaluation_counts(a.evaluation.path)
    _, b_NKK = cached.evaluation_counts(b.evaluation.path)
    data = cached.dataset(a.evaluation.data)
    samples = {sample.name: sample for sample in data.split(a.evaluation.split)}
    on_page = _ask(score_images(names, a_NKK, b_NKK), a_NKK.sum(axis=2), data)
    st.caption(f"A is {a.label}, B is {b.label}. {DIFFERENCE_MEANING}")
    shown = [image.index for image in on_page]
    present_K = (a_NKK[shown] + b_NKK[shown]).sum(axis=(0, 1)) + a_NKK[shown].sum(axis=(0, 2))
    show_legend({VOID, *np.flatnonzero(present_K).tolist()}, data.classes)
    for image in on_page:
        if image.name not in samples:
            raise DataError(f"{image.name} is no longer in {data.root}; evaluate the checkpoints again.")
        _show_image(image, samples[image.name], data.classes, (a, b))


def _ask(images: Sequence[ImageScore], truth_NK: Counts, data: Dataset) -> list[ImageScore]:
    """Ask for an order, a class and a page, and return the images on it."""
    present = np.flatnonzero(truth_NK.sum(axis=0)).tolist()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox("Sort by", ORDERS, key="order", width=180, help="By the mIoU of each image; gain: B - A.")
        wanted = st.selectbox(
            "Class", [None, *present], key="class", width=180, help="Only images whose truth has this class.",
            format_func=lambda class_id: "All classes" if class_id is None else data.class_names[class_id],
        )  # fmt: skip
        shown = in_order([image for image in images if wanted is None or truth_NK[image.index, wanted]], order)
        pages = max(1, -(-len(shown) // PER_PAGE))
        page = st.pagination(pages, key=f"page {order} {wanted}") if pages > 1 else 1
    first = (page - 1) * PER_PAGE
    last = min(first + PER_PAGE, len(shown))
    st.caption(f"Images {first + 1} to {last} of {count(len(shown), 'image')}")
    return shown[first:last]


def _show_image(image: ImageScore, sample: Sample, classes: Classes, sides: tuple[Side, Side]) -> None:
    a, b = (side.evaluation.mask_path(image.name) for side in sides)
    pictures = {
        image.name: _picture(sample, None, classes),
        "Truth": _picture(sample, sample.mask, classes),
        f"A · {percent(image.a)}": _picture(sample, a, classes),
        f"B · {percent(image.b)}": _picture(sample, b, classes),
        f"Difference · {points(image.gain)}": cached.disagreement(
            a, b, sample.mask, num_classes=len(classes), size_px=PICTURE_PX
        ),
    }
    alts = ["photo", "true mask", f"mask by {sides[0].label}", f"mask by {sides[1].label}", "where the masks differ"]
    columns = st.columns(len(pictures), gap="small")
    for column, (caption, picture), alt in zip(columns, pictures.items(), alts, strict=True):
        column.image(picture, caption, width="stretch", alt=f"{image.name}: {alt}")


def _picture(sample: Sample, mask: Path | None, classes: Classes) -> bytes:
    view: View = "mask" if mask else "photo"
    return cached.thumbnail(sample.photo, mask, classes=classes, view=view, size_px=PICTURE_PX)
