"""Figures of a split hold its numbers, and ask for the right photos when clicked."""

import numpy as np
import plotly.graph_objects as go
import pytest

from core.classes import VOC_CLASSES, classes_of
from core.data.statistics.pair_facts import GRID
from core.data.statistics.split_stats import VOC_SHARES, SplitStats, summarize
from tests.unit.ui.dataset.made_facts import facts
from ui.dataset import statistics_charts
from ui.dataset.browser import parse

CAT, DOG = 8, 12


@pytest.fixture
def stats() -> SplitStats:
    """Three photos: a cat, a cat with two dogs, and nothing, the last of another size."""
    photos = [facts({0: 75, CAT: 50}, {CAT: 1}), facts({0: 25, CAT: 50, DOG: 50}, {CAT: 1, DOG: 2})]
    return summarize(("a", "b", "c"), [*photos, facts({0: 100}, {}, (10, 10))], VOC_CLASSES.names)


def asked(trace: go.Bar) -> list[str]:
    return [str(value) for value in np.ravel(trace.customdata)]


def test_presence_and_share_leave_out_the_background_and_what_is_not_there(stats: SplitStats) -> None:
    bars = [
        draw(stats, VOC_CLASSES).data[0] for draw in (statistics_charts.presence_figure, statistics_charts.share_figure)
    ]
    assert [list(bar.y) for bar in bars] == [["cat", "dog"]] * 2
    assert list(bars[0].x) == pytest.approx([2 / 3, 1 / 3])
    assert list(bars[1].x) == pytest.approx([100 / 350, 50 / 350])
    assert asked(bars[0]) == ["class:8", "class:12"]


def test_voc_s_own_shares_stand_beside(stats: SplitStats) -> None:
    thin = statistics_charts.presence_figure(stats, VOC_CLASSES).data[1]
    assert (thin.name, list(thin.x)) == ("VOC 2012", [VOC_SHARES["cat"].images, VOC_SHARES["dog"].images])


def test_a_number_stands_at_its_own_bar_and_voc_in_another_lane() -> None:
    """A cat's 2.4 % was written behind VOC's tick at 5.2 %, and read as the tick's value."""
    shares = {0: 976, CAT: 24}
    figure = statistics_charts.share_figure(
        summarize(("a",), [facts(shares, {CAT: 1})], VOC_CLASSES.names), VOC_CLASSES
    )
    own, voc = figure.data
    assert VOC_SHARES["cat"].pixels > own.x[0], "VOC's mark lies where the number did"
    assert ([text.strip() for text in own.text], own.textposition) == (["2.4 %"], "outside")
    assert all(trace.text is None for trace in figure.data if trace is not own)
    assert own.offset + own.width <= voc.offset, "they do not overlap"


def test_classes_that_voc_does_not_know_have_no_bar_of_voc() -> None:
    fruit = classes_of(("background", "apple"))
    figure = statistics_charts.presence_figure(summarize(("a",), [facts({0: 75, 1: 50}, {1: 1})], fruit.names), fruit)
    assert len(figure.data) == 1
    assert [text.strip() for text in figure.data[0].text] == ["1"]


def test_together_counts_the_photos_of_two_classes(stats: SplitStats) -> None:
    cells = statistics_charts.together_figure(stats, VOC_CLASSES).data[0]
    found = {(y, x): (text, only) for y, x, text, only in zip(cells.y, cells.x, cells.text, asked(cells), strict=True)}
    assert found == {
        ("cat", "cat"): ("2", "class:8"), ("cat", "dog"): ("1", "class:8+12"),
        ("dog", "cat"): ("1", "class:12+8"), ("dog", "dog"): ("1", "class:12"),
    }  # fmt: skip


def test_where_has_a_grid_for_each_class(stats: SplitStats) -> None:
    figure = statistics_charts.where_figure(stats, VOC_CLASSES)
    assert [note.text for note in figure.layout.annotations] == ["background", "cat", "dog"]
    assert np.asarray(figure.data[1].z).shape == (GRID, GRID)
    assert np.asarray(figure.data[1].z) == pytest.approx(0.2)  # 51 of 255


def test_objects_and_sizes_count_photos(stats: SplitStats) -> None:
    bars = statistics_charts.objects_figure(stats).data[0]
    assert (list(bars.x), list(bars.y), asked(bars)) == ([0, 1, 3], [1, 1, 1], ["objects:0", "objects:1", "objects:3"])
    dots = statistics_charts.sizes_figure(stats).data[0]
    assert (list(dots.x), list(dots.y), asked(dots)) == ([25, 10], [5, 10], ["size:25x5", "size:10x10"])


def test_brightness_counts_every_photo(stats: SplitStats) -> None:
    assert sum(statistics_charts.brightness_figure(stats).data[0].y) == 3


@pytest.mark.parametrize("draw", [statistics_charts.presence_figure, statistics_charts.together_figure])
def test_what_a_click_asks_for_can_be_read(stats: SplitStats, draw: object) -> None:
    for trace in draw(stats, VOC_CLASSES).data:  # type: ignore[operator]
        assert all(parse(text, 21) for text in (asked(trace) if trace.customdata is not None else []))
