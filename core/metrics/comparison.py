"""Whether prediction B is better than A: the difference in mIoU on the same images, with its confidence interval.

Paired bootstrap over images (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 8 and 13): draw N
of the N images with replacement, sum their counts under A and under B, score both, subtract; repeat. The middle 95 % of
the differences is the interval. Images are drawn, not pixels, because the errors within one image are correlated; the
same images for A and B, because the difficulty of an image affects both and cancels.

Percentile intervals are too narrow for few images. They are widened after Hesterberg 2015, "What Teachers Should Know
About the Bootstrap" (arXiv 1411.5279, "expanded percentile interval"), as Student's t widens the normal interval.

The interval does not cover the randomness of training: it compares two checkpoints, not the recipes that made them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from core.metrics.confusion import Counts, iou, marginals, mean, mean_over_classes, ratio

Verdict = Literal["better", "worse", "undecided"]

CONFIDENCE = 0.95
RESAMPLES = 10_000
MIN_IMAGES = 10
"""With fewer images the verdict is undecided: the intervals cover far less often than stated."""

CHUNK_CELLS = 2_000_000
"""Weights drawn at once: 16 MB."""


@dataclass(frozen=True, kw_only=True)
class ClassDifference:
    """B's IoU of a class minus A's, with its interval; None where A or B has no IoU."""

    id: int
    delta: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """B against A on the same images; fractions, None where nothing was counted.

    `delta_miou` is B's mIoU minus A's, [`low`, `high`] its interval. `verdict` is about B: better or worse where the
    interval excludes 0. Intervals of classes are not corrected for their number: by chance one of 20 excludes 0.
    """

    a_miou: float | None
    b_miou: float | None
    delta_miou: float | None
    low: float | None
    high: float | None
    confidence: float
    resamples: int
    images: int
    verdict: Verdict
    classes: tuple[ClassDifference, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self) | {"classes": [asdict(entry) for entry in self.classes]}


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One of several predictions; its `place` is 1 + the number of predictions with the verdict better.

    `index` is its position in the argument of `ranking`; [`low`, `high`] is the interval of its own mIoU; `ties_with`
    are the predictions with the verdict undecided.
    """

    index: int
    place: int
    miou: float | None
    low: float | None
    high: float | None
    ties_with: tuple[int, ...]


