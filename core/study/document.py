"""What `study --json` prints. No torch."""

from typing import Any

from core.study.findings import STARTER_SAW, Findings, find, learning_curves
from core.study.folder import Study
from core.study.learning_curve import sentence as answer
from core.study.plan import Recipe
from core.study.results import RecipeScores
from core.study.verdict import RecipeComparison, RecipeScore, recipe_score, sentence


def document(study: Study) -> dict[str, Any]:
    """Return the recipes at each share of the photos, and the verdict on each against the first one."""
    found = find(study)
    known = dict(zip(map(id, found.recipes), found.scores, strict=True))
    scores = [known.get(id(each)) or _score(each) for each in found.by_share]
    recipes = [each.recipe for each in found.recipes]
    return {
        "study": str(study.path),
        "recipes": [_recipe(*each) for each in zip(found.by_share, scores, strict=True)],
        "verdicts": [_verdict(recipes[0], *each) for each in zip(recipes[1:], found.comparisons, strict=True)],
        "learning_curve": _curves(found) or None,
        "floor": found.floor,
        "notes": [STARTER_SAW] if found.began_from_starter else [],
        "trainings": len(found.states),
        "done": found.num_done,
    }


def _curves(found: Findings) -> list[dict[str, Any]]:
    """Return for each recipe its learning curve, with bands at every planned size and at twice the largest."""
    sizes = sorted({each.num_train for each in found.by_share})
    return [
        {"settings": dict(recipe.settings)}
        | curve.as_dict()
        | {"band": [{"photos": size, "interval": curve.band(size)} for size in (*sizes, 2 * sizes[-1])]}
        | {"sentence": answer(curve)}
        for recipe, curve in learning_curves(found)
    ]


def _score(found: RecipeScores) -> RecipeScore | None:
    return recipe_score([seed.counts_3NK for seed in found.seeds]) if found.seeds else None


def _recipe(found: RecipeScores, score: RecipeScore | None) -> dict[str, Any]:
    return {
        "settings": dict(found.recipe.settings),
        "fraction": found.fraction,
        "photos": found.num_train,
        "runs": [
            {"run": run.runs[0], "seed": run.seed, "fold": run.fold, "fraction": found.fraction, "miou": run.miou}
            for run in found.runs
        ],
        "seeds": [{"seed": seed.seed, "miou": seed.miou} for seed in found.seeds],
        "miou": found.miou,
        "interval": [score.low, score.high] if score and score.low is not None else None,
    }


def _verdict(a: Recipe, b: Recipe, compared: RecipeComparison) -> dict[str, Any]:
    return {
        "a": a.key,
        "b": b.key,
        "delta_miou": compared.delta_miou,
        "interval": None if compared.low is None else [compared.low, compared.high],
        "confidence": compared.confidence,
        "images": compared.images,
        "verdict": compared.verdict,
        "sentence": sentence(compared, a.label, b.label),
    }
