"""Scores and runs side by side as plotly figures; pure functions.

Colours: classes have VOC's own; runs have the theme's, which Streamlit fills in for the placeholders `#000001` and on,
so that one figure fits the light and the dark theme. All else is grey, which shows on both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

from core.classes import Classes
from core.metrics.scores import ClassScore, Scores
from core.training.run.log import RunLog
from core.training.run.records import Epoch
from ui.charts import CLEAR, NEUTRAL, THEME_COLORS, UNUSED_BUTTONS, add_floor, literal
from ui.image_filter import ImageFilter

PALE = 0.4
BAR_PX = 18


@dataclass(frozen=True)
class Curve:
    """A run in a chart: what it is called, its log, and the epochs of its checkpoints that are compared."""

    name: str
    log: RunLog
    marked_epochs: tuple[int, ...] = ()

    @property
    def leg_ends(self) -> list[int]:
        """The epochs after which a new leg began."""
        return [leg.epochs_done for leg in self.log.legs if leg.epochs_done]

    @property
    def floor(self) -> float | None:
        """The mIoU of predicting background everywhere, as the last leg measured it."""
        return self.log.legs[-1].floor.get("miou") if self.log.legs else None


def class_bars(a: Scores, b: Scores, a_label: str, b_label: str, classes: Classes) -> go.Figure:
    """Return the IoU of every class under A (pale) and B (full), B's largest gain on top.

    Classes that neither the truth nor a prediction has are left out.
    """
    pairs = [pair for pair in zip(a.classes, b.classes, strict=True) if not pair[0].iou is pair[1].iou is None]
    pairs.sort(key=lambda pair: _iou(pair[1]) - _iou(pair[0]))
    figure = go.Figure()
    sides: tuple[tuple[Literal["a", "b"], str, float, list[ClassScore]], ...] = (
        ("b", b_label, 1.0, [b for _, b in pairs]),
        ("a", a_label, PALE, [a for a, _ in pairs]),
    )
    for side, label, opacity, entries in sides:
        figure.add_trace(_bars(label, opacity, entries, classes, side))
        # The bars have many colours and so no entry of their own in the legend: a grey one stands for them.
        figure.add_trace(_legend_entry(label, opacity))
    _lay_out(figure, height=110 + 2 * BAR_PX * len(pairs))
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.06, legend_traceorder="reversed")
    figure.update_xaxes(title="IoU", tickformat=".0%", range=[0, 1.1], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1.0])
    figure.update_yaxes(
        showgrid=False, automargin=True, categoryorder="array", categoryarray=[literal(a.name) for a, _ in pairs]
    )
    return figure


def _iou(entry: ClassScore) -> float:
    return entry.iou or 0.0


def _bars(
    label: str, opacity: float, entries: Sequence[ClassScore], classes: Classes, side: Literal["a", "b"]
) -> go.Bar:
    return go.Bar(
        name=label,
        orientation="h",
        x=[entry.iou for entry in entries],
        y=[literal(entry.name) for entry in entries],
        marker={
            "color": [classes.css_color(entry.id) for entry in entries],
            "opacity": opacity,
            # Black and navy bars would be invisible on the dark theme.
            "line": {"color": NEUTRAL, "width": 1},
        },
        text=["" if entry.iou is None else f"{100 * entry.iou:.1f} %" for entry in entries],
        textposition="outside",
        textfont={"size": 10},
        constraintext="none",
        cliponaxis=False,
        showlegend=False,
        customdata=[ImageFilter("class", (entry.id,), side).text() for entry in entries],
        hovertemplate="%{y}: %{x:.1%}<extra>%{fullData.name}</extra>",
    )


def _legend_entry(label: str, opacity: float) -> go.Bar:
    # A legend shows a bar's colour but not its opacity.
    marker = {"color": f"rgba(138, 146, 155, {opacity})", "line": {"color": NEUTRAL, "width": 1}}
    return go.Bar(name=label, x=[None], y=[None], orientation="h", marker=marker, hoverinfo="skip")


def miou_curves(curves: Sequence[Curve]) -> go.Figure:
    """Return validation mIoU over epochs with the floor, where legs meet, and a dot at every compared checkpoint."""
    figure = go.Figure()
    for index, curve in enumerate(curves):
        color = THEME_COLORS[index % len(THEME_COLORS)]
        scored = [epoch for epoch in curve.log.epochs if epoch.miou is not None]
        figure.add_trace(_line(curve.name, [e.epoch for e in scored], [e.miou for e in scored], color, percent=True))
        marked = [epoch for epoch in scored if epoch.epoch in curve.marked_epochs]
        figure.add_trace(_dots(curve.name, marked, color))
    for floor in sorted({curve.floor for curve in curves if curve.floor is not None}):
        add_floor(figure, floor)
    _mark_legs(figure, curves)
    _lay_out(figure, height=320)
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(title="Validation mIoU", tickformat=".0%", rangemode="tozero")
    _lay_out_epochs(figure, curves)
    return figure


def loss_curves(curves: Sequence[Curve]) -> go.Figure:
    """Return the training loss (full line) and validation loss (dashes) over epochs."""
    figure = go.Figure()
    for index, curve in enumerate(curves):
        color = THEME_COLORS[index % len(THEME_COLORS)]
        prefix = f"{curve.name}, " if len(curves) > 1 else ""
        epochs = curve.log.epochs
        numbers = [epoch.epoch for epoch in epochs]
        figure.add_trace(_line(f"{prefix}train", numbers, [epoch.train_loss for epoch in epochs], color))
        validated = [epoch for epoch in epochs if epoch.val_loss is not None]
        numbers, losses = [epoch.epoch for epoch in validated], [epoch.val_loss for epoch in validated]
        figure.add_trace(_line(f"{prefix}val", numbers, losses, color, dash="dash"))
    _mark_legs(figure, curves)
    _lay_out(figure, height=320)
    figure.update_layout(hovermode="x unified")
    figure.update_yaxes(title="Loss", rangemode="tozero")
    _lay_out_epochs(figure, curves)
    return figure


def _line(
    name: str, x: list[int], y: Sequence[float | None], color: str, *, dash: str = "solid", percent: bool = False
) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=x,
        y=y,
        mode="lines" if len(x) > 1 else "markers",
        line={"color": color, "dash": dash, "width": 2},
        hovertemplate="%{y:.1%}" if percent else "%{y:.3f}",
    )


def _dots(name: str, epochs: Sequence[Epoch], color: str) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=[epoch.epoch for epoch in epochs],
        y=[epoch.miou for epoch in epochs],
        mode="markers",
        marker={"color": color, "size": 10},
        showlegend=False,
        hoverinfo="skip",
    )


def _mark_legs(figure: go.Figure, curves: Sequence[Curve]) -> None:
    for epoch in sorted({end for curve in curves for end in curve.leg_ends}):
        line = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
        figure.add_vline(x=epoch, line=line)
        figure.add_scatter(x=[None], y=[None], mode="lines", name=f"New leg after {epoch}", line=line)


def _lay_out_epochs(figure: go.Figure, curves: Sequence[Curve]) -> None:
    last = max((epoch.epoch for curve in curves for epoch in curve.log.epochs), default=0)
    # On a short axis plotly would write half epochs.
    figure.update_xaxes(title="Epoch", rangemode="tozero", showgrid=False, dtick=1 if last <= 10 else None)


def _lay_out(figure: go.Figure, *, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        dragmode=False,
        modebar={"bgcolor": CLEAR, "color": NEUTRAL, "remove": UNUSED_BUTTONS},
    )
