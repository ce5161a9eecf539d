"""Statistics of a split -> plotly figures. Pure functions.

The `customdata` of a mark is the text of the `PhotoFilter` that a click sets.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.classes import Classes
from core.data.statistics.split_stats import VOC_SHARES, ClassStats, SplitStats
from core.voc import BACKGROUND
from core.wording import count
from ui.charts import NEUTRAL, ROOM, TEXT, THEME_COLORS, WHITE, blank, class_bars, literal
from ui.dataset.browser import PhotoFilter

HEAT_COLUMNS = 6
BRIGHTNESS_BINS = 20
HEAT_SCALE = ((0.0, "rgba(21,130,150,0.08)"), (0.35, "#158296"), (0.7, "#e6a23c"), (1.0, "#fff3c4"))
"""From 0 to 1; colours differ in lightness, so lightness alone can be read."""

TOGETHER_SCALE = ((0.0, "rgba(15,102,116,0.08)"), (0.359, "rgba(15,102,116,0.25)"), (0.36, "#347e89"), (1.0, "#0f6674"))
OWN_LANE, VOC_LANE = {"offset": -0.4, "width": 0.54}, {"offset": 0.18, "width": 0.18}
"""Where a bar begins, from the middle of its row down, and its width; both in rows."""

STRONG = 0.36
"""From this share of the maximum on, cells are solid with white numbers; others are pale."""


def presence_figure(stats: SplitStats, classes: Classes) -> go.Figure:
    """Draw the share of the photos in which each object class occurs, with their number, beside VOC's own."""
    entries = _objects_in(stats)
    bars = [(entry.id, entry.images / max(1, stats.images)) for entry in entries]
    figure = class_bars(bars, classes, "Share of photos", counts=[entry.images for entry in entries])
    return _beside_voc(figure, entries, [_voc(entry, "images") for entry in entries])


def share_figure(stats: SplitStats, classes: Classes) -> go.Figure:
    """Draw the share of the pixels that count, void left out, of every object class, beside VOC's own."""
    entries = _objects_in(stats)
    figure = class_bars([(entry.id, entry.share or 0.0) for entry in entries], classes, "Share of pixels")
    return _beside_voc(figure, entries, [_voc(entry, "pixels") for entry in entries])


def _objects_in(stats: SplitStats) -> list[ClassStats]:
    """Return the classes in a split without the background, whose bar would dwarf the others."""
    return [entry for entry in stats.classes if entry.images and entry.id != BACKGROUND]


def _voc(entry: ClassStats, what: str) -> float | None:
    return getattr(VOC_SHARES[entry.name], what) if entry.name in VOC_SHARES else None


def _beside_voc(figure: go.Figure, entries: Sequence[ClassStats], voc: Sequence[float | None]) -> go.Figure:
    """Make the bars of a figure clickable, and draw below each a thin grey bar with the share of its class in VOC 2012.

    VOC's bars have a lane of their own, so the number at a bar's end is never read as VOC's.
    """
    bars = figure.data[0]
    bars.customdata = [PhotoFilter(class_ids=(entry.id,)).text() for entry in entries]
    if any(voc):
        bars.update(OWN_LANE)
        figure.add_bar(
            x=voc, y=[literal(entry.name) for entry in entries], orientation="h", name="VOC 2012", **VOC_LANE,
            marker={"color": NEUTRAL}, hovertemplate="%{y} in VOC 2012: %{x:.1%}<extra></extra>",
        )  # fmt: skip
        figure.update_xaxes(range=[0, ROOM * max(*bars.x, *(share or 0 for share in voc))])
        figure.update_layout(barmode="overlay", margin_t=40)
    return figure


def together_figure(stats: SplitStats, classes: Classes) -> go.Figure:
    """Draw the number of photos with two classes together; on the diagonal, with one class."""
    shown = [entry.id for entry in stats.classes if entry.images and entry.id != BACKGROUND]
    names = {class_id: literal(classes.names[class_id]) for class_id in shown}
    pairs = [(row, column) for row in shown for column in shown if stats.co_occurrence_KK[row, column]]
    counts = [int(stats.co_occurrence_KK[pair]) for pair in pairs]
    most = max((number for (row, column), number in zip(pairs, counts, strict=True) if row != column), default=1)
    figure = blank(height=130 + 26 * len(shown))
    figure.add_scatter(  # marks instead of a heat map's cells: only marks can be clicked
        x=[names[column] for _, column in pairs], y=[names[row] for row, _ in pairs],
        mode="markers+text", text=[f"{number:,}" for number in counts],
        hovertext=[count(number, "photo") for number in counts],
        textfont={"size": 12, "color": [WHITE if number >= STRONG * most else TEXT for number in counts]},
        customdata=[PhotoFilter(class_ids=tuple(dict.fromkeys(pair))).text() for pair in pairs],
        marker={"symbol": "square", "size": 24, "color": [min(1.0, number / most) for number in counts],
                "colorscale": TOGETHER_SCALE, "cmin": 0, "cmax": 1, "opacity": 1, "line": {"width": 0}},
        hovertemplate="%{y} and %{x}: %{hovertext}<extra></extra>", showlegend=False,
    )  # fmt: skip
    axis = {"type": "category", "categoryorder": "array", "showgrid": False, "title": None}
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(axis | {"side": "top", "tickangle": -45, "categoryarray": list(names.values())})
    figure.update_yaxes(axis | {"categoryarray": list(names.values())[::-1]})
    return figure


