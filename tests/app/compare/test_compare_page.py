"""Compare in its four states, and the numbers on it against those that are stored."""

import json
import math
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.dataset import open_dataset
from core.errors import CheckpointError
from core.home import demo_dir
from core.training.run import evaluations, folders, openings
from core.training.run.folders import Run, create_run
from core.training.run.milestones import BEST as BEST_FILE
from core.training.run.milestones import CHOSEN_ON_VAL
from core.training.run.records import Checkpoint
from tests.app.conftest import MakeRun, Visit, append, button, links, make_pairs, texts, write_records
from tests.app.stored import by_size, guess_background, guess_half, store_milestone
from tests.small_data import replace_quietly, with_last_bit_flipped
from ui.compare.comparison import BEST, SCORE_COLUMNS
from ui.words import MISSING

TAKES = ", about 10 s"
"""5 s to start, and two photos at the 2.5 s of the log's validations."""


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


def test_a_checkpoint_of_mid_epoch_is_called_after_its_epoch(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    write_records(make_run(), 2, ended="stopped", extra_steps=1)
    assert "one checkpoint so far (last (in epoch 3))" in texts(visit("compare"))


def scores_of(app: AppTest) -> pd.DataFrame:
    """Return the first table of the page as numbers, a row for each checkpoint."""
    shown = app.table[0].value.T
    return shown.map(lambda text: float(text.strip(f"*{BEST} %\xa0")) if text != MISSING else math.nan)


def test_milestones_are_compared_in_the_order_of_their_epochs(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    """As text 1000 comes before 200 and 999: from there on A and B changed places."""
    run = make_run(epochs=1000)
    write_records(run, 3, ended="finished")
    for epoch in (1000, 200, 999):
        store_milestone(run, epoch, guess_half)
    app = visit("compare")
    assert not app.exception
    assert list(scores_of(app).index) == ["200 epochs", "1000 epochs", "Floor"]


def test_the_table_holds_the_stored_scores_and_the_floor(visit: Visit, run: Run) -> None:
    app = visit("compare")
    assert not app.exception
    table = scores_of(app)
    assert list(table.index) == ["1 epoch", "3 epochs", "Floor"]
    for label, file in {"1 epoch": "epoch_001.pt", "3 epochs": "epoch_003.pt"}.items():
        stored = evaluations.find(run.eval_dir, evaluations.file_hash(run.path / file), "val", None)
        assert stored is not None
        for name, column in SCORE_COLUMNS.items():
            assert table.loc[label, column.label] == pytest.approx(100 * (getattr(stored.scores, name)), abs=0.05)
    floor = stored.scores.floor
    assert table.loc["Floor", "mIoU"] == pytest.approx(100 * floor.miou, abs=0.05)
    assert table.loc["Floor", "Pixel accuracy"] == pytest.approx(100 * floor.pixel_accuracy, abs=0.05)
    assert math.isnan(table.loc["Floor", "Boundary IoU"])
    # Its rivals on the floor: the run that predicts background everywhere scores the same in every column.
    for column in list(SCORE_COLUMNS.values())[:-2]:
        assert table.loc["Floor", column.label] == pytest.approx(table.loc["1 epoch", column.label])


def test_two_images_decide_nothing(visit: Visit, run: Run, make_run: MakeRun) -> None:
    """Both are of one run, so the sentence does not name it, though there is another."""
    make_run("other").path.joinpath("epoch_001.pt").write_bytes(b"not a checkpoint")
    app = visit("compare", checkpoint=[f"{run.path.name}/epoch_00{epoch}.pt" for epoch in (1, 3)])
    a, b = (scores_of(app).loc[label, "mIoU"] for label in ("1 epoch", "3 epochs"))
    assert app.subheader[0].value == (
        "3 epochs and 1 epoch cannot be told apart on 2 photos, which takes at least 10: "
        f"difference in mIoU +{b - a:.1f} points"
    )


def test_twelve_images_that_all_gain_decide(visit: Visit, make_run: MakeRun, home: Path) -> None:
    make_pairs(demo_dir(), num_val=12)
    run = make_run()
    write_records(run, 3, ended="finished")
    store_milestone(run, 1, guess_background)
    store_milestone(run, 3, guess_half)
    app = visit("compare")
    assert not app.exception
    assert re.fullmatch(
        r"3 epochs beat 1 epoch by [\d.]+ points of mIoU, 95 % interval [\d.]+ to [\d.]+", app.subheader[0].value
    )


def test_several_checkpoints_are_ranked_with_ties(visit: Visit, run: Run) -> None:
    store_milestone(run, 2, guess_half)
    ids = [f"{run.path.name}/epoch_{epoch:03d}.pt" for epoch in (1, 2, 3)]
    app = visit("compare", checkpoint=ids)
    ranking = next(frame.value for frame in app.dataframe if "Place" in frame.value)
    assert ranking["Place"].tolist() == ["1 ="] * 3
    assert ranking["Cannot be told apart from"][0] == "1 epoch, 3 epochs"


def test_a_score_on_the_floor_is_told(visit: Visit, run: Run) -> None:
    app = visit("compare")
    (warning,) = app.warning[0].value.splitlines()
    assert warning.startswith("1 epoch: the mIoU of "), "one sentence has no bullet"
    assert "is on or below the floor of" in warning
    assert "**Why:** it was trained for 4 steps only. **What to do:** extend the run." in warning, "as Train says"


def test_the_rules_of_other_libraries_stand_in_a_table_of_their_own(visit: Visit, run: Run) -> None:
    """They were a select box above the scores: nine rules before the first number, of which one is ever wanted."""
    app = visit("compare")
    assert not app.exception
    assert not [box for box in app.selectbox if "rule" in box.label]
    assert "Rule" not in scores_of(app)
    rules = next(table.value for table in app.table if "Meaning" in table.value)
    points = rules.drop(columns="Meaning").map(
        lambda text: float(text.strip(" %\xa0")) if text != MISSING else math.nan
    )
    stored = evaluations.find(run.eval_dir, evaluations.file_hash(run.path / "epoch_001.pt"), "val", None)
    assert stored is not None
    # The first checkpoint is the floor itself, and so is its score by any rule.
    expected = 100 * (stored.scores.conventions["smp_macro"] or 0)
    assert points.loc["SMP macro", ["1 epoch", "Floor"]].tolist() == pytest.approx([expected, expected], abs=0.05)
    assert points.loc["SMP macro", "3 epochs"] > expected > scores_of(app)["mIoU"].iloc[0]
    assert len(rules) == len(stored.scores.conventions) == 9
    assert "`" not in "".join(rules["Meaning"]), "a cell is not Markdown"
    assert points["VOC devkit":"torchvision"][["1 epoch", "Floor"]].isna().all(axis=None)


def test_an_evaluation_of_version_1_says_what_it_lacks_and_can_be_done_again(visit: Visit, run: Run) -> None:
    for path in run.eval_dir.glob("*/counts.npz"):
        with np.load(path) as counts:
            old = {name: counts[name] for name in ("names", "counts_NKK", "boundary_N3K")}
        np.savez_compressed(path, **old)
        about = json.loads((path.parent / "scores.json").read_text())
        (path.parent / "scores.json").write_text(json.dumps(about | {"schema": 1}))
    app = visit("compare", why="Errors")
    assert not app.exception
    assert "did not store kinds of errors" in texts(app)
    assert "Boundary scores of 1 epoch, 3 epochs are left out" in texts(app)
    assert scores_of(app)["Boundary F"].isna().all()
    assert [button.label for button in app.button] == [
        f"Evaluate 1 epoch on val{TAKES}",
        f"Evaluate 3 epochs on val{TAKES}",
    ]


def test_an_evaluation_from_before_photos_were_compared_by_content_is_said_and_offered_anew(
    visit: Visit, run: Run
) -> None:
    """After the photos had been replaced by black ones of the same size, Compare showed the scores of the old ones."""
    shutil.rmtree(run.eval_dir)
    store_milestone(run, 1, guess_background, counted=by_size)
    store_milestone(run, 3, guess_half)
    app = visit("compare")
    assert not app.exception
    assert list(scores_of(app).index) == ["3 epochs", "Floor"], "what cannot be believed is not shown"
    assert [info.value for info in app.info] == [f"1 epoch {evaluations.BY_SIZE}; evaluate it again."]
    assert [button.label for button in app.button] == [f"Evaluate 1 epoch on val{TAKES}"]
    assert len(evaluations.stored(run.eval_dir)) == 2


def test_where_the_data_is_gone_an_evaluation_by_size_is_shown_with_a_warning(visit: Visit, run: Run) -> None:
    shutil.rmtree(run.eval_dir)
    for epoch in (1, 3):
        store_milestone(run, epoch, guess_half, counted=by_size)
    shutil.rmtree(run.data)
    app = visit("compare")
    assert not app.exception
    assert list(scores_of(app).index) == ["1 epoch", "3 epochs", "Floor"]
    for label in ("1 epoch", "3 epochs"):
        assert f"{label} {evaluations.BY_SIZE}: its scores may be of other photos." in [w.value for w in app.warning]


def test_photos_replaced_by_others_of_the_same_size_bring_no_old_scores(visit: Visit, run: Run) -> None:
    assert list(scores_of(visit("compare")).index) == ["1 epoch", "3 epochs", "Floor"]
    for sample in open_dataset(run.data).split("val"):
        replace_quietly(sample.photo, with_last_bit_flipped(sample.photo))
    app = visit("compare")
    assert not app.exception
    assert not app.table
    assert [button.label for button in app.button] == [
        f"Evaluate 1 epoch on val{TAKES}",
        f"Evaluate 3 epochs on val{TAKES}",
    ]


def test_numbers_from_elsewhere_are_explained(visit: Visit, run: Run) -> None:
    app = visit("compare")
    app.selectbox(key="elsewhere").set_value("recall")
    app.number_input(key="elsewhere value").set_value(112.0).run()
    assert "Recall 112: above 1, and above 100 %: a sum" in texts(app)


def test_the_choice_is_kept_in_the_query_string(visit: Visit, run: Run) -> None:
    wanted = [f"{run.path.name}/epoch_003.pt", f"{run.path.name}/epoch_001.pt"]
    app = visit("compare", checkpoint=wanted)
    assert app.subheader[0].value.startswith("1 epoch and 3 epochs ")
    app.selectbox(key="checkpoint last").set_value(None).run()
    assert app.query_params["checkpoint"] == wanted[0]
    assert list(scores_of(app).index) == ["3 epochs", "Floor"]
    assert not app.exception


def test_the_address_is_whole_from_the_first_visit(visit: Visit, run: Run) -> None:
    """A link that was copied at once opened whatever pair was the usual one by then."""
    app = visit("compare")
    assert app.query_params["checkpoint"] == [f"{run.path.name}/epoch_{epoch:03d}.pt" for epoch in (1, 3)]
    assert app.query_params["split"] == "val"


def test_a_side_that_takes_the_other_one_s_checkpoint_swaps_them(visit: Visit, run: Run) -> None:
    store_milestone(run, 2, guess_half)
    first, second, third = (f"{run.path.name}/epoch_{epoch:03d}.pt" for epoch in (1, 2, 3))
    app = visit("compare")
    app.multiselect(key="checkpoint between").set_value([second]).run()
    assert app.query_params["checkpoint"] == [first, second, third]
    app.selectbox(key="checkpoint first").set_value(third).run()
    assert app.query_params["checkpoint"] == [third, second, first]
    assert app.selectbox(key="checkpoint last").value == first
    app.selectbox(key="checkpoint last").set_value(second).run()
    assert app.query_params["checkpoint"] == [third, second]
    assert app.multiselect(key="checkpoint between").value == []
    assert not app.exception


def test_the_two_best_runs_are_compared_where_none_has_two_milestones(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    """The newest run's first checkpoint stood beside the oldest run's last one, on whatever data that was."""
    for name, epochs in (("good", 3), ("poor", 1), ("best", 4), ("fair", 2)):
        run = make_run(name)
        write_records(run, epochs, ended="finished")
        (run.path / "last.pt").rename(run.path / f"epoch_{epochs:03d}.pt")
    app = visit("compare")
    pair = [app.selectbox(key=f"checkpoint {end}").value for end in ("first", "last")]
    assert [each.partition("/")[0].rpartition("_")[2] for each in pair] == ["good", "best"]


def test_a_query_string_from_elsewhere_opens_no_file(visit: Visit, run: Run) -> None:
    app = visit("compare", checkpoint=["../../etc/passwd", f"{run.path.name}/../x"])
    assert not app.exception
    assert list(scores_of(app).index) == ["1 epoch", "3 epochs", "Floor"]
    assert app.warning[0].value.startswith(f"There is no checkpoint ../../etc/passwd and no {run.path.name}/../x in ")
    assert app.query_params["checkpoint"] == [f"{run.path.name}/epoch_{epochs:03}.pt" for epochs in (1, 3)]
    assert app.warning[0].value.endswith("Others are shown.")
    assert "There is no checkpoint" in texts(app.run()), "a browser may skip the first of two script runs"
    app.selectbox(key="checkpoint first").set_value(f"{run.path.name}/epoch_003.pt").run()
    assert "There is no checkpoint" not in texts(app), "the address names what is shown"
    assert not app.toast
    (run.path / "epoch_003.pt").unlink()  # in another tab, while this one is scrolled down
    app.run()
    assert app.toast[0].value == app.warning[0].value
    assert not app.exception


def test_different_data_is_refused_in_one_sentence(visit: Visit, run: Run, tmp_path: Path) -> None:
    elsewhere = make_pairs(tmp_path / "elsewhere", num_val=3)
    other = create_run("other", elsewhere, "demo", run.config)
    store_milestone(other, 9, guess_half, data=elsewhere)
    app = visit("compare", checkpoint=[f"{run.path.name}/epoch_003.pt", f"{other.path.name}/epoch_009.pt"])
    assert not app.exception
    assert len(app.error) == 1
    assert "were scored on different data" in app.error[0].value
    assert "first, 3 epochs and other, 9 epochs" in app.error[0].value
    assert not app.table


def test_scores_on_other_data_are_not_taken_for_the_run_s_own(visit: Visit, run: Run, tmp_path: Path) -> None:
    """Evaluating on another data set by hand once left Compare with "different data" and no way out."""
    store_milestone(run, 3, guess_half, data=make_pairs(tmp_path / "elsewhere", num_val=3))
    app = visit("compare")
    assert not app.error
    assert list(scores_of(app).index) == ["1 epoch", "3 epochs", "Floor"]


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
    assert len(scores_of(app)) == 3


@pytest.fixture
def last(run: Run) -> list[str]:
    """Ids of a milestone and of last.pt, which is not evaluated yet."""
    return [f"{run.path.name}/epoch_003.pt", f"{run.path.name}/last.pt"]


def test_what_is_not_evaluated_can_be(visit: Visit, run: Run, last: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[list[str]] = []
    monkeypatch.setattr(jobs, "launch", lambda arguments, _: launched.append(arguments))
    app = visit("compare", checkpoint=last)
    assert list(scores_of(app).index) == ["3 epochs", "Floor"]
    app.button[0].click().run()
    assert not app.exception
    assert app.button[0].label == f"Evaluate last (3 epochs) on val{TAKES}"
    assert launched[0][:6] == ["evaluate", str(run.path / "last.pt"), "--data", run.data, "--split", "val"]


def test_an_evaluation_that_runs_shows_how_far_it_is(visit: Visit, run: Run, last: list[str]) -> None:
    folder = run.eval_dir / "job-val-last"
    folder.mkdir()
    with jobs.running(folder) as note:
        note(1, 2)
        app = visit("compare", checkpoint=last)
    assert not app.exception
    assert "Evaluating last (3 epochs): 1 of 2 photos" in texts(app)
    assert not app.button
    store_milestone(run, 3, guess_half, file="last.pt")
    app.run()
    assert "last (3 epochs) and 3 epochs cannot be told apart" in app.subheader[0].value


def test_a_better_one_of_two_below_the_floor_is_no_success(visit: Visit, run: Run) -> None:
    """That neither is above the floor was said only below the table."""
    chosen = [f"{run.path.name}/epoch_00{epoch}.pt" for epoch in (1, 3)]
    assert "Neither is above the floor" not in texts(visit("compare", checkpoint=chosen))
    store_milestone(run, 3, guess_background)
    assert "Neither is above the floor" in texts(visit("compare", checkpoint=chosen))


def test_an_evaluation_that_failed_says_why(visit: Visit, run: Run, last: list[str]) -> None:
    folder = run.eval_dir / "job-val-last"
    folder.mkdir()
    with pytest.raises(CheckpointError), jobs.running(folder):
        raise CheckpointError("last.pt was cut short; save it again.")
    app = visit("compare", checkpoint=last)
    assert [error.value for error in app.error] == ["last.pt was cut short; save it again."]
    assert [button.label for button in app.button] == [f"Evaluate last (3 epochs) on val{TAKES}"]


def test_the_split_stays_in_the_links_to_other_pages(visit: Visit, run: Run) -> None:
    """`bind="query-params"` of the split made Streamlit drop `split=train` on the way to Present, in the browser alone.

    AppTest does not change pages as a browser does, so this reads that nothing here is bound under that name.
    """
    app = visit("compare", split="train")
    assert app.segmented_control(key="on split").value == "train"
    app.segmented_control(key="on split").set_value("val").run()
    assert app.query_params["split"] == "val"
    assert not app.exception


def test_an_evaluation_of_last_outlives_the_file_it_is_of(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    """What was evaluated at epoch 25 was gone at 30, and verdict and gallery with it: `last.pt` had gone on."""
    run = make_run()
    write_records(run, 2)
    store_milestone(run, 1, guess_background)
    store_milestone(run, 1, guess_half, file="last.pt")
    (run.path / "last.pt").write_bytes(b"weights after epoch 2")
    with jobs.hold(run.path):
        app = visit("compare", checkpoint=[f"{run.path.name}/epoch_001.pt", f"{run.path.name}/last.pt"])
    assert not app.exception
    assert list(scores_of(app).index) == ["1 epoch", "last (1 epoch)", "Floor"]
    assert "last.pt changed after its evaluation: it is now last (2 epochs)" in texts(app)
    assert button(app, f"Evaluate last (2 epochs) on val{TAKES}")


def test_an_older_link_with_a_rule_opens_the_table_of_rules(visit: Visit, run: Run) -> None:
    ids = [f"{run.path.name}/epoch_{epoch:03d}.pt" for epoch in (1, 3)]
    opened = [visit("compare", checkpoint=ids, **query).expander[0].proto.expanded for query in ({}, {"rule": "mmseg"})]
    assert opened == [False, True]


@pytest.mark.parametrize("is_live", [True, False])
def test_best_is_compared_by_default_rather_than_last(
    visit: Visit, make_run: MakeRun, demo_data: Path, *, is_live: bool
) -> None:
    """A finished run with one milestone was compared with its own last checkpoint, the same weights again."""
    run = make_run()
    write_records(run, 2, ended=None if is_live else "finished")
    store_milestone(run, 2, guess_background)
    store_milestone(run, 1, guess_half, file="best.pt")
    with jobs.hold(run.path) if is_live else nullcontext():
        app = visit("compare")
    pair = [app.selectbox(key=f"checkpoint {end}").value for end in ("first", "last")]
    assert [each.rpartition("/")[2] for each in pair] == ["epoch_002.pt", "best.pt"]


def test_the_same_weights_are_not_compared_with_themselves(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    """After a run of one epoch, "best (1 epoch) and 1 epoch cannot be told apart" was the verdict."""
    run = make_run(epochs=3)
    write_records(run, 3, ended="finished")
    for name in ("best.pt", "epoch_003.pt"):
        store_milestone(run, 3, guess_half, file=name)
    append(run, Checkpoint(file="best.pt", epoch=3, verified=True, size_bytes=1))
    app = visit("compare")
    assert not app.exception
    assert [app.selectbox(key=f"checkpoint {end}").value for end in ("first", "last")] == [
        f"{run.path.name}/epoch_003.pt", None,
    ]  # fmt: skip
    assert list(scores_of(app).index) == ["3 epochs", "Floor"]


def test_settings_are_those_of_all_chosen(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    """With one of two evaluated it said *All were trained with the same settings*, of MobileNet and ResNet-50 too."""
    first, other = make_run("first"), make_run("other", epochs=7)
    for run in (first, other):
        write_records(run, 2, ended="finished")
    store_milestone(first, 1, guess_half)
    app = visit("compare", checkpoint=[f"{first.path.name}/epoch_001.pt", f"{other.path.name}/last.pt"])
    assert not app.exception
    assert "same settings" not in texts(app)
    table = app.table[1].value
    assert table.loc["Epochs"].tolist() == ["3", "7"]
    assert table.loc["mIoU"].tolist()[1] == "not evaluated"
    assert "Seconds per photo" not in table.index


def test_the_table_of_runs_marks_the_best_and_has_speeds_where_models_differ(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    """Of two checkpoints of one run, *Seconds per photo* differed by what else the machine did at that moment."""
    for name, size, guess in (("small", 64, guess_background), ("large", 128, guess_half)):
        run = make_run(name, image_size=size)
        write_records(run, 2, ended="finished")
        store_milestone(run, 2, guess)
    ids = [f"{run.path.name}/epoch_002.pt" for run in reversed(folders.list_runs())]
    table = visit("compare", checkpoint=ids).table[1].value
    assert list(table.columns) == ["small, 2 epochs", "large, 2 epochs"]
    assert [score.endswith("**, the best") for score in table.loc["mIoU"]] == [False, True]
    assert table.loc["Image size (px)"].tolist() == ["64", "128"]
    assert "Seconds per photo" in table.index


def test_the_test_split_is_opened_by_one_recorded_action(
    visit: Visit, run: Run, launched: list[list[str]], one_sentence: Callable[[object, Path], str]
) -> None:
    """Its scores wait for a record; an evaluation from before openings were recorded is not shown without one."""
    lists = Path(run.data) / "ImageSets" / "Segmentation"
    (lists / "test.txt").write_text("photo_0\nphoto_1\n")
    app = visit("compare")
    assert "The test split was never opened." in texts(app)
    assert len(scores_of(app)) == 3, "val is shown by default"
    stored = [store_milestone(run, epoch, guess_half, split="test") for epoch in (1, 3)]
    app = visit("compare", split="test")
    assert "The test split was never opened." in app.info[0].value
    assert not app.table
    assert [each.label for each in app.button] == [
        f"Open the test split: evaluate {label} on test{TAKES}" for label in ("1 epoch", "3 epochs")
    ]
    app.button[0].click().run()
    assert "--split test" in " ".join(launched[0])
    data = open_dataset(run.data)
    for each in stored:
        openings.record(data, each.fingerprint, run.path / each.checkpoint, each.checkpoint_hash, "page")
    app = visit("compare", split="test")
    assert "The test split was opened 2 times, for 2 checkpoints" in app.info[0].value
    assert list(scores_of(app).index) == ["1 epoch", "3 epochs", "Floor"]
    assert "may be among those it trained on" in app.warning[0].value, "the log is of other lists"
    openings.path().write_text("damaged")
    app = visit("compare", split="test")
    assert not app.exception
    assert not app.table
    one_sentence(app.error[0].value, openings.path())


def test_best_is_said_to_be_chosen_on_val(visit: Visit, run: Run) -> None:
    assert CHOSEN_ON_VAL not in texts(visit("compare"))
    store_milestone(run, 3, guess_half, file=BEST_FILE)
    app = visit("compare", checkpoint=f"{run.path.name}/{BEST_FILE}")
    assert CHOSEN_ON_VAL in texts(app)
