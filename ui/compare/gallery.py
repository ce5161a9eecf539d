"""The photos of a comparison: photo, truth, both predictions and their difference; or two under a slider."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st

from core.data.dataset import Dataset, Sample
from core.metrics.confusion import Counts
from core.metrics.image_scores import ImageScore
from core.report.html.figures import choose
from core.voc import VOID
from core.wording import count
from ui import address, cached
from ui.clickable import ONLY
from ui.compare import cached_comparison
from ui.compare.comparison import ORDERS, in_order, require_samples
from ui.compare.image_filter import ImageFilter, parse
from ui.compare.scores import Side
from ui.legend import show_legend
from ui.pictures import show_slider
from ui.words import percent, plain, points

PER_PAGE = 6
PICTURE_PX = 480
"""The largest size of a picture, which is drawn as wide as its column."""

SLIDER_PX = 720
VIEWS = ("Side by side", "Slider")
LAYERS = ("Photo", "Truth", "A", "B")
LAYERS_ALONE = ("Photo", "Truth", "Prediction")

DIFFERENCE_MEANING = (
    "Where they differ: green is right in A alone, blue right in B alone, red wrong in both; grey is where they agree, "
    "white is void."
)


PAIR_REASONS = {"gain": "Largest gain", "median": "Median gain", "loss": "Largest loss"}
ALONE_REASONS = {"gain": "Best", "median": "Median", "loss": "Worst"}


class Gallery(NamedTuple):
    """What all photos share: the sides, the data, the filter, and the classes to draw."""

    a: Side
    b: Side
    data: Dataset
    only: ImageFilter | None
    shown: tuple[int, ...]

    @property
    def is_pair(self) -> bool:
        """Whether there are two sides, and not A alone."""
        return self.a != self.b

    @property
    def lit_side(self) -> Side:
        """The side whose pixels are lit."""
        return self.a if self.only and self.only.side == "a" else self.b


def show_gallery(a: Side, b: Side) -> None:
    """Draw the controls and one page of photos."""
    data = cached.dataset(a.evaluation.data)
    only = parse(st.query_params.get(ONLY, ""), data.num_classes)
    gallery = Gallery(a, b, data, only, tuple(range(data.num_classes)))
    images = _matching(gallery)
    view, order, seed, wanted = _ask(gallery, cached_comparison.counts(a.evaluation.path)[1])
    truth_NK = cached_comparison.counts(a.evaluation.path)[1].sum(axis=2)
    images = [image for image in images if wanted is None or truth_NK[image.index, wanted]]
    # Images with most matching pixels come first, unless another order is chosen.
    ordered = images if only and order == _orders(gallery)[0] else in_order(images, order, seed)
    on_page = _page_of(ordered, f"{order} {wanted} {only.text() if only else ''}", gallery)
    if not on_page:
        st.info("No photo matches; *All photos* shows the others.")
        return
    gallery = gallery._replace(shown=_ask_classes(gallery, on_page))
    samples = require_samples(data, a.evaluation.split, [image.name for image in on_page])
    pairs = list(zip(on_page, samples, strict=True))
    if view == VIEWS[0]:
        if gallery.is_pair:
            st.caption(f"A is {plain(a.label)}, B is {plain(b.label)}. {DIFFERENCE_MEANING}")
        with st.container(key="rows"):
            for image, sample in pairs:
                _show_row(image, sample, gallery)
    else:
        _show_sliders(pairs, gallery)


def _matching(gallery: Gallery) -> list[ImageScore]:
    """Return the photos that match the filter, those with most matching pixels first, and show the filter."""
    images = cached_comparison.images(gallery.a.evaluation.path, gallery.b.evaluation.path)
    if gallery.only is None:
        return images
    path = gallery.lit_side.evaluation.path
    amount_N = gallery.only.amounts(cached_comparison.counts(path)[1], cached_comparison.details(path))
    chosen = [images[index] for index in np.argsort(-amount_N, kind="stable") if amount_N[index]]
    with st.container(horizontal=True, vertical_alignment="center"):
        words = gallery.only.words(gallery.data.classes, gallery.lit_side.label)
        st.markdown(f"Only photos with **{plain(words)}**: {count(len(chosen), 'photo')}, most of it first")
        if st.button("All photos", icon=":material/filter_alt_off:"):
            st.query_params[ONLY] = ""
            st.rerun()
    return chosen


def _orders(gallery: Gallery) -> tuple[str, ...]:
    """Return the orders to choose from; A alone gains nothing."""
    return ORDERS if gallery.is_pair else ORDERS[2:]


def _ask(gallery: Gallery, counts_NKK: Counts) -> tuple[str, str, int, int | None]:
    """Ask for a view, an order with its seed, and a class that the truth must contain."""
    present = np.flatnonzero(counts_NKK.sum(axis=(0, 2))).tolist()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = address.ask_one("View", VIEWS, "view", VIEWS[0])
        order = st.selectbox(
            "Sort by", _orders(gallery), key="order", width=180, help="By the mIoU of each photo; gain: B - A."
        )
        seed = 0
        if order == "Random":
            seed = int(
                st.number_input("Seed", 0, 9999, 0, key="seed", width=120, help="The same seed, the same order.")
            )
        wanted = st.selectbox(
            "Class", [None, *present], key="class", width=180, help="Only photos whose truth has this class.",
            format_func=lambda class_id: "All classes" if class_id is None else gallery.data.class_names[class_id],
        )  # fmt: skip
    return view, order, seed, wanted


def _page_of(images: Sequence[ImageScore], key: str, gallery: Gallery) -> list[ImageScore]:
    pages = max(1, -(-len(images) // PER_PAGE))
    page = st.pagination(pages, key=f"page {key}") if pages > 1 else 1
    first = (page - 1) * PER_PAGE
    last = min(first + PER_PAGE, len(images))
    if images:
        st.caption(f"Photos {first + 1} to {last} of {count(len(images), 'photo')} of {gallery.a.evaluation.split}")
    return list(images[first:last])


def _ask_classes(gallery: Gallery, on_page: Sequence[ImageScore]) -> tuple[int, ...]:
    """Ask which classes on the page to draw, by default all, and draw the legend."""
    indices = [image.index for image in on_page]
    counts = [cached_comparison.counts(side.evaluation.path)[1][indices] for side in (gallery.a, gallery.b)]
    present_K = sum(counts_NKK.sum(axis=(0, 1)) + counts_NKK.sum(axis=(0, 2)) for counts_NKK in counts)
    present = np.flatnonzero(present_K).tolist()
    names = gallery.data.class_names
    chosen = st.pills(
        "Draw only", present, selection_mode="multi", key="drawn", wrap=True, format_func=lambda k: names[k]
    )
    show_legend({VOID, *(chosen or present)}, gallery.data.classes)
    return tuple(chosen) or gallery.shown


def _show_row(image: ImageScore, sample: Sample, gallery: Gallery) -> None:
    a, b = (side.evaluation.mask_path(image.name) for side in (gallery.a, gallery.b))
    pictures = {
        image.name: (_photo(sample, gallery), "photo"),
        "Truth": (_mask(sample.mask, gallery), "true mask"),
        f"{'A' if gallery.is_pair else 'Predicted'} · {percent(image.a)}": (
            _mask(a, gallery), f"mask by {gallery.a.label}"
        ),
    }  # fmt: skip
    if gallery.is_pair:
        pictures |= {
            f"B · {percent(image.b)}": (_mask(b, gallery), f"mask by {gallery.b.label}"),
            f"Difference · {points(image.gain)}": (_difference(a, b, sample, gallery), "where the masks differ"),
        }
    if gallery.only:
        words = gallery.only.words(gallery.data.classes, gallery.lit_side.label)
        pictures = {f"Lit: {words}": (_lit(image, sample, gallery), f"pixels lit: {words}")} | pictures
    columns = st.columns(len(pictures), gap="small")
    for column, (caption, (picture, alt)) in zip(columns, pictures.items(), strict=True):
        column.image(picture, plain(caption), width="stretch", alt=f"{image.name}: {alt}")


def _photo(sample: Sample, gallery: Gallery) -> bytes:
    return cached.thumbnail(sample.photo, classes=gallery.data.classes, size_px=PICTURE_PX)


def _mask(mask: Path, gallery: Gallery) -> bytes:
    return cached_comparison.mask_picture(
        mask, classes=gallery.data.classes, shown=(*gallery.shown, VOID), size_px=PICTURE_PX
    )


def _difference(a: Path, b: Path, sample: Sample, gallery: Gallery) -> bytes:
    return cached_comparison.disagreement(a, b, sample.mask, num_classes=gallery.data.num_classes, size_px=PICTURE_PX)


def _lit(image: ImageScore, sample: Sample, gallery: Gallery) -> bytes:
    assert gallery.only  # noqa: S101 - the caller asks only then
    return cached_comparison.lit_picture(
        sample.photo, sample.mask, gallery.lit_side.evaluation.mask_path(image.name), only=gallery.only,
        num_classes=gallery.data.num_classes, size_px=PICTURE_PX,
    )  # fmt: skip


def _show_sliders(pairs: Sequence[tuple[ImageScore, Sample]], gallery: Gallery) -> None:
    """Draw two layers of each photo with a line between them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layers = LAYERS if gallery.is_pair else LAYERS_ALONE
        left = st.selectbox("Left of the line", layers, index=len(layers) - 2, key="left layer", width=160)
        right = st.selectbox("Right of the line", layers, index=len(layers) - 1, key="right layer", width=160)
    st.caption("Drag the line, or press Tab until a picture has a frame and move it with the arrow keys.")
    columns = st.columns(2)
    for place, (image, sample) in enumerate(pairs):
        with columns[place % 2]:
            pictures = [_layer(layer, image, sample, gallery) for layer in (left, right)]
            names = (_layer_name(left, gallery), _layer_name(right, gallery))
            show_slider(*pictures, names=names, image=image.name, key=f"slider {image.name}")
            scores = f"A {percent(image.a)}, B {percent(image.b)}, {points(image.gain)}"
            st.caption(f"{plain(image.name)}: {scores if gallery.is_pair else percent(image.a)}")


