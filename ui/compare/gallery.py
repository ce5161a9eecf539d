"""Images side by side: photo, truth, what A and B made of it and where those two differ; or two under a slider."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st

from core.data.dataset import Dataset, Sample
from core.errors import DataError
from core.metrics.confusion import Counts
from core.metrics.image_scores import ImageScore
from core.voc import VOID
from core.wording import count
from ui import address, cached
from ui.clickable import ONLY
from ui.compare import cached_comparison
from ui.compare.comparison import ORDERS, in_order
from ui.compare.image_filter import ImageFilter, parse
from ui.compare.scores import Side
from ui.legend import show_legend
from ui.pictures import show_slider
from ui.words import percent, plain, points

PER_PAGE = 6
PICTURE_PX = 480
"""Pictures are drawn as wide as their column, and at most this large when looked at alone."""

SLIDER_PX = 720
VIEWS = ("Side by side", "Slider")
LAYERS = ("Photo", "Truth", "A", "B")

DIFFERENCE_MEANING = (
    "Where they differ: green is right in A alone, blue right in B alone, red wrong in both; grey is where they agree, "
    "white is void."
)


class Wall(NamedTuple):
    """What all images of the gallery share: the sides, the data, the filter, and the classes that are drawn."""

    a: Side
    b: Side
    data: Dataset
    only: ImageFilter | None
    shown: tuple[int, ...]

    @property
    def judged(self) -> Side:
        """The side whose pixels are lit."""
        return self.a if self.only and self.only.side == "a" else self.b


def show_gallery(a: Side, b: Side) -> None:
    """Draw the controls and one page of the images that both sides were evaluated on."""
    data = cached.dataset(a.evaluation.data)
    only = parse(st.query_params.get(ONLY, ""), data.num_classes)
    wall = Wall(a, b, data, only, tuple(range(data.num_classes)))
    images = _matching(wall)
    view, order, seed, wanted = _ask(data, cached_comparison.counts(a.evaluation.path)[1])
    truth_NK = cached_comparison.counts(a.evaluation.path)[1].sum(axis=2)
    images = [image for image in images if wanted is None or truth_NK[image.index, wanted]]
    # Those with most of what was clicked come first, unless another order is asked for.
    ordered = images if only and order == ORDERS[0] else in_order(images, order, seed)
    on_page = _page_of(ordered, f"{order} {wanted} {only.text() if only else ''}", wall)
    if not on_page:
        st.info("No image has it; *All images* shows the others.")
        return
    wall = wall._replace(shown=_ask_classes(wall, on_page))
    samples = {sample.name: sample for sample in data.split(a.evaluation.split)}
    for image in on_page:
        if image.name not in samples:
            raise DataError(f"{image.name} is no longer in {data.root}; evaluate the checkpoints again.")
    pairs = [(image, samples[image.name]) for image in on_page]
    if view == VIEWS[0]:
        st.caption(f"A is {plain(a.label)}, B is {plain(b.label)}. {DIFFERENCE_MEANING}")
        for image, sample in pairs:
            _show_row(image, sample, wall)
    else:
        _show_sliders(pairs, wall)


def _matching(wall: Wall) -> list[ImageScore]:
    """Return the images that a clicked mark asks for, most of it first, and say which they are."""
    images = cached_comparison.images(wall.a.evaluation.path, wall.b.evaluation.path)
    if wall.only is None:
        return images
    path = wall.judged.evaluation.path
    amount_N = wall.only.amounts(cached_comparison.counts(path)[1], cached_comparison.details(path))
    chosen = [images[index] for index in np.argsort(-amount_N, kind="stable") if amount_N[index]]
    with st.container(horizontal=True, vertical_alignment="center"):
        words = wall.only.words(wall.data.classes, wall.judged.label)
        st.markdown(f"Only images with **{plain(words)}**: {count(len(chosen), 'image')}, most of it first")
        if st.button("All images", icon=":material/filter_alt_off:"):
            st.query_params[ONLY] = ""
            st.rerun()
    return chosen


def _ask(data: Dataset, counts_NKK: Counts) -> tuple[str, str, int, int | None]:
    """Ask for a view, an order with its seed, and a class that the truth must have."""
    present = np.flatnonzero(counts_NKK.sum(axis=(0, 2))).tolist()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = address.ask_one("View", VIEWS, "view", VIEWS[0])
        order = st.selectbox("Sort by", ORDERS, key="order", width=180, help="By the mIoU of each image; gain: B - A.")
        seed = 0
        if order == "Random":
            seed = int(
                st.number_input("Seed", 0, 9999, 0, key="seed", width=120, help="The same seed, the same order.")
            )
        wanted = st.selectbox(
            "Class", [None, *present], key="class", width=180, help="Only images whose truth has this class.",
            format_func=lambda class_id: "All classes" if class_id is None else data.class_names[class_id],
        )  # fmt: skip
    return view, order, seed, wanted


def _page_of(images: Sequence[ImageScore], key: str, wall: Wall) -> list[ImageScore]:
    pages = max(1, -(-len(images) // PER_PAGE))
    page = st.pagination(pages, key=f"page {key}") if pages > 1 else 1
    first = (page - 1) * PER_PAGE
    last = min(first + PER_PAGE, len(images))
    if images:
        st.caption(f"Images {first + 1} to {last} of {count(len(images), 'image')} of {wall.a.evaluation.split}")
    return list(images[first:last])


def _ask_classes(wall: Wall, on_page: Sequence[ImageScore]) -> tuple[int, ...]:
    """Ask which classes are drawn, from those on the page; none chosen means all. Draw what their colours are."""
    indices = [image.index for image in on_page]
    counts = [cached_comparison.counts(side.evaluation.path)[1][indices] for side in (wall.a, wall.b)]
    present_K = sum(counts_NKK.sum(axis=(0, 1)) + counts_NKK.sum(axis=(0, 2)) for counts_NKK in counts)
    present = np.flatnonzero(present_K).tolist()
    names = wall.data.class_names
    chosen = st.pills("Draw only", present, selection_mode="multi", key="drawn", format_func=lambda k: names[k])
    show_legend({VOID, *(chosen or present)}, wall.data.classes)
    return tuple(chosen) or wall.shown


def _show_row(image: ImageScore, sample: Sample, wall: Wall) -> None:
    a, b = (side.evaluation.mask_path(image.name) for side in (wall.a, wall.b))
    pictures = {
        image.name: (_photo(sample, wall), "photo"),
        "Truth": (_mask(sample.mask, wall), "true mask"),
        f"A · {percent(image.a)}": (_mask(a, wall), f"mask by {wall.a.label}"),
        f"B · {percent(image.b)}": (_mask(b, wall), f"mask by {wall.b.label}"),
        f"Difference · {points(image.gain)}": (_difference(a, b, sample, wall), "where the masks differ"),
    }
    if wall.only:
        words = wall.only.words(wall.data.classes, wall.judged.label)
        pictures = {f"Lit: {words}": (_lit(image, sample, wall), f"pixels lit: {words}")} | pictures
    columns = st.columns(len(pictures), gap="small")
    for column, (caption, (picture, alt)) in zip(columns, pictures.items(), strict=True):
        column.image(picture, plain(caption), width="stretch", alt=f"{image.name}: {alt}")


def _photo(sample: Sample, wall: Wall) -> bytes:
    return cached.thumbnail(sample.photo, classes=wall.data.classes, size_px=PICTURE_PX)


def _mask(mask: Path, wall: Wall) -> bytes:
    return cached_comparison.mask_picture(
        mask, classes=wall.data.classes, shown=(*wall.shown, VOID), size_px=PICTURE_PX
    )


def _difference(a: Path, b: Path, sample: Sample, wall: Wall) -> bytes:
    return cached_comparison.disagreement(a, b, sample.mask, num_classes=wall.data.num_classes, size_px=PICTURE_PX)


def _lit(image: ImageScore, sample: Sample, wall: Wall) -> bytes:
    assert wall.only  # noqa: S101 - the caller asks only then
    return cached_comparison.lit_picture(
        sample.photo, sample.mask, wall.judged.evaluation.mask_path(image.name), only=wall.only,
        num_classes=wall.data.num_classes, size_px=PICTURE_PX,
    )  # fmt: skip


def _show_sliders(pairs: Sequence[tuple[ImageScore, Sample]], wall: Wall) -> None:
    """Draw two layers of each image with a line between them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        left = st.selectbox("Left of the line", LAYERS, index=2, key="left layer", width=160)
        right = st.selectbox("Right of the line", LAYERS, index=3, key="right layer", width=160)
    st.caption("Drag the line, or press Tab until a picture has a frame and move it with the arrow keys.")
    columns = st.columns(2)
    for place, (image, sample) in enumerate(pairs):
        with columns[place % 2]:
            pictures = [_layer(layer, image, sample, wall) for layer in (left, right)]
            names = (_layer_name(left, wall), _layer_name(right, wall))
            show_slider(*pictures, names=names, image=image.name, key=f"slider {image.name}")
            st.caption(f"{plain(image.name)}: A {percent(image.a)}, B {percent(image.b)}, {points(image.gain)}")


def _layer(layer: str, image: ImageScore, sample: Sample, wall: Wall) -> bytes:
    masks = {
        "Truth": sample.mask,
        "A": wall.a.evaluation.mask_path(image.name),
        "B": wall.b.evaluation.mask_path(image.name),
    }
    shown = () if layer == "Photo" else wall.shown
    mask = masks.get(layer, sample.mask)
    return cached_comparison.overlay_picture(
        sample.photo, mask, classes=wall.data.classes, shown=shown, size_px=SLIDER_PX
    )


def _layer_name(layer: str, wall: Wall) -> str:
    labels = {"A": f"A: {wall.a.label}", "B": f"B: {wall.b.label}"}
    return labels.get(layer, layer)
