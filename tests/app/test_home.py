"""Home in its four states."""

import gc
from pathlib import Path

import pytest

from core import jobs
from core.training import demo_run
from core.training.run import folders
from tests.app.conftest import MakeRun, Visit, links, texts, write_records
from tests.reads import counted_reads
from tests.small_models import ship_stand_in
from ui.page import settle


def test_nothing_yet_says_what_to_do(visit: Visit) -> None:
    app = visit()
    assert not app.exception
    assert [button.label for button in app.button] == ["Train the demo"]
    assert "Demo data** is not made yet" in texts(app)
    assert "None yet" in texts(app)


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
    assert [
        sentence for app in (visit(), visit("train")) for sentence in texts(app).splitlines() if "starter" in sentence
    ] == []


def test_one_click_trains_the_demo(visit: Visit, demo_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[list[str]] = []
    monkeypatch.setattr(demo_run, "make_data", lambda _on_progress=None: demo_data)
    monkeypatch.setattr(folders, "launch", lambda arguments, _path: launched.append(arguments))
    app = visit()
    app.button[0].click().run()
    assert launched == [["demo"]]
    assert not app.exception
    assert app.title[0].value == "Train"
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


def test_finished_runs_lead_to_compare_and_segment(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run()
    write_records(run, 3, ended="finished")
    app = visit()
    said = texts(app)
    assert "Best mIoU, epoch 3: 30.0 % (+26.5 points)" in said
    assert "3 of 3 epochs done" in said
    assert "Demo data** is ready: 4 train, 2 val" in said
    assert {"Compare checkpoints", "Segment a photo"} <= links(app).keys()
    assert links(app)["Open"].endswith(f"run={run.path.name}")
    assert [button.label for button in app.button] == ["Train the demo"], "the demo was not among the runs"


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
    assert "**good**" in texts(app)


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
