"""The photos of a split, a page of thumbnails at a time: all of them, or those that were asked for."""

from collections.abc import Sequence

import streamlit as st

from core.data.dataset import Dataset, Sample
from core.data.statistics.split_stats import SplitStats
from core.voc import BACKGROUND, VOID
from core.wording import count
from ui import address, cached
from ui.cached import View
from ui.clickable import ONLY
from ui.dataset.photo_filter import PhotoFilter, parse
from ui.legend import show_legend
from ui.page import showing_errors
from ui.pictures import show_picture
from ui.words import plain

PER_PAGE = 24
VIEWS: dict[str, View] = {"Overlay": "overlay", "Photo": "photo", "Mask": "mask", "Void": "void"}
VIEW_HELP = "Void shows in pink what is never trained on or counted: VOC's borders, and what nobody labelled."
ALL = "All classes"


def browse(data: Dataset, split: str, stats: SplitStats | None) -> None:
    """Ask what to look at, and draw a page of it; without statistics there is nothing to choose the photos by."""
    wanted = parse(st.query_params.get(ONLY, ""), data.num_classes) if stats else PhotoFilter()
    view = _ask_view(data, wanted, can_filter=stats is not None)
    samples = _matching(data.split(split), stats, wanted)
    words = plain(wanted.words(data.classes))
    st.caption(f"{count(len(samples), 'photo')} of {split}" + (f" with {words}" if wanted else ""))
    if not samples:
        st.info(f"No photo of {split} has {words}.")
        return
    pages = -(-len(samples) // PER_PAGE)
    page = st.pagination(pages, key=f"page.{split}.{wanted.text()}") if pages > 1 else 1
    _show_grid(data, samples[(page - 1) * PER_PAGE : page * PER_PAGE], VIEWS[view])
    if VIEWS[view] in ("overlay", "mask"):
        show_legend([*range(data.num_classes), VOID], data.classes)


def _ask_view(data: Dataset, wanted: PhotoFilter, *, can_filter: bool) -> str:
    """Ask for a view and a class; the query string holds the filter, and the box shows what it says."""
    only_class = wanted.class_ids[0] if len(wanted.class_ids) == 1 else BACKGROUND
    st.session_state["class"] = data.class_names[only_class] if only_class else ALL
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = address.ask_one("View", list(VIEWS), "view", "Overlay", help=VIEW_HELP)
        st.selectbox(
            "Only photos with", [ALL, *data.class_names[1:]], key="class", disabled=not can_filter, width=220,
            on_change=_choose_class, args=(data.class_names,),
        )  # fmt: skip
        if wanted and st.button("All photos", icon=":material/filter_alt_off:"):
            st.query_params[ONLY] = ""
            st.rerun()
    return view


def _choose_class(class_names: Sequence[str]) -> None:
    chosen = st.session_state["class"]
    wanted = PhotoFilter() if chosen == ALL else PhotoFilter(class_ids=(class_names.index(chosen),))
    st.query_params[ONLY] = wanted.text()


def _matching(samples: Sequence[Sample], stats: SplitStats | None, wanted: PhotoFilter) -> list[Sample]:
    if not stats or not wanted:
        return list(samples)
    names = {name for name, facts in zip(stats.names, stats.facts, strict=True) if wanted.matches(facts)}
    return [sample for sample in samples if sample.name in names]


def _show_grid(data: Dataset, samples: Sequence[Sample], view: View) -> None:
    """Draw thumbnails in rows of one height; a pair that cannot be read says so in its place."""
    with st.container(horizontal=True):
        for sample in samples:
            with showing_errors():
                picture = cached.thumbnail(sample.photo, sample.mask, classes=data.classes, view=view, size_px=480)
                show_picture(picture, plain(sample.name), f"{view} of {sample.name}")
