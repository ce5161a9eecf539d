"""What a study says so far: its recipes with their intervals, and each compared with the first. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.metrics.comparison import CONFIDENCE
from core.metrics.scores import floor_of_pixels
from core.study.folder import DONE, CellState, Study
from core.study.learning_curve import LearningCurve, fit_curve
from core.study.plan import Recipe
from core.study.results import RecipeScores, gather
from core.study.verdict import RecipeComparison, RecipeScore, compare_recipes, recipe_score, sentence
from core.training.run.trained_on import began_from_starter

STARTER_SAW = (
    "The runs began from the starter model, which was trained on photos of PASCAL VOC's training splits: where "
    "the folds hold some of them, their scores are too high."
)


@dataclass(frozen=True)
class Findings:
    """The results of a study.

    states        the state of every training of the plan
    recipes       the recipes at the largest share of the photos that have a complete seed, in the plan's order
    scores        the mean mIoU and interval of each of them
    comparisons   each of the others against the first of them; their intervals hold together (Bonferroni)
    by_share      the recipes at every share of the photos, complete or not
    floor         mIoU of predicting background everywhere on the same photos; None without a complete seed

    `began_from_starter`: the folds hold photos that the starter may have been trained on (`STARTER_SAW`).
    """

    study: Study
    states: tuple[CellState, ...]
    recipes: tuple[RecipeScores, ...]
    scores: tuple[RecipeScore, ...]
    comparisons: tuple[RecipeComparison, ...]
    by_share: tuple[RecipeScores, ...]
    floor: float | None
    began_from_starter: bool

    @property
    def num_done(self) -> int:
        """The number of trainings that are done."""
        return sum(state.state == DONE for state in self.states)


def find(study: Study) -> Findings:
    """Return what a study says so far; unusable data raise `DataError`, a damaged evaluation `RunError`."""
    states = study.cells()
    by_share = gather(study, states)
    largest = max(study.plan.fractions)
    recipes = [each for each in by_share if each.fraction == largest and each.seeds]
    counts = [[seed.counts_3NK for seed in each.seeds] for each in recipes]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(recipes) - 1)
    return Findings(
        study=study,
        states=tuple(states),
        recipes=tuple(recipes),
        scores=tuple(recipe_score(runs) for runs in counts),
        comparisons=tuple(compare_recipes(counts[0], runs, confidence=confidence) for runs in counts[1:]),
        by_share=tuple(by_share),
        began_from_starter=bool(study.plan.folds)
        and any(began_from_starter(each.run) for each in states if each.state == DONE and each.run),
        floor=floor_of_pixels(counts[0][0][1].sum(axis=0)).miou if counts else None,
    )


def sentences(found: Findings, labels: Sequence[str], language: str = "en") -> list[str]:
    """Return a sentence without a full stop for each recipe against the first; `labels` name the recipes."""
    texts = []
    for comparison, label in zip(found.comparisons, labels[1:], strict=True):
        text = sentence(comparison, labels[0], label, language)
        begins_with_label = text.startswith(tuple(labels))
        texts.append(text if begins_with_label else f"{text[0].upper()}{text[1:]}")
    return texts


def learning_curves(found: Findings) -> list[tuple[Recipe, LearningCurve]]:
    """Return the learning curve of each recipe; none if the study has one share of the photos."""
    plan, curves = found.study.plan, []
    for recipe in plan.recipes if len(plan.fractions) > 1 else []:
        its = [each for each in found.by_share if each.recipe == recipe]
        mious: dict[int, list[float]] = {}
        for each in its:  # two shares of few photos may be equally many
            mious.setdefault(each.num_train, []).extend(seed.miou for seed in each.seeds if seed.miou is not None)
        sizes = [size for size, scored in mious.items() if scored]
        curves.append((recipe, fit_curve(sizes, [mious[size] for size in sizes])))
    return curves
