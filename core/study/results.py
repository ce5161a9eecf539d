"""What the runs of a study scored on val, gathered from their stored evaluations. No torch.

A run is scored by the milestone of its last planned epoch, not by best.pt, which was chosen on val. With folds, the
photos of all folds together are one set of scores for each seed: every photo by the model that did not train on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.data.dataset import open_dataset
from core.data.seeding import num_of
from core.metrics.confusion import Counts, mean, ratio
from core.study.folder import DONE, CellState, Study
from core.study.plan import Recipe
from core.study.verdict import reduced


@dataclass(frozen=True)
class RunScores:
    """Scores of one seed: the photos' names and `reduced` counts, shape (3, N, K), and the mIoU of their sum.

    `fold` is that of a single run, None for a seed whose folds are all here. `runs` are the folders' names.
    """

    seed: int
    fold: int | None
    names: tuple[str, ...]
    counts_3NK: Counts
    miou: float | None
    runs: tuple[str, ...]


@dataclass(frozen=True)
class RecipeScores:
    """The scores of a recipe at a share of the training photos: by run, and by seed with its folds together.

    `seeds` are those that are complete. A run trains on `num_train` photos.
    """

    recipe: Recipe
    fraction: float
    num_train: int
    runs: tuple[RunScores, ...]
    seeds: tuple[RunScores, ...]

    @property
    def miou(self) -> float | None:
        """The mean mIoU over complete seeds, None without one."""
        scored = [each.miou for each in self.seeds if each.miou is not None]
        return sum(scored) / len(scored) if scored else None


def gather(study: Study, states: Sequence[CellState] | None = None) -> list[RecipeScores]:
    """Return the scores of each recipe, at each share of the photos, in the plan's order, from the runs that are done.

    `states` are the study's `cells`, if they are known already. A damaged evaluation raises `RunError`.
    """
    states = study.cells() if states is None else states
    found = []
    total = len(open_dataset(study.data(study.plan.fold_numbers[0])).split("train"))
    for fraction in study.plan.fractions:
        for recipe in study.plan.recipes:
            its = [each for each in states if each.cell.recipe == recipe and each.cell.fraction == fraction]
            runs = [_scores(each) for each in its if each.state == DONE]
            by_seed = [[run for run in runs if run.seed == seed] for seed in study.plan.seeds]
            whole = [_together(parts) for parts in by_seed if len(parts) == max(1, study.plan.folds)]
            found.append(RecipeScores(recipe, fraction, num_of(fraction, total), tuple(runs), tuple(whole)))
    return found


def _scores(state: CellState) -> RunScores:
    if state.run is None or state.evaluation is None:
        raise TypeError("a run that is done has a folder and an evaluation")
    names, counts_NKK = state.evaluation.counts()  # of 256 classes they are 0.8 GB a run, and reduced 9 MB
    runs, counts_3NK = (state.run.path.name,), reduced(counts_NKK)
    return RunScores(state.cell.seed, state.cell.fold, tuple(names), counts_3NK, _miou(counts_3NK), runs)


def _together(parts: Sequence[RunScores]) -> RunScores:
    """Return the scores of a seed: of its one run, or of the photos of all its folds."""
    counts_3NK = np.concatenate([part.counts_3NK for part in parts], axis=1)
    names = tuple(name for part in parts for name in part.names)
    runs = tuple(name for part in parts for name in part.runs)
    return RunScores(parts[0].seed, None, names, counts_3NK, _miou(counts_3NK), runs)


def _miou(counts_3NK: Counts) -> float | None:
    hits_K, truth_K, predicted_K = counts_3NK.sum(axis=1)
    return mean(ratio(hits_K, truth_K + predicted_K - hits_K))
