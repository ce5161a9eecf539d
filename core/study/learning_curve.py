"""Learning curves: mIoU against the number of training photos, with a band, and what twice as many photos would add.

Power laws a - b n^-c describe most learning curves (Hestness et al. 2017, arXiv 1712.00409), but not all (Viering and
Loog 2022, "The Shape of Learning Curves", arXiv 2103.10948), and few sizes hardly fix the exponent (Mahmood et al.
2022, "How Much More Data Do I Need?", arXiv 2207.01725). So the band is that of many curves that agree with the runs,
half of them exponentials a - b exp(-k n), which flatten early: a Bayesian bootstrap in parametric form. For each c and
each k of a grid, least squares give a, b and what they leave over; shapes are drawn by their integrated likelihood,
then the variance of runs, then a and b. The prior is flat in log c, log k, log variance, and in the mIoU at the
smallest and the largest size. Beyond the largest size the growth of each draw is multiplied by
exp(DOUBT z sqrt(doublings)), z normal, for curves of neither family. docs/metrics.md has how often the band is right.

The band is for the mean of as many new runs as the sizes have, on the same val photos: their choice is not covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from core.metrics.comparison import CONFIDENCE
from core.metrics.verdict import percent, points

NoAnswer = Literal["", "few sizes", "few runs", "poor fit"]

MIN_SIZES, MIN_RUNS = 3, 5
"""Of different numbers of photos, and of runs in all."""
EXPONENTS, RATES = np.geomspace(0.05, 2, 32), np.geomspace(0.5, 8, 16)
"""c of power laws, and k of exponentials exp(-k n), n relative to the largest size."""
DRAWS = 8_000
LEAST_RISING = 0.03
"""Share of draws that rise; with fewer, a curve that rises does not describe the runs."""
LACK_OF_FIT = 0.01
"""With a smaller p of the F test against the spread of the runs, and misses of over MISFIT, no curve describes them."""
MISFIT = 0.01
DOUBT = 0.2
NO_SPREAD = 1e-12
"""Added to sums of squares: runs that agree to the last digit have a spread all the same."""
WORTH_IT = 0.01
"""A gain in mIoU of 1 point is called help."""

SENTENCES = {
    "en": {
        "yes": "twice as many photos ({n}) would help: {low} to {high} points of mIoU more, {confidence} % interval",
        "perhaps": "twice as many photos ({n}) may help: {low} to {high} points of mIoU more, {confidence} % interval",
        "hardly": "twice as many photos ({n}) would hardly help: {low} to {high} points of mIoU more, "
        "{confidence} % interval",
        "few sizes": "whether twice as many photos would help has no answer yet: it takes at least {min_sizes} numbers "
        "of photos, there are {sizes}",
        "few runs": "whether twice as many photos would help has no answer yet: it takes at least {min_runs} runs, "
        "there are {runs}",
        "poor fit": "whether twice as many photos would help has no answer: "
        "the runs do not follow a curve that rises and flattens",
    },
    "pt": {
        "yes": "o dobro de fotos ({n}) ajudaria: de {low} a {high} pontos de mIoU a mais, intervalo de {confidence} %",
        "perhaps": "o dobro de fotos ({n}) pode ajudar: de {low} a {high} pontos de mIoU a mais, "
        "intervalo de {confidence} %",
        "hardly": "o dobro de fotos ({n}) quase não ajudaria: de {low} a {high} pontos de mIoU a mais, "
        "intervalo de {confidence} %",
        "few sizes": "ainda não se sabe se o dobro de fotos ajudaria: são necessárias ao menos {min_sizes} quantidades "
        "de fotos, há {sizes}",
        "few runs": "ainda não se sabe se o dobro de fotos ajudaria: são necessários ao menos {min_runs} treinos, "
        "há {runs}",
        "poor fit": "não se sabe se o dobro de fotos ajudaria: os treinos não seguem uma curva que sobe e se achata",
    },
}  # fmt: skip


@dataclass(frozen=True)
class _Draws:
    """Curves a - b * decay that agree with the runs, each with its noise; all of shape (D,).

    `shape` are indices of `_decay`; `noise` is of the mean of new runs, `doubt` of the growth beyond the largest size.
    """

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    shape: NDArray[np.intp]
    noise: NDArray[np.float64]
    doubt: NDArray[np.float64]

    def at(self, ratio: float) -> NDArray[np.float64]:
        """Return the mIoU at so many times the largest size; beyond it no curve falls."""
        if ratio <= 1:
            return self.a - self.b * _decay(ratio)[self.shape]
        growth = np.maximum(self.b, 0) * (_decay(1) - _decay(ratio))[self.shape]
        beyond: NDArray[np.float64] = self.at(1) + growth * np.exp(self.doubt * np.sqrt(np.log2(ratio)))
        return beyond


@dataclass(frozen=True, kw_only=True)
class LearningCurve:
    """Sizes in growing order, the mIoU of each run at them, and the fit; mIoU are fractions.

    `fit` is (a, b, c) of the power law with the least squares, `twice` the interval of what twice the largest number of
    photos adds to the mIoU. Both are None if `why_no_answer` is few sizes, few runs or poor fit.
    """

    photos: tuple[int, ...]
    mious: tuple[tuple[float, ...], ...]
    confidence: float
    fit: tuple[float, float, float] | None
    twice: tuple[float, float] | None
    why_no_answer: NoAnswer
    _draws: _Draws | None = field(default=None, repr=False, compare=False)

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean mIoU at each size."""
        return tuple(float(np.mean(runs)) for runs in self.mious)

    def band(self, n: float) -> tuple[float, float, float] | None:
        """Return where the mean of as many new runs, trained on n photos, is expected: low, middle, high."""
        if self._draws is None:
            return None
        curve = self._draws.at(n / self.photos[-1])
        low, high = _middle(curve + self._draws.noise, self.confidence)
        return max(0.0, low), float(np.median(curve)), min(1.0, high)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "photos": self.photos, "mious": self.mious, "mean": self.mean, "confidence": self.confidence,
            "fit": self.fit and dict(zip("abc", self.fit, strict=True)), "twice": self.twice,
            "why_no_answer": self.why_no_answer or None,
        }  # fmt: skip


