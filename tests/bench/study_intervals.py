"""How often do a study's intervals cover the truth? Simulated, no training: `python -m core bench study_intervals`.

Photos are drawn from a pool of 10,000 (`World`) whose true scores are known: background and one or two objects, rare
and common classes; logits of how much of an object is found add effects of the photo, the class, the recipe on that
photo, the run (its seed: overall, and one that moves classes apart), and the run on that photo. For each setting: the
share of trials whose interval covers the true difference of the recipes, with 2, 3 and 5 runs each, and beside it that
of the file interval (`core.metrics.comparison`) of one run each. --full: 2,000 trials of each instead of 200.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from core.metrics.comparison import compare
from core.metrics.confusion import Counts, iou
from core.study.learning_curve import fit_curve
from core.study.verdict import compare_recipes
from tests.bench._rounds import print_figures

POOL, PIXELS = 10_000, 40_000
NUM_RUNS = (2, 3, 5)
TRIALS, FULL_TRIALS = 200, 2_000
RESAMPLES = 500
"""Of the file interval; 10,000 move its bounds by a few hundredths of its width."""

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
"""Quadrature of a normal distribution, for expectations over seeds and over runs on a photo."""

Seed = tuple[float, float]
Floats = NDArray[np.float64]
Shares = tuple[Floats, Floats]
"""Of a photo's objects that a run finds, (2, N), and of its background that it calls an object, (N,)."""


@dataclass(frozen=True)
class Setting:
    """Effects in logits; `seed_sd` 0.07 is about 1 point of mIoU, `seed_sd_of_b` that of recipe B where it differs.

    `scores` of photos are normal, skewed or bimodal; `has_failures`: one run in seven is 2.8 `seed_sd` worse than the
    others. `interaction` is the effect of a run on a photo.
    """

    photos: int
    classes: int
    seed_sd: float
    scores: str = "normal"
    seed_sd_of_b: float | None = None
    has_failures: bool = False
    interaction: float = 1.0
    gap: float = 0.25


SETTINGS = {
    "seeds alike, 40 photos, 7 classes": Setting(40, 7, 0),
    "seeds alike, 200 photos, 7 classes": Setting(200, 7, 0),
    "seeds alike, 100 photos, 21 classes, bimodal, runs fail on different photos":
        Setting(100, 21, 0, "bimodal", interaction=2.5),
    "seeds alike, 1449 photos, 21 classes": Setting(1449, 21, 0),
    "usual seeds, 40 photos, 7 classes": Setting(40, 7, 0.15),
    "usual seeds, 40 photos, 21 classes, bimodal": Setting(40, 21, 0.07, "bimodal"),
    "usual seeds, 40 photos, 21 classes, skewed": Setting(40, 21, 0.1, "skewed"),
    "usual seeds, 100 photos, 7 classes, bimodal": Setting(100, 7, 0.12, "bimodal"),
    "usual seeds, 100 photos, 21 classes, skewed": Setting(100, 21, 0.12, "skewed"),
    "usual seeds, 200 photos, 7 classes": Setting(200, 7, 0.15),
    "usual seeds, 1449 photos, 21 classes": Setting(1449, 21, 0.1),
    "large seeds, 40 photos, 21 classes, bimodal": Setting(40, 21, 0.35, "bimodal"),
    "large seeds, 200 photos, 7 classes": Setting(200, 7, 0.35),
    "seeds large for A alone, 200 photos, 7 classes": Setting(200, 7, 0.3, seed_sd_of_b=0.03),
    "one run in seven fails, 300 photos, 7 classes": Setting(300, 7, 0.2, has_failures=True),
}  # fmt: skip

Curve = Callable[[float], float]

