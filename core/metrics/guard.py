"""Scores that cannot be, or should not be: what is odd about them and its likely cause, in words.

    suspicion   of scores with their counts: on or below the floor, classes in another order, masks in another palette
    explain     of a single number that somebody read elsewhere: outside [0, 1], on or below the floor

The report this project starts from printed an IoU of 0.00086, a recall of 112 and an accuracy of 0.6985, and nobody
noticed that the first two cannot be and that the third is what predicting background everywhere scores.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from core.metrics.confusion import Counts, iou, marginals, ratio
from core.metrics.conventions import mean
from core.metrics.scores import Scores
from core.voc import BACKGROUND

ON_THE_FLOOR = 0.005
"""A score this close to the floor, in fractions, counts as on it."""

EVERYWHERE = 0.999
"""From this share of the pixels on, a class is predicted everywhere."""

MOSTLY_VOID = 0.5
FAR_BETTER = 0.05
"""By how much another order of the classes must raise mIoU: swapping two good ones of 21 costs about 0.07."""

SWAPPED_IOU = 0.2
"""What a class must reach under another name, while under its own it has a quarter of that at most."""

SAME_STEP = 0.75
"""Share of the swapped classes that must be off by the same number: at the ends of the list some are not."""

MIN_IMAGES = 5
"""Below this many images, ids without gaps may be chance."""

Place = Literal["on", "below"]


@dataclass(frozen=True)
class FloorHit:
    """A score that is on or below its floor; `name` is its field in `Scores`, values are fractions."""

    name: str
    value: float
    floor: float
    place: Place


@dataclass(frozen=True)
class Suspicion:
    """What is odd about scores: a `kind` for programs, the likely `cause` for people, and the scores on the floor."""

    kind: str
    cause: str
    on_floor: tuple[FloorHit, ...] = ()


def suspicion(scores: Scores, counts_NKK: Counts | None = None) -> Suspicion | None:
    """Return the likeliest cause of scores that should not be believed, None if nothing is odd about them.

    Args:
        scores: of any prediction.
        counts_NKK: the counts of its images; without them, masks that were renumbered image by image go unnoticed.
    """
    hits = floor_hits(scores)
    counts_KK = np.array(scores.confusion, dtype=np.int64)
    names = [entry.name for entry in scores.classes]
    found = (
        _void(counts_KK, scores.void_share or 0.0)
        or _everywhere(counts_KK, names)
        or (None if counts_NKK is None else _renumbered(counts_NKK))
        or _reordered(counts_KK, names)
        or _untrained(hits)
    )
    return Suspicion(*found, hits) if found else None


def floor_hits(scores: Scores) -> tuple[FloorHit, ...]:
    """Return the scores that sit on or below what predicting background everywhere scores."""
    found = []
    for name in ("miou", "pixel_accuracy"):
        value, floor = getattr(scores, name), getattr(scores.floor, name)
        if value is not None and floor is not None and value < floor + ON_THE_FLOOR:
            found.append(FloorHit(name, value, floor, "below" if value < floor - ON_THE_FLOOR else "on"))
    return tuple(found)


def _untrained(hits: Sequence[FloorHit]) -> tuple[str, str] | None:
    if not hits:
        return None
    if all(hit.name == "pixel_accuracy" for hit in hits):
        return "objects everywhere", ("it gets about as many background pixels wrong as object pixels right, or more")
    return "untrained", (
        "it has learned too little: too few steps, a learning rate that is too high or too low, or photos that are "
        "normalized otherwise than in training"
    )


def _void(counts_KK: Counts, void_share: float) -> tuple[str, str] | None:
    truth_K = counts_KK.sum(axis=1)
    if void_share and truth_K.any() and not np.delete(truth_K, BACKGROUND).any():
        return "void objects", (
            "beside void the masks hold background alone: they are probably black and white, and 255, their white, "
            "means void here; write the objects as 1"
        )
    if void_share > MOSTLY_VOID:
        return "mostly void", (
            "most of the masks is void or has an id that no class has, and is not counted: colours or grey levels "
            "were probably read as ids; the masks have another palette than the one they are scored with"
        )
    return None


def _everywhere(counts_KK: Counts, names: Sequence[str]) -> tuple[str, str] | None:
    predicted_K = counts_KK.sum(axis=0)
    top = int(predicted_K.argmax())
    if not predicted_K.any() or predicted_K[top] < EVERYWHERE * predicted_K.sum():
        return None
    if top == BACKGROUND:
        return "background everywhere", (
            "it predicts background everywhere, which is what the floor is: the training was too short, its learning "
            "rate too high, or the statistics of BatchNorm lag behind the weights"
        )
    return "one class everywhere", (
        f"it predicts {names[top]} everywhere: the output layer is untrained, or the classes of the checkpoint and of "
        "the masks are not the same"
    )


def _renumbered(counts_NKK: Counts) -> tuple[str, str] | None:
    """Tell whether every mask holds ids without gaps (0; 0, 1; 0, 1, 2), though the prediction knows more classes."""
    has_NK = counts_NKK.sum(axis=2) > 0
    ids_N = has_NK.sum(axis=1)
    is_gapless_N = has_NK.argmin(axis=1) == ids_N
    highest = int(ids_N.max(initial=0))
    num_predicted = int(np.count_nonzero(counts_NKK.sum(axis=(0, 1))))
    if len(has_NK) < MIN_IMAGES or not is_gapless_N.all() or len(set(ids_N.tolist())) < 2 or num_predicted <= highest:
        return None
    return "wrong palette", (
        f"in every mask the ids run from 0 without a gap, {highest} at most, while the prediction has {num_predicted}: "
        "the masks were probably numbered colour by colour in each picture, so that 1 is another class in every one; "
        "they need one palette for all"
    )


def _reordered(counts_KK: Counts, names: Sequence[str]) -> tuple[str, str] | None:
    """Tell whether another order of the classes explains the prediction far better than the one it was scored with."""
    true_ids, predicted_ids, gain = _best_order(counts_KK)
    iou_KK = _iou_of_pairs(counts_KK)
    swapped = [
        (int(i), int(j))
        for i, j in zip(true_ids, predicted_ids, strict=True)
        if i != j and iou_KK[i, j] >= SWAPPED_IOU and iou_KK[i, i] <= iou_KK[i, j] / 4
    ]
    if gain < FAR_BETTER or len(swapped) < 2:
        return None
    step, times = Counter(j - i for i, j in swapped).most_common(1)[0]
    if len(swapped) > 2 and times >= SAME_STEP * len(swapped):
        side = "above" if step > 0 else "below"
        return "offset ids", (
            f"the predicted ids are {abs(step)} {side} the true ones: one of the two counts the classes from another "
            "beginning, as where the background is left out"
        )
    pairs = ", ".join(f"{names[i]} is called {names[j]}" for i, j in swapped[:4])
    return "shuffled classes", (
        f"another order of the classes would explain it far better: {pairs}{' …' if len(swapped) > 4 else ''}; the "
        "checkpoint was trained with its classes in another order, or the masks were written with another palette"
    )


def _best_order(counts_KK: Counts) -> tuple[NDArray[np.intp], NDArray[np.intp], float]:
    """Return the true and predicted ids that belong together best (Hungarian method), and what it adds to mIoU."""
    true_ids, predicted_ids = linear_sum_assignment(_iou_of_pairs(counts_KK), maximize=True)
    reordered_KK = counts_KK[:, predicted_ids]
    before, after = mean(iou(counts_KK)), mean(iou(reordered_KK))
    return true_ids, predicted_ids, 0.0 if before is None or after is None else after - before


def _iou_of_pairs(counts_KK: Counts) -> NDArray[np.float64]:
    """Return the IoU of every true class with every predicted one, 0 where neither is."""
    _, truth_K, predicted_K = marginals(counts_KK)
    return np.nan_to_num(ratio(counts_KK, truth_K[:, None] + predicted_K[None] - counts_KK))


def explain(value: float, floor: float | None = None) -> Suspicion | None:
    """Say what is odd about a score that somebody read elsewhere, None if nothing is.

    Args:
        value: as it was printed.
        floor: what predicting background everywhere scores, a fraction; None where that is not known.
    """
    if not math.isfinite(value):
        return Suspicion("no number", "a class that never occurs was divided by zero and averaged with the others")
    if not 0 <= value <= 1:
        return _outside(value)
    if floor is None or value >= floor + ON_THE_FLOOR:
        return None
    if value < floor - ON_THE_FLOOR:
        return Suspicion("below floor", _BELOW)
    return Suspicion("on floor", "it is what predicting background everywhere scores: nothing was learned")


_BELOW = (
    "predicting background everywhere does better: the number was divided once too often, averaged over classes that "
    "do not occur, or computed from masks whose ids or axes do not match"
)


def _outside(value: float) -> Suspicion:
    if value < 0:
        return Suspicion("outside", "no score is negative: it may be a loss or a logarithm")
    if value > 100:
        return Suspicion("outside", "above 1, and above 100 if it is percent: a sum or a count that was never divided")
    return Suspicion("percent", f"above 1, so it can only be percent: {value / 100:.4g} as a fraction")
