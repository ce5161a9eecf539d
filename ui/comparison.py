"""What a comparison of checkpoints says: its sentence, table, warnings and the order of the images; pure functions.

A is the checkpoint compared against, B the one that is judged. Scores come as fractions and leave as percent.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from core.errors import DataError
from core.metrics.image_scores import ImageScore
from core.metrics.scores import Scores, score
from core.training.evaluations import Evaluation
from core.voc import BACKGROUND
from ui.words import percent

FLOOR_LABEL = "Floor"
ON_THE_FLOOR = 0.005
"""A score this close to the floor, in fractions, counts as on it."""


class ScoreColumn(NamedTuple):
    """A score as the table shows it."""

    label: str
    meaning: str


SCORE_COLUMNS = {
    "miou": ScoreColumn("mIoU", "Mean over the classes of IoU = TP / (TP + FP + FN). A class that is neither in the "
                        "truth nor predicted is left out; one that is only predicted counts 0."),
    "pixel_accuracy": ScoreColumn("Pixel accuracy", "Share of the pixels that got their right class. Where most of "
                                  "the picture is background, guessing background already scores high: see the floor."),
    "mean_accuracy": ScoreColumn("Mean accuracy", "Mean over the classes in the truth of the share of their pixels "
                                 "that was found; the same as mean recall."),
    "precision": ScoreColumn("Precision", "Mean over the classes in the truth of TP / (TP + FP): how much of what was "
                             "called a class is that class. Never predicted counts 0."),
    "recall": ScoreColumn("Recall", "Mean over the classes in the truth of TP / (TP + FN): how much of a class "
                          "was found."),
    "f1": ScoreColumn("F1", "Mean over the classes in the truth of 2 TP / (2 TP + FP + FN), also called Dice."),
    "fw_iou": ScoreColumn("Frequency-weighted IoU", "IoU of the classes weighted by their share of the pixels; "
                          "the background weighs most."),
    "boundary_iou": ScoreColumn("Boundary IoU", "mIoU of the pixels near the contours alone (within 2 % of the image "
                                "diagonal): how well outlines are followed. Background everywhere has none to score."),
    "boundary_f": ScoreColumn("Boundary F", "Mean over the classes of 2 P R / (P + R). P: share of the predicted "
                              "outline that lies within 0.75 % of the image diagonal of the true one; R: the reverse."),
}  # fmt: skip

FLOOR_MEANING = "What predicting background everywhere scores on the same images. A model has to beat it."


def score_table(scored: Sequence[tuple[str, Scores]]) -> pd.DataFrame:
    """Return a row of percentages for every label, and the floor as the last one; absent values are NaN."""
    rows = [*scored, (FLOOR_LABEL, floor_scores(scored[0][1]))]
    columns = {
        column.label: [_points(getattr(scores, name)) for _, scores in rows] for name, column in SCORE_COLUMNS.items()
    }
    return pd.DataFrame(columns, index=pd.Index([label for label, _ in rows], name="Checkpoint"), dtype=float)


def _points(fraction: float | None) -> float:
    return float("nan") if fraction is None else 100 * fraction


def floor_scores(scores: Scores) -> Scores:
    """Return every score of predicting background everywhere on the truth that these scores are of."""
    confusion_KK = np.array(scores.confusion, dtype=np.int64)
    guessed_KK = np.zeros_like(confusion_KK)
    guessed_KK[:, BACKGROUND] = confusion_KK.sum(axis=1)
    return score(guessed_KK[None], [entry.name for entry in scores.classes])


def headline(a_label: str, b_label: str, a: Scores, b: Scores) -> str:
    """Say in one sentence where B stands against A and the floor."""
    standing = f"{b_label}: mIoU {percent(b.miou)}"
    if a.miou is not None and b.miou is not None:
        standing += f", {difference(b.miou - a.miou)} {a_label}"
    return f"{standing}; floor {percent(b.floor.miou)}"


def difference(fraction: float) -> str:
    """Return `41.0 points above`, `0.3 points below` or `the same as`."""
    points = f"{abs(100 * fraction):.1f}"
    if points == "0.0":
        return "the same as"
    return f"{points} points {'above' if fraction > 0 else 'below'}"


def floor_warnings(label: str, scores: Scores) -> list[str]:
    """Say of each score that has a floor whether it sits on or below it."""
    pairs = (
        ("mIoU", scores.miou, scores.floor.miou),
        ("pixel accuracy", scores.pixel_accuracy, scores.floor.pixel_accuracy),
    )
    warnings = []
    for name, value, floor in pairs:
        if value is None or floor is None or value >= floor + ON_THE_FLOOR:
            continue
        place, verdict = ("below", "does better") if value < floor - ON_THE_FLOOR else ("on", "does as well")
        warnings.append(
            f"{label}: {name} {percent(value)} is {place} the floor of {percent(floor)}; "
            f"predicting background everywhere {verdict}."
        )
    return warnings


def require_same_data(scored: Sequence[tuple[str, Evaluation]]) -> None:
    """Raise `DataError` unless all evaluations are of the same images and masks."""
    first_label, first = scored[0]
    for label, other in scored[1:]:
        if other.fingerprint != first.fingerprint:
            where = f"{first.data} and {other.data}" if other.data != first.data else f"{first.data}, which has changed"
            raise DataError(
                f"{first_label} and {label} were scored on different data ({where}): their scores cannot be compared. "
                "Choose checkpoints that were scored on the same images."
            )


ORDERS = ("Largest gain", "Largest loss", "Worst first", "Name")


def in_order(images: Sequence[ImageScore], order: str) -> list[ImageScore]:
    """Return the images in one of `ORDERS`; the worst are those with the lowest score under B."""
    match order:
        case "Largest gain":
            return sorted(images, key=lambda image: -image.gain)
        case "Largest loss":
            return sorted(images, key=lambda image: image.gain)
        case "Worst first":
            return sorted(images, key=lambda image: 1.0 if image.b is None else image.b)
        case _:
            return sorted(images, key=lambda image: image.name)