def _layer(layer: str, image: ImageScore, sample: Sample, gallery: Gallery) -> bytes:
    masks = {
        "Truth": sample.mask,
        "A": gallery.a.evaluation.mask_path(image.name),
        "B": gallery.b.evaluation.mask_path(image.name),
        "Prediction": gallery.a.evaluation.mask_path(image.name),
    }
    shown = () if layer == "Photo" else gallery.shown
    mask = masks.get(layer, sample.mask)
    return cached_comparison.overlay_picture(
        sample.photo, mask, classes=gallery.data.classes, shown=shown, size_px=SLIDER_PX
    )


def _layer_name(layer: str, gallery: Gallery) -> str:
    labels = {"A": f"A: {gallery.a.label}", "B": f"B: {gallery.b.label}"}
    return labels.get(layer, layer)


def show_first_photos(sides: Sequence[Side]) -> None:
    """Draw the photos with the largest, median and smallest gain of B; of A alone the best, median and worst."""
    a, b = sides[0], sides[-1]
    data = cached.dataset(a.evaluation.data)
    images = cached_comparison.images(a.evaluation.path, b.evaluation.path)
    chosen = choose(images, is_pair=len(sides) > 1, each=1)
    samples = require_samples(data, a.evaluation.split, [images[each.index].name for each in chosen])
    by = " and ".join(side.label for side in sides)
    masks = []
    for column, each, sample in zip(st.columns(3), chosen, samples, strict=False):
        image = images[each.index]
        predicted = [side.evaluation.mask_path(sample.name) for side in sides]
        masks += [sample.mask, *predicted]
        scores = (f"A {percent(image.a)}", f"B {percent(image.b)}")
        names = scores if len(sides) > 1 else (f"Predicted {percent(image.a)}", "Laid over it")
        picture = cached_comparison.sheet_picture(
            sample.photo, sample.mask, predicted, names=("Photo", "Truth", *names), classes=data.classes,
        )  # fmt: skip
        alt = f"{sample.name}: the photo, its true mask, and what {by} predicted"
        column.image(picture, plain(_caption(each.reason, image, is_pair=len(sides) > 1)), width="stretch", alt=alt)
    show_legend(cached.classes_in(masks, data.classes), data.classes)


def _caption(reason: str, image: ImageScore, *, is_pair: bool) -> str:
    if not is_pair:
        return f"{ALONE_REASONS[reason]}: {image.name}"
    if points(image.gain) == points(0.0):
        return f"No change: {image.name}"
    words = "Smallest gain" if reason == "loss" and image.gain > 0 else PAIR_REASONS[reason]
    return f"{words}: {image.name}, {points(image.gain)}"
