"""Runs side by side as plotly figures; pure functions.

Colours: classes have VOC's own; runs have the theme's, which Streamlit fills in for the placeholders `#000001` and on,
so that one figure fits the light and the dark theme. All else is grey, which shows on both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.training.run.log import RunLog
from core.training.run.records import Epoch
from ui.charts import CLEAR, NEUTRAL, THEME_COLORS, UNUSED_BUTTONS, add_floor


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
    lay_out(figure, height=320)
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
    lay_out(figure, height=320)
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


def lay_out(figure: go.Figure, *, height: int) -> None:
    """Lay out a figure that compares."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        dragmode=False,
        modebar={"bgcolor": CLEAR, "color": NEUTRAL, "remove": UNUSED_BUTTONS},
    )
