"""Studies on Train, Compare and Home, and in the report: set up, followed, compared, each run opened."""

from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from core import jobs
from core.model.architectures import EFFICIENTNET
from core.report.content import ReportedCheckpoint, gather
from core.report.html.page import render
from core.report.language.words import Words
from core.study import findings, work
from core.study.document import document
from core.study.findings import STARTER_SAW
from core.study.folder import Study, list_studies, open_study
from core.study.learning_curve import sentence
from core.training.estimate import stored_estimates
from tests.app.conftest import MakeRun, Visit, button, links, texts, write_records
from tests.unit.study.trained import fail, finish, study_of, worse_with


@pytest.fixture
def study(demo_data: Path) -> Study:
    """Two recipes, three seeds each; the runs of one epoch are worse."""
    made = study_of(demo_data, vary=["epochs=1,2"])
    for cell in made.plan.cells():
        finish(made, cell, worse_with(cell.seed + dict(cell.recipe.settings)["epochs"]))
    return made


def run_address(study: Study, index: int = 0) -> str:
    run = study.cells()[index].run
    assert run
    return f"studies/{study.name}/runs/{run.path.name}"


def test_a_study_is_set_up_from_the_form_and_started_as_a_job(
    visit: Visit, demo_data: Path, launched: list[list[str]]
) -> None:
    app = visit("train", run="new", source="Demo")
    app.number_input(key="demo.batch_size").set_value(4)
    app.number_input(key="study seeds").set_value(2)
    app.number_input(key="study folds").set_value(3)
    app.text_input(key="study name").set_value("mine")
    app.text_area(key="study vary").set_value("epochs=1,2\noutput_stride=8,16").run()
    button(app, "Start the study: 24 runs").click().run()
    assert not app.exception
    plan = open_study("mine").plan
    assert (plan.folds, plan.seeds, plan.settings.batch_size) == (3, (0, 1), 4)
    assert dict(plan.vary) == {"epochs": (1, 2), "output_stride": (8, 16)}
    assert launched[0][0] == "study"
    assert app.query_params["run"] == "studies/mine"
    assert "0 of 24 runs done" in texts(app)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [("study vary", "epoch=1,2", "epoch"), ("study vary", "seed=1,2", "--seeds"),
     ("study vary", "epochs=ten", "epochs is 'ten'; it must be a whole number."),
     ("study shares", "half", "'half' is not a share"),
     ("study name", "a/b", "cannot name a study")],
)  # fmt: skip
def test_what_cannot_be_planned_is_said_at_once_and_cannot_be_started(
    visit: Visit, demo_data: Path, launched: list[list[str]], key: str, value: str, why: str
) -> None:
    app = visit("train", run="new", source="Demo")
    kind = app.text_area if key == "study vary" else app.text_input
    kind(key=key).set_value(value).run()
    assert not app.exception
    assert why in app.error[0].value
    assert next(each for each in app.button if each.label.startswith("Start the study")).disabled
    assert (list_studies(), launched) == ([], [])


def test_a_study_is_followed_stopped_and_gone_on_with(visit: Visit, demo_data: Path, launched: list[list[str]]) -> None:
    made = study_of(demo_data)
    cells = made.plan.cells()
    finish(made, cells[0])
    fail(made, cells[1], "a photo is gone")
    app = visit("train", run="studies/first")
    assert not app.exception
    assert "1 of 3 runs done" in texts(app)
    assert app.error[0].value == "the preset, seed 1: a photo is gone"
    button(app, "Go on").click().run()
    assert launched[0][0] == "study"
    with jobs.running(made.path) as on_progress:
        on_progress(50, 100)
        app = visit("train", run="studies/first")
        assert "1 of 3 runs done" in texts(app)
        button(app, "Stop").click().run()
        assert jobs.is_stop_requested(made.path)
    assert links(app)["**Results**"].endswith("study=first")


def test_parts_show_their_progress_and_are_stopped_too(visit: Visit, demo_data: Path) -> None:
    """*Stop* asked the study's own job, which no part reads, and "Stopping" stayed for ever."""
    made = study_of(demo_data)
    parts = [work.job_folder(made, number, 2) for number in (1, 2)]
    with jobs.running(parts[0]) as first, jobs.running(parts[1]) as second:
        first(25, 100)
        second(50, 100)
        app = visit("train", run="studies/first")
        assert not app.exception
        assert "Part 1 of 2" in texts(app)
        assert "Part 2 of 2" in texts(app)
        button(app, "Stop").click().run()
        assert all(map(jobs.is_stop_requested, parts))
        assert not jobs.is_stop_requested(made.path)


def test_how_long_a_study_takes_is_timed_on_request(visit: Visit, demo_data: Path, launched: list[list[str]]) -> None:
    app = visit("train", run="new", source="Demo")
    app.text_area(key="study vary").set_value("epochs=1,2").run()
    button(app, "How long will the study take?").click().run()
    assert not app.exception
    assert launched[0][:2] == ["study", "demo-study"]
    assert {"--vary=epochs=1,2", "--seeds=3", "--estimate"} <= set(launched[0])
    job = Path(launched[0][-1])
    timed = {"seconds": 7200.0, "trainings": 6, "halve": [
        {"change": "--set image_size=64", "seconds": 1800.0, "gives_up": "detail"},
        {"change": "--part 1/2 here", "seconds": 3600.0, "gives_up": "nothing"}]}  # fmt: skip
    stored_estimates.store(job, timed, demo_data)
    app = visit("train", run="new", source="Demo")
    app.text_area(key="study vary").set_value("epochs=1,2").run()
    assert "##### About 2 h for 6 runs" in texts(app)
    assert "image_size=64: 30 min; gives up detail" in texts(app)
    assert "1/2" not in texts(app)
    app.number_input(key="study seeds").set_value(2).run()
    assert button(app, "How long will the study take?"), "other trainings are not timed yet"


