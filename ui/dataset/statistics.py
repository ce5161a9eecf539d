"""The statistics of a split: facts, and charts whose marks filter the photos below."""

from collections.abc import Callable

import streamlit as st

from core.classes import Classes
from core.data.statistics.pair_facts import MIN_OBJECT_SHARE
from core.data.statistics.split_stats import SplitStats, Spread
from core.voc import IMAGE_MEAN, IMAGE_STD
from core.wording import count
from ui import address
from ui.clickable import Chart, show_chart
from ui.dataset import statistics_charts
from ui.words import MISSING, percent, plain

FLOOR_HELP = (
    "The score of predicting background everywhere, which is the share of background pixels. A model has learned "
    "something only above it."
)
CLICK = "Click a mark to see its photos above."


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
        st.metric(
            "Floor, mIoU",
            percent(floor.miou),
            help=FLOOR_HELP + " Its mIoU is that share divided by the number of classes that occur.",
        )
    if stats.left_out:
        st.caption(
            f"{count(len(stats.left_out), 'pair')} left out as unusable; *Findings* says why: "
            f"{plain(', '.join(stats.left_out[:5]))}{' …' if len(stats.left_out) > 5 else ''}"
        )


def show_charts(stats: SplitStats, classes: Classes) -> None:
    """Draw the charts of the chosen view; only that one is computed."""
    views: dict[str, Callable[[SplitStats, Classes], None]] = {
        "Classes": _classes, "Together": _together, "Where": _where, "Objects": _objects,
        "Sizes and light": _sizes_and_light,
    }  # fmt: skip
    if sum(entry.images > 0 for entry in stats.classes[1:]) < 2:
        del views["Together"]
    chosen = address.ask_one("Charts", list(views), "chart", "Classes", label_visibility="collapsed")
    views[chosen](stats, classes)


def _classes(stats: SplitStats, classes: Classes) -> None:
    background = f"background {percent(stats.floor.pixel_accuracy)}, the floor"
    _side_by_side(
        Chart("presence", "**In how many photos** each class occurs", statistics_charts.presence_figure(stats, classes),
              "Number of photos that show each class"),
        Chart("share", f"**Share of the pixels**; {background}", statistics_charts.share_figure(stats, classes),
              "Share of the pixels of each class"),
    )  # fmt: skip
    absent = [entry.name for entry in stats.classes if entry.images == 0]
    if absent:
        st.caption(f"Not in this split: {plain(', '.join(absent))}. Such a class has no score, neither 0 nor 1.")


def _together(stats: SplitStats, classes: Classes) -> None:
    figure = statistics_charts.together_figure(stats, classes)
    _show(Chart("together", "**In how many photos two classes are together**; on the diagonal, one of them", figure,
                "Number of photos that show both of two classes"))  # fmt: skip


def _where(stats: SplitStats, classes: Classes) -> None:
    st.markdown("**Where in the frame** each class lies, mean over the photos that show it")
    st.plotly_chart(
        statistics_charts.where_figure(stats, classes), key="where", alt="Where in the frame each class lies"
    )
    st.caption("From a class that is always in the middle, a model learns to look only there.")


def _objects(stats: SplitStats, _classes: Classes) -> None:
    total = sum(entry.objects for entry in stats.classes)
    st.markdown(f"**{count(total, 'object')}**, {total / max(1, stats.images):.1f} in a photo on average")
    _show(Chart("objects", "", statistics_charts.objects_figure(stats), "Number of photos by the objects in them"))
    rows = [
        {"Class": entry.name, "Objects": entry.objects, "In a photo that shows it": entry.objects / entry.images}
        for entry in stats.classes[1:]
        if entry.images
    ]
    column = st.column_config.NumberColumn(format="%.1f", help="Mean number of objects in the photos with this class.")
    st.dataframe(rows, hide_index=True, column_config={"In a photo that shows it": column}, width="content")
    st.caption(
        f"An object is a connected region of at least {percent(MIN_OBJECT_SHARE)} of its photo. One behind a pole "
        "counts as two; two that touch count as one, unless void lies between them."
    )


def _sizes_and_light(stats: SplitStats, _classes: Classes) -> None:
    _side_by_side(
        Chart("sizes", f"**Sizes**: {count(len(stats.sizes), 'size')}", statistics_charts.sizes_figure(stats),
              "Width and height of the photos"),
        Chart("light", "**Brightness** of the photos", statistics_charts.brightness_figure(stats),
              "Number of photos by mean brightness"),
    )  # fmt: skip
    names = ("red", "green", "blue")
    known = list(zip(names, stats.color, IMAGE_MEAN, strict=True)) if stats.color else []
    rows = [_spread_row(name, spread, mean) for name, spread, mean in known]
    others = (("brightness", stats.brightness), ("contrast", stats.contrast))
    rows += [_spread_row(name, spread, None) for name, spread in others if spread]
    columns = {
        "Mean": st.column_config.NumberColumn(format="%.1f %%", help="Mean over the photos; 100 % is white."),
        "Varies by": st.column_config.NumberColumn(
            format="%.1f %%", help="Standard deviation of the photos' means: how much photos differ from each other."
        ),
        "ImageNet": st.column_config.NumberColumn(
            format="%.1f %%",
            help="Every photo is normalized with it, as for the pretrained weights; its deviations "
            f"are {', '.join(f'{std:.3f}' for std in IMAGE_STD)}.",
        ),
    }
    st.dataframe(rows, hide_index=True, column_config=columns, width="content", placeholder=MISSING)


def _spread_row(name: str, spread: Spread, imagenet: float | None) -> dict[str, str | float | None]:
    return {
        "": name,
        "Mean": 100 * spread.mean,
        "Varies by": 100 * spread.std,
        "ImageNet": None if imagenet is None else 100 * imagenet,
    }


def _side_by_side(*charts: Chart) -> None:
    for column, chart in zip(st.columns(len(charts)), charts, strict=True):
        with column:
            _show(chart)


def _show(chart: Chart) -> None:
    """Draw a chart, with a hint if its marks can be clicked."""
    if show_chart(chart):
        st.caption(CLICK)
