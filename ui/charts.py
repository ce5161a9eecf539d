"""Records -> plotly figures: of one run, and of several side by side. Pure functions.

Lines take the theme's colours: Streamlit replaces placeholders by them, so that one figure fits light and dark. Classes
have their own colours, with a grey outline, since the background is black and some classes are nearly black. Scores are
fractions; the axes show percent.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

# plotly asks pandas whether data are a Series. Half imported by another tab's thread, pandas ended a page in an error.
import pandas  # noqa: F401
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.classes import Classes
from core.training.run.log import RunLog
from core.training.run.records import Epoch

NEUTRAL = "#8a929b"
"""Grey that reads on white and on near-black: outlines, the floor."""

THEME_COLORS = ("#000001", "#000002", "#000003", "#000004", "#000005")
"""Placeholders for `chartCategoricalColors`; .streamlit/config.toml sets five for light and five for dark."""

TEXT, WHITE = "#000037", "#ffffff"
"""Colours of text on faint marks and on strong ones. Whatever is not white is drawn in the page's own (`ui.page`)."""

END = "\N{NO-BREAK SPACE}"
"""Before a number at the end of its bar, which it would touch."""

ROOM = 1.3
"""How far an axis reaches, as a multiple of the longest bar: on a phone, too, the number at its end is not cut."""

CLEAR = "rgba(0,0,0,0)"
UNUSED_BUTTONS = ["zoom", "pan", "zoomin", "zoomout", "autoscale", "reset"]
BAR_HEIGHT_PX, BAR_MARGIN_PX = 24, 70
LEAST_BARS = 5
"""A lower chart has no room for the numbers and the title of its axis beside the buttons."""
MAX_COLUMNS = 200
SHADES = ((0.0, "rgba(21,130,150,0.06)"), (0.5, "#158296"), (1.0, "#e6c46a"))
"""From 0 to 1, in two hues of different lightness, so that lightness alone can be read."""

T = TypeVar("T")


def literal(name: str) -> str:
    """Return a name escaped for plotly, which reads markup in any text."""
    return html.escape(name, quote=False)


def loss_figure(log: RunLog) -> go.Figure:
    """Draw the training loss step by step, and both losses per epoch."""
    figure = blank(height=300, x_title="Epoch", y_title="Loss")
    figure.add_scatter(
        **_by_step(log, "loss"), name="Training, by step", mode="lines", hovertemplate="%{y:.3f}",
        line={"width": 1, "color": NEUTRAL}, opacity=0.6,
    )  # fmt: skip
    _add_curve(figure, log, "train_loss", "Training", "%{y:.3f}", THEME_COLORS[0])
    _add_curve(figure, log, "val_loss", "Validation", "%{y:.3f}", THEME_COLORS[1])
    _finish_axes(figure, log)
    return figure


def miou_figure(log: RunLog) -> go.Figure:
    """Draw mIoU after each epoch, the best epoch marked, above the floor's dashed line."""
    figure = blank(height=300, x_title="Epoch", y_title="Mean IoU")
    _add_curve(figure, log, "miou", "Validation mIoU", "%{y:.1%}", THEME_COLORS[0])
    best = log.best_epoch
    if best:
        figure.add_scatter(
            x=[best.epoch], y=[best.miou], mode="markers", name=f"Best: epoch {best.epoch}", hoverinfo="skip",
            marker={"size": 13, "symbol": "circle-open", "color": THEME_COLORS[1], "line": {"width": 2}},
        )  # fmt: skip
    add_floor(figure, log.legs[-1].floor.get("miou") if log.legs else None)
    figure.update_yaxes(tickformat=".0%")
    _finish_axes(figure, log)
    return figure


def add_floor(figure: go.Figure, floor: float | None, name: str | None = None) -> None:
    """Draw the floor as a dashed line across a figure and name it; None draws nothing."""
    if floor is None:
        return
    figure.add_hline(floor, line={"dash": "dash", "width": 1.5, "color": NEUTRAL})
    name = name or f"Floor {100 * floor:.1f} %"
    figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line={"dash": "dash", "color": NEUTRAL})


def learning_rate_figure(log: RunLog) -> go.Figure:
    """Draw the learning rate over the epochs."""
    return _step_figure(log, "learning_rate", "Learning rate", "%{y:.2e}")


def throughput_figure(log: RunLog) -> go.Figure:
    """Draw the training photos per second over the epochs."""
    return _step_figure(log, "images_per_second", "Photos per second", "%{y:.1f}")