def where_figure(stats: SplitStats, classes: Classes) -> go.Figure:
    """Draw for each class the coverage of each part of the frame, mean over the photos that show it."""
    shown = [entry for entry in stats.classes if entry.images]
    rows = -(-len(shown) // HEAT_COLUMNS)
    titles = [literal(classes.names[entry.id]) for entry in shown]
    figure = make_subplots(
        rows, HEAT_COLUMNS, subplot_titles=titles, horizontal_spacing=0.015, vertical_spacing=min(0.3, 0.32 / rows)
    )
    for place, entry in enumerate(shown):
        heat_GG = stats.heat_KGG[entry.id][::-1]  # plotly counts rows from the bottom
        trace = go.Heatmap(
            z=heat_GG, coloraxis="coloraxis", name=titles[place],
            hovertemplate="%{fullData.name}: %{z:.0%} covered<extra></extra>",
        )  # fmt: skip
        figure.add_trace(trace, place // HEAT_COLUMNS + 1, place % HEAT_COLUMNS + 1)
    figure.update_layout(
        height=60 + 150 * rows, margin={"l": 8, "r": 8, "t": 28, "b": 8}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", dragmode=False,
        coloraxis={"colorscale": HEAT_SCALE, "cmin": 0, "colorbar": {"tickformat": ".0%", "thickness": 10}},
    )  # fmt: skip
    figure.update_annotations(font_size=12)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def objects_figure(stats: SplitStats) -> go.Figure:
    """Draw how many photos have how many objects."""
    numbers = sorted(stats.objects_per_image)
    figure = blank(height=260, x_title="Objects in a photo", y_title="Photos")
    figure.add_bar(
        x=numbers, y=[stats.objects_per_image[number] for number in numbers], marker={"color": THEME_COLORS[0]},
        customdata=[PhotoFilter(num_objects=number).text() for number in numbers],
        hovertext=[
            f"{count(stats.objects_per_image[number], 'photo')} with {count(number, 'object')}" for number in numbers
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(tickformat="d")
    return figure


def sizes_figure(stats: SplitStats) -> go.Figure:
    """Draw the sizes of the photos, a dot each, larger where many photos have that size."""
    sizes, counts = list(stats.sizes), np.array(list(stats.sizes.values()))
    figure = blank(height=320, x_title="Width (px)", y_title="Height (px)")
    figure.add_scatter(
        x=[width for width, _ in sizes], y=[height for _, height in sizes], mode="markers",
        text=[count(int(number), "photo") for number in counts],
        customdata=[PhotoFilter(size=size).text() for size in sizes],
        marker={"size": 7 + 25 * np.sqrt(counts / counts.max()), "opacity": 0.6, "color": THEME_COLORS[0]},
        hovertemplate="%{x} × %{y} px: %{text}<extra></extra>",  # noqa: RUF001
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(rangemode="tozero")
    return figure


def brightness_figure(stats: SplitStats) -> go.Figure:
    """Draw how many photos have which mean brightness, from black to white."""
    counts, edges = np.histogram([facts.brightness for facts in stats.facts], BRIGHTNESS_BINS, (0.0, 1.0))
    figure = blank(height=260, x_title="Mean brightness of a photo", y_title="Photos")
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2, y=counts, hovertext=[count(int(number), "photo") for number in counts],
        hovertemplate="%{x:.0%}: %{hovertext}<extra></extra>",
        marker={"color": [f"rgb({grey},{grey},{grey})" for grey in (255 * edges[:-1]).astype(int)],
                "line": {"color": NEUTRAL, "width": 1}},
    )  # fmt: skip
    figure.update_layout(bargap=0.05)
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    return figure
