"""Learning curves: what they recover, how often the band is right, and where there is no answer."""

import json
from dataclasses import replace

import pytest

from core.study.learning_curve import fit_curve, sentence
from tests.bench.study_intervals import CURVES, band_coverage

SIZES = [100, 200, 400, 800]


def runs_of(mean: list[float], spread: float = 0.004) -> list[list[float]]:
    return [[value - spread, value, value + spread] for value in mean]


def test_a_power_law_is_recovered() -> None:
    """From its own values, in any order: 0.7 - 1.5 n^-0.35."""
    mean = [0.7 - 1.5 * n**-0.35 for n in SIZES]
    curve = fit_curve(SIZES[::-1], runs_of(mean)[::-1])
    assert curve.photos == tuple(SIZES)
    assert curve.mean == pytest.approx(mean)
    assert curve.fit is not None
    a, b, c = curve.fit
    assert (a, c) == (pytest.approx(0.7, abs=0.03), pytest.approx(0.35, abs=0.05))
    assert a - b * 400**-c == pytest.approx(mean[2], abs=0.003)
    low, middle, high = curve.band(1600) or (0, 0, 0)
    assert low < 0.7 - 1.5 * 1600**-0.35 < high
    assert middle == pytest.approx(0.7 - 1.5 * 1600**-0.35, abs=0.01)
    assert curve == fit_curve(SIZES, runs_of(mean)), "the same seed gives the same band"
    assert json.loads(json.dumps(curve.as_dict(), allow_nan=False))["fit"]["c"] == c


def test_the_band_grows_with_the_distance_and_narrows_with_runs_that_agree() -> None:
    mean = [0.2, 0.31, 0.39, 0.45]
    curve = fit_curve(SIZES, runs_of(mean))
    widths = [band[2] - band[0] for n in (800, 1600, 3200, 6400) if (band := curve.band(n))]
    assert len(widths) == 4
    assert widths == sorted(widths)
    assert widths[1] > 1.5 * widths[0]
    sure = fit_curve(SIZES, runs_of(mean, 0.0005)).band(400) or (0, 0, 1)
    unsure = fit_curve(SIZES, runs_of(mean, 0.02)).band(400) or (0, 0, 0)
    assert sure[2] - sure[0] < (unsure[2] - unsure[0]) / 4
    assert 0 <= sure[0] <= sure[1] <= sure[2] <= 1


@pytest.mark.parametrize("name", CURVES)
def test_the_band_at_twice_the_photos_is_right_as_often_as_it_says(name: str) -> None:
    """80 studies of 3 runs at 3 sizes: power laws and other curves; the bench has more."""
    found = band_coverage(CURVES[name], (250, 500, 1000), 0.01, trials=80)
    assert found["covered"] >= 0.88
    assert found["no answer"] <= 0.1


@pytest.mark.parametrize(
    ("sizes", "mious", "reason", "said"),
    [
        ([], [], "few sizes", "it takes at least 3 numbers of photos, there are 0"),
        ([100, 200], [[0.3] * 4, [0.4] * 4], "few sizes", "it takes at least 3 numbers of photos, there are 2"),
        ([1, 2, 4], [[0.3], [0.4], [0.5]], "few runs", "it takes at least 5 runs, there are 3"),
        ([1, 2, 4], runs_of([0.5, 0.4, 0.3]), "poor fit", "the runs do not follow a curve that rises and flattens"),
        ([1, 2, 4, 8], runs_of([0.3, 0.5, 0.4, 0.6]), "poor fit", "the runs do not follow a curve that rises"),
    ],
)
def test_no_answer_is_an_answer(sizes: list[int], mious: list[list[float]], reason: str, said: str) -> None:
    curve = fit_curve(sizes, mious)
    assert (curve.why_no_answer, curve.fit, curve.twice, curve.band(8)) == (reason, None, None, None)
    assert said in sentence(curve)
    assert "não se sabe" in sentence(curve, "pt")
    json.dumps(curve.as_dict())


@pytest.mark.parametrize(("sizes", "mious"), [([1, 1], [[0.1], [0.2]]), ([1], [[]]), ([1, 2], [[0.1]]), ([0], [[0.1]])])
def test_what_is_no_curve_is_refused(sizes: list[int], mious: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="a learning curve needs different sizes"):
        fit_curve(sizes, mious)


def test_extremes_have_an_answer() -> None:
    assert fit_curve([100, 200, 400], [[0.3] * 2, [0.4] * 2, [0.45] * 2]).twice is not None
    assert fit_curve([10, 1_000, 1_000_000], runs_of([0.3, 0.4, 0.45])).twice is not None
    assert fit_curve([1_000_000, 1_000_001, 1_000_002], runs_of([0.3, 0.4, 0.45])).twice is not None
    assert fit_curve([1, 2, 4, 8, 16], [[0.3], [0.4], [0.48], [0.53], [0.57]]).twice is not None


@pytest.mark.parametrize(
    ("twice", "english", "portuguese"),
    [
        (
            (0.0122, 0.0451),
            "twice as many photos (1600) would help: 1.2 to 4.5 points of mIoU more, 95 % interval",
            "o dobro de fotos (1600) ajudaria: de 1,2 a 4,5 pontos de mIoU a mais, intervalo de 95 %",
        ),
        (
            (0.0, 0.0451),
            "twice as many photos (1600) may help: 0.0 to 4.5 points of mIoU more, 95 % interval",
            "o dobro de fotos (1600) pode ajudar: de 0,0 a 4,5 pontos de mIoU a mais, intervalo de 95 %",
        ),
        (
            (0.0, 0.0091),
            "twice as many photos (1600) would hardly help: 0.0 to 0.9 points of mIoU more, 95 % interval",
            "o dobro de fotos (1600) quase não ajudaria: de 0,0 a 0,9 pontos de mIoU a mais, intervalo de 95 %",
        ),
    ],
)
def test_the_sentence(twice: tuple[float, float], english: str, portuguese: str) -> None:
    curve = replace(fit_curve(SIZES, runs_of([0.2, 0.31, 0.39, 0.45])), twice=twice)
    assert (sentence(curve), sentence(curve, "pt")) == (english, portuguese)
