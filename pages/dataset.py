"""Dataset: what is in a folder of photos and masks, how hard its classes are, and a look at the pairs themselves."""

import streamlit as st

from core.data.dataset import Dataset, Sample
from core.data.stats import SplitStats
from core.voc import VOID
from ui import cached
from ui.cached import View
from ui.charts import add_floor, class_presence_figure, class_share_figure
from ui.forms import data_source, is_demo, offer_demo_data, source_query
from ui.legend import show_legend
from ui.page import link_to, open_page, showing_errors
from ui.pictures import show_picture
from ui.words import percent

PER_PAGE = 24
VIEWS: dict[str, View] = {"Overlay": "overlay", "Photo": "photo", "Mask": "mask"}
ALL = "All classes"

FLOOR_HELP = (
    "Predicting background everywhere scores this much: it is the share of the pixels that are background. "
    "A model has learned something only above it."
)


def ask_dataset() -> Dataset | None:
    """Ask for a folder and open it; None when there is nothing to open yet."""
    path = data_source()
    if path is None:
        st.info("Type the folder of a data set: a VOCdevkit, a VOC2012 folder, or one with images and masks.")
        return None
    if is_demo(path) and not path.is_dir():
        offer_demo_data()
        return None
    return cached.dataset(path)


def ask_split(data: Dataset) -> str:
    """Ask which split to look at."""
    names = [name for name, samples in data.splits.items() if samples]
    chosen: str = st.segmented_control(
        "Split", names, default=names[0], required=True, key="split", bind="query-params",
        help=f"Where the splits come from: {data.split_source}.",
    )  # fmt: skip
    return chosen


def read_stats(data: Dataset, split: str) -> SplitStats | None:
    """Count the split, with a progress bar the first time; None if a pair cannot be read, which is then said."""
    bar = None if cached.has_stats(data, split) else st.progress(0.0, "Reading every pair …")

    def tell(done: int, total: int) -> None:
        if bar and (done % 10 == 0 or done == total):
            bar.progress(done / total, f"Reading every pair: {done:,} of {total:,}")

    try:
        with showing_errors():
            return cached.stats(data, split, tell)
    finally:
        if bar:
            bar.empty()
    return None


def show_facts(stats: SplitStats) -> None:
    """Draw the numbers of a split."""
    floor, common = stats.floor, max(stats.sizes, key=lambda size: stats.sizes[size])
    widths, heights = zip(*stats.sizes, strict=True)
    sizes = f"Widths {min(widths)} to {max(widths)} px, heights {min(heights)} to {max(heights)} px."
    with st.container(horizontal=True):
        st.metric("Photos", f"{stats.images:,}", help=f"Photos with a mask; {stats.pixels / 1e6:,.1f} million pixels.")
        st.metric("Classes in it", sum(entry.images > 0 for entry in stats.classes), help="The background is one.")
        st.metric("Most common size", f"{common[0]} × {common[1]}", help=f"Width × height in pixels. {sizes}")  # noqa: RUF001
        st.metric(
            "Void", percent(stats.void_share), help="Share of the pixels marked 255: never trained on or counted."
        )
        st.metric("Floor, pixel accuracy", percent(floor.pixel_accuracy), help=FLOOR_HELP)
        st.metric("Floor, mIoU", percent(floor.miou), help=FLOOR_HELP + " Its mIoU is that share over all classes.")


def show_classes(data: Dataset, stats: SplitStats) -> None:
    """Draw how often and how large every class is."""
    left, right = st.columns(2)
    with left:
        st.markdown("**In how many photos** each class occurs")
        st.plotly_chart(class_presence_figure(stats, data.classes), key="presence")
    with right:
        st.markdown("**Share of the pixels**, beside the floor")
        figure = class_share_figure(stats, data.classes)
        add_floor(figure, stats.floor.pixel_accuracy, axis="x")
        st.plotly_chart(figure, key="share")
    absent = [entry.name for entry in stats.classes if entry.images == 0]
    if absent:
        st.caption(f"Not in this split: {', '.join(absent)}. Such a class has no score, neither 0 nor 1.")


def browse(data: Dataset, split: str, stats: SplitStats | None) -> None:
    """Ask what to look at, and draw a page of it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view: str = st.segmented_control(
            "View", list(VIEWS), default="Overlay", required=True, key="view", bind="query-params"
        )
        wanted = st.selectbox(
            "Only photos with", [ALL, *data.class_names[1:]], key="class", bind="query-params", disabled=stats is None,
            width=220,
        )  # fmt: skip
    samples = list(data.split(split))
    if stats and wanted != ALL:
        wanted_id = data.class_names.index(wanted)
        samples = [sample for sample, ids in zip(samples, stats.class_ids, strict=True) if wanted_id in ids]
    if not samples:
        st.info(f"No photo of {split} has a {wanted}.")
        return
    pages = -(-len(samples) // PER_PAGE)
    page = st.pagination(pages, key=f"page.{split}.{wanted}") if pages > 1 else 1
    show_grid(data, samples[(page - 1) * PER_PAGE : page * PER_PAGE], VIEWS[view])
    if view != "Photo":
        show_legend([*range(data.num_classes), VOID], data.classes)


def show_grid(data: Dataset, samples: list[Sample], view: View) -> None:
    """Draw thumbnails in rows of one height; a pair that cannot be read says so in its place."""
    with st.container(horizontal=True):
        for sample in samples:
            with showing_errors():
                picture = cached.thumbnail(sample.photo, sample.mask, classes=data.classes, view=view, size_px=480)
                show_picture(picture, sample.name, f"{view} of {sample.name}")


def main() -> None:
    """Ask for a data set and a split, count it, and show it."""
    st.title("Dataset", anchor=False)
    data = ask_dataset()
    if data is None:
        return
    split = ask_split(data)
    stats = read_stats(data, split)
    if stats:
        show_facts(stats)
        show_classes(data, stats)
    st.subheader("Photos and masks", anchor=False)
    browse(data, split, stats)
    link_to("Train", "Train on this data", run="new", **source_query())


with open_page("Dataset"):
    main()