def fit_curve(
    photos: Sequence[int], mious: Sequence[Sequence[float]], *, confidence: float = CONFIDENCE, seed: int = 0
) -> LearningCurve:
    """Fit a learning curve.

    Args:
        photos: numbers of training photos, different and at least 1, in any order.
        mious: for each of them the mIoU of its runs, at least one.
        confidence: of the band and of `twice`, in (0, 1).
        seed: the same seed gives the same band.

    Raises:
        ValueError: a size occurs twice, is below 1 or has no runs, or the lengths differ.
    """
    if (
        len(photos) != len(mious)
        or len(set(photos)) != len(photos)
        or min([*photos, 1]) < 1
        or not all(map(len, mious))
    ):
        raise ValueError(f"a learning curve needs different sizes, each with runs, not {photos} with {mious}")
    points_in_order = sorted(zip(photos, mious, strict=True))
    sizes = tuple(size for size, _ in points_in_order)
    runs = tuple(tuple(map(float, values)) for _, values in points_in_order)
    reason: NoAnswer = "few sizes" if len(sizes) < MIN_SIZES else "few runs" if sum(map(len, runs)) < MIN_RUNS else ""
    found = None if reason else _fitted(np.array(sizes) / sizes[-1], runs, np.random.default_rng(seed))
    if found is None:
        return LearningCurve(photos=sizes, mious=runs, confidence=confidence, fit=None, twice=None,
            why_no_answer=reason or "poor fit")  # fmt: skip
    (a, b, c), draws = found
    return LearningCurve(
        photos=sizes, mious=runs, confidence=confidence, fit=(a, b * sizes[-1] ** c, c),
        twice=_middle(draws.at(2) - draws.at(1), confidence), why_no_answer="", _draws=draws,
    )  # fmt: skip


