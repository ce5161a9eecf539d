"""What a study says of its runs: computed from stored evaluations, by recipe, seed and fold."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.metrics.confusion import iou, mean
from core.study.document import document
from core.study.results import gather
from tests.app.stored import guess_background
from tests.small_data import write_voc
from tests.unit.study.trained import finish, study_of, worse_with


def test_recipes_hold_the_points_of_their_seeds_and_the_mean(tiny_voc: Path) -> None:
    study = study_of(tiny_voc, vary=["epochs=1,2"], seeds=3)
    for cell in study.plan.cells()[:5]:
        finish(study, cell, guess_background if dict(cell.recipe.settings)["epochs"] == 1 else worse_with(cell.seed))
    one, two = gather(study)
    assert [run.seed for run in one.runs] == [0, 1, 2]
    assert [run.seed for run in two.seeds] == [0, 1], "the third is not trained yet"
    mious = [run.miou for run in two.runs if run.miou is not None]
    assert mious[0] < mious[1]
    assert two.miou == pytest.approx(np.mean(mious))
    said = document(study)
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert one.miou == pytest.approx(said["floor"]), "background everywhere is the floor"
    assert [len(each["runs"]) for each in said["recipes"]] == [3, 2]
    assert said["recipes"][1]["settings"] == {"epochs": 2}
    assert set(said["recipes"][1]["runs"][0]) == {"run", "seed", "fold", "fraction", "miou"}
    assert (said["trainings"], said["done"]) == (6, 5)
    (verdict,) = said["verdicts"]
    assert (verdict["a"], verdict["b"]) == ("epochs=1", "epochs=2")
    assert verdict["delta_miou"] == pytest.approx(said["recipes"][1]["miou"] - said["recipes"][0]["miou"])
    assert "too few" in verdict["sentence"], "two seeds of one of them, and two photos"
    low, high = said["recipes"][1]["interval"]
    assert low < said["recipes"][1]["miou"] < high


def test_the_folds_of_a_seed_are_one_set_of_photos(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", num_train=5, num_val=2)
    study = study_of(root, seeds=2, folds=3)
    for cell in study.plan.cells()[:5]:
        finish(study, cell, worse_with(cell.fold or 0))
    (found,) = gather(study)
    assert [(run.seed, run.fold) for run in found.runs] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]
    (whole,) = found.seeds
    assert sorted(whole.names) == [f"photo_{number}" for number in range(7)]
    assert len(whole.runs) == 3
    stored = [each.evaluation.counts()[1] for each in study.cells()[:3] if each.evaluation]
    summed_KK = np.concatenate(stored).sum(axis=0)
    assert whole.miou == mean(iou(summed_KK)) == found.miou
    assert whole.miou != pytest.approx(np.mean([run.miou for run in found.runs[:3]])), "not the mean over folds"


def test_a_study_without_a_run_has_no_numbers(tiny_voc: Path) -> None:
    said = document(study_of(tiny_voc, seeds=1))
    assert (said["floor"], said["verdicts"]) == (None, [])
    (recipe,) = said["recipes"]
    assert (recipe["miou"], recipe["interval"], recipe["runs"], recipe["seeds"]) == (None, None, [], [])


def test_shares_of_the_photos_are_a_learning_curve_with_a_band_beyond(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", num_train=8, num_val=2)
    study = study_of(root, seeds=3, fractions=[0.25, 0.5, 1.0])
    for cell in study.plan.cells():
        if cell.fraction < 1:
            finish(study, cell, worse_with(cell.seed + round(4 * cell.fraction)))
    said = document(study)
    assert json.loads(json.dumps(said, allow_nan=False)) == json.loads(json.dumps(said))
    assert [each["photos"] for each in said["recipes"]] == [2, 4, 8]
    (curve,) = said["learning_curve"]
    assert list(curve["photos"]) == [2, 4]
    assert [len(runs) for runs in curve["mious"]] == [3, 3]
    assert [band["photos"] for band in curve["band"]] == [2, 4, 8, 16]
    assert curve["why_no_answer"] == "few sizes"
    assert curve["sentence"]


def test_two_shares_of_equally_many_photos_are_one_point_of_the_curve(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", num_train=8, num_val=2)
    study = study_of(root, seeds=2, fractions=[0.25, 0.26, 1.0])
    for cell in study.plan.cells():
        finish(study, cell, worse_with(cell.seed))
    (curve,) = document(study)["learning_curve"]
    assert (list(curve["photos"]), [len(runs) for runs in curve["mious"]]) == ([2, 8], [4, 2])
