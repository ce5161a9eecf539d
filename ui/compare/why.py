"""Where and why A and B differ; a click on a mark filters the photos of the gallery."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.metrics.calibration import reliability
from core.metrics.object_size import size_scores
from core.training.run.evaluations import Details
from ui import address
from ui.clickable import ONLY, Chart, show_chart
from ui.compare import cached_comparison as cached
from ui.compare.image_filter import parse
from ui.compare.risk import show_risk
from ui.compare.robustness import show_robustness
from ui.compare.scores import Side
from ui.compare.why_charts import (
    SHARES,
    change_figure,
    class_bars,
    confusion_figure,
    errors_figure,
    reliability_figure,
    scatter_figure,
    size_figure,
)
from ui.words import percent, plain

NAMES = ("Classes", "Confusion", "Images", "Errors", "Confidence", "Size", "Robustness", "Trust")
VIEWS = {name: name for name in NAMES} | {"Images": "Photos"}
"""Their labels by their names in the address."""
CLICK = "Click a mark to see its photos below, with its pixels lit."
ERRORS_MEANING = (
    "*False negative*: an object predicted as background. *False positive*: background predicted as an object. "
    "*Confusion*: an object predicted as another class. *Boundary*: any of these where the contour is off by at most "
    "2 % of the photo diagonal."
)
SIZE_MEANING = (
    "An object here is all of one class in one photo, and its IoU is that of the class in the photo. The mean is over "
    "objects, large and small alike."
)


def show_why(a: Side, b: Side) -> None:
    """Draw the chosen view; only that one is computed."""
    shown = (_classes, _confusion, _images, _errors, _confidence, _size, _robustness, show_risk)
    views = dict(zip(VIEWS, shown, strict=True))
    chosen = address.ask_one("Why", VIEWS, "why", NAMES[0], label_visibility="collapsed")
    _offer_by_name(views[chosen](a, b), a, b)


def _classes(a: Side, b: Side) -> list[go.Figure]:
    figure = class_bars(a.evaluation.scores, b.evaluation.scores, a.label, b.label)
    show_chart(Chart("classes", "", figure, f"IoU of every class under {a.label} and {b.label}"))
    pairs = zip(a.evaluation.scores.classes, b.evaluation.scores.classes, strict=True)
    absent = [entry.name for entry, other in pairs if entry.iou is other.iou is None]
    if absent:
        st.caption(f"In neither the truth nor a prediction, so without a score: {plain(', '.join(absent))}.")
    st.caption(CLICK)
    return [figure]


def _confusion(a: Side, b: Side) -> list[go.Figure]:
    share = st.segmented_control("Cells show", list(SHARES), default="Of the truth", required=True, key="share")
    st.caption(f"{SHARES[share]} {CLICK}")
    a_KK, b_KK = (np.array(side.evaluation.scores.confusion, dtype=np.int64) for side in (a, b))
    classes = b.choice.classes
    figures = [confusion_figure(a_KK, classes, share, "a"), confusion_figure(b_KK, classes, share, "b")]
    for column, name, side, figure in zip(st.columns(2), "ab", (a, b), figures, strict=True):
        with column:
            show_chart(Chart(f"confusion {name}", f"**{name.upper()}: {plain(side.label)}**", figure,
                        f"Confusion matrix of {side.label}"))  # fmt: skip
    show_chart(Chart("confusion change", "**B - A**, in points; teal is more, brown less",
                change_figure(a_KK, b_KK, classes, share), "Difference of the confusion matrices"))  # fmt: skip
    return figures


def _images(a: Side, b: Side) -> list[go.Figure]:
    images = cached.images(a.evaluation.path, b.evaluation.path)
    better = sum(image.gain > 0 for image in images)
    worse = sum(image.gain < 0 for image in images)
    title = f"**mIoU of each photo**: B is better on {better:,}, worse on {worse:,} of {len(images):,}"
    show_chart(
        Chart("scatter", title, scatter_figure(images, a.label, b.label), "mIoU of each photo under A against B")
    )
    st.caption(f"Above the line B is better. {CLICK}")
    return []  # each photo is in the gallery by name


def _errors(a: Side, b: Side) -> list[go.Figure]:
    found = [cached.details(side.evaluation.path) for side in (a, b)]
    if _is_too_old(found, "kinds of errors"):
        return []
    shares = [_error_shares(side.evaluation.path) for side in (a, b)]
    figure = errors_figure(shares, (a.label, b.label))
    show_chart(Chart("errors", "**What went wrong**", figure, "Share of the pixels wrong, by kind"))
    st.caption(f"{ERRORS_MEANING} {CLICK}")
    return [figure]


def _error_shares(path: Path) -> list[float]:
    details, counts_NKK = cached.details(path), cached.counts(path)[1]
    errors = details.errors_N4.sum(axis=0) if details else np.zeros(4)
    return [float(count) / max(1, int(counts_NKK.sum())) for count in errors]


def _confidence(a: Side, b: Side) -> list[go.Figure]:
    found = [cached.details(side.evaluation.path) for side in (a, b)]
    if _is_too_old(found, "confidence"):
        return []
    curves = [reliability(details.bins_N3B.sum(axis=0)) for details in found if details]
    labels = (a.label, b.label)
    with st.container(horizontal=True):
        for name, label, curve in zip("AB", labels, curves, strict=True):
            excess = curve.overconfidence
            direction = "too sure" if excess and excess > 0 else "too unsure"
            st.metric(
                f"{name}: expected calibration error", percent(curve.ece), border=True,
                delta=None if excess is None else f"{direction} by {percent(abs(excess))}",
                delta_color="off", delta_arrow="off",
                help=f"{label}. Mean gap between confidence and the share that is right, in 15 bins weighted by pixels "
                "(Guo et al. 2017), at the size the model works at.",
            )  # fmt: skip
    figure = reliability_figure(curves, labels)
    show_chart(Chart("confidence", "**Does confidence match accuracy?**", figure, "Share right over confidence"))
    st.caption(f"On the line, of the pixels a model is 80 % sure of, 80 % are right; below it is too sure. {CLICK}")
    return [figure]


def _size(a: Side, b: Side) -> list[go.Figure]:
    sizes = [size_scores(cached.counts(side.evaluation.path)[1]) for side in (a, b)]
    figure = size_figure(sizes, (a.label, b.label))
    show_chart(Chart("size", "**IoU against object size**", figure, "Mean IoU of objects by size"))
    st.caption(f"{SIZE_MEANING} {CLICK}")
    return [figure]


def _robustness(a: Side, b: Side) -> list[go.Figure]:
    show_robustness(a, b)
    return []  # its marks choose a level, not images


def _is_too_old(found: list[Details | None], what: str) -> bool:
    if None not in found:
        return False
    st.info(f"One of the two was evaluated by a version that did not store {what}; evaluate it again, above the table.")
    return True


def _offer_by_name(figures: list[go.Figure], a: Side, b: Side) -> None:
    """List the marks of figures too, for the keyboard and for small marks."""
    classes, labels = b.choice.classes, {"a": a.label, "b": b.label}
    marks = [str(mark) for figure in figures for trace in figure.data for mark in trace.customdata or ()]
    asked = {mark: found for mark in marks if (found := parse(mark, len(classes)))}
    if not asked:
        return

    def choose() -> None:
        st.query_params[ONLY] = st.session_state["mark"] or ""

    only = st.query_params.get(ONLY)
    st.session_state["mark"] = only if only in asked else None
    st.selectbox(
        "Or choose a mark by name", list(asked), key="mark", on_change=choose, placeholder="Its photos stand below",
        format_func=lambda mark: asked[mark].words(classes, labels[asked[mark].side]),
    )  # fmt: skip
