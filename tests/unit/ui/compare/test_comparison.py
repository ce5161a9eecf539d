"""What a comparison says, and its figures, for scores that are written down by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.metrics.guard import suspicion
from core.metrics.image_scores import ImageScore
from core.metrics.scores import Scores, score
from core.training.run.log import RunLog
from core.training.run.records import Epoch, RunStarted
from ui.charts import THEME_COLORS, Curve, loss_curves, miou_curves
from ui.compare.comparison import BEST, floor_scores, in_order, marked_table, score_table, warning
from ui.compare.why_charts import class_bars
from ui.words import MISSING

NAMES = ("background", "aeroplane", "bicycle")
FLOOR_COUNTS = [[90, 0, 0], [10, 0, 0], [0, 0, 0]]
GOOD_COUNTS = [[85, 5, 0], [2, 8, 0], [0, 0, 0]]


def scores(counts: Sequence[Sequence[int]]) -> Scores:
    return score(np.array([counts], dtype=np.int64), NAMES)


FLOOR, GOOD = scores(FLOOR_COUNTS), scores(GOOD_COUNTS)


def test_the_floor_is_a_row_of_what_background_everywhere_scores() -> None:
    floor = floor_scores(GOOD)
    assert floor.miou == GOOD.floor.miou == FLOOR.miou
    assert floor.pixel_accuracy == GOOD.floor.pixel_accuracy
    table = score_table([("A", FLOOR), ("B", GOOD)])
    assert list(table.index) == ["A", "B", "Floor"]
    columns = [column for column in table.columns if not column.startswith("Boundary")]
    assert table.loc["A", columns].tolist() == table.loc["Floor", columns].tolist()


def test_the_best_of_each_row_is_marked_with_a_star_unless_it_is_on_the_floor() -> None:
    shown = marked_table(score_table([("A", FLOOR), ("B", GOOD)]))
    assert list(shown.columns) == ["A", "B", "Floor"]
    assert shown.loc["mIoU"].tolist() == ["45.0\xa0%", f"**{100 * (GOOD.miou or 0):.1f}\xa0%** {BEST}", "45.0\xa0%"]
    assert shown.loc["Boundary IoU", "Floor"] == MISSING, "the floor's is not computed"
    alike = marked_table(score_table([("A", FLOOR), ("B", FLOOR)]))
    alone = marked_table(score_table([("B", GOOD)]))
    assert not any(BEST in text for table in (alike, alone) for text in table.to_numpy().flat)


def test_a_warning_names_the_scores_on_the_floor_and_the_cause() -> None:
    assert suspicion(GOOD) is None
    found = suspicion(FLOOR)
    assert found is not None
    text = warning("A", found)
    assert text.startswith(
        "A: mIoU 45.0 % is on the floor of 45.0 % and pixel accuracy 90.0 % is on the floor of 90.0 %. The likely "
        "cause: it "
    ), "two sentences, not one with a comma between"
    assert text.endswith(".")
    assert warning("B", replace(found, on_floor=())) == f"B: {found.cause}."


IMAGES = [
    ImageScore(index, name, a, b)
    for index, (name, a, b) in enumerate([("x", 0.2, 0.9), ("y", 0.8, 0.5), ("z", None, None)])
]


@pytest.mark.parametrize(
    ("order", "names"),
    [("Largest gain", "xzy"), ("Largest loss", "yzx"), ("Worst first", "yxz"), ("Name", "xyz")],
)
def test_images_in_order(order: str, names: str) -> None:
    assert "".join(image.name for image in in_order(IMAGES, order)) == names


def test_images_are_named_in_the_order_of_their_numbers() -> None:
    images = [ImageScore(0, f"photo_{number}", 0.1, 0.1) for number in (1, 10, 2)]
    assert [image.name for image in in_order(images, "Name")] == ["photo_1", "photo_2", "photo_10"]


def test_a_random_order_has_a_seed() -> None:
    orders = [tuple(image.name for image in in_order(IMAGES, "Random", seed)) for seed in range(20)]
    assert orders == [tuple(image.name for image in in_order(IMAGES, "Random", seed)) for seed in range(20)]
    assert len(set(orders)) > 3


def test_bars_have_class_colours_and_leave_absent_classes_out() -> None:
    figure = class_bars(FLOOR, GOOD, "one", "other")
    b, a = figure.data
    assert (a.name, b.name) == ("A: one", "B: other")
    assert b.y == ("background", "aeroplane")
    assert (a.marker.color, b.marker.color) == THEME_COLORS[:2], "navy and black were not seen on the dark theme"
    assert b.x == pytest.approx((85 / 92, 8 / 15))
    assert a.x == pytest.approx((0.9, 0.0))
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
