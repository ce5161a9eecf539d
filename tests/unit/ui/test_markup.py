"""Names of classes come from files that anybody may have written: figures show them letter by letter."""

import numpy as np
import plotly.graph_objects as go
import pytest

from core.classes import classes_of
from core.data.statistics.split_stats import summarize
from core.metrics.scores import score
from tests.unit.ui.dataset.made_facts import facts
from tests.unit.ui.made_logs import epoch, leg, log_of
from ui import charts
from ui.compare import why_charts
from ui.dataset import statistics_charts

NAME = '<a href="http://127.0.0.1/">cat</a> %{x}'
CLASSES = classes_of(("background", NAME))
LOG = log_of(leg(class_names=list(CLASSES.names)), epoch(1))
STATS = summarize(("a",), [facts({0: 75, 1: 50}, {1: 1})], CLASSES.names)
SCORES = score(np.array([[[5, 1], [1, 5]]]), CLASSES.names)

FIGURES = {
    "class IoU": charts.class_iou_figure(LOG),
    "growth": charts.class_growth_figure(LOG),
    "presence": statistics_charts.presence_figure(STATS, CLASSES),
    "share": statistics_charts.share_figure(STATS, CLASSES),
    "together": statistics_charts.together_figure(STATS, CLASSES),
    "where": statistics_charts.where_figure(STATS, CLASSES),
    "compared": why_charts.class_bars(SCORES, SCORES, "A", "B"),
}


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES.keys())
def test_a_class_name_is_no_markup_and_no_template(figure: go.Figure) -> None:
    """A class called `<a href=...>` was a link in the charts, and one called `%{x}` a number in what hovers there."""
    written = figure.to_json()
    assert "cat" in written, "the name is on it"
    assert "\\u003ca" not in written
    assert "<a" not in written
    assert not [trace for trace in figure.data if "cat" in (trace.hovertemplate or "")]
