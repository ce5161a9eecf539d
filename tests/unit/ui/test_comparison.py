"""What a comparison says, and its figures, for scores that are written down by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from core.classes import VOC_CLASSES
from core.metrics.scores import Scores, score
from core.training.records import Epoch, RunLog, RunStarted
from ui.comparison import difference, floor_scores, floor_warnings, headline, score_table
from ui.score_charts import THEME_COLORS, Curve, class_bars, loss_curves, miou_curves

NAMES = ("background", "aeroplane", "bicycle")
FLOOR_COUNTS = [[90, 0, 0], [10, 0, 0], [0, 0, 0]]
GOOD_COUNTS = [[85, 5, 0], [2, 8, 0], [0, 0, 0]]


def scores(counts: Sequence[Sequence[int]]) -> Scores:
    return score(np.array([counts], dtype=np.int64), NAMES)


FLOOR, GOOD = scores(FLOOR_COUNTS), scores(GOOD_COUNTS)


def test_the_headline_names_score_gain_and_floor() -> None:
    # 85 / 92 and 8 / 15 against 90 / 100 and 0 / 10: means of 72.9 % and 45.0 %.
    assert headline("10 epochs", "50 epochs", FLOOR, GOOD) == (
        "50 epochs: mIoU 72.9 %, 27.9 points above 10 epochs; floor 45.0 %"
    )
    assert headline("50 epochs", "10 epochs", GOOD, FLOOR) == (
        "10 epochs: mIoU 45.0 %, 27.9 points below 50 epochs; floor 45.0 %"
    )


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.41, "41.0 points above"), (-0.003, "0.3 points below"), (0.0004, "the same as"), (0.0, "the same as")],
)
def test_a_difference_in_words(fraction: float, text: str) -> None:
    assert difference(fraction) == text


def test_the_floor_is_a_row_of_what_background_everywhere_scores() -> None:
    floor = floor_scores(GOOD)
    assert floor.miou == GOOD.floor.miou == FLOOR.miou
    assert floor.pixel_accuracy == GOOD.floor.pixel_accuracy
    table = score_table([("A", FLOOR), ("B", GOOD)])
    assert list(table.index) == ["A", "B", "Floor"]
    columns = [column for column in table.columns if not column.startswith("Boundary")]
    assert table.loc["A", columns].tolist() == table.loc["Floor", columns].tolist()


def test_scores_on_the_floor_and_below_it_are_told() -> None:
    assert floor_warnings("B", GOOD) == []
    on_it = floor_warnings("A", FLOOR)
    assert [text.split(";")[0] for text in on_it] == [
        "A: mIoU 45.0 % is on the floor of 45.0 %",
        "A: pixel accuracy 90.0 % is on the floor of 90.0 %",
    ]
    below = floor_warnings("C", scores([[40, 50, 0], [5, 5, 0], [0, 0, 0]]))
    assert all("is below the floor of" in text and text.endswith("does better.") for text in below)
    assert len(below) == 2


def test_bars_have_class_colours_and_leave_absent_classes_out() -> None:
    figure = class_bars(FLOOR, GOOD, "A", "B", VOC_CLASSES)
    bars = {trace.name: trace for trace in figure.data if trace.y[0] is not None}
    assert bars["B"].y == ("background", "aeroplane")
    assert bars["B"].marker.color == (VOC_CLASSES.css_color(0), VOC_CLASSES.css_color(1))
    assert bars["B"].x == pytest.approx((85 / 92, 8 / 15))
    assert bars["A"].x == pytest.approx((0.9, 0.0))
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def log_of(*legs: Sequence[int]) -> RunLog:
    """Return a log with these epochs in its legs; mIoU is a hundredth of the epoch."""
    log = RunLog.__new__(RunLog)
    log._reset()
    for epochs in legs:
        log.legs.append(
            RunStarted(
                config={}, device="", precision="", num_params=0, num_train_images=1, num_val_images=1,
                steps_per_epoch=1, epochs_done=epochs[0] - 1, class_names=[], floor={"miou": 0.03}, versions={},
                fingerprint="",
            )
        )  # fmt: skip
        log.epochs += [
            Epoch(
                epoch=epoch, step=epoch, train_loss=1 / epoch, val_loss=None, miou=epoch / 100, pixel_accuracy=None,
                iou=[], seconds=1, train_seconds=1, images_per_second=1, peak_memory_bytes=0, is_best=False,
            )
            for epoch in epochs
        ]  # fmt: skip
    return log


def test_curves_show_floor_legs_and_the_compared_epochs() -> None:
    curve = Curve("run", log_of(range(1, 11), range(11, 51)), (10, 50))
    figure = miou_curves([curve])
    names = [trace.name for trace in figure.data]
    assert names == ["run", "run", "Floor 3.0 %", "New leg after 10"]
    line, dots, *_ = figure.data
    assert list(line.x) == list(range(1, 51))
    assert list(dots.x) == [10, 50]
    assert list(dots.y) == pytest.approx([0.1, 0.5])
    assert [shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1] == [10]


def test_each_run_has_one_colour_in_both_charts() -> None:
    curves = [Curve("first", log_of([1, 2])), Curve("second", log_of([1, 2, 3]))]
    for figure in (miou_curves(curves), loss_curves(curves)):
        colors = {trace.name.split(",")[0]: trace.line.color for trace in figure.data if trace.mode == "lines"}
        assert (colors["first"], colors["second"]) == THEME_COLORS[:2]
    assert [trace.name for trace in loss_curves(curves).data][:2] == ["first, train", "first, val"]


def test_a_run_without_epochs_draws_empty_charts() -> None:
    curve = Curve("new", log_of())
    assert not miou_curves([curve]).data[0].x
    assert not loss_curves([curve]).data[0].x
