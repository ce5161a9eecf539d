"""The verdict about recipes: the formula by a loop, coverage, what decides nothing, and the sentence."""

import json
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from core.metrics.confusion import Counts, iou
from core.study import verdict
from core.study.verdict import RecipeComparison, RecipeScore, reduced, sentence
from tests.bench.study_intervals import Setting, World, coverage


def compare_recipes(a: Iterable[Counts], b: Iterable[Counts], **options: float) -> RecipeComparison:
    return verdict.compare_recipes(map(reduced, a), map(reduced, b), **options)


def recipe_score(runs: Iterable[Counts], **options: float) -> RecipeScore:
    return verdict.recipe_score(map(reduced, runs), **options)


def drawn(num_runs: int, *, gap: float = 1.0, num_photos: int = 40) -> tuple[list[Counts], list[Counts]]:
    """Draw runs of two recipes on the same photos."""
    world = World(Setting(photos=num_photos, classes=5, seed_sd=0.1, gap=gap))
    photos, sides = world.draw(num_runs, np.random.default_rng(1))
    a, b = ([world.counts(photos, *run) for run in side] for side in sides)
    assert np.array_equal(world.reduced(photos, *sides[1][0]), reduced(b[0]))
    return a, b


def test_equals_the_formula_written_as_loops() -> None:
    """Obuchowski and Rockette's variance from the covariance matrix of 7 runs; each photo is left out by a loop."""
    a, b = drawn(3)
    a = a[:2] + drawn(5)[0][3:]
    runs, num_photos = [*a, *b], 40
    scores = [float(np.nanmean(iou(run.sum(axis=0)))) for run in runs]
    without = np.array([[np.nanmean(iou(np.delete(run, n, axis=0).sum(axis=0))) for n in range(40)] for run in runs])
    covariance = np.cov(without) * (num_photos - 1) ** 2 / num_photos
    side = [0] * len(a) + [1] * len(b)
    pairs = [(i, j) for i in range(len(runs)) for j in range(len(runs)) if i != j]
    within = [np.mean([covariance[i, j] for i, j in pairs if side[i] == side[j] == which]) for which in (0, 1)]
    between = np.mean([covariance[i, j] for i, j in pairs if side[i] != side[j]])
    parts = [np.var(scores[: len(a)], ddof=1) / len(a), np.var(scores[len(a) :], ddof=1) / 3, sum(within) - 2 * between]
    freedom = sum(parts) ** 2 / sum(p**2 / f for p, f in zip(parts, [len(a) - 1, 2, 39], strict=True))
    half = stats.t.ppf(0.95, freedom) * np.sqrt(sum(parts))
    found = compare_recipes(a, b, confidence=0.9)
    delta = np.mean(scores[len(a) :]) - np.mean(scores[: len(a)])
    assert parts[2] > 0
    assert (found.delta_miou, found.low, found.high) == pytest.approx((delta, delta - half, delta + half), abs=1e-12)
    assert found.a.runs == pytest.approx(scores[: len(a)])
    assert found.b == recipe_score(b, confidence=0.9)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """200 studies, seeds 2 points apart. Three standard errors of a share of 200 are 5 points; the bench has more.

    Seen: 94.5 % with 5 runs, 96.5 % with 3; today's interval of two files 84 %.
    """
    shares = coverage(World(Setting(photos=40, classes=7, seed_sd=0.15)), (3, 5), trials=200)
    assert 0.9 <= shares["3 runs"] <= 0.99
    assert 0.9 <= shares["5 runs"] <= 0.99
    assert shares["file"] < 0.9


def test_swapping_a_and_b_swaps_everything() -> None:
    a, b = drawn(3)
    one, other = compare_recipes(iter(a), iter(b)), compare_recipes(b, a)
    assert (one.verdict, one.reason, other.verdict) == ("better", "", "worse")
    assert (one.low, one.high) == pytest.approx((-(other.high or 0), -(other.low or 0)))


def test_few_runs_and_few_photos_decide_nothing() -> None:
    """A huge difference, each time; with one run nothing is known of the seeds, and there is no interval."""
    a, b = drawn(3, gap=4)
    for number, reason, has_interval in ((1, "one run", False), (2, "few runs", True), (3, "", True)):
        found = compare_recipes(a[:number], b[:number])
        assert (found.reason, found.low is not None) == (reason, has_interval)
        assert found.verdict == ("undecided" if reason else "better")
    assert compare_recipes(a[:1], b).reason == "few runs"
    assert compare_recipes(a[:1], b).low is None
    few = compare_recipes([run[:9] for run in a], [run[:9] for run in b])
    assert (few.verdict, few.reason) == ("undecided", "few images")
    one = compare_recipes([run[:1] for run in a], [run[:1] for run in b])
    assert (one.low, one.reason) == (None, "few images")


def test_a_recipe_is_not_better_than_itself() -> None:
    a, _ = drawn(3)
    found = compare_recipes(a, a)
    assert (found.delta_miou, found.verdict, found.reason) == (0, "undecided", "undecided")
    perfect = [np.tile(np.diag([5, 3]), (12, 1, 1))] * 3
    found = compare_recipes(perfect, perfect)
    assert (found.delta_miou, found.low, found.high, found.verdict) == (0, 0, 0, "undecided")


