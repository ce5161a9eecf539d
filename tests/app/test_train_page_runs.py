"""What a person does with a run on the Train page: name, note, delete."""

from pathlib import Path

from core import jobs
from core.training.run import folders
from core.training.run.folders import create_run
from tests.app.conftest import MakeRun, Visit, button, texts, write_records


def test_a_run_can_be_renamed_and_noted(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run("first")
    write_records(run, 3, ended="finished")
    app = visit("train")
    app.text_input(key=f"{run.path.name}.name").set_value("the good one").run()
    app.text_area(key=f"{run.path.name}.note").set_value("Learns slowly.").run()
    button(app, "Save").click().run()
    assert not app.exception
    assert [(found.name, found.note) for found in folders.list_runs()] == [("the good one", "Learns slowly.")]
    assert "Learns slowly." in texts(app)


def test_a_run_is_deleted_only_once_that_is_confirmed(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run, other = make_run("first"), make_run("other")
    write_records(run, 3, ended="finished")
    app = visit("train", run=run.path.name)
    assert button(app, "Delete the run").disabled
    app.checkbox(key=f"{run.path.name}.sure").check().run()
    button(app, "Delete the run").click().run()
    assert not app.exception
    assert [each.path for each in folders.list_runs()] == [other.path]
    assert not run.path.exists()
    assert app.success[0].value == "first was deleted."
    assert "Delete the run" not in [each.label for each in app.button], "it stood there for the next run"


def test_random_weights_on_photos_are_warned_of_and_on_drawn_scenes_are_not(
    visit: Visit, make_run: MakeRun, demo_data: Path, tiny_voc: Path
) -> None:
    drawn = make_run("drawn", init="random")
    photos = create_run("photos", tiny_voc, "report", drawn.config)
    for run in (drawn, photos):
        write_records(run, 1, ended="stopped")
    said = {run.name: texts(visit("train", run=run.path.name)) for run in (drawn, photos)}
    assert ["thousands of photos" in said[name] for name in ("drawn", "photos")] == [False, True]


def test_a_live_run_cannot_be_deleted(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run("first")
    write_records(run, 1)
    with jobs.hold(run.path):
        app = visit("train")
        assert app.checkbox(key=f"{run.path.name}.sure").disabled
        assert button(app, "Delete the run").disabled
