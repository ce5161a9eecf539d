"""Compare in its four states, and the numbers on it against those that are stored."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.classes import VOC_CLASSES
from core.errors import CheckpointError
from core.training import evaluations
from core.training.runs import Run, create_run
from tests.app.conftest import CAT, links, make_pairs, texts, write_records
from tests.app.stored import guess_background, guess_half, store_milestone
from ui.comparison import SCORE_COLUMNS

Visit = Callable[..., AppTest]
MakeRun = Callable[..., Run]

PER_IMAGE = 5
"""Pictures for each image: photo, truth, A, B, difference."""


@pytest.fixture
def run(make_run: MakeRun, demo_data: Path) -> Run:
    """A finished run with two milestones: the first predicts background everywhere."""
    run = make_run()
    write_records(run, 3, ended="finished")
    store_milestone(run, 1, guess_background)
    store_milestone(run, 3, guess_half)
    return run


def figure(app: AppTest, key: str) -> dict[str, list[dict[str, object]]]:
    """Return the specification of a chart by the key of its widget."""
    charts = {chart.proto.id.split("-")[-1]: chart.proto.spec for chart in app.get("plotly_chart")}
    return json.loads(charts[key])  # type: ignore[no-any-return]


def test_nothing_yet_leads_to_train(visit: Visit) -> None:
    app = visit("compare")
    assert not app.exception
    assert "no checkpoints yet" in texts(app)
    assert "Go to Train" in links(app)


def test_a_run_without_checkpoints_is_named(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    with jobs.hold(make_run("nightly").path):
        app = visit("compare")
    assert "nightly is being trained" in texts(app)
    assert not app.exception


def test_one_checkpoint_is_not_compared(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    write_records(make_run(), 2, ended="finished")
    app = visit("compare")
    assert "one checkpoint so far (last (2 epochs))" in texts(app)


def test_the_table_holds_the_stored_scores_and_the_floor(visit: Visit, run: Run) -> None:
    app = visit("compare")
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table.index) == ["1 epoch", "3 epochs", "Floor"]
    for label, file in {"1 epoch": "epoch_001.pt", "3 epochs": "epoch_003.pt"}.items():
        stored = evaluations.find(run.eval_dir, evaluations.file_hash(run.path / file), "val", None)
        assert stored is not None
        for name, column in SCORE_COLUMNS.items():
            assert table.loc[label, column.label] == pytest.approx(100 * (getattr(stored.scores, name)))
    floor = stored.scores.floor
    assert table.loc["Floor", "mIoU"] == pytest.approx(100 * floor.miou)
    assert table.loc["Floor", "Pixel accuracy"] == pytest.approx(100 * floor.pixel_accuracy)
    assert math.isnan(table.loc["Floor", "Boundary IoU"])
    # Its rivals on the floor: the run that predicts background everywhere scores the same in every column.
    for column in list(SCORE_COLUMNS.values())[:-2]:
        assert table.loc["Floor", column.label] == pytest.approx(table.loc["1 epoch", column.label])


def test_the_headline_says_points_and_floor(visit: Visit, run: Run) -> None:
    app = visit("compare")
    table = app.dataframe[0].value
    a, b = table.loc["1 epoch", "mIoU"], table.loc["3 epochs", "mIoU"]
    said = app.subheader.values
    assert f"3 epochs: mIoU {b:.1f} %, {b - a:.1f} points above 1 epoch; floor {a:.1f} %" in said


def test_a_score_on_the_floor_is_told(visit: Visit, run: Run) -> None:
    app = visit("compare")
    warnings = app.warning[0].value.splitlines()
    assert len(warnings) == 2
    assert all(text.startswith("- 1 epoch: ") and "is on the floor of" in text for text in warnings)


def test_every_picture_has_words(visit: Visit, run: Run) -> None:
    app = visit("compare")
    assert len(app.image) == 2 * PER_IMAGE
    assert all(picture.alt for image in app.image for picture in image.proto.imgs)
    assert all(chart.proto.alt for chart in app.get("plotly_chart"))


def test_images_come_in_the_order_asked_for(visit: Visit, run: Run) -> None:
    """`guess_half` does worse on photo_4 than on photo_5, so photo_5 gains most."""
    app = visit("compare")
    assert [image.captions[0] for image in app.image[::PER_IMAGE]] == ["photo_5", "photo_4"]
    assert app.image[3].captions[0] == "B · 100.0 %"
    for order in ("Largest loss", "Worst first", "Name"):
        app.selectbox(key="order").set_value(order).run()
        assert [image.captions[0] for image in app.image[::PER_IMAGE]] == ["photo_4", "photo_5"]
        assert not app.exception


def test_the_class_bars_have_the_classes_own_colours(visit: Visit, run: Run) -> None:
    bars = [trace for trace in figure(visit("compare"), "classes")["data"] if trace.get("name") == "3 epochs"]
    cat = bars[0]["y"].index("cat")  # type: ignore[attr-defined]
    assert bars[0]["marker"]["color"][cat] == VOC_CLASSES.css_color(CAT)  # type: ignore[index]


def test_the_choice_is_kept_in_the_query_string(visit: Visit, run: Run) -> None:
    wanted = [f"{run.path.name}/epoch_003.pt", f"{run.path.name}/epoch_001.pt"]
    app = visit("compare", checkpoint=wanted)
    assert "1 epoch: mIoU" in app.subheader[0].value
    assert "points below 3 epochs" in app.subheader[0].value
    app.multiselect(key="checkpoints").set_value(wanted[:1]).run()
    assert app.query_params["checkpoint"] == wanted[0]
    assert list(app.dataframe[0].value.index) == ["3 epochs", "Floor"]
    assert not app.exception


def test_a_query_string_from_elsewhere_opens_no_file(visit: Visit, run: Run) -> None:
    app = visit("compare", checkpoint=["../../etc/passwd", f"{run.path.name}/../x"])
    assert not app.exception
    assert list(app.dataframe[0].value.index) == ["1 epoch", "3 epochs", "Floor"]


def test_different_data_is_refused_in_one_sentence(visit: Visit, run: Run, tmp_path: Path) -> None:
    elsewhere = make_pairs(tmp_path / "elsewhere", num_val=3)
    other = create_run("other", elsewhere, "demo", run.config)
    store_milestone(other, 9, guess_half, data=elsewhere)
    app = visit("compare", checkpoint=[f"{run.path.name}/epoch_003.pt", f"{other.path.name}/epoch_009.pt"])
    assert not app.exception
    assert len(app.error) == 1
    assert "were scored on different data" in app.error[0].value
    assert "first, 3 epochs and other, 9 epochs" in app.error[0].value
    assert not app.dataframe


def test_scores_on_other_data_are_not_taken_for_the_run_s_own(visit: Visit, run: Run, tmp_path: Path) -> None:
    """Evaluating on another data set by hand once left Compare with "different data" and no way out."""
    store_milestone(run, 3, guess_half, data=make_pairs(tmp_path / "elsewhere", num_val=3))
    app = visit("compare")
    assert not app.error
    assert list(app.dataframe[0].value.index) == ["1 epoch", "3 epochs", "Floor"]


def test_a_damaged_evaluation_is_one_sentence(visit: Visit, run: Run) -> None:
    for file in run.eval_dir.glob("*/scores.json"):
        file.write_text("{")
    app = visit("compare")
    assert not app.exception
    assert len(app.error) == 1
    assert "cannot be read" in app.error[0].value


def test_data_that_is_gone_leaves_the_scores(visit: Visit, run: Run, demo_data: Path) -> None:
    demo_data.rename(demo_data.with_name("moved"))
    app = visit("compare")
    assert not app.exception
    assert "There is no folder" in app.error[0].value
    assert len(app.dataframe) == 1


@pytest.fixture
def last(run: Run) -> list[str]:
    """Ids of a milestone and of last.pt, which is not evaluated yet."""
    return [f"{run.path.name}/epoch_003.pt", f"{run.path.name}/last.pt"]


def test_what_is_not_evaluated_can_be(visit: Visit, run: Run, last: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[list[str]] = []
    monkeypatch.setattr(jobs, "launch", lambda arguments, _: launched.append(arguments))
    app = visit("compare", checkpoint=last)
    assert list(app.dataframe[0].value.index) == ["3 epochs", "Floor"]
    app.button[0].click().run()
    assert not app.exception
    assert app.button[0].label == "Evaluate last (3 epochs) on val"
    assert launched[0][:6] == ["evaluate", str(run.path / "last.pt"), "--data", run.data, "--split", "val"]


def test_an_evaluation_that_runs_shows_how_far_it_is(visit: Visit, run: Run, last: list[str]) -> None:
    folder = run.eval_dir / "job-val-last"
    folder.mkdir()
    with jobs.running(folder) as note:
        note(1, 2)
        app = visit("compare", checkpoint=last)
    assert not app.exception
    assert "Evaluating last (3 epochs): 1 of 2 images" in texts(app)
    assert not app.button
    store_milestone(run, 3, guess_half, file="last.pt")
    app.run()
    assert "last (3 epochs): mIoU" in app.subheader[0].value
    assert "the same as 3 epochs" in app.subheader[0].value


def test_an_evaluation_that_failed_says_why(visit: Visit, run: Run, last: list[str]) -> None:
    folder = run.eval_dir / "job-val-last"
    folder.mkdir()
    with pytest.raises(CheckpointError), jobs.running(folder):
        raise CheckpointError("last.pt was cut short; save it again.")
    app = visit("compare", checkpoint=last)
    assert [error.value for error in app.error] == ["last.pt was cut short; save it again."]
    assert [button.label for button in app.button] == ["Evaluate last (3 epochs) on val"]