CURVES: dict[str, Curve] = {
    "power law, c = 0.2": lambda n: 0.9 - 1.45 * n**-0.2,
    "power law, c = 0.35": lambda n: 0.72 - 1.5 * n**-0.35,
    "power law, c = 0.5": lambda n: 0.6 - 2 * n**-0.5,
    "power law, c = 1": lambda n: 0.55 - 15 / n,
    "sum of two power laws": lambda n: 0.7 - 0.3 * (n / 100) ** -0.2 - 20 / n,
    "logarithm": lambda n: 0.05 + 0.07 * np.log2(n / 20),
    "exponential": lambda n: 0.55 - 0.45 * np.exp(-n / 300),
    "sigmoid of log n": lambda n: 0.1 + 0.5 / (1 + (n / 400) ** -0.8),
    "slower from 500": lambda n: 0.7 - 1.2 * min(n, 500) ** -0.3 + 0.02 * np.log2(max(n, 500) / 500),
    "flat": lambda n: 0.45 + 0 * n,
}
SIZES = ((100, 250, 500), (100, 250, 500, 1000), (250, 500, 1000))
SPREADS = (0.006, 0.02)
"""The sizes of a study with fractions, and the standard deviation of runs; twice as large below 200 photos."""


class World:
    """A pool of photos and two recipes."""

    def __init__(self, setting: Setting, seed: int = 0) -> None:
        self.setting, random, num = setting, np.random.default_rng(seed), setting.classes
        frequency = 1 / np.sqrt(np.arange(1, num))
        self.class_2P = 1 + random.choice(num - 1, (2, POOL), p=frequency / frequency.sum())
        has_two = (random.random(POOL) < 0.4) & (self.class_2P[0] != self.class_2P[1])
        share_2P = random.beta(1.2, [[4], [6]], (2, POOL))
        share_2P[1] *= has_two * (1 - share_2P[0])
        self.pixels_2P = np.rint(share_2P * PIXELS)
        if setting.scores == "bimodal":
            photo = np.where(random.random(POOL) < 0.35, -3.0, 1.0) + random.normal(0, 0.4, POOL)
        elif setting.scores == "skewed":
            photo = 1 - 1.5 * random.exponential(1, POOL)
        else:
            photo = random.normal(0, 1.2, POOL)
        self.photo_2P = 0.5 + photo + random.normal(0, 0.6, (2, POOL)) + setting.gap * np.arange(2)[:, None]
        self.class_2K = random.normal(0, 0.6, num) + random.normal(0, 0.15, (2, num))
        self.apart_K = random.choice([-0.7, 0.7], num)

    def draw(self, num_runs: int, random: np.random.Generator) -> tuple[NDArray[np.int64], list[list[Shares]]]:
        """Draw photos, and the shares that so many runs of each recipe find and spill on them."""
        photos, size = random.integers(0, POOL, self.setting.photos), self.setting.interaction
        sides: list[list[Shares]] = [[], []]
        for recipe, side in enumerate(sides):
            for seed in self._seeds(recipe, num_runs, random):
                found_2N, spilled_N = self._logits(photos, recipe, seed)
                found_2N = expit(found_2N + random.normal(0, size, found_2N.shape))
                spilled_N = expit(spilled_N + random.normal(0, size, spilled_N.shape))
                side.append((found_2N, spilled_N))
        return photos, sides

    def truth(self) -> tuple[float, float]:
        """Return B's mean mIoU on the pool, over all seeds, less A's; and the standard deviation of A's."""
        (a_mean, a_sd), (b_mean, _) = self._expected(0), self._expected(1)
        return b_mean - a_mean, a_sd

    def _sd(self, recipe: int) -> float:
        other = self.setting.seed_sd_of_b
        return self.setting.seed_sd if recipe == 0 or other is None else other

    def _seeds(self, recipe: int, num_runs: int, random: np.random.Generator) -> list[Seed]:
        effects_R2 = random.standard_normal((num_runs, 2))
        if self.setting.has_failures:
            effects_R2[:, 0] = np.where(random.random(num_runs) < 1 / 7, -2.4, 0.4)
        return [(float(overall), float(apart)) for overall, apart in self._sd(recipe) * effects_R2]

    def _logits(self, photos: NDArray[np.int64], recipe: int, seed: Seed) -> tuple[Floats, Floats]:
        """Return the logits of the share found of both objects, and of the share of the background called an object."""
        class_2N = self.class_2P[:, photos]
        hard_N = self.photo_2P[recipe, photos] + seed[0]
        found_2N = hard_N + self.class_2K[recipe][class_2N] + seed[1] * self.apart_K[class_2N]
        return found_2N, -3 - 0.3 * hard_N

    def _cells(
        self, photos: NDArray[np.int64], found_2N: Floats, spilled_N: Floats
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Return true class, predicted class and pixels, each (8, N), of every cell of the counts that is not empty.

        What is not found is called background, and three tenths of it the next class.
        """
        num, class_2N, pixels_2N = self.setting.classes, self.class_2P[:, photos], self.pixels_2P[:, photos]
        background_N = PIXELS - pixels_2N.sum(axis=0)
        spilled_N = np.rint(spilled_N * background_N)
        hits_2N = np.rint(found_2N * pixels_2N)
        next_2N = np.rint(0.3 * (pixels_2N - hits_2N))
        none_2N = np.zeros_like(class_2N)
        truth = np.concatenate([none_2N, class_2N, class_2N, class_2N])
        predicted = np.concatenate([none_2N[:1], class_2N[:1], class_2N, none_2N, class_2N % (num - 1) + 1])
        pixels = [(background_N - spilled_N)[None], spilled_N[None], hits_2N, pixels_2N - hits_2N - next_2N, next_2N]
        return truth, predicted, np.concatenate(pixels)

    def counts(self, photos: NDArray[np.int64], found_2N: Floats, spilled_N: Floats) -> Counts:
        """Return counts_NKK."""
        truth, predicted, pixels = self._cells(photos, found_2N, spilled_N)
        num = self.setting.classes
        return _summed(len(photos), num**2, truth * num + predicted, pixels).reshape(-1, num, num)

    def reduced(self, photos: NDArray[np.int64], found_2N: Floats, spilled_N: Floats) -> Counts:
        """Return `reduced` counts, which are many times faster than those of all pairs of classes."""
        truth, predicted, pixels = self._cells(photos, found_2N, spilled_N)
        num = self.setting.classes
        hits = _summed(len(photos), num, truth, pixels * (truth == predicted))
        return np.stack([hits, _summed(len(photos), num, truth, pixels), _summed(len(photos), num, predicted, pixels)])

    def _expected(self, recipe: int) -> tuple[float, float]:
        """Return the mean and the standard deviation, over seeds, of the mIoU of the pool."""
        sd, normal = self._sd(recipe), list(zip(NODES, WEIGHTS, strict=True))
        overall = [(-2.4, 1 / 7), (0.4, 6 / 7)] if self.setting.has_failures else normal
        seeds = (
            [((sd * x, sd * y), v * w) for (x, v), (y, w) in product(overall, normal)] if sd else [((0.0, 0.0), 1.0)]
        )
        mious, weights = np.array([self._pool_miou(recipe, seed) for seed, _ in seeds]), [weight for _, weight in seeds]
        mean = float(np.average(mious, weights=weights))
        return mean, float(np.sqrt(np.average((mious - mean) ** 2, weights=weights)))

    def _pool_miou(self, recipe: int, seed: Seed) -> float:
        size, counts_KK = self.setting.interaction, np.zeros((self.setting.classes, self.setting.classes), np.int64)
        for photos in np.array_split(np.arange(POOL), 10):
            parts = self._logits(photos, recipe, seed)
            shares = [sum(w * expit(part + size * x) for x, w in zip(NODES, WEIGHTS, strict=True)) for part in parts]
            counts_KK += self.counts(photos, *shares).sum(axis=0)
        return float(iou(counts_KK).mean())


def _summed(num_photos: int, num: int, cells_8N: NDArray[np.int64], pixels_8N: Floats) -> Counts:
    """Return the pixels of each photo in each of `num` cells, (N, num)."""
    at_8N = np.arange(num_photos) * num + cells_8N
    return np.bincount(at_8N.ravel(), pixels_8N.ravel(), num_photos * num).astype(np.int64).reshape(num_photos, num)


def coverage(world: World, num_runs: Sequence[int], trials: int) -> dict[str, float]:
    """Return the share of trials that cover the truth: of the file interval, and with so many runs of each recipe.

    With the median half width of each interval, and the standard deviation of A's seeds, in points of mIoU.
    """
    covered, half_widths = defaultdict(list), defaultdict(list)
    random, (truth, seed_sd) = np.random.default_rng(1), world.truth()
    for trial in range(trials):
        photos, sides = world.draw(max(num_runs), random)
        a_runs, b_runs = ([world.reduced(photos, *run) for run in side] for side in sides)
        files = (world.counts(photos, *side[0]) for side in sides)
        found = {f"{number} runs": compare_recipes(a_runs[:number], b_runs[:number]) for number in num_runs}
        for name, each in {"file": compare(*files, resamples=RESAMPLES, seed=trial), **found}.items():
            assert each.low is not None
            assert each.high is not None
            covered[name].append(each.low <= truth <= each.high)
            half_widths[name].append(50 * (each.high - each.low))
    shares = {name: float(np.mean(values)) for name, values in covered.items()} | {"seeds, sd": 100 * seed_sd}
    return shares | {f"{name}, half width": float(np.median(values)) for name, values in half_widths.items()}


def band_coverage(curve: Curve, sizes: Sequence[int], spread: float, trials: int) -> dict[str, float]:
    """Return how often the band at twice and four times the photos holds the mean of 3 new runs, and the gain is right.

    With the share of trials that give no answer, and the median half width of the band at twice in points of mIoU.
    """
    random, found, largest = np.random.default_rng(1), defaultdict(list), sizes[-1]
    truth = {factor: float(curve(factor * largest)) for factor in (1, 2, 4)}
    for trial in range(trials):
        noise = [spread * (2 if n < 200 else 1) * random.normal(size=3) for n in sizes]
        fitted = fit_curve(sizes, [list(curve(n) + each) for n, each in zip(sizes, noise, strict=True)], seed=trial)
        twice, far, gain = fitted.band(2 * largest), fitted.band(4 * largest), fitted.twice
        new = {factor: value + spread * random.normal(size=3).mean() for factor, value in truth.items()}
        found["no answer"].append(twice is None)
        if twice and far and gain:
            found["covered"].append(twice[0] <= new[2] <= twice[2])
            found["covered at 4x"].append(far[0] <= new[4] <= far[2])
            found["gain"].append(gain[0] <= truth[2] - truth[1] <= gain[1])
            found["half width"].append(50 * (twice[2] - twice[0]))
    return {name: float((np.median if name == "half width" else np.mean)(values)) for name, values in found.items()}


def print_bands(trials: int) -> dict[str, float]:
    """Print a row for each kind of curve: the least over the sizes, with small and with large spread."""
    columns, figures = ("covered", "covered at 4x", "gain", "half width"), {}
    print("| curve |", " | ".join(f"{column}, sd {100 * spread:g}" for spread in SPREADS for column in columns), "|")
    for name, curve in CURVES.items():
        row = []
        for spread in SPREADS:
            found = [band_coverage(curve, sizes, spread, trials) for sizes in SIZES]
            least = {column: min(each[column] for each in found) for column in columns[:3]}
            row += [f"{100 * least[column]:.1f}" for column in columns[:3]]
            row += [" / ".join(f"{each['half width']:.1f}" for each in found)]
            figures |= {f"{name}, sd {100 * spread:g}: {column}": value for column, value in least.items()}
        print("|", name, "|", " | ".join(row), "|", flush=True)
    return figures


def main() -> None:
    """Print a row for each setting, and the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    trials = FULL_TRIALS if parser.parse_args().full else TRIALS
    columns = ["file", *(f"{number} runs" for number in NUM_RUNS)]
    print("| setting | seeds' sd, points |", " | ".join(columns), "| half width with 5 runs |")
    figures: dict[str, float] = {"trials": float(trials)}
    for name, setting in SETTINGS.items():
        shares = coverage(World(setting), NUM_RUNS, trials)
        figures |= {f"{name}: {column}": shares[column] for column in columns}
        row = [f"{shares['seeds, sd']:.1f}", *(f"{100 * shares[column]:.1f}" for column in columns)]
        print("|", name, "|", " | ".join(row), f"| {shares['5 runs, half width']:.1f} |", flush=True)
    figures |= print_bands(trials)
    least = {f"least with {n}": min(v for k, v in figures.items() if k.endswith(f" {n} runs")) for n in NUM_RUNS}
    print_figures("study_intervals", figures, least | {"least of the file": min(
        v for k, v in figures.items() if k.endswith(": file"))})  # fmt: skip


if __name__ == "__main__":
    main()
