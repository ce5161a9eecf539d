"""Whether recipe B is better than recipe A: the difference in mean mIoU, with an interval over runs and over photos.

A recipe's runs differ by their seeds, and its photos are a sample too. Both are random effects, crossed: every run is
scored on every photo. Readers and cases in radiology have the same form, and this is their analysis, by Obuchowski and
Rockette 1995, for readers nested in tests; degrees of freedom after Satterthwaite, as Hillis 2007, "A comparison of
denominator degrees of freedom methods for multiple observer ROC analysis":

    variance = var(mIoU of A's runs) / R_A + var(mIoU of B's runs) / R_B + photos
    photos   = cov within A + cov within B - 2 cov between A and B, at least 0
    interval = delta -+ t(variance^2 / (sum of each part^2 / its degrees of freedom)) * sqrt(variance)

The variance over runs is unbiased, and equals that of a bootstrap that draws R - 1 of R runs. It holds what is of a run
alone and how runs differ in the photos they fail on. The covariance of two different runs holds what all runs share,
the choice of photos. A pigeonhole bootstrap (Owen 2007), which draws both, counts that difference twice: where seeds
are alike it covers 97 to 99 % instead of 95. Covariances are the jackknife's (each photo left out once): the
bootstrap's are too small for 40 photos of 21 classes, and cover 92 %.

Assumptions: runs of a recipe are independent and about normal, photos are independent, and there are enough of both. In
2,000 simulated studies of each of many kinds (docs/metrics.md) the 95 % interval covers 94 to 97 % with 5 runs each, 93
to 97 % with 3, 90 to 96 % with 2: least where one recipe's seeds differ far more than the other's. So MIN_RUNS is 3. It
does not cover another choice of training photos. With folds, a run is a seed with the photos of all its folds together.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from core.metrics.comparison import CONFIDENCE, MIN_IMAGES, Verdict
from core.metrics.confusion import Counts, marginals, mean_over_classes, ratio
from core.metrics.verdict import SENTENCES as FILE_SENTENCES
from core.metrics.verdict import filled

Reason = Literal["", "nothing", "one run", "few runs", "few images", "undecided"]

MIN_RUNS = 3
"""With fewer runs of a recipe the verdict is undecided."""

SENTENCES = {
    "en": FILE_SENTENCES["en"]
    | {
        "few images": FILE_SENTENCES["en"]["few"],
        "beat": "{winner} {beats} {loser} by {delta} points of mean mIoU over {runs}, "
        "{confidence} % interval {low} to {high}",
        "undecided": "these {seeds} cannot tell {b} and {a} apart: difference in mean mIoU {signed_delta} points, "
        "{confidence} % interval {signed_low} to {signed_high}",
        "few runs": "{runs} are too few for a verdict on {b} and {a}, which takes at least {least_runs}: "
        "difference in mean mIoU {signed_delta} points",
        "interval": ", {confidence} % interval {signed_low} to {signed_high}",
        "one run": "one run each compares two files, not the recipes {b} and {a}: "
        "difference in mIoU {signed_delta} points",
        "runs": "{a_runs} runs each",
        "unequal runs": "{a_runs} and {b_runs} runs",
        "seeds": "{a_runs} seeds",
        "unequal seeds": "{a_runs} and {b_runs} seeds",
    },
    "pt": FILE_SENTENCES["pt"]
    | {
        "few images": FILE_SENTENCES["pt"]["few"],
        "beat": "{winner} contra {loser}: {delta} pontos de mIoU média a mais em {runs}, "
        "intervalo de {confidence} % de {low} a {high}",
        "undecided": "estas {seeds} não distinguem {b} e {a}: diferença de mIoU média de {signed_delta} pontos, "
        "intervalo de {confidence} % de {signed_low} a {signed_high}",
        "few runs": "{runs} não bastam para comparar {b} e {a}, são necessários ao menos {least_runs}: "
        "diferença de mIoU média de {signed_delta} pontos",
        "interval": ", intervalo de {confidence} % de {signed_low} a {signed_high}",
        "one run": "um treino de cada compara dois modelos, não as receitas {b} e {a}: "
        "diferença de mIoU de {signed_delta} pontos",
        "runs": "{a_runs} treinos de cada",
        "unequal runs": "{a_runs} e {b_runs} treinos",
        "seeds": "{a_runs} sementes",
        "unequal seeds": "{a_runs} e {b_runs} sementes",
    },
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RecipeScore:
    """The mIoU of each run of a recipe, their mean, and its interval; fractions.

    [`low`, `high`] is None with one run or one photo.
    """

    runs: tuple[float | None, ...]
    miou: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class RecipeComparison:
    """Recipe B against A on the same photos; fractions, None where nothing was counted.

    `delta_miou` is B's mean mIoU minus A's, [`low`, `high`] its interval, None with one run of either. `verdict` is
    about B, as in `core.metrics.comparison`; `reason` says why it is undecided: nothing is counted, one run each, too
    few runs, too few photos, or the interval includes 0.
    """

    a: RecipeScore
    b: RecipeScore
    delta_miou: float | None
    low: float | None
    high: float | None
    confidence: float
    images: int
    verdict: Verdict
    reason: Reason

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class _Runs:
    """The runs of a recipe: miou_R, and shift_RN, how much each photo moves it (`_scored`)."""

    miou_R: NDArray[np.float64]
    shift_RN: NDArray[np.float64]


def reduced(counts_NKK: Counts) -> Counts:
    """Return all that the verdict reads of a run's confusion counts, its `marginals` of every photo, (3, N, K)."""
    return np.stack(marginals(counts_NKK))


