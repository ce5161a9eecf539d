"""Figures hold the numbers of the records, and nothing that only one theme can show."""

import itertools

import pytest

from core.classes import VOC_CLASSES
from tests.unit.ui.made_logs import epoch, leg, log_of, step
from ui import charts

NAMES = ("background", "cat", "dog")


def test_losses_lie_on_one_epoch_axis() -> None:
    figure = charts.loss_figure(log_of(leg(), step(5, 1.0), step(10, 2.0), epoch(1)))
    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name["Training, by step"].x) == [0.5, 1.0]
    assert list(by_name["Training"].x) == [1]
    assert list(by_name["Validation"].y) == [1.0]


def test_a_long_run_is_thinned() -> None:
    log = log_of(leg(), *(step(number, float(number)) for number in range(1, 9001)))
    assert len(charts.loss_figure(log).data[0].x) <= 2001


def test_miou_has_the_floor_beside_it() -> None:
    figure = charts.miou_figure(log_of(leg(), epoch(1), epoch(2)))
    assert [shape.y0 for shape in figure.layout.shapes] == [0.35]
    assert "Floor 35.0 %" in [trace.name for trace in figure.data]
    assert figure.layout.legend.yref == "container", "beside the plot it slid onto the line when the page became wider"


def test_an_empty_log_draws_empty_figures() -> None:
    for draw in (charts.loss_figure, charts.miou_figure, charts.learning_rate_figure, charts.throughput_figure):
        assert draw(log_of()).data is not None


def test_classes_have_their_colour_an_outline_and_no_score_when_absent() -> None:
    figure = charts.class_iou_figure(log_of(leg(class_names=list(NAMES)), epoch(1, iou=[0.9, None, 0.0])))
    bar = figure.data[0]
    assert list(bar.y) == ["background", "dog"]
    assert list(bar.x) == [0.9, 0.0]
    assert list(bar.marker.color) == [VOC_CLASSES.css_color(0), VOC_CLASSES.css_color(2)]
    assert bar.marker.line.color == charts.NEUTRAL, "black bars need an outline in the dark"


def test_figures_are_transparent() -> None:
    figure = charts.miou_figure(log_of(leg(), epoch(1)))
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_a_class_that_is_only_predicted_once_has_no_row() -> None:
    """Its IoU was 0 after that epoch and missing after the others: a row that looked empty."""
    log = log_of(
        leg(class_names=["background", "cat", "dog"]), epoch(1, iou=[0.7, 0.0, 0.0]), epoch(2, iou=[0.7, 0.0, None])
    )
    heatmap = charts.class_growth_figure(log).data[0]
    assert list(heatmap.y) == ["background", "cat"]
    assert heatmap.showscale is not False
    assert list(heatmap.colorbar.tickvals) == [0, 0.5, 1], "the shades have a scale"
    assert [list(row) for row in heatmap.z] == [[0.7, 0.7], [0.0, 0.0]]


@pytest.mark.parametrize("count", [0, 1, 1999, 2000, 2001, 4000, 123_457])
def test_thinning_keeps_the_ends_and_spreads_evenly(count: int) -> None:
    points = [(index,) for index in range(count)]
    kept = charts.thin(points)
    assert len(kept) <= 2000
    assert len(kept) == count or len(kept) > 999
    if count:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
    gaps = {later[0] - earlier[0] for earlier, later in itertools.pairwise(kept[:-1])}
    assert len(gaps) <= 1