def test_the_interval_of_a_recipe_stays_between_0_and_1() -> None:
    """Of runs at about 60 and 100 % Student's t with 1 degree of freedom goes far beyond both."""
    run_NKK = drawn(1)[0][0]
    perfect_NKK = np.eye(5, dtype=np.int64) * run_NKK.sum(axis=2, keepdims=True)
    assert (recipe_score([run_NKK, perfect_NKK]).low, recipe_score([run_NKK, perfect_NKK]).high) == (0, 1)


def test_nothing_counted_decides_nothing() -> None:
    void = [np.zeros((12, 3, 3), dtype=np.int64)] * 3
    found = compare_recipes(void, void)
    assert (found.a.miou, found.delta_miou, found.low, found.reason) == (None, None, None, "nothing")
    assert sentence(found, "A", "B") == "B and A cannot be compared: nothing in the masks is counted"
    json.dumps(found.as_dict(), allow_nan=False)


def test_what_does_not_belong_together_is_refused() -> None:
    a, b = drawn(3)
    for runs in ([b[0][::-1]], [b[0], b[1][:39]]):
        with pytest.raises(ValueError, match="photos or their truth differ"):
            compare_recipes(a, runs)
    with pytest.raises(ValueError, match="no runs"):
        compare_recipes(a, [])
    with pytest.raises(ValueError, match="no photos"):
        compare_recipes([a[0][:0]], b)


def score(*runs: float) -> RecipeScore:
    return RecipeScore(runs=runs, miou=float(np.mean(runs)), low=None, high=None)


FOUND = RecipeComparison(
    a=score(0.29, 0.30, 0.28), b=score(0.50, 0.51, 0.52), delta_miou=0.2196, low=0.1794, high=0.26, confidence=0.95,
    images=40, verdict="better", reason="",
)  # fmt: skip
UNDECIDED = {"delta_miou": 0.004, "low": -0.011, "high": 0.0204, "verdict": "undecided"}


@pytest.mark.parametrize(
    ("changes", "english", "portuguese"),
    [
        (
            {},
            "50 epochs beat 10 epochs by 22.0 points of mean mIoU over 3 runs each, 95 % interval 17.9 to 26.0",
            ("50 epochs contra 10 epochs: 22,0 pontos de mIoU média a mais em 3 treinos de cada, "
            "intervalo de 95 % de 17,9 a 26,0"),
        ),
        (
            {"delta_miou": -0.2196, "low": -0.26, "high": -0.1794, "verdict": "worse", "a": score(*[0.3] * 5)},
            "10 epochs beat 50 epochs by 22.0 points of mean mIoU over 5 and 3 runs, 95 % interval 17.9 to 26.0",
            ("10 epochs contra 50 epochs: 22,0 pontos de mIoU média a mais em 5 e 3 treinos, "
            "intervalo de 95 % de 17,9 a 26,0"),
        ),
        (
            UNDECIDED | {"reason": "undecided", "confidence": 1 - 0.05 / 3},
            ("these 3 seeds cannot tell 50 epochs and 10 epochs apart: difference in mean mIoU +0.4 points, "
            "98.33 % interval -1.1 to +2.0"),
            ("estas 3 sementes não distinguem 50 epochs e 10 epochs: diferença de mIoU média de +0,4 pontos, "
            "intervalo de 98,33 % de -1,1 a +2,0"),
        ),
        (
            UNDECIDED | {"reason": "few runs", "a": score(0.2, 0.3), "b": score(0.3, 0.4)},
            ("2 runs each are too few for a verdict on 50 epochs and 10 epochs, which takes at least 3: "
            "difference in mean mIoU +0.4 points, 95 % interval -1.1 to +2.0"),
            ("2 treinos de cada não bastam para comparar 50 epochs e 10 epochs, são necessários ao menos 3: "
            "diferença de mIoU média de +0,4 pontos, intervalo de 95 % de -1,1 a +2,0"),
        ),
        (
            UNDECIDED | {"reason": "few runs", "a": score(0.2), "low": None, "high": None},
            ("1 and 3 runs are too few for a verdict on 50 epochs and 10 epochs, which takes at least 3: "
            "difference in mean mIoU +0.4 points"),
            ("1 e 3 treinos não bastam para comparar 50 epochs e 10 epochs, são necessários ao menos 3: "
            "diferença de mIoU média de +0,4 pontos"),
        ),
        (
            UNDECIDED | {"reason": "one run", "a": score(0.2), "b": score(0.3), "low": None, "high": None},
            ("one run each compares two files, not the recipes 50 epochs and 10 epochs: "
            "difference in mIoU +0.4 points"),
            ("um treino de cada compara dois modelos, não as receitas 50 epochs e 10 epochs: "
            "diferença de mIoU de +0,4 pontos"),
        ),
        (
            UNDECIDED | {"reason": "few images", "images": 7},
            ("50 epochs and 10 epochs cannot be told apart on 7 photos, which takes at least 10: "
            "difference in mIoU +0.4 points"),
            ("50 epochs e 10 epochs não se distinguem em 7 fotos, são necessárias ao menos 10: "
            "diferença de mIoU de +0,4 pontos"),
        ),
    ],
)  # fmt: skip
def test_the_sentence(changes: dict[str, object], english: str, portuguese: str) -> None:
    found = replace(FOUND, **changes)  # type: ignore[arg-type]
    assert sentence(found, "10 epochs", "50 epochs") == english
    assert sentence(found, "10 epochs", "50 epochs", "pt") == portuguese
