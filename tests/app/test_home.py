"""Home in its four states."""

import gc
import shutil
from pathlib import Path

import pytest

from core import jobs
from core.training import demo_run
from core.training.run import folders
from core.training.run.folders import create_run
from core.training.run.records import RunEnded
from core.training.settings.presets import preset
from tests.app.conftest import MakeRun, Visit, append, epoch_record, links, make_pairs, texts, write_records
from tests.app.stored import guess_background, guess_half, store_milestone
from tests.reads import counted_reads
from tests.small_models import ship_stand_in
from ui.page import settle


def test_nothing_yet_says_what_to_do(visit: Visit) -> None:
    app = visit()
    assert not app.exception
    assert [button.label for button in app.button] == ["Train the demo"]
    assert {"Open a folder", "Bring an export", "Download it (2 GB)"} <= links(app).keys(), "the two other doors"
    assert "##### Demo" in texts(app)


def test_before_anything_was_trained_the_first_step_is_the_starter_on_a_photo(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    ship_stand_in()
    buttons = {"nothing": [button.label for button in visit().button]}
    run = make_run("nightly")
    with jobs.hold(run.path):
        buttons["the first run trains"] = [button.label for button in visit().button]
    assert buttons == {
        "nothing": ["Try it on a photo", "Train the demo"],
        "the first run trains": ["Try it on a photo"],
    }
    asked = visit().button[0].click().run()
    assert asked.title[0].value == "Segment"
    assert asked.query_params["checkpoint"] == "starter"
    write_records(run, 1, ended="finished")
    after = visit()
    assert "Try it on a photo" not in [button.label for button in after.button]
    assert "Segment a photo" in links(after)
    assert "starter model finds" not in texts(visit())


def test_one_click_trains_the_demo(visit: Visit, demo_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[list[str]] = []
    monkeypatch.setattr(demo_run, "make_data", lambda _on_progress=None: demo_data)
    monkeypatch.setattr(folders, "launch", lambda arguments, _path: launched.append(arguments))
    app = visit()
    app.button[0].click().run()
    assert launched == [["demo"]]
    assert not app.exception
    assert app.title[0].value == "Train"
    assert "It begins anew, to 10 epochs" in texts(visit()), "there is no checkpoint to go on from"
    (folders.list_runs()[0].path / "last.pt").touch()
    assert "It goes on from its last checkpoint" in texts(visit())
    assert "demo" in texts(app)


def test_a_live_run_shows_epoch_and_remaining_time(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run("nightly")
    write_records(run, 1, extra_steps=2)
    with jobs.hold(run.path):
        app = visit()
    assert not app.exception
    said = texts(app)
    assert "nightly is training" in said
    assert "1 of 3 epochs · about 32 s left" in said  # 2 epochs of 20 s, less half of the 15 s that train
    assert "Epoch 2: batch 2 of 4" in said
    assert "Best mIoU, epoch 1: 10.0 % (+6.5 points)" in said
    assert not app.button, "one run trains at a time"


def test_a_finished_run_says_what_it_came_to(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run()
    write_records(run, 3, ended="finished")
    app = visit()
    said = texts(app)
    assert "first is done: 30.0 % mIoU after epoch 3, chosen on val, beside a floor of 3.5 %" in said
    assert said.count("30.0 %") == 1, "said once"
    assert "Runs" not in said
    assert "Demo data**: 4 train, 2 val" in said
    assert {"Compare checkpoints", "Segment a photo"} <= links(app).keys()
    assert links(app)["Open the run"].endswith(f"run={run.path.name}")
    assert [button.label for button in app.button] == ["Train the demo"], "the demo was not among the runs"


def test_a_run_at_the_floor_says_why_and_what_helps(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run()
    write_records(run, 0)
    end = RunEnded(outcome="finished", reason="", epochs_done=1, best_epoch=1, best_miou=0.036)
    append(run, epoch_record(1, miou=0.036), end)
    assert "0.1 points above the floor" in visit().warning[0].value


def test_two_evaluated_milestones_give_the_verdict_and_the_pictures_are_of_the_run(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    run = make_run()
    write_records(run, 3, ended="finished")
    store_milestone(run, 2, guess_background)
    store_milestone(run, 3, guess_half)
    samples = run.path / "samples" / "epoch_003"
    samples.mkdir(parents=True)
    for name in ("photo_4", "photo_5"):
        shutil.copy(demo_data / "SegmentationClass" / f"{name}.png", samples)
    app = visit()
    assert not app.exception
    assert "3 epochs and 2 epochs cannot be told apart on 2 photos" in texts(app), "two photos decide nothing"
    assert "Best: 30.0 % mIoU after epoch 3, chosen on val, beside a floor of 3.5 %." in texts(app)
    assert "photo_4, a validation photo, segmented by first after epoch 3." in texts(app)
    asked = [links(app)[name] for name in ("Compare checkpoints", "Segment a photo")]
    assert [name in asked[0] for name in ("epoch_002.pt", "epoch_003.pt")] == [True, True]
    assert "epoch_003.pt" in asked[1], "the best one"


def test_with_many_runs_all_are_in_a_table_whose_rows_open_them(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    runs = [make_run(f"run {number}") for number in range(6)]
    for number, run in enumerate(runs):
        write_records(run, number % 3, ended="stopped" if number % 2 else "finished")
    app = visit()
    table = app.dataframe[0].value
    assert list(table["Run"]) == [f"run {number}" for number in reversed(range(6))]
    assert set(table["State"]) == {"Finished", "Stopped"}
    assert list(table["Best mIoU"].fillna(-1)) == [20.0, 10.0, -1, 20.0, 10.0, -1]
    app.multiselect[0].select("Stopped").run()
    assert set(app.dataframe[0].value["State"]) == {"Stopped"}


def test_data_sets_of_runs_are_listed_and_one_that_is_gone_is_said(
    visit: Visit, make_run: MakeRun, demo_data: Path, tmp_path: Path
) -> None:
    mine, gone = make_pairs(tmp_path / "mine" / "VOC2012"), make_pairs(tmp_path / "gone")
    for name, data in (("one", mine), ("two", gone)):
        write_records(create_run(name, data, "demo", preset("demo")), 1, ended="finished")
    shutil.rmtree(gone)
    copied = make_pairs(tmp_path / "copied home" / "demo")
    for data in (copied, demo_data):
        (data / "demo.json").write_text('{"seed": 0}')
    write_records(create_run("three", copied, "demo", preset("demo")), 1, ended="finished")
    app = visit()
    assert not app.exception
    said = texts(app)
    assert said.count("Demo data**") == 1
    assert "**demo**" not in said, "the same scenes in a copied home"
    assert "**mine**: 4 train, 2 val" in said
    assert str(gone) in said


def test_a_crash_is_the_next_step(visit: Visit, make_run: MakeRun) -> None:
    run = make_run()
    write_records(run, 1)
    app = visit()
    assert "first is crashed" in texts(app)
    assert links(app)["See why, and go on"].endswith(f"run={run.path.name}")


def test_a_folder_that_cannot_be_read_is_named(visit: Visit, make_run: MakeRun) -> None:
    good, bad = make_run("good"), make_run("bad")
    write_records(good, 1, ended="stopped")
    (bad.path / "config.json").write_text("{half")
    app = visit()
    assert not app.exception
    assert any(bad.path.name in warning.value for warning in app.warning)
    assert "#### good is stopped" in texts(app)


def test_what_a_page_imports_is_kept_out_of_garbage_collections_once(visit: Visit) -> None:
    """Streamlit's own collection after every script looked at 450,000 objects of libraries, for 0.2 s each time."""
    settle.cache_clear()
    gc.unfreeze()
    visit()
    frozen = gc.get_freeze_count()
    assert frozen > 50_000
    visit()
    assert gc.get_freeze_count() <= frozen, "what a visit leaves is garbage to be found"
    assert settle.cache_info().misses == 1


def test_broken_and_foreign_runs_hide_no_other(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    """A lock of another user's, as a container leaves it in a volume, emptied Home and Train."""
    whole, foreign, broken = (make_run(name) for name in ("whole", "foreign", "broken"))
    for run in (whole, foreign):
        write_records(run, 3, ended="finished")
    (foreign.path / "lock").symlink_to("lock")  # as little to be opened as another user's, by root too
    (broken.path / "config.json").write_text("{")
    for page in ("", "train"):
        app = visit(page, run=whole.path.name) if page else visit()
        assert not app.exception
        assert not app.error
        assert "3 of 3 epochs done" in texts(app)
        assert "config.json cannot be read" in texts(app)
    assert "lock or log belongs to another user" in texts(visit())
    app = visit("train", run=foreign.path.name)
    assert not app.exception
    assert "lock or log belongs to another user" in texts(app)
    assert not [button for button in app.button if button.label in ("Stop", "Resume", "Extend")]


def test_every_log_is_read_once_however_many_runs_there_are(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    """64 logs were kept, and Home goes through all in turn: with 80 runs each tick opened and read every one anew."""
    made = [make_run(f"run {number}") for number in range(80)]
    for run in made:
        write_records(run, 1, ended="finished")
    visit()
    with counted_reads() as reads:
        app = visit()
        visit("train", run=made[0].path.name)
    assert not app.exception
    assert reads["log.jsonl"] == 0
