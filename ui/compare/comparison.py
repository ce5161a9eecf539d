"""Tables, warnings and the order of photos in a comparison of checkpoint B with A. Pure functions.

Scores come in as fractions and go out as percent.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, Sample
from core.errors import DataError
from core.files import by_number
from core.metrics.comparison import Ranked
from core.metrics.guard import Suspicion
from core.metrics.image_scores import ImageScore
from core.metrics.scores import Scores, score
from core.voc import BACKGROUND
from ui.words import MISSING, percent

FLOOR_LABEL, BEST = "Floor", "\N{BLACK STAR}"


class ScoreColumn(NamedTuple):
    """A score as the table shows it."""

    label: str
    meaning: str


SCORE_COLUMNS = {
    "miou": ScoreColumn("mIoU", "Mean over the classes of IoU = TP / (TP + FP + FN). A class that is neither in the "
                        "truth nor predicted is left out; one that is only predicted counts 0."),
    "pixel_accuracy": ScoreColumn("Pixel accuracy", "Share of the pixels that got their right class. Where most of "
                                  "the photo is background, predicting background already scores high: see the floor."),
    "precision": ScoreColumn("Precision", "Mean over the classes in the truth of TP / (TP + FP): how much of what was "
                             "called a class is that class. Never predicted counts 0."),
    "recall": ScoreColumn("Recall", "Mean over the classes in the truth of TP / (TP + FN): how much "
                          "of a class was found. Also called mean accuracy."),
    "f1": ScoreColumn("F1", "Mean over the classes in the truth of 2 TP / (2 TP + FP + FN), also called Dice."),
    "fw_iou": ScoreColumn("Frequency-weighted IoU", "IoU of the classes weighted by their share of the pixels; "
                          "the background weighs most."),
    "boundary_iou": ScoreColumn("Boundary IoU", "mIoU of the pixels near the contours alone (within 2 % of the photo "
                                "diagonal): how well outlines are followed. The floor's is not computed."),
    "boundary_f": ScoreColumn("Boundary F", "Mean over the classes of 2 P R / (P + R). P: share of the predicted "
                              "outline that lies within 0.75 % of the photo diagonal of the true one; R: the reverse. "
                              "The photo's border is not an outline, and what is predicted in void does not count."),
}  # fmt: skip


CONVENTIONS = {
    "atrous": ScoreColumn("Mean over classes that occur", "Over the whole set; a class that occurs nowhere is "
                          "left out, one only predicted counts 0. The headline of this dashboard."),
    "voc_devkit": ScoreColumn("VOC devkit", "Plain mean over all classes; one that occurs nowhere makes it undefined."),
    "torchvision": ScoreColumn("torchvision", "As the VOC devkit: iu.mean() in references/segmentation."),
    "mmseg": ScoreColumn("mmseg", "Mean over the classes that occur (nanmean): the same as the headline."),
    "torchmetrics_jaccard": ScoreColumn("torchmetrics JaccardIndex", "Macro average; a class that occurs nowhere "
                                        "weighs nothing: the same as the headline."),
    "torchmetrics_mean_iou_per_image": ScoreColumn("torchmetrics MeanIoU", "Mean over all pairs of a photo and a "
                                                   "class in it: photos with many classes weigh more."),
    "smp_macro": ScoreColumn("SMP macro", "A class that occurs nowhere counts as a perfect 1, which flatters."),
    "smp_micro": ScoreColumn("SMP micro", "All classes taken as one: the background decides."),
    "mean_of_images": ScoreColumn("Mean of photos", "Each photo scored alone, then the mean over the photos."),
}  # fmt: skip
"""Label and meaning of each name in `core.metrics.conventions`."""


def score_table(scored: Sequence[tuple[str, Scores]]) -> pd.DataFrame:
    """Return a row of percentages for every label, and the floor as the last one; absent values are NaN."""
    rows = [*scored, (FLOOR_LABEL, floor_scores(scored[0][1]))]
    columns = {
        column.label: [_points(getattr(scores, name)) for _, scores in rows] for name, column in SCORE_COLUMNS.items()
    }
    return pd.DataFrame(columns, index=pd.Index([label for label, _ in rows], name="Checkpoint"), dtype=float)


def marked_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `score_table` as text, a score in each row, its best marked if it is above the floor."""
    shown = {
        name: {
            label: MISSING if math.isnan(value) else f"{value:.1f}\N{NO-BREAK SPACE}%"
            for label, value in column.items()
        }
        for name, column in table.items()
    }
    for name, column in table.items():
        others, floor = column.drop(FLOOR_LABEL), column[FLOOR_LABEL]
        best, is_above = others.max(), math.isnan(floor) or others.max() > floor
        if is_above and best > others.min():
            for label in others.index[others == best]:
                shown[name][label] = f"**{shown[name][label]}** {BEST}"
    return pd.DataFrame(shown).T


