"""How far A and B may be trusted: the risk-coverage curve, promises, and calibration after temperature scaling."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.metrics.calibration import Reliability
from core.metrics.risk import AIMS, MEANING
from core.training.trust import Trust
from ui.charts import NEUTRAL, THEME_COLORS, blank, literal
from ui.checkpoints import trust_of
from ui.clickable import Chart, show_chart
from ui.compare.scores import Side
from ui.job_view import offer_figures
from ui.words import MISSING, percent, plain

NO_CLASSES = "Nothing is promised of classes that no held-out photo shows: {}."


def show_risk(a: Side, b: Side) -> list[go.Figure]:
    """Draw both checkpoints' curves and promises; offer to count what is missing."""
    sides = [("A", a)] if a.choice.id == b.choice.id else [("A", a), ("B", b)]
    there = [(f"{letter}: {side.label}", figures) for letter, side in sides if (figures := _figures_of(side))]
    for letter, side in sides:
        if not _figures_of(side):
            st.markdown(f"**{letter}**: {plain(side.label)}")
            if side.evaluation.split == "val":
                offer_figures(side.choice.run, side.choice.file)
            else:
                st.caption("Promises are counted on val; choose it above.")
    if not there:
        return []
    show_chart(Chart("risk", "**Accuracy of the kept pixels**", risk_figure(there), "Share right over share kept"))
    st.caption(
        "To the left only the surest pixels are kept, to the right all: means over held-out photos that keep "
        "something. The marks are the thresholds below."
    )
    st.dataframe(promise_table(there), hide_index=True)
    st.caption(MEANING)
    if any(found.keeps_all for _, figures in there for aim in AIMS if (found := figures.promise(aim))):
        st.caption("From a confidence of 0 % on: the model alone keeps the promise, and nothing is abstained from.")
    if missing := sorted({name for _, figures in there for name in figures.unpromised}):
        st.caption(plain(NO_CLASSES.format(", ".join(missing))))
    show_temperature(there)
    return []


def _figures_of(side: Side) -> Trust | None:
    """Return the figures of a checkpoint on the very photos of the comparison."""
    return trust_of(side.choice, side.evaluation.split, side.evaluation.fingerprint)


def color_of(label: str) -> str:
    """Return the colour of A or B, with whose letter a label begins."""
    return THEME_COLORS["AB".index(label[0])]


def risk_figure(there: Sequence[tuple[str, Trust]]) -> go.Figure:
    """Draw the share right over the share kept, with a mark for each promise."""
    figure = blank(height=360, x_title="Share of the pixels kept", y_title="Share of them that is right")
    for label, figures in there:
        kept_T, right_T = figures.curve.kept_NT.mean(axis=0), figures.curve.right()
        is_some = kept_T > 0
        color = color_of(label)
        figure.add_scatter(
            name=literal(label), x=kept_T[is_some], y=right_T[is_some], mode="lines", line={"color": color, "width": 2},
            hovertemplate="%{x:.0%} kept, %{y:.1%} right<extra></extra>",
        )  # fmt: skip
        marks = [found for aim in AIMS if (found := figures.promise(aim)) and found.right is not None]
        figure.add_scatter(
            x=[each.kept for each in marks], y=[each.right for each in marks], mode="markers", showlegend=False,
            marker={"color": color, "size": 10, "line": {"width": 1, "color": NEUTRAL}},
            text=[f"Abstain until {each.aim:.0%} right" for each in marks],
            hovertemplate="%{text}: %{x:.0%} kept, %{y:.1%} right<extra></extra>",
        )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(tickformat=".0%", range=[-0.02, 1.03])
    figure.update_yaxes(tickformat=".0%")
    return figure


def promise_table(there: Sequence[tuple[str, Trust]]) -> pd.DataFrame:
    """Return what each checkpoint promises, a row for each share to be right."""
    rows = []
    for label, figures in there:
        for aim in AIMS:
            found = figures.promise(aim)
            if found:
                is_kept = found.right is not None
                rows.append({
                    "Checkpoint": label, "To be right": f"{100 * aim:.0f} %",
                    "Promised": percent(found.promise) if is_kept else "nothing",
                    "From confidence": percent(found.confidence) if is_kept else MISSING,
                    "Keeps": percent(found.kept), "Right of these": percent(found.right),
                    "Held-out photos": found.num_photos, "Photos with nothing kept": found.num_empty,
                })  # fmt: skip
    return pd.DataFrame(rows)


def show_temperature(there: Sequence[tuple[str, Trust]]) -> None:
    """Draw calibration before and after temperature scaling."""
    fitted = [(label, found) for label, figures in there if (found := figures.temperature())]
    if not fitted:
        return
    with st.container(horizontal=True):
        for label, found in fitted:
            st.metric(
                f"{plain(label)}: calibration error at temperature {found.value:.2f}", percent(found.after.ece),
                border=True, delta=f"before {percent(found.before.ece)}", delta_color="off", delta_arrow="off",
                help="Logits are divided by the temperature (Guo et al. 2017), which changes no class. It is fitted on "
                "half of the held-out photos, and the error is that of the other half, both ways.",
            )  # fmt: skip
    if any((found.after.ece or 0) > (found.before.ece or 0) for _, found in fitted):
        st.caption("Where the error is larger after than before, the temperature does not calibrate: do not use it.")
    curves = [
        (f"{label}, {when}", curve, dash)
        for label, found in fitted
        for when, curve, dash in (("before", found.before, "dot"), ("after", found.after, "solid"))
    ]
    show_chart(Chart("temperature", "**As sure as it is right, before and after**", temperature_figure(curves),
                     "Share right over confidence, before and after temperature scaling"))  # fmt: skip


def temperature_figure(curves: Sequence[tuple[str, Reliability, str]]) -> go.Figure:
    """Draw reliability curves: label, curve and dash of each; on the line, a model is calibrated."""
    figure = blank(height=360, x_title="Confidence", y_title="Share that is right")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": NEUTRAL, "width": 1}, hoverinfo="skip",
                       showlegend=False)  # fmt: skip
    for label, curve, dash in curves:
        figure.add_scatter(
            name=literal(label), x=curve.confidence_B, y=curve.accuracy_B, mode="lines+markers",
            line={"color": color_of(label), "width": 2, "dash": dash},
            hovertemplate="%{x:.0%} sure, %{y:.1%} right<extra></extra>",
        )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(tickformat=".0%", range=[0, 1.03])
    figure.update_yaxes(tickformat=".0%", range=[0, 1.03])
    return figure
