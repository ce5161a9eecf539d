"""How long a study will take: from its finished runs, or measured before the start. No torch until it is measured."""

import statistics
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from core.data.dataset import open_dataset
from core.jobs import OnProgress
from core.study.folder import DONE, CellState
from core.study.plan import Cell, Plan, Recipe
from core.training.run.folders import Run
from core.training.run.log import read_log
from core.training.settings.config import TrainingConfig, with_settings

STRIDE_8 = 2.5
"""A step at output stride 8 takes about this many times as long as one at 16 (README, *Fast, measured*)."""

VALIDATION = 0.1
"""Time of the validation after an epoch, over that of an epoch on all photos; roughly."""

HALVES = 0.6
"""A change that leaves at most this share of the time is said to halve it."""

Measured = Mapping[tuple[Recipe, float], float]
"""Seconds of a run by recipe and share of the photos."""


def expected_seconds(plan: Plan, states: Collection[CellState], measured: Measured | None = None) -> dict[Cell, float]:
    """Return the expected seconds of each training.

    From runs of the recipe at that share of the photos that are done, else as measured, else by epochs, photos and
    pixels, compared with whatever is known. If nothing is known, the values are in proportion, without a unit.
    """
    seconds: dict[tuple[Recipe, float], list[float]] = {}
    for state in states:
        if state.state == DONE and state.run:
            seconds.setdefault((state.cell.recipe, state.cell.fraction), []).append(_seconds(state.run))
    known = dict(measured or {}) | {key: statistics.median(its) for key, its in seconds.items()}
    cells = plan.cells()
    amounts = {(cell.recipe, cell.fraction): _amount(plan.config(cell)) for cell in cells}
    rate = statistics.median(known[key] / amounts[key] for key in known) if known else 1.0
    of_each = {key: known.get(key, rate * amount) for key, amount in amounts.items()}
    return {cell: of_each[cell.recipe, cell.fraction] for cell in cells}


def _seconds(run: Run) -> float:
    log = read_log(run.log_path)
    return sum(epoch.seconds for epoch in log.epochs) + (log.preflight.seconds if log.preflight else 0.0)


def _amount(config: TrainingConfig) -> float:
    """Return the work of a run, in epochs of a run on all photos at output stride 16 and 256 px."""
    pixels = (config.image_size / 256) ** 2 * (STRIDE_8 if config.output_stride == 8 else 1.0)
    return config.epochs * (config.train_fraction + VALIDATION) * pixels


def measure(plan: Plan, on_progress: OnProgress) -> dict[tuple[Recipe, float], float]:
    """Time each recipe for some seconds, and return the expected seconds of its runs; writes nothing.

    A machine that trains already, and data that cannot be trained on, raise `CoreError`.
    """
    from core.training.estimate import timing
    from core.training.estimate.training_time import parts_of, preparation_time
    from core.training.loop.trial import training_device

    dataset, found = open_dataset(plan.data), {}
    of_all = len(dataset.split("train")) + len(dataset.split("val"))
    for number, recipe in enumerate(plan.recipes):
        on_progress(number, len(plan.recipes))
        config = plan.config(Cell(recipe, max(plan.fractions), 0, None))
        costs = timing.measure(config, dataset, training_device(config.device)[0], limits=timing.ALTERNATIVE)
        num_val = of_all / plan.folds if plan.folds else len(dataset.split("val"))
        for fraction in plan.fractions:
            part = with_settings(config, {"train_fraction": fraction})
            its = replace(costs, num_train_images=round((of_all - num_val) * fraction), num_val_images=round(num_val))
            found[recipe, fraction] = parts_of(
                its, part, preparation_time(dataset, part, time.perf_counter)
            ).total_seconds
    on_progress(len(plan.recipes), len(plan.recipes))
    return found


def document(plan: Plan, states: Collection[CellState], measured: Measured) -> dict[str, Any]:
    """Return what `study --estimate --json` prints: the seconds that are left, and what would halve them.

    `states` are those of the study's trainings, or none before it is made.
    """
    expected = expected_seconds(plan, states, measured)
    done = {each.cell for each in states if each.state == DONE}
    left = {cell: seconds for cell, seconds in expected.items() if cell not in done}
    total = sum(left.values())
    return {
        "study": plan.name,
        "trainings": len(expected),
        "done": len(done),
        "seconds": total,
        "recipes": [
            {
                "settings": dict(recipe.settings),
                "fraction": fraction,
                "seconds_per_run": next(s for c, s in expected.items() if (c.recipe, c.fraction) == (recipe, fraction)),
                "runs_left": sum((cell.recipe, cell.fraction) == (recipe, fraction) for cell in left),
            }
            for fraction in plan.fractions
            for recipe in plan.recipes
        ],
        "halve": [
            {"change": change, "seconds": seconds, "ratio": seconds / total, "gives_up": gives_up}
            for change, seconds, gives_up in _cheaper(plan, left, is_made=bool(states))
            if total and seconds <= HALVES * total
        ],
    }


def _cheaper(plan: Plan, left: Mapping[Cell, float], *, is_made: bool) -> Iterator[tuple[str, float, str]]:
    """Yield changes of a plan, the seconds that they leave, and what they give up.

    The plan of a study that is made does not change, but its trainings can be shared out.
    """
    total = sum(left.values())
    yield "--part 1/2 here and --part 2/2 on a second machine", total / 2, "nothing"
    if is_made:
        return
    if (seeds := (len(plan.seeds) + 1) // 2) < len(plan.seeds):
        time_s = sum(seconds for cell, seconds in left.items() if cell.seed in plan.seeds[:seeds])
        few = "; below three, no honest interval" if seeds < 3 else ""
        yield f"--seeds {seeds}", time_s, f"a narrower interval{few}"
    if plan.folds >= 4:
        folds = plan.folds // 2
        share = folds * (1 - 1 / folds) / (plan.folds * (1 - 1 / plan.folds))
        yield f"--folds {folds}", share * total, "each model trains on fewer photos, so scores are lower"
    if all("epochs" not in dict(cell.recipe.settings) for cell in left) and plan.settings.epochs > 1:
        yield f"--set epochs={plan.settings.epochs // 2}", total / 2, "the question becomes one about shorter runs"
    if all("image_size" not in dict(cell.recipe.settings) for cell in left) and plan.settings.image_size >= 64:
        half = plan.settings.image_size // 2
        yield (
            f"--set image_size={half}",
            total / 4,
            "detail (a quarter of the pixels is left; the time is a guess)",
        )
    if len(plan.fractions) > 1:
        largest = max(plan.fractions)
        time_s = sum(seconds for cell, seconds in left.items() if cell.fraction < largest)
        yield f"--fractions without {largest:g}", time_s, "the learning curve's last point"