def convention_table(scored: Sequence[tuple[str, Scores]], floor: Mapping[str, float | None]) -> pd.DataFrame:
    """Return the mIoU in percent by the rule of every library, one a row, a column for every label and the floor."""
    columns = {label: [_points(scores.conventions[name]) for name in CONVENTIONS] for label, scores in scored}
    columns[FLOOR_LABEL] = [_points(floor[name]) for name in CONVENTIONS]
    table = pd.DataFrame(columns, dtype=float)
    table.insert(0, "Rule", [column.label for column in CONVENTIONS.values()])
    return table.assign(Meaning=[column.meaning for column in CONVENTIONS.values()])


def _points(fraction: float | None) -> float:
    return float("nan") if fraction is None else 100 * fraction


def floor_scores(scores: Scores) -> Scores:
    """Return every score of predicting background everywhere on the truth that these scores are of."""
    confusion_KK = np.array(scores.confusion, dtype=np.int64)
    guessed_KK = np.zeros_like(confusion_KK)
    guessed_KK[:, BACKGROUND] = confusion_KK.sum(axis=1)
    return score(guessed_KK[None], [entry.name for entry in scores.classes])


def warning(label: str, found: Suspicion) -> str:
    """Return the warning about a checkpoint's scores: those on or below the floor, and the likely cause."""
    facts = [
        f"{_in_a_sentence(SCORE_COLUMNS[hit.name].label)} {percent(hit.value)} is {hit.place} the floor of "
        f"{percent(hit.floor)}"
        for hit in found.on_floor
    ]
    if not facts:
        return f"{label}: {found.cause}."
    return f"{label}: {' and '.join(facts)}. The likely cause: {found.cause}."


def _in_a_sentence(label: str) -> str:
    return label[0].lower() + label[1:]


def ranking_table(ranked: Sequence[Ranked], labels: Sequence[str]) -> pd.DataFrame:
    """Return places, mIoU with its interval in percent, and which checkpoints cannot be told apart."""
    rows = [
        {
            "Place": f"{each.place}" if not each.ties_with else f"{each.place} =",
            "Checkpoint": labels[each.index],
            "mIoU": _points(each.miou),
            "Interval": f"{percent(each.low)} to {percent(each.high)}",
            "Cannot be told apart from": ", ".join(labels[other] for other in each.ties_with),
        }
        for each in ranked
    ]
    return pd.DataFrame(rows)


def require_samples(data: Dataset, split: str, names: Sequence[str]) -> list[Sample]:
    """Return the pairs of these names in a split; raise `DataError` if one is gone since the evaluation."""
    there = {sample.name: sample for sample in data.split(split)}
    for name in names:
        if name not in there:
            raise DataError(f"{name} is no longer in {data.root}; evaluate the checkpoints again.")
    return [there[name] for name in names]


ORDERS = ("Largest gain", "Largest loss", "Worst first", "Random", "Name")


def in_order(images: Sequence[ImageScore], order: str, seed: int = 0) -> list[ImageScore]:
    """Return the photos in one of `ORDERS`; the worst are those with the lowest score under B."""
    match order:
        case "Largest gain":
            return sorted(images, key=lambda image: -image.gain)
        case "Largest loss":
            return sorted(images, key=lambda image: image.gain)
        case "Worst first":
            return sorted(images, key=lambda image: 1.0 if image.b is None else image.b)
        case "Random":
            return [images[index] for index in np.random.default_rng(seed).permutation(len(images))]
        case _:
            return sorted(images, key=lambda image: by_number(image.name))
