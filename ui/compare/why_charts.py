"""Confusion, errors, confidence and sizes of two checkpoints -> plotly figures. Pure functions.

The `customdata` of a mark is the text of the filter (`image_filter`) that a click sets.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.classes import Classes
from core.data.corruptions import Corruption
from core.metrics.calibration import Reliability
from core.metrics.comparison import Difference
from core.metrics.confusion import Counts, ratio
from core.metrics.errors import KINDS
from core.metrics.image_scores import ImageScore
from core.metrics.object_size import SizeScore
from core.metrics.scores import ClassScore, Scores
from core.wording import count
from ui.charts import END, NEUTRAL, ROOM, TEXT, THEME_COLORS, WHITE, blank, literal
from ui.compare.image_filter import ImageFilter, size_words

Share = Literal["Counts", "Of the truth", "Of the prediction"]
SHARES: dict[Share, str] = {
    "Counts": "Pixels, shaded by their share of the truth.",
    "Of the truth": "Rows sum to 100 %: of a class's true pixels, what each was called (diagonal: recall).",
    "Of the prediction": "Columns sum to 100 %: of what was called a class, what it is (diagonal: precision).",
}
STRONG = 0.3
"""From this share on a cell is solid; on colours between faint and solid, no text is readable."""

CONFUSION_SCALE = (
    (0.0, "rgba(21,130,150,0.05)"), (STRONG - 0.001, "rgba(21,130,150,0.25)"), (STRONG, "#347e89"), (1.0, "#0f6674"),
)  # fmt: skip
STRONG_CHANGE = 0.5
CHANGE_SCALE = (
    (0.0, "#8f4a0e"), (0.25, "#a9580f"), (0.251, "rgba(181,101,29,0.25)"), (0.5, "rgba(138,146,155,0.08)"),
    (0.749, "rgba(15,102,116,0.25)"), (0.75, "#347e89"), (1.0, "#0f6674"),
)  # fmt: skip
"""Brown is less, teal is more; colour-blind people can distinguish them."""

BAR_PX = 18

LEAST_SHOWN = 0.0005
WRITTEN = 0.1
"""Smaller shares than the first have no mark, smaller than the second no number."""

SIDES: tuple[Literal["a", "b"], Literal["a", "b"]] = ("a", "b")


def confusion_figure(counts_KK: Counts, classes: Classes, share: Share, side: Literal["a", "b"]) -> go.Figure:
    """Draw a confusion matrix, the truth in its rows; cells that are empty have no mark."""
    shares_KK = _shares(counts_KK, share)
    cells = [(int(i), int(j)) for i, j in np.argwhere(shares_KK >= LEAST_SHOWN)]
    values = [float(shares_KK[cell]) for cell in cells]
    texts = [_short(int(counts_KK[cell])) if share == "Counts" else f"{100 * shares_KK[cell]:.0f}" for cell in cells]
    shown = [text if value >= WRITTEN else "" for text, value in zip(texts, values, strict=True)]
    hover = [f"{int(counts_KK[cell]):,} px, {100 * shares_KK[cell]:.1f} %" for cell in cells]
    marker = {"color": values, "colorscale": CONFUSION_SCALE, "cmin": 0, "cmax": 1}
    colors = [WHITE if value >= STRONG else TEXT for value in values]
    return _cells(cells, classes, counts_KK, marker, shown, colors, hover, side)


def change_figure(a_KK: Counts, b_KK: Counts, classes: Classes, share: Share) -> go.Figure:
    """Draw the difference of B's and A's confusion matrices, in points of shares."""
    change_KK = np.nan_to_num(_shares(b_KK, share)) - np.nan_to_num(_shares(a_KK, share))
    cells = [(int(i), int(j)) for i, j in np.argwhere(np.abs(change_KK) >= LEAST_SHOWN)]
    values = [float(change_KK[cell]) for cell in cells]
    reach = max((abs(value) for value in values), default=1.0)
    texts = [f"{100 * value:+.0f}" if abs(value) >= 0.05 else "" for value in values]
    hover = [f"{100 * value:+.1f} points" for value in values]
    colors = [WHITE if abs(value) >= STRONG_CHANGE * reach else TEXT for value in values]
    marker = {"color": values, "colorscale": CHANGE_SCALE, "cmin": -reach, "cmax": reach}
    return _cells(cells, classes, a_KK + b_KK, marker, texts, colors, hover, "b")


def _shares(counts_KK: Counts, share: Share) -> NDArray[np.float64]:
    whole = counts_KK.sum(axis=0)[None] if share == "Of the prediction" else counts_KK.sum(axis=1)[:, None]
    return ratio(counts_KK, np.broadcast_to(whole, counts_KK.shape))


def _short(number: int) -> str:
    return f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.0f}k" if number >= 1e3 else str(number)


def _cells(
    cells: Sequence[tuple[int, int]], classes: Classes, counts_KK: Counts, marker: dict[str, object],
    texts: Sequence[str], colors: Sequence[str], hover: Sequence[str], side: Literal["a", "b"],
) -> go.Figure:  # fmt: skip
    """Draw cells as square marks, because cells of a heat map cannot be clicked."""
    shown = [k for k in range(len(classes)) if counts_KK[k].any() or counts_KK[:, k].any()]
    names = [literal(classes.names[k]) for k in shown]
    size = 26 if len(shown) <= 12 else 19
    figure = blank(height=150 + (size + 3) * len(shown))
    figure.add_scatter(
        x=[literal(classes.names[j]) for _, j in cells], y=[literal(classes.names[i]) for i, _ in cells],
        mode="markers+text",
        text=texts, textfont={"size": 10, "color": colors}, showlegend=False,
        customdata=[ImageFilter("cell", cell, side).text() for cell in cells], hovertext=hover,
        marker=marker | {"symbol": "square", "size": size, "opacity": 1, "line": {"width": 0}},
        unselected={"marker": {"opacity": 0.7}},  # plotly's default, 0.2, hides the other cells on a dark page
        hovertemplate="%{y} called %{x}: %{hovertext}<extra></extra>",
    )  # fmt: skip
    axis = {
        "type": "category",
        "categoryorder": "array",
        "showgrid": False,
        "tickmode": "linear",
        "tickfont": {"size": 12},
    }
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(axis | {"side": "top", "tickangle": -60, "categoryarray": names, "title": "Called"})
    figure.update_yaxes(axis | {"categoryarray": names[::-1], "title": "Truth"})
    return figure


def scatter_figure(images: Sequence[ImageScore], a_label: str, b_label: str) -> go.Figure:
    """Draw the mIoU of each photo under A and B; above the line B is better."""
    scored = [image for image in images if image.a is not None and image.b is not None]
    figure = blank(height=420, x_title=f"A: {a_label}", y_title=f"B: {b_label}")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": NEUTRAL, "width": 1, "dash": "dot"}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    figure.add_scatter(
        x=[image.a for image in scored], y=[image.b for image in scored], mode="markers", showlegend=False,
        text=[literal(image.name) for image in scored], marker={"size": 8, "opacity": 0.6, "color": THEME_COLORS[0]},
        customdata=[ImageFilter("image", (image.index,)).text() for image in scored],
        hovertemplate="%{text}: A %{x:.1%}, B %{y:.1%}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(tickformat=".0%", range=[-0.03, 1.03])
    figure.update_yaxes(tickformat=".0%", range=[-0.03, 1.03])
    return figure


def errors_figure(shares: Sequence[Sequence[float]], labels: Sequence[str]) -> go.Figure:
    """Draw the share of pixels wrong in each way, as bars for A and B; `shares` by side, then kind."""
    figure = blank(height=300, x_title="Share of the counted pixels")
    for index, (side, label) in enumerate(zip(SIDES, labels, strict=True)):
        figure.add_bar(
            name=f"{side.upper()}: {label}", orientation="h", y=[kind.capitalize() for kind in KINDS], x=shares[index],
            marker={"color": THEME_COLORS[index]}, text=[f"{END}{100 * share:.1f} %" for share in shares[index]],
            textposition="outside",
            customdata=[ImageFilter("kind", (kind,), side).text() for kind in range(len(KINDS))],
            hovertemplate="%{y}: %{x:.2%} of the pixels<extra></extra>", cliponaxis=False,
        )  # fmt: skip
    figure.update_layout(barmode="group", hovermode="closest", legend={"traceorder": "normal"})
    longest = max(share for side in shares for share in side)
    figure.update_xaxes(tickformat=".1%", range=[0, ROOM * longest or 1])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def reliability_figure(curves: Sequence[Reliability], labels: Sequence[str]) -> go.Figure:
    """Draw the share of right pixels over their confidence; on the line, the model is calibrated."""
    figure = blank(height=420, x_title="Confidence", y_title="Share that is right")
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": NEUTRAL, "width": 1, "dash": "dot"}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    for index, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        there = np.flatnonzero(~np.isnan(curve.accuracy_B))
        figure.add_scatter(
            name=f"{SIDES[index].upper()}: {label}", x=curve.confidence_B[there], y=curve.accuracy_B[there],
            mode="lines+markers", line={"color": THEME_COLORS[index], "width": 2},
            marker={"size": 5 + 22 * np.sqrt(curve.share_B[there])}, text=[f"{s:.1%}" for s in curve.share_B[there]],
            customdata=[ImageFilter("bin", (int(bin_),), SIDES[index]).text() for bin_ in there],
            hovertemplate="%{x:.0%} sure, %{y:.1%} right; %{text} of the pixels<extra></extra>",
        )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(tickformat=".0%", range=[-0.03, 1.05])
    figure.update_yaxes(tickformat=".0%", range=[-0.03, 1.05])
    return figure


def size_figure(sizes: Sequence[Sequence[SizeScore]], labels: Sequence[str]) -> go.Figure:
    """Draw the mean IoU of objects by their share of the photo, A and B side by side."""
    figure = blank(height=340, x_title="Share of the photo that the class covers", y_title="Mean IoU")
    for index, (scores, label) in enumerate(zip(sizes, labels, strict=True)):
        figure.add_bar(
            name=f"{SIDES[index].upper()}: {label}", x=[size_words(score.index) for score in scores],
            y=[score.iou for score in scores], marker={"color": THEME_COLORS[index]},
            text=["" if score.iou is None else f"{100 * score.iou:.0f} %" for score in scores],
            textposition="outside",
            hovertext=[count(score.objects, 'object') for score in scores],
            customdata=[ImageFilter("size", (score.index,), SIDES[index]).text() for score in scores],
            hovertemplate="%{x}: %{y:.1%}, %{hovertext}<extra></extra>", cliponaxis=False,
        )  # fmt: skip
    figure.update_layout(barmode="group", hovermode="closest")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def class_bars(a: Scores, b: Scores, a_label: str, b_label: str) -> go.Figure:
    """Return the IoU of every class under A and B, each in its own colour, B's largest gain on top.

    Classes that neither the truth nor a prediction has are left out.
    """
    pairs = [pair for pair in zip(a.classes, b.classes, strict=True) if not pair[0].iou is pair[1].iou is None]
    pairs.sort(key=lambda pair: _iou(pair[1]) - _iou(pair[0]))
    figure = blank(height=110 + 2 * BAR_PX * len(pairs), x_title="IoU")
    figure.add_trace(_bars(b_label, [b for _, b in pairs], "b"))  # plotly draws the first trace lowest
    figure.add_trace(_bars(a_label, [a for a, _ in pairs], "a"))
    figure.update_layout(
        barmode="group", hovermode="closest", bargap=0.3, bargroupgap=0.06, legend_traceorder="reversed"
    )
    figure.update_xaxes(tickformat=".0%", range=[0, ROOM], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1.0])
    figure.update_yaxes(showgrid=False, categoryorder="array", categoryarray=[literal(a.name) for a, _ in pairs])
    return figure


def levels_figure(
    levels: Sequence[Difference], floors: Sequence[float | None], corruption: Corruption, labels: dict[str, str]
) -> go.Figure:
    """Draw the mIoU of checkpoints (`a`, `b`) and of the floor against a corruption's level; marks choose a level."""
    figure = blank(height=320, x_title=f"Level of {corruption.label}", y_title="Mean IoU")
    numbers = list(range(len(levels)))
    hover = ["as it is", *(corruption.strength(level) for level in numbers[1:])]
    for side, label in labels.items():
        color = THEME_COLORS[SIDES.index("a" if side == "a" else "b")]
        figure.add_scatter(
            x=numbers, y=[getattr(each, side) for each in levels], name=f"{side.upper()}: {literal(label)}",
            mode="lines+markers", marker={"size": 10, "symbol": "circle" if side == "a" else "diamond"},
            line={"color": color, "width": 2}, customdata=[str(level) for level in numbers], hovertext=hover,
            hovertemplate="%{y:.1%}, %{hovertext}", unselected={"marker": {"opacity": 1}},
        )  # fmt: skip
    figure.add_scatter(
        x=numbers, y=list(floors), name="Floor", mode="lines", line={"dash": "dash", "width": 1.5, "color": NEUTRAL},
        hovertemplate="%{y:.1%}",
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(dtick=1, range=[-0.2, len(levels) - 0.8])
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def _iou(entry: ClassScore) -> float:
    return entry.iou or 0.0


def _bars(label: str, entries: Sequence[ClassScore], side: Literal["a", "b"]) -> go.Bar:
    return go.Bar(
        name=f"{side.upper()}: {literal(label)}",
        orientation="h",
        x=[entry.iou for entry in entries],
        y=[literal(entry.name) for entry in entries],
        marker={"color": THEME_COLORS[SIDES.index(side)]},
        text=["" if entry.iou is None else f"{END}{100 * entry.iou:.1f} %" for entry in entries],
        textposition="outside",
        textfont={"size": 12},
        constraintext="none",
        cliponaxis=False,
        customdata=[ImageFilter("class", (entry.id,), side).text() for entry in entries],
        hovertemplate="%{y}: %{x:.1%}<extra>%{fullData.name}</extra>",
    )