def compare_recipes(a: Iterable[Counts], b: Iterable[Counts], *, confidence: float = CONFIDENCE) -> RecipeComparison:
    """Compare two recipes by runs of each that were scored on the same photos.

    Args:
        a: `reduced` counts of each run of A, int64, shape (3, N, K), N and the number of runs at least 1. 10 runs of
            1,449 photos take about 0.1 s.
        b: the same of B, photos in the same order.
        confidence: the probability that the interval covers the true difference, in (0, 1). For several pairs at once
            1 - (1 - confidence) / pairs (Bonferroni) holds for all of them together.

    Raises:
        ValueError: no runs, no photos, or photos, classes or truth differ.
    """
    truth: list[Counts] = []
    a_runs, b_runs = _scored(a, truth), _scored(b, truth)
    a_score, b_score = _score(a_runs, confidence), _score(b_runs, confidence)
    delta, low, high = _interval(b_runs, a_runs, confidence)
    reason = _reason(delta, low, high, (len(a_runs.miou_R), len(b_runs.miou_R)), len(truth[0]))
    return RecipeComparison(
        a=a_score, b=b_score, delta_miou=delta, low=low, high=high, confidence=confidence, images=len(truth[0]),
        verdict="undecided" if reason else "better" if delta is not None and delta > 0 else "worse", reason=reason,
    )  # fmt: skip


def recipe_score(runs: Iterable[Counts], *, confidence: float = CONFIDENCE) -> RecipeScore:
    """Return the mean mIoU of a recipe and its interval over runs and photos; arguments as `compare_recipes`."""
    return _score(_scored(runs, []), confidence)


def sentence(comparison: RecipeComparison, a_label: str, b_label: str, language: str = "en") -> str:
    """Return the verdict as a sentence without a full stop.

    For example: `these 3 seeds cannot tell 50 epochs and 10 epochs apart: difference in mean mIoU +0.4 points, 95 %
    interval -1.1 to +2.0`.
    """
    words = SENTENCES[language]
    if comparison.delta_miou is None:
        return filled(words["nothing"], comparison, (a_label, b_label), language)
    kind = comparison.reason or "beat"
    text = words[kind] + (words["interval"] if kind == "few runs" and comparison.low is not None else "")
    numbers = {"a_runs": len(comparison.a.runs), "b_runs": len(comparison.b.runs)}
    unequal = "" if numbers["a_runs"] == numbers["b_runs"] else "unequal "
    runs, seeds = (words[f"{unequal}{what}"].format(**numbers) for what in ("runs", "seeds"))
    return filled(text, comparison, (a_label, b_label), language, runs=runs, seeds=seeds, least_runs=MIN_RUNS)


