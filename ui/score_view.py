"""Checkpoints side by side on the screen: table, warnings, curves and class bars."""

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from core.training.evaluations import Evaluation
from ui import cached
from ui.checkpoints import Choice, run_names
from ui.comparison import SCORE_COLUMNS, floor_warnings, score_table
from ui.score_charts import Curve, class_bars, loss_curves, miou_curves
from ui.words import MISSING


class Side(NamedTuple):
    """A checkpoint in a comparison, and its evaluation."""

    choice: Choice
    evaluation: Evaluation

    @property
    def label(self) -> str:
        """What the checkpoint is called."""
        return self.choice.label


def show_table(sides: Sequence[Side]) -> None:
    """Draw every score of every checkpoint in percent, the floor's too, and say which of them are on the floor."""
    table = score_table([(side.label, side.evaluation.scores) for side in sides])
    columns = {
        column.label: st.column_config.NumberColumn(help=column.meaning, format="%.1f %%")
        for column in SCORE_COLUMNS.values()
    }
    st.dataframe(table, column_config=columns, key="scores", placeholder=MISSING)
    evaluation = sides[0].evaluation
    st.caption(
        f"{evaluation.scores.images} images of `{evaluation.data}`, whole, at their masks' own size. "
        "The floor is what predicting background everywhere scores on them."
    )
    warnings = [warning for side in sides for warning in floor_warnings(side.label, side.evaluation.scores)]
    if warnings:
        st.warning("\n".join(f"- {warning}" for warning in warnings))


def show_curves(sides: Sequence[Side]) -> None:
    """Draw validation mIoU and the losses of the runs over their epochs."""
    runs = list({side.choice.run.path: side.choice.run for side in sides}.values())
    names = run_names(runs)
    curves = [
        Curve(
            names[run.path],
            cached.run_log(run.log_path),
            tuple(side.choice.epoch for side in sides if side.choice.run.path == run.path and side.choice.epoch),
        )
        for run in runs
    ]
    left, right = st.columns(2)
    with left:
        st.markdown("**Validation mIoU**, the compared checkpoints as dots")
        st.plotly_chart(miou_curves(curves), key="miou", alt="Validation mIoU over epochs, with the floor")
    with right:
        st.markdown("**Loss** on training and validation photos")
        st.plotly_chart(loss_curves(curves), key="loss", alt="Training and validation loss over epochs")


def show_class_bars(a: Side, b: Side) -> None:
    """Draw the IoU of every class under A and B."""
    figure = class_bars(a.evaluation.scores, b.evaluation.scores, a.label, b.label, b.choice.classes)
    st.plotly_chart(figure, key="classes", alt=f"IoU of every class under {a.label} and {b.label}")
    pairs = zip(a.evaluation.scores.classes, b.evaluation.scores.classes, strict=True)
    absent = [entry.name for entry, other in pairs if entry.iou is other.iou is None]
    if absent:
        st.caption(f"In neither the truth nor a prediction, so without a score: {', '.join(absent)}.")
