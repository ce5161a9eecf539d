"""Which trainings a study has, and which it refuses in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.data.dataset import open_dataset
from core.errors import ConfigError
from core.study.plan import Plan, make_plan, part, plan_from_dict
from core.training.settings.presets import preset


def plan_of(data: Path, **asked: Any) -> Plan:
    return make_plan(asked.pop("name", "first"), open_dataset(data), **{"preset_name": "report", "changes": {}} | asked)


def test_the_cells_are_all_combinations_with_an_early_first_comparison(tiny_voc: Path) -> None:
    plan = plan_of(tiny_voc, vary=["epochs=1,2", "output_stride=8,16"], seeds=2, fractions=[0.5, 1.0])
    cells = plan.cells()
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * 2
    assert [recipe.label for recipe in plan.recipes] == [
        f"{epochs}, output_stride={stride}" for epochs in ("1 epoch", "2 epochs") for stride in (8, 16)
    ]
    first = [(cell.seed, cell.fraction, cell.recipe.label) for cell in cells[:5]]
    assert first == [*((0, 1.0, recipe.label) for recipe in plan.recipes), (0, 0.5, "1 epoch, output_stride=8")]
    config = plan.config(cells[-1])
    assert (config.seed, config.train_fraction, config.epochs, config.output_stride) == (1, 0.5, 2, 16)
    assert (config.optimizer, config.precision) == (preset("report").optimizer, "fp32")


def test_folds_multiply_the_cells_and_the_preset_s_share_stays(tiny_voc: Path) -> None:
    plan = plan_of(tiny_voc, preset_name="demo", changes={"epochs": 3}, seeds=2, folds=3)
    assert [(cell.seed, cell.fold, cell.fraction) for cell in plan.cells()] == [
        (seed, fold, 0.33) for seed in (0, 1) for fold in (1, 2, 3)
    ]
    assert plan.recipes[0].label == "the preset"


def test_parts_divide_the_cells(tiny_voc: Path) -> None:
    cells = plan_of(tiny_voc, vary=["epochs=1,2"], seeds=4).cells()
    parts = [part(cells, number, 3) for number in (1, 2, 3)]
    assert sorted(map(len, parts)) == [2, 3, 3]
    assert {cell for its in parts for cell in its} == set(cells)


def test_a_plan_is_read_back_as_it_was(tiny_voc: Path) -> None:
    plan = plan_of(tiny_voc, vary=["learning_rate=0.1,1", "flip=true,false"], seeds=2, folds=2, fractions=[1.0, 0.5])
    assert plan_from_dict(json.loads(json.dumps(plan.as_dict()))) == plan
    with pytest.raises(ValueError, match="newer version"):
        plan_from_dict(plan.as_dict() | {"schema": 2})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"vary": ["epoch=1,2"]}, "did you mean 'epochs'"),
        ({"vary": ["colour=1,2"]}, "There is no setting 'colour'"),
        ({"vary": ["epochs"]}, "give two or more values"),
        ({"vary": ["epochs=10"]}, "give two or more values"),
        ({"vary": ["epochs=10,10"]}, "give two or more values"),
        ({"vary": ["epochs=10,ten"]}, "whole number"),
        ({"vary": ["epochs=10,"]}, "whole number"),
        ({"vary": ["epochs=1,2", "epochs=3,4"]}, "varied twice"),
        ({"vary": ["epochs=0,2"]}, "must lie between"),
        ({"vary": ["seed=0,1"]}, "by --seeds"),
        ({"vary": ["train_fraction=0.5,1"]}, "by --fractions"),
        ({"vary": ["num_workers=0,1"]}, "changes nothing that a run learns"),
        ({"vary": ["epochs=1,2"], "changes": {"epochs": 3}}, "both set and varied"),
        ({"changes": {"seed": 3}}, "by --seeds"),
        ({"changes": {"train_fraction": 0.5}, "fractions": [0.5]}, "by --fractions"),
        ({"vary": ["store_features=true,false"]}, "store_features|frozen|freeze"),
        ({"seeds": 0}, "between 1 and 100"),
        ({"seeds": 101}, "between 1 and 100"),
        ({"folds": 7}, "7 folds need as many photos, and train and val have 6"),
        ({"folds": 1}, "must be 2 or more"),
        ({"folds": -2}, "must be 2 or more"),
        ({"fractions": [0.0]}, "does not lie in"),
        ({"fractions": [1.5]}, "does not lie in"),
        ({"fractions": [float("nan")]}, "does not lie in"),
        ({"fractions": [0.5, 0.5]}, "given twice"),
        ({"seeds": 100, "folds": 6, "vary": ["epochs=1,2"]}, "1,200 runs"),
        ({"name": "../up"}, "cannot name a study"),
        ({"name": "a b"}, "cannot name a study"),
        ({"preset_name": "none"}, "There is no preset"),
    ],
)
def test_what_cannot_be_studied_is_refused_in_one_sentence(tiny_voc: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        plan_of(tiny_voc, **asked)
    assert "\n" not in str(refused.value)
