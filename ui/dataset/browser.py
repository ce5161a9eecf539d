"""The photos of a split, a page of thumbnails at a time, filtered by a click on a chart; a click opens one large.

The query string holds the filter as text: `class:8`, `class:8+15` (both in one photo), `objects:3`, `size:500x375`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from core.classes import Classes
from core.data.dataset import Dataset, Sample
from core.data.images import jpeg_bytes, read_mask, read_photo
from core.data.statistics.pair_facts import PairFacts
from core.data.statistics.split_stats import SplitStats
from core.model.output.render import colorize, overlay, show_void
from core.voc import BACKGROUND, VOID
from core.wording import count
from ui import address, cached
from ui.cached import View
from ui.clickable import ONLY
from ui.legend import show_legend
from ui.page import link_to, showing_errors
from ui.pictures import framed, reduced, reduced_mask, show_card
from ui.words import percent, plain

FORM = re.compile(r"(class|objects|size):(\d{1,6}(?:[+x]\d{1,6})*)")

PHOTO = "photo"
"""The name of the photo that is shown large, in the query string."""
LARGE_PX = 1000
PER_PAGE = 24
ANCHOR = "photos"
VIEWS: dict[str, View] = {"Overlay": "overlay", "Photo": "photo", "Mask": "mask", "Void": "void"}
VIEW_HELP = "Void is pink: VOC's borders and unlabelled pixels, never trained on or counted."
ALL = "All classes"


@dataclass(frozen=True)
class PhotoFilter:
    """A condition on photos: all of these classes, so many objects, or one size."""

    class_ids: tuple[int, ...] = ()
    num_objects: int | None = None
    size: tuple[int, int] | None = None

    def __bool__(self) -> bool:
        """Return whether there is a condition."""
        return self != PhotoFilter()

    def matches(self, facts: PairFacts) -> bool:
        """Return whether a photo fulfils the condition."""
        return (
            all(facts.pixels.get(class_id) for class_id in self.class_ids)
            and self.num_objects in (None, sum(facts.objects.values()))
            and self.size in (None, facts.size)
        )

    def text(self) -> str:
        """Return the text that `parse` reads; empty without a condition."""
        if self.class_ids:
            return "class:" + "+".join(map(str, self.class_ids))
        if self.num_objects is not None:
            return f"objects:{self.num_objects}"
        return f"size:{self.size[0]}x{self.size[1]}" if self.size else ""

    def words(self, classes: Classes) -> str:
        """Return the condition in words, as in `only photos with ...`."""
        if self.class_ids:
            return " and ".join(classes.names[class_id] for class_id in self.class_ids)
        if self.num_objects is not None:
            return count(self.num_objects, "object")
        return f"{self.size[0]} × {self.size[1]} px" if self.size else ""  # noqa: RUF001 - the sign of sizes


def parse(text: str, num_classes: int) -> PhotoFilter:
    """Return the filter in a text; an empty one if the text is not a filter or names an unknown class."""
    found = FORM.fullmatch(text)
    if not found:
        return PhotoFilter()
    kind, numbers = found[1], tuple(int(number) for number in re.split(r"[+x]", found[2]))
    if kind == "class" and max(numbers) < num_classes:
        return PhotoFilter(class_ids=tuple(dict.fromkeys(numbers)))
    if kind == "objects" and len(numbers) == 1:
        return PhotoFilter(num_objects=numbers[0])
    if kind == "size" and len(numbers) == 2:
        return PhotoFilter(size=(numbers[0], numbers[1]))
    return PhotoFilter()


def browse(data: Dataset, split: str, stats: SplitStats | None, top: DeltaGenerator) -> bool:
    """Ask for a view and a filter, and draw a page of photos, or one large in `top`; return whether it is one.

    Without statistics there is no filter.
    """
    wanted = parse(st.query_params.get(ONLY, ""), data.num_classes) if stats else PhotoFilter()
    view = _ask_view(data, wanted, can_filter=stats is not None)
    samples = _matching(data.split(split), stats, wanted)
    words = plain(wanted.words(data.classes))
    place = _opened(samples)
    if place is not None:
        with top:
            _show_large(data, samples, place, VIEWS[view])
        return True
    _open_photo(None)  # the split or the filter leaves out the one that was open
    st.subheader(f"{count(len(samples), 'photo')} of {split}" + (f" with {words}" if wanted else ""), anchor=ANCHOR)
    if not samples:
        st.info(f"No photo of {split} has {words}.")
        return False
    pages = -(-len(samples) // PER_PAGE)
    page = st.pagination(pages, key=f"page.{split}.{wanted.text()}") if pages > 1 else 1
    shown = samples[(page - 1) * PER_PAGE : page * PER_PAGE]
    _show_grid(data, shown, VIEWS[view])
    if VIEWS[view] in ("overlay", "mask"):
        show_legend(_classes_in(shown, stats) if stats else [*range(data.num_classes), VOID], data.classes)
    return False


def say_chosen(data: Dataset, split: str, stats: SplitStats) -> None:
    """Say, above the charts, which photos a click on a mark chose; lead to them, and take the choice off."""
    wanted = parse(st.query_params.get(ONLY, ""), data.num_classes)
    if not wanted:
        return
    found = count(len(_matching(data.split(split), stats, wanted)), "photo")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**[{found} with {plain(wanted.words(data.classes))}](#{ANCHOR})**, shown above")
        st.button("Take it off", icon=":material/close:", on_click=_choose_all, key="take off")


def _choose_all() -> None:
    st.query_params[ONLY] = ""
    _open_photo(None)


def _ask_view(data: Dataset, wanted: PhotoFilter, *, can_filter: bool) -> str:
    """Ask for a view and a class; the query string holds the filter."""
    only_class = wanted.class_ids[0] if len(wanted.class_ids) == 1 else BACKGROUND
    st.session_state["class"] = data.class_names[only_class] if only_class else ALL
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = address.ask_one("View", list(VIEWS), "view", "Overlay", help=VIEW_HELP)
        st.selectbox(
            "Only photos with", [ALL, *data.class_names[1:]], key="class", disabled=not can_filter, width=220,
            on_change=_choose_class, args=(data.class_names,),
        )  # fmt: skip
        if wanted:
            st.button("All photos", icon=":material/filter_alt_off:", on_click=_choose_all, key="all photos")
    return view


def _choose_class(class_names: Sequence[str]) -> None:
    chosen = st.session_state["class"]
    wanted = PhotoFilter() if chosen == ALL else PhotoFilter(class_ids=(class_names.index(chosen),))
    st.query_params[ONLY] = wanted.text()
    _open_photo(None)


def _matching(samples: Sequence[Sample], stats: SplitStats | None, wanted: PhotoFilter) -> list[Sample]:
    if not stats or not wanted:
        return list(samples)
    names = {name for name, facts in zip(stats.names, stats.facts, strict=True) if wanted.matches(facts)}
    return [sample for sample in samples if sample.name in names]


def _show_grid(data: Dataset, samples: Sequence[Sample], view: View) -> None:
    """Draw thumbnails in rows of one height; a pair that cannot be read shows its error instead."""
    with st.container(horizontal=True, key="cards"):
        for sample in samples:
            with showing_errors():
                picture = cached.thumbnail(sample.photo, sample.mask, classes=data.classes, view=view, size_px=480)
                show_card(
                    picture, sample.name, f"{view} of {sample.name}", key=f"card {sample.name}",
                    on_open=partial(_open_photo, sample.name),
                )  # fmt: skip


def _classes_in(samples: Sequence[Sample], stats: SplitStats) -> list[int]:
    names = {sample.name for sample in samples}
    facts = (facts for name, facts in zip(stats.names, stats.facts, strict=True) if name in names)
    return sorted({class_id for each in facts for class_id in each.pixels})


# --- one photo, large -------------------------------------------------------------------------------------------------


def _opened(samples: Sequence[Sample]) -> int | None:
    """Return the place of the photo that the address names; None if it names none of these."""
    wanted = st.query_params.get(PHOTO)
    return next((place for place, sample in enumerate(samples) if sample.name == wanted), None)


def _open_photo(name: str | None) -> None:
    """Show a photo large; None for the sheet of all."""
    address.show(photo=name)


def _show_large(data: Dataset, samples: Sequence[Sample], place: int, view: str) -> None:
    """Draw a photo with its mask, what is in it, and the ways to the others."""
    sample = samples[place]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back to all", icon=":material/grid_view:", on_click=_open_photo, args=(None,), shortcut="Escape")
        for label, other, key in (("Previous", place - 1, "Left"), ("Next", place + 1, "Right")):
            is_possible = 0 <= other < len(samples)
            name = samples[other].name if is_possible else None
            st.button(label, disabled=not is_possible, shortcut=key, on_click=_open_photo, args=(name,))
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