def sentence(curve: LearningCurve, language: str = "en") -> str:
    """Return the answer to "would twice as many photos help?" as a sentence without a full stop."""
    low, high = curve.twice or (0.0, 0.0)
    answer = "yes" if low >= WORTH_IT else "hardly" if high < WORTH_IT else "perhaps"
    return SENTENCES[language][curve.why_no_answer or answer].format(
        n=2 * max(curve.photos, default=0), low=points(low, language), high=points(high, language),
        confidence=percent(curve.confidence, language), sizes=len(curve.photos), min_sizes=MIN_SIZES,
        runs=sum(map(len, curve.mious)), min_runs=MIN_RUNS,
    )  # fmt: skip


def _fitted(
    size_P: NDArray[np.float64], mious: Sequence[Sequence[float]], random: np.random.Generator
) -> tuple[tuple[float, float, float], _Draws] | None:
    """Return (a, b, c) of the best power law and draws of curves, sizes relative to the largest; None if none fits."""
    runs_P, mean_P = np.array([len(runs) for runs in mious]), np.array([np.mean(runs) for runs in mious])
    num_runs, level = int(runs_P.sum()), float(np.average(mean_P, weights=runs_P))
    decay_SP = np.stack([_decay(float(size)) for size in size_P], axis=1)
    center_S = np.average(decay_SP, axis=1, weights=runs_P)
    off_SP = decay_SP - center_S[:, None]
    squares_S = (runs_P * off_SP**2).sum(axis=1)
    best_S = -(runs_P * off_SP * mean_P).sum(axis=1) / squares_S
    misfit_S = (runs_P * (mean_P - level + best_S[:, None] * off_SP) ** 2).sum(axis=1)
    within = sum(float(np.var(runs)) * len(runs) for runs in mious)
    spare, freedom = num_runs - len(size_P), len(size_P) - 3
    if spare and freedom and misfit_S.min() > num_runs * MISFIT**2:
        ratio = misfit_S.min() / freedom / max(within / spare, NO_SPREAD)
        if fdtrc(freedom, spare, ratio) < LACK_OF_FIT:
            return None
    left_S = within + misfit_S + NO_SPREAD
    prior_S = np.repeat(-np.log([len(EXPONENTS), len(RATES)]), [len(EXPONENTS), len(RATES)])
    reach_S = np.log((decay_SP.max(axis=1) - decay_SP.min(axis=1)) / np.sqrt(squares_S))
    log_weight_S = prior_S + reach_S - (num_runs - 2) / 2 * np.log(left_S)
    weight_S = np.exp(log_weight_S - log_weight_S.max())
    shape = random.choice(len(weight_S), DRAWS, p=weight_S / weight_S.sum())
    spread = np.sqrt(left_S[shape] / random.chisquare(num_runs - 2, DRAWS))
    b = best_S[shape] + spread / np.sqrt(squares_S[shape]) * random.normal(size=DRAWS)
    if (b > 0).mean() < LEAST_RISING:
        return None
    a = level + b * center_S[shape] + spread / np.sqrt(num_runs) * random.normal(size=DRAWS)
    noise = spread / np.sqrt(median(runs_P)) * random.normal(size=DRAWS)
    c = int(np.argmin(misfit_S[: len(EXPONENTS)]))
    fit = (level + float(best_S[c] * center_S[c]), float(best_S[c]), float(EXPONENTS[c]))
    return fit, _Draws(a, b, shape, noise, DOUBT * random.normal(size=DRAWS))


def _decay(ratio: float) -> NDArray[np.float64]:
    """Return what b is multiplied with, for each power law and each exponential, at a size relative to the largest."""
    decay_S: NDArray[np.float64] = np.concatenate([ratio**-EXPONENTS, np.exp(-RATES * ratio)])
    return decay_S


def _middle(values: NDArray[np.float64], share: float) -> tuple[float, float]:
    """Return the quantiles with so much between them."""
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