def test_the_recipes_are_compared_with_every_run_and_the_floor(visit: Visit, study: Study) -> None:
    app = visit("compare", study="first")
    assert not app.exception
    found = findings.find(study)
    (said,) = findings.sentences(found, ["1 epoch", "2 epochs"])
    assert app.subheader[0].value == said
    table = app.table[0].value
    assert list(table.index) == ["1 epoch", "2 epochs", "Floor"]
    assert table.loc["1 epoch", "By seed"].count("%") == 3
    assert table.loc["Floor", "Mean mIoU"] == f"{100 * (found.floor or 0):.1f} %"
    assert links(app)["Open the run"].endswith(run_address(study).replace("/", "%2F"))


def test_a_run_of_a_study_opens_as_any_other_and_stands_in_no_other_list(visit: Visit, study: Study) -> None:
    address = run_address(study)
    app = visit("train", run=address)
    assert not app.exception
    assert app.subheader[0].value == "first_0"
    both = [f"{run_address(study, index)}/epoch_00{epochs}.pt" for index, epochs in ((0, 1), (1, 2))]
    app = visit("compare", checkpoint=both[0])
    assert not app.exception
    assert app.selectbox(key="checkpoint first").value == both[0]
    assert len(app.table) >= 1
    for page in ("compare", "train"):
        app = visit(page)
        assert not [each for each in app.selectbox[-1].options if "first_" in each]


def test_home_shows_a_study_in_one_row(visit: Visit, study: Study, make_run: MakeRun) -> None:
    write_records(make_run("other"), 2, ended="finished")
    app = visit()
    assert not app.exception
    said = texts(app)
    assert "6 of 6 runs done" in said
    assert "first_0" not in said, "its runs are no runs of Home"
    assert links(app)["Results"].endswith("study=first")


def test_a_damaged_or_missing_study_is_one_sentence(visit: Visit, study: Study) -> None:
    assert "has no study nowhere" in visit("compare", study="nowhere").error[0].value
    (study.path / "study.json").write_text("{")
    assert "study.json cannot be read" in visit("compare", study="first").error[0].value
    app = visit("train", run="studies/first")
    assert not app.exception
    assert "study.json cannot be read" in app.error[0].value
    assert "has no study nowhere" in visit("train", run="studies/nowhere").error[0].value


@pytest.mark.parametrize(("language", "heading"), [("en", "Study"), ("pt", "Estudo")])
def test_the_report_of_a_run_of_a_study_has_a_section_on_it(study: Study, language: str, heading: str) -> None:
    checkpoints = [
        ReportedCheckpoint(each.run, each.run.path / each.evaluation.checkpoint, each.evaluation)
        for each in study.cells()[:2]
        if each.run and each.evaluation
    ]
    content = gather(checkpoints)
    page = render(content, language)
    assert Words(language)("study starter") not in unescape(page)
    saw = replace(content.study, began_from_starter=True) if content.study else None
    assert Words(language)("study starter") in unescape(render(replace(content, study=saw), language))
    assert f"</span>{heading}</h2>" in page
    assert content.study
    for score in content.study.scores:
        assert f'<data value="{score.miou}">' in page


def test_the_report_says_where_the_data_of_a_study_are_gone(study: Study, demo_data: Path) -> None:
    """The report on a run of it was refused, though its own scores are stored."""
    state = study.cells()[0]
    assert state.run
    assert state.evaluation
    demo_data.rename(demo_data.with_name("elsewhere"))
    content = gather([ReportedCheckpoint(state.run, state.run.path / state.evaluation.checkpoint, state.evaluation)])
    assert (content.study, content.gone_study) == (None, "first")
    assert "belong to the study first. Its data can no longer be read" in render(content, "en")


def test_runs_from_the_starter_say_that_it_may_have_seen_their_folds(visit: Visit, demo_data: Path) -> None:
    """Out-of-fold scores of such runs on voc-animals were too high, and nothing said so."""
    for name, folds in (("folds", 2), ("seeds", 0)):
        made = study_of(
            demo_data, name, seeds=1, folds=folds, changes={"init": "starter", "architecture": EFFICIENTNET}
        )
        for cell in made.plan.cells():
            finish(made, cell)
        app = visit("compare", study=name)
        assert not app.exception
        assert (STARTER_SAW in texts(app)) is (folds > 0)
        assert document(made)["notes"] == ([STARTER_SAW] if folds else [])


def test_shares_of_the_photos_give_a_learning_curve_with_its_answer(visit: Visit, demo_data: Path) -> None:
    made = study_of(demo_data, fractions=[0.25, 0.5, 1.0], seeds=2)
    for cell in made.plan.cells():
        finish(made, cell, worse_with(round(4 * cell.fraction)))
    app = visit("compare", study="first")
    assert not app.exception
    ((_, curve),) = findings.learning_curves(findings.find(made))
    assert curve.photos == (1, 2, 4)
    assert f"**Learning curve**: {sentence(curve)}." in texts(app)