def class_iou_figure(log: RunLog) -> go.Figure:
    """Draw the latest IoU of each class that has one as a bar in the class's colour; absent classes are left out."""
    bars = [(k, value) for k, value in enumerate(log.epochs[-1].iou) if value is not None]
    return class_bars(bars, log.legs[-1].classes, "IoU")


def thin(points: Sequence[T], limit: int = 2000) -> list[T]:
    """Return at most about `limit` of the points, evenly spread, with the first and the last."""
    if len(points) <= limit:
        return list(points)
    stride = math.ceil(len(points) / (limit - 1))
    thinned = list(points[::stride])
    return thinned if thinned[-1] is points[-1] else [*thinned, points[-1]]


def class_growth_figure(log: RunLog) -> go.Figure:
    """Draw the IoU of each class (rows) after each epoch (columns) as shades.

    A class of the masks has a score after every epoch; one that is only predicted, now and then 0, is left out.
    """
    classes, epochs = log.legs[-1].classes, thin(log.epochs, MAX_COLUMNS)
    rows = {k: [e.iou[k] if k < len(e.iou) else None for e in epochs] for k in range(len(classes))}
    present = [k for k, row in rows.items() if any(row) or None not in row]
    figure = blank(height=BAR_MARGIN_PX + BAR_HEIGHT_PX * max(len(present), LEAST_BARS), x_title="Epoch")
    figure.add_heatmap(
        x=[epoch.epoch for epoch in epochs], y=[literal(classes.names[k]) for k in present],
        z=[rows[k] for k in present],
        zmin=0, zmax=1, colorscale=SHADES, xgap=1, ygap=1,
        colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": ".0%", "tickvals": [0, 0.5, 1], "title": "IoU"},
        hovertemplate="%{y}, epoch %{x}: %{z:.1%}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(showgrid=False, rangemode="normal")
    figure.update_yaxes(autorange="reversed", showgrid=False, title=None, ticksuffix=" ")
    return figure


def class_bars(
    values: Sequence[tuple[int, float]], classes: Classes, title: str, *, counts: Sequence[int] | None = None
) -> go.Figure:
    """Draw horizontal bars of (class id, fraction), one colour a class, the value (or the count) written at its end."""
    figure = blank(height=BAR_MARGIN_PX + BAR_HEIGHT_PX * max(len(values), LEAST_BARS), x_title=title)
    written = (
        [f"{END}{number:,}" for number in counts] if counts else [f"{END}{100 * value:.1f} %" for _, value in values]
    )
    figure.add_bar(
        x=[value for _, value in values], y=[literal(classes.names[k]) for k, _ in values], orientation="h",
        text=written, textposition="outside", textfont={"size": 12}, constraintext="none",
        cliponaxis=False,
        showlegend=False,
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        marker={"color": [classes.css_color(k) for k, _ in values], "line": {"color": NEUTRAL, "width": 1}},
    )  # fmt: skip
    highest = max((value for _, value in values), default=0.0)
    figure.update_layout(hovermode="closest", bargap=0.3)
    figure.update_xaxes(tickformat=".0%", range=[0, ROOM * highest or 1], showgrid=True)
    figure.update_yaxes(autorange="reversed", showgrid=False, title=None, ticksuffix=" ")
    return figure


def _step_figure(log: RunLog, attribute: str, title: str, hover: str) -> go.Figure:
    figure = blank(height=220, x_title="Epoch", y_title=title)
    line = {"width": 2, "color": THEME_COLORS[0]}
    figure.add_scatter(**_by_step(log, attribute), mode="lines", name=title, hovertemplate=hover, line=line)
    figure.update_layout(showlegend=False)
    _finish_axes(figure, log)
    return figure


def _by_step(log: RunLog, attribute: str) -> dict[str, NDArray[np.float64]]:
    """Return x, in epochs, and y of a curve of the steps."""
    per_epoch = max(1, log.legs[-1].steps_per_epoch) if log.legs else 1
    steps = thin(log.steps)
    return {
        "x": np.array([step.step / per_epoch for step in steps]),
        "y": np.array([getattr(step, attribute) for step in steps]),
    }


def _finish_axes(figure: go.Figure, log: RunLog) -> None:
    """Keep fractions of an epoch off the axis of a short run; of a longer one plotly chooses whole ones itself."""
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(hoverformat=".2~f")
    if not log.epochs:
        figure.update_xaxes(range=[0, 1.05])
    if len(log.epochs) < 10:
        figure.update_xaxes(dtick=1)


def _add_curve(figure: go.Figure, log: RunLog, attribute: str, name: str, hover: str, color: str) -> None:
    figure.add_scatter(
        x=[epoch.epoch for epoch in log.epochs], y=[getattr(epoch, attribute) for epoch in log.epochs],
        mode="lines+markers", name=name, hovertemplate=hover, marker={"size": 6, "color": color},
        line={"width": 2, "color": color},
    )  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """A run in a chart: its name, its log, and the epochs of its checkpoints that are compared."""

    name: str
    log: RunLog
    marked_epochs: tuple[int, ...] = ()

    @property
    def floor(self) -> float | None:
        """The mIoU of predicting background everywhere, as the last leg measured it."""
        return self.log.legs[-1].floor.get("miou") if self.log.legs else None


def miou_curves(curves: Sequence[Curve]) -> go.Figure:
    """Draw validation mIoU over epochs, the floor, a line where legs meet, and a dot at every compared checkpoint."""
    figure = blank(height=320, x_title="Epoch", y_title="Validation mIoU")
    for index, curve in enumerate(curves):
        color = THEME_COLORS[index % len(THEME_COLORS)]
        scored = [epoch for epoch in curve.log.epochs if epoch.miou is not None]
        _add_line(figure, curve.name, scored, "miou", color, hovertemplate="%{y:.1%}")
        marked = [epoch for epoch in scored if epoch.epoch in curve.marked_epochs]
        figure.add_scatter(
            name=curve.name, x=[epoch.epoch for epoch in marked], y=[epoch.miou for epoch in marked], mode="markers",
            marker={"color": color, "size": 10}, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    for floor in sorted({curve.floor for curve in curves if curve.floor is not None}):
        add_floor(figure, floor)
    figure.update_yaxes(tickformat=".0%")
    _finish_curves(figure, curves)
    return figure


def loss_curves(curves: Sequence[Curve]) -> go.Figure:
    """Draw the training loss (full line) and the validation loss (dashes) over epochs."""
    figure = blank(height=320, x_title="Epoch", y_title="Loss")
    for index, curve in enumerate(curves):
        color = THEME_COLORS[index % len(THEME_COLORS)]
        prefix = f"{curve.name}, " if len(curves) > 1 else ""
        validated = [epoch for epoch in curve.log.epochs if epoch.val_loss is not None]
        _add_line(figure, f"{prefix}train", curve.log.epochs, "train_loss", color)
        _add_line(figure, f"{prefix}val", validated, "val_loss", color, dash="dash")
    _finish_curves(figure, curves)
    return figure


def _add_line(
    figure: go.Figure, name: str, epochs: Sequence[Epoch], attribute: str, color: str,
    *, dash: str = "solid", hovertemplate: str = "%{y:.3f}",
) -> None:  # fmt: skip
    figure.add_scatter(
        name=name, x=[epoch.epoch for epoch in epochs], y=[getattr(epoch, attribute) for epoch in epochs],
        mode="lines" if len(epochs) > 1 else "markers", line={"color": color, "dash": dash, "width": 2},
        hovertemplate=hovertemplate,
    )  # fmt: skip


def _finish_curves(figure: go.Figure, curves: Sequence[Curve]) -> None:
    """Mark where legs meet, and lay out the axes."""
    for epoch in sorted({leg.epochs_done for curve in curves for leg in curve.log.legs if leg.epochs_done}):
        line = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
        figure.add_vline(x=epoch, line=line)
        figure.add_scatter(x=[None], y=[None], mode="lines", name=f"New leg after {epoch}", line=line)
    last = max((epoch.epoch for curve in curves for epoch in curve.log.epochs), default=0)
    figure.update_yaxes(rangemode="tozero")
    # On a short axis plotly would write half epochs.
    figure.update_xaxes(showgrid=False, dtick=1 if last <= 10 else None)


def blank(*, height: int, x_title: str | None = None, y_title: str | None = None) -> go.Figure:
    """Return an empty transparent figure whose zoom survives a redraw."""
    figure = go.Figure()
    # Placed above the plot, a legend slid onto it once the page became wider and the legend lower.
    figure.update_layout(
        height=height, paper_bgcolor=CLEAR, plot_bgcolor=CLEAR, margin={"l": 8, "r": 8, "t": 8, "b": 8},
        hovermode="x unified", uirevision="kept", dragmode=False,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "top", "yref": "container"},
        modebar={"bgcolor": CLEAR, "color": NEUTRAL, "remove": UNUSED_BUTTONS},
        xaxis={"title": x_title, "rangemode": "tozero", "automargin": True},
        yaxis={"title": y_title, "automargin": True},
    )  # fmt: skip
    return figure
