"""Implausible scores: what is odd about them, and its likely cause in words.

    suspicion   checks `Scores`: on or below the floor, classes in another order, masks in another palette
    explain     checks one number from elsewhere: outside [0, 1], on or below the floor

The report that this project starts from printed an IoU of 0.00086, a recall of 112 and an accuracy of 0.6985. The first
two are impossible, and the third is the score of predicting background everywhere; nobody noticed.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from core.metrics.confusion import Counts, iou, marginals, mean, ratio
from core.metrics.scores import Scores
from core.voc import BACKGROUND

ON_THE_FLOOR = 0.005
"""A score within this distance of the floor counts as on it."""

EVERYWHERE = 0.999
"""A class with at least this share of the predicted pixels counts as predicted everywhere."""

MOSTLY_VOID = 0.5
FAR_BETTER = 0.05
"""Least gain in mIoU from another order of the classes: swapping two good classes of 21 costs about 0.07."""

SWAPPED_IOU = 0.2
"""Least IoU of a class under another name; under its own name it has at most a quarter of that."""

SAME_STEP = 0.75
"""Least share of the swapped classes with the same offset: those at the ends of the list have another one."""

TOO_LITTLE_LEARNED = ("untrained", "background everywhere")
"""Kinds whose cause the log of a run tells more exactly (`core.training.run.learning.weakness`)."""

Place = Literal["on", "below"]


@dataclass(frozen=True)
class FloorHit:
    """A score on or below its floor, both in [0, 1]; `name` is its field in `Scores`."""

    name: str
    value: float
    floor: float
    place: Place


@dataclass(frozen=True)
class Suspicion:
    """An oddity of scores: its `kind` for programs, its likely `cause` in words, and the scores on the floor."""

    kind: str
    cause: str
    on_floor: tuple[FloorHit, ...] = ()


def suspicion(scores: Scores) -> Suspicion | None:
    """Return the likeliest cause of implausible scores, None if they are plausible."""
    hits = floor_hits(scores)
    counts_KK = np.array(scores.confusion, dtype=np.int64)
    names = [entry.name for entry in scores.classes]
    found = (
        _void(counts_KK, scores.void_share or 0.0)
        or _everywhere(counts_KK, names)
        or _reordered(counts_KK, names)
        or _untrained(hits)
    )
    return Suspicion(*found, hits) if found else None


def floor_hits(scores: Scores) -> tuple[FloorHit, ...]:
    """Return the scores that are on or below their floor."""
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
        return "objects everywhere", "it takes background for an object about as often as it finds an object"
    return "untrained", (
        "it has learned too little: too few steps, a learning rate that is too high or too low, or photos that are "
        "not normalized as in training"
    )


def _void(counts_KK: Counts, void_share: float) -> tuple[str, str] | None:
    truth_K = counts_KK.sum(axis=1)
    if void_share and truth_K.any() and not np.delete(truth_K, BACKGROUND).any():
        return "void objects", (
            "the masks hold background and void only: they are probably black and white, and 255, their white, means "
            "void here; write the objects as 1"
        )
    if void_share > MOSTLY_VOID:
        return "mostly void", (
            "most pixels of the masks are void or have an id without a class, and are not counted: colours or grey "
            "levels were probably read as ids; the masks have another palette than the one they are scored with"
        )
    return None


def _everywhere(counts_KK: Counts, names: Sequence[str]) -> tuple[str, str] | None:
    predicted_K = counts_KK.sum(axis=0)
    top = int(predicted_K.argmax())
    if not predicted_K.any() or predicted_K[top] < EVERYWHERE * predicted_K.sum():
        return None
    if top == BACKGROUND:
        return "background everywhere", (
            "it predicts background everywhere, as the floor does: the training was too short, its learning rate too "
            "high, or the statistics of BatchNorm lag behind the weights"
        )
    return "one class everywhere", (
        f"it predicts {names[top]} everywhere: the output layer is untrained, or the classes of the checkpoint and of "
        "the masks are not the same"
    )


def _reordered(counts_KK: Counts, names: Sequence[str]) -> tuple[str, str] | None:
    """Look for an order of the classes that fits the prediction far better than the given one."""
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
            f"the predicted ids are {abs(step)} {side} the true ones: masks and checkpoint count the classes from "
            "different starts, for example one of them without the background"
        )
    pairs = ", ".join(f"{names[i]} is called {names[j]}" for i, j in swapped[:4])
    return "shuffled classes", (
        f"another order of the classes would explain it far better: {pairs}{' …' if len(swapped) > 4 else ''}; the "
        "checkpoint was trained with its classes in another order, or the masks were written with another palette"
    )


def _best_order(counts_KK: Counts) -> tuple[NDArray[np.intp], NDArray[np.intp], float]:
    """Return the best match of true and predicted ids (Hungarian method), and its gain in mIoU."""
    true_ids, predicted_ids = linear_sum_assignment(_iou_of_pairs(counts_KK), maximize=True)
    reordered_KK = counts_KK[:, predicted_ids]
    before, after = mean(iou(counts_KK)), mean(iou(reordered_KK))
    return true_ids, predicted_ids, 0.0 if before is None or after is None else after - before


def _iou_of_pairs(counts_KK: Counts) -> NDArray[np.float64]:
    """Return the IoU of every true class with every predicted class, (K, K); 0 where both are absent."""
    _, truth_K, predicted_K = marginals(counts_KK)
    return np.nan_to_num(ratio(counts_KK, truth_K[:, None] + predicted_K[None] - counts_KK))


def explain(value: float, floor: float | None = None) -> Suspicion | None:
    """Return what is odd about a score as printed elsewhere, beside a floor in [0, 1]; None if it is plausible."""
    if not math.isfinite(value):
        return Suspicion("no number", "the score of a class that never occurs was divided by zero and averaged in")
    if not 0 <= value <= 1:
        return _outside(value)
    if floor is None or value >= floor + ON_THE_FLOOR:
        return None
    if value < floor - ON_THE_FLOOR:
        return Suspicion(
            "below floor",
            "predicting background everywhere does better: the number was divided once too often, averaged over "
            "classes that do not occur, or computed from masks whose ids or axes do not match",
        )
    return Suspicion("on floor", "predicting background everywhere scores the same: nothing was learned")


def _outside(value: float) -> Suspicion:
    if value < 0:
        return Suspicion("outside", "no score is negative: it may be a loss or a logarithm")
    if value > 100:
        return Suspicion("outside", "above 1, and above 100 %: a sum or a count that was never divided")
    return Suspicion("percent", f"above 1, so it can only be percent: {value / 100:.4g} as a fraction")
