"""The command study: one line for what it refuses, and what it prints of runs that are done."""

from pathlib import Path

import pytest

from core import jobs
from core.jobs import OnProgress
from core.study import estimate
from core.study.folder import list_studies, open_study
from core.study.plan import Plan, Recipe
from tests.unit.commands.calls import Command
from tests.unit.study.trained import finish, study_of, worse_with

KEYS = {"study", "recipes", "verdicts", "learning_curve", "floor", "notes", "trainings", "done"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "--data", "{data}", "--preset", "report", "--vary", "epoch=1,2"], "did you mean 'epochs'"),
        (["new", "--data", "{data}", "--preset", "report", "--vary", "seed=1,2"], "by --seeds"),
        (["new", "--data", "{data}", "--preset", "report", "--folds", "9"], "train and val have 6; take fewer folds"),
        (["new", "--data", "{data}", "--preset", "report", "--seeds", "0"], "must lie between 1 and 100"),
        (["new", "--data", "{data}", "--preset", "report", "--fractions", "2"], "does not lie in (0, 1]"),
        (["new", "--data", "{data}/gone"], "There is no folder"),
        (["new"], "has no study new; there is first; give --data to make it."),
        (["../first"], "cannot name a study"),
        (["first", "--data", "{data}", "--preset", "report", "--vary", "epochs=1,7"], "with other"),
        (["first", "--seeds", "1"], "with other seeds"),
    ],
)
def test_what_it_refuses_is_one_line_and_leaves_nothing(
    core: Command, tiny_voc: Path, arguments: list[str], said: str
) -> None:
    study = study_of(tiny_voc, vary=["epochs=1,2"], seeds=2)
    ended = core("study", *(word.format(data=tiny_voc) for word in arguments))
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
    assert list_studies() == [study]
    assert study.runs() == []


@pytest.mark.parametrize(
    "arguments",
    [["a", "--vary", "epochs=1,2"], ["a", "--folds", "2"], ["a", "--part", "3/2"], ["a", "--part", "0/2"],
     ["a", "--data", "d", "--fractions", "half"], []],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_ends_with_2(core: Command, arguments: list[str]) -> None:
    ended = core("study", *arguments)
    assert (ended.code, ended.out) == (2, "")


def test_a_finished_study_is_printed_and_nothing_is_trained(core: Command, tiny_voc: Path) -> None:
    study = study_of(tiny_voc, vary=["epochs=1,2"], seeds=2)
    for cell in study.plan.cells():
        finish(study, cell, worse_with(cell.seed))
    ended = core("study", "first", "--json")
    assert (ended.code, ended.err) == (0, "")
    document = ended.document()
    assert set(document) == KEYS
    assert [recipe["settings"] for recipe in document["recipes"]] == [{"epochs": 1}, {"epochs": 2}]
    shown = core("study", "first").out
    assert shown.startswith(f"4 of 4 runs done: {study.path}\n")
    assert f"{100 * document['floor']:.1f} %" in shown
    assert shown.splitlines()[-1] == f"{document['verdicts'][0]['sentence']}."
    assert len(study.runs()) == 4
    assert core("study", study.path, "--job", study.path).code == 0
    assert jobs.has_ended(study.path), "a page that started it sees its end"


def test_a_study_that_is_being_trained_shows_what_is_done(core: Command, tiny_voc: Path) -> None:
    study = study_of(tiny_voc, seeds=2)
    finish(study, study.plan.cells()[0])
    with jobs.hold(study.path):
        ended = core("study", "first", "--json")
    assert (ended.code, ended.document()["done"]) == (0, 1)
    assert "is being trained by another process" in ended.err


def test_seeds_are_added_to_a_study(core: Command, tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(tiny_voc, seeds=1)
    finish(study, study.plan.cells()[0])
    with jobs.hold(study.path):  # so that nothing is trained here
        assert core("study", "first", "--seeds", "3", "--json").document()["trainings"] == 3
    assert open_study("first").plan.seeds == (0, 1, 2)


def test_an_estimate_counts_what_is_left_and_says_what_would_halve_it(
    core: Command, tiny_voc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("study", "first", "--data", tiny_voc, "--preset", "report", "--vary", "output_stride=8,16", "--seeds", "4")

    def measured(plan: Plan, _: OnProgress) -> dict[tuple[Recipe, float], float]:
        return {(recipe, 1.0): 30.0 if ("output_stride", 16) in recipe.settings else 90.0 for recipe in plan.recipes}

    monkeypatch.setattr(estimate, "measure", measured)
    document = core(*asked, "--estimate", "--json").document()
    assert (document["seconds"], document["trainings"], document["done"]) == (4 * 120, 8, 0)
    assert [(each["seconds_per_run"], each["runs_left"]) for each in document["recipes"]] == [(90, 4), (30, 4)]
    halves = {each["change"]: each["seconds"] for each in document["halve"]}
    assert halves["--seeds 2"] == halves["--part 1/2 here and --part 2/2 on a second machine"] == 240
    assert "Half of it: --seeds 2 (" in core(*asked, "--estimate").out
    assert list_studies() == [], "an estimate writes nothing"
    study = study_of(tiny_voc, vary=["output_stride=8,16"], seeds=4)
    finish(study, study.plan.cells()[0], seconds=100.0)
    assert core("study", "first", "--estimate", "--json").document()["seconds"] == 3 * 100 + 4 * 30, "as it really took"
    shown = core("study", "first", "--estimate").out
    assert shown.startswith("7 min for 7 runs\n  output_stride=8")
    assert "Half of it: --part 1/2" in shown
    assert "--seeds 2" not in shown, "the plan of a study that is made does not change"
    assert "--seeds 2" not in core(*asked, "--estimate").out, "nor if it is named with its data"
    assert core("study", "first", "--seeds", "5", "--estimate", "--json").document()["trainings"] == 10
    assert "with other preset" in core(*asked[:4], "--preset", "demo", "--estimate").err