def _scored(runs: Iterable[Counts], truth: list[Counts]) -> _Runs:
    """Score each run whole and without each photo; `truth` is filled by the first run and compared with by others.

    The products of two runs' shifts add up to the jackknife's covariance of their mIoU over the choice of photos.
    """
    mious, shifts = [], []
    for hits_NK, truth_NK, predicted_NK in runs:
        num_photos = len(truth_NK)
        if not num_photos:
            raise ValueError("a run has no photos")
        if not truth:
            truth.append(truth_NK)
        if not np.array_equal(truth_NK, truth[0]):
            raise ValueError("the photos or their truth differ; score all runs on the same photos, in the same order")
        union_NK = truth_NK + predicted_NK - hits_NK
        hits_K, union_K = hits_NK.sum(axis=0), union_NK.sum(axis=0)
        mious.append(mean_over_classes(ratio(hits_K, union_K)))
        without_N = mean_over_classes(ratio(hits_K - hits_NK, union_K - union_NK))
        shifts.append(sqrt(1 - 1 / num_photos) * (without_N.mean() - without_N))
    if not mious:
        raise ValueError("a recipe has no runs")
    return _Runs(np.array(mious), np.array(shifts))


def _score(runs: _Runs, confidence: float) -> RecipeScore:
    miou, low, high = _interval(runs, None, confidence)
    if low is not None and high is not None:
        low, high = max(0.0, low), min(1.0, high)
    return RecipeScore(runs=tuple(_or_none(each) for each in runs.miou_R), miou=miou, low=low, high=high)


def _interval(plus: _Runs, minus: _Runs | None, confidence: float) -> tuple[float | None, float | None, float | None]:
    """Return the mean mIoU of some runs, less that of others, and its interval (the formula is the module's)."""
    sides = [plus] if minus is None else [plus, minus]
    num_photos = plus.shift_RN.shape[1]
    delta = plus.miou_R.mean() - (0 if minus is None else minus.miou_R.mean())
    numbers = [len(side.miou_R) for side in sides]
    if min(*numbers, num_photos, 2) < 2 or not all(np.isfinite(side.shift_RN).all() for side in sides):
        return _or_none(delta), None, None
    photos = sum(_covariance_of_two(side.shift_RN) for side in sides)
    if minus is not None:
        photos -= 2 * float(plus.shift_RN.mean(axis=0) @ minus.shift_RN.mean(axis=0))
    parts = [float(side.miou_R.var(ddof=1)) / len(side.miou_R) for side in sides] + [max(0.0, photos)]
    freedoms = [number - 1 for number in [*numbers, num_photos]]
    variance = sum(parts)
    if not variance:
        return float(delta), float(delta), float(delta)
    freedom = variance**2 / sum(part**2 / each for part, each in zip(parts, freedoms, strict=True))
    half = float(-stdtrit(freedom, (1 - confidence) / 2)) * sqrt(variance)
    return float(delta), float(delta) - half, float(delta) + half


def _covariance_of_two(shift_RN: NDArray[np.float64]) -> float:
    """Return the mean covariance, over the choice of photos, of the mIoU of two different runs."""
    of_pairs = (shift_RN.sum(axis=0) ** 2).sum() - (shift_RN**2).sum()
    return float(of_pairs / (len(shift_RN) * (len(shift_RN) - 1)))


def _reason(
    delta: float | None, low: float | None, high: float | None, runs: tuple[int, int], num_photos: int
) -> Reason:
    if delta is None:
        return "nothing"
    if min(runs) < MIN_RUNS:
        return "one run" if max(runs) == 1 else "few runs"
    if low is None or high is None or num_photos < MIN_IMAGES:
        return "few images"
    return "" if low > 0 or high < 0 else "undecided"


def _or_none(value: np.float64 | float) -> float | None:
    return None if np.isnan(value) else float(value)