def compare(
    a_NKK: Counts, b_NKK: Counts, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare two predictions on the same images.

    Args:
        a_NKK: confusion counts of every image under A (`confusion_counts`), int64, shape (N, K, K), N at least 1.
        b_NKK: the same under B, in the same order.
        confidence: the probability that an interval covers the true difference, in (0, 1).
        resamples: number of draws; 10,000 of 1,449 images take about a second.
        seed: the same seed gives the same interval.

    Raises:
        ValueError: shapes differ, N is 0, or the truth of an image differs between A and B.
    """
    counts_CNKK = _stacked([a_NKK, b_NKK])
    num_images = len(a_NKK)
    (a_miou, b_miou), (a_K, b_K) = _observed(counts_CNKK)
    drawn_RCK = _resampled(counts_CNKK, resamples, seed)
    drawn_RC = mean_over_classes(drawn_RCK)
    low, high = _interval(drawn_RC[:, 1] - drawn_RC[:, 0], confidence, num_images)
    drawn_RK = drawn_RCK[:, 1] - drawn_RCK[:, 0]
    class_intervals = [_interval(drawn_R, confidence, num_images) for drawn_R in drawn_RK.T]
    return Comparison(
        a_miou=a_miou,
        b_miou=b_miou,
        delta_miou=None if a_miou is None or b_miou is None else b_miou - a_miou,
        low=low,
        high=high,
        confidence=confidence,
        resamples=resamples,
        images=num_images,
        verdict=_verdict(low, high, num_images),
        classes=tuple(
            _class_difference(k, delta, interval)
            for k, (delta, interval) in enumerate(zip(b_K - a_K, class_intervals, strict=True))
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """B's score minus A's with its interval, and both scores; None where nothing was counted."""

    a: float | None
    b: float | None
    delta: float | None
    low: float | None
    high: float | None


def compare_levels(
    a_LNKK: Counts, b_LNKK: Counts, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[tuple[Difference, ...], Difference]:
    """Compare two predictions on the same images at several levels of a corruption.

    Args:
        a_LNKK: counts of every level and image under A; the truth may differ from level to level.
        b_LNKK: the same under B.
        confidence: as in `compare`.
        resamples: as in `compare`; every resample draws the same images at all levels.
        seed: as in `compare`.

    Returns:
        The difference in mIoU at each level, and that of the means over all levels but the first, which is the photos
        as they are.

    Raises:
        ValueError: as `compare`.
    """
    for pair in zip(a_LNKK, b_LNKK, strict=True):
        _stacked(pair)
    num_levels, num_images = a_LNKK.shape[:2]
    drawn_RC = mean_over_classes(_resampled(np.concatenate([a_LNKK, b_LNKK]), resamples, seed))
    drawn_2RL = np.stack([drawn_RC[:, :num_levels], drawn_RC[:, num_levels:]])
    seen_2L = mean_over_classes(iou(np.stack([a_LNKK, b_LNKK]).sum(axis=2)))

    def difference(seen_2: NDArray[np.float64], drawn_2R: NDArray[np.float64]) -> Difference:
        a, b = (None if np.isnan(value) else float(value) for value in seen_2)
        low, high = _interval(drawn_2R[1] - drawn_2R[0], confidence, num_images)
        return Difference(a=a, b=b, delta=None if a is None or b is None else b - a, low=low, high=high)

    levels = tuple(difference(seen_2L[:, level], drawn_2RL[..., level]) for level in range(num_levels))
    return levels, difference(seen_2L[:, 1:].mean(axis=1), drawn_2RL[..., 1:].mean(axis=2))


def ranking(
    counts: Sequence[Counts], *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Ranked, ...]:
    """Rank several predictions on the same images, best place first, then by mIoU.

    Each pair is compared with the confidence 1 - (1 - confidence) / pairs (Bonferroni), so that the confidence holds
    for the whole ranking.

    Args:
        counts: counts_NKK of each, all on the same images in the same order.
        confidence: as in `compare`, for all pairs together.
        resamples: as in `compare`.
        seed: as in `compare`.

    Raises:
        ValueError: as `compare`.
    """
    counts_CNKK = _stacked(counts)
    num, num_images = counts_CNKK.shape[:2]
    mious, _ = _observed(counts_CNKK)
    drawn_RC = mean_over_classes(_resampled(counts_CNKK, resamples, seed))
    pair_confidence = 1 - (1 - confidence) / max(1, num * (num - 1) // 2)

    def is_better(i: int, j: int) -> bool:
        bounds = _interval(drawn_RC[:, i] - drawn_RC[:, j], pair_confidence, num_images)
        return _verdict(*bounds, num_images) == "better"

    beats = {(i, j) for i in range(num) for j in range(num) if i != j and is_better(i, j)}
    ranked = []
    for i in range(num):
        low, high = _interval(drawn_RC[:, i], confidence, num_images)
        ties = tuple(j for j in range(num) if j != i and (i, j) not in beats and (j, i) not in beats)
        place = 1 + sum((j, i) in beats for j in range(num))
        ranked.append(Ranked(index=i, place=place, miou=mious[i], low=low, high=high, ties_with=ties))
    return tuple(sorted(ranked, key=lambda each: (each.place, -(each.miou or 0.0))))


def _class_difference(k: int, delta: float, interval: tuple[float | None, float | None]) -> ClassDifference:
    if np.isnan(delta):
        return ClassDifference(id=k, delta=None, low=None, high=None)
    return ClassDifference(id=k, delta=float(delta), low=interval[0], high=interval[1])


def _stacked(counts: Sequence[Counts]) -> Counts:
    """Return counts_CNKK; if they are not of the same images, raise ValueError."""
    first = counts[0]
    if first.ndim != 3 or first.shape[1] != first.shape[2] or not len(first):
        raise ValueError(f"counts have shape {first.shape}, expected (images, classes, classes) of at least one photo")
    for other in counts[1:]:
        if other.shape != first.shape:
            raise ValueError(f"counts of shape {first.shape} and {other.shape} are not of the same photos and classes")
        if not np.array_equal(other.sum(axis=2), first.sum(axis=2)):
            raise ValueError("the photos or their truth differ; score both on the same photos, in the same order")
    return np.stack(counts)


def _observed(counts_CNKK: Counts) -> tuple[list[float | None], NDArray[np.float64]]:
    """Return the mIoU and iou_CK of each prediction."""
    iou_CK = iou(counts_CNKK.sum(axis=1))
    return [mean(iou_K) for iou_K in iou_CK], iou_CK


def _resampled(counts_CNKK: Counts, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return iou_RCK of every resample: a matrix product of how often each image was drawn with its hits and unions.

    Pixel sums stay below 2**53, so float64 is exact.
    """
    num, num_images, num_classes = counts_CNKK.shape[:3]
    hits_CNK, truth_CNK, predicted_CNK = marginals(counts_CNKK)
    parts_2CNK = np.stack([hits_CNK, truth_CNK + predicted_CNK - hits_CNK])
    columns_NF = np.moveaxis(parts_2CNK, 2, 0).reshape(num_images, -1).astype(np.float64)
    sums = [weights_RN @ columns_NF for weights_RN in _drawn(num_images, resamples, seed)]
    hits_RCK, union_RCK = np.moveaxis(np.concatenate(sums).reshape(resamples, 2, num, num_classes), 1, 0)
    return ratio(hits_RCK, union_RCK)


def _drawn(num_images: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Draw N images with replacement, `resamples` times: yield weights_RN in chunks; every row sums to N.

    `integers` and `bincount` are several times as fast as `rng.multinomial`.
    """
    random = np.random.default_rng(seed)
    at_once = max(1, CHUNK_CELLS // num_images)
    for first in range(0, resamples, at_once):
        rows = min(at_once, resamples - first)
        cells_RN = random.integers(0, num_images, (rows, num_images)) + np.arange(rows)[:, None] * num_images
        counted = np.bincount(cells_RN.ravel(), minlength=rows * num_images)
        yield counted.reshape(rows, num_images).astype(np.float64)


def _interval(drawn_R: NDArray[np.float64], confidence: float, num_images: int) -> tuple[float | None, float | None]:
    """Return the expanded percentile interval; NaN resamples are ignored."""
    defined = drawn_R[~np.isnan(drawn_R)]
    if not defined.size:
        return None, None
    tail = (1 - confidence) / 2
    if num_images > 1:
        tail = float(ndtr(sqrt(num_images / (num_images - 1)) * stdtrit(num_images - 1, tail)))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def _verdict(low: float | None, high: float | None, num_images: int) -> Verdict:
    if low is None or high is None or num_images < MIN_IMAGES:
        return "undecided"
    return "better" if low > 0 else "worse" if high < 0 else "undecided"
