"""Scores of a prediction on a data set, computed from the summed confusion counts.

Scores are in [0, 1]; one without a denominator is None, never NaN, 0 or 1:

    class                        IoU, F1   precision   recall    counted in
    in the truth, predicted      ratio     ratio       ratio     every mean
    in the truth, never predicted    0         0           0     every mean
    predicted, not in the truth      0         0        None     mIoU (as 0)
    neither                       None      None        None     none

mIoU is the mean over classes with an IoU; `mean_accuracy`, `precision`, `recall` and `f1` are means over the classes in
the truth. A class predicted but not in the truth lowers mIoU; it lowers the others only by the pixels it takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.metrics.boundary import boundary_f, boundary_iou
from core.metrics.confusion import Counts, iou, marginals, mean, ratio
from core.metrics.conventions import conventions
from core.voc import BACKGROUND


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """The scores of one class, None as in the module's table; the boundary scores also if contours were not counted."""

    id: int
    name: str
    iou: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    truth_pixels: int
    predicted_pixels: int
    boundary_iou: float | None = None
    boundary_f: float | None = None

    def __post_init__(self) -> None:
        for field in ("iou", "precision", "recall", "f1", "boundary_iou", "boundary_f"):
            _check_fraction(f"{field} of class {self.name}", getattr(self, field))
        for field in ("id", "truth_pixels", "predicted_pixels"):
            _check_count(f"{field} of class {self.name}", getattr(self, field))

    @property
    def is_only_predicted(self) -> bool:
        """Whether the class was predicted but is not in the truth."""
        return self.predicted_pixels > 0 and self.truth_pixels == 0


@dataclass(frozen=True, kw_only=True)
class Floor:
    """The scores of predicting background everywhere on the same truth."""

    pixel_accuracy: float | None
    miou: float | None

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_fraction(f"floor.{field.name}", getattr(self, field.name))


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All scores of one prediction on one data set, with the keys of `evaluate --json`.

    Fractions are in [0, 1] or None; a value outside raises ValueError, also on reading. `void_share` is the share of
    pixels that were not counted; `boundary_iou` and `boundary_f` are None if contours were not counted; rows of
    `confusion` are the truth; `conventions` holds other libraries' mean IoU by name.
    """

    images: int
    void_share: float | None
    floor: Floor
    miou: float | None
    pixel_accuracy: float | None
    mean_accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    fw_iou: float | None
    boundary_iou: float | None
    boundary_f: float | None
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    conventions: dict[str, float | None]

    def __post_init__(self) -> None:
        _check_count("images", self.images)
        for field in _FRACTIONS:
            _check_fraction(field, getattr(self, field))
        for name, value in self.conventions.items():
            _check_fraction(f"conventions.{name}", value)
        self._check_confusion()

    def _check_confusion(self) -> None:
        for row in self.confusion:
            for count in row:
                _check_count("confusion", count)
        rows = [sum(row) for row in self.confusion]
        columns = [sum(column) for column in zip(*self.confusion, strict=True)]
        if rows != [c.truth_pixels for c in self.classes] or columns != [c.predicted_pixels for c in self.classes]:
            raise ValueError("confusion and classes count different pixels")

    def as_dict(self) -> dict[str, Any]:
        """Return JSON types with the keys of `evaluate --json`."""
        document = asdict(self)
        document["classes"] = list(document["classes"])
        document["confusion"] = [list(row) for row in self.confusion]
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Scores":
        """Read the document of `as_dict`; other keys (checkpoint, split) are ignored.

        Raises:
            ValueError: a key is missing, of the wrong type, or holds a number that no score can have.
        """
        try:
            parts = {
                "floor": Floor(**document["floor"]),
                "classes": tuple(ClassScore(**entry) for entry in document["classes"]),
                "confusion": tuple(tuple(row) for row in document["confusion"]),
                "conventions": dict(document["conventions"]),
            }
            return cls(**{field.name: document[field.name] for field in fields(cls)} | parts)
        except KeyError as error:
            raise ValueError(f"scores lack {error}") from None
        except TypeError as error:
            raise ValueError(f"not scores: {error}") from None


_FRACTIONS = (
    "void_share", "miou", "pixel_accuracy", "mean_accuracy", "precision", "recall", "f1", "fw_iou", "boundary_iou",
    "boundary_f",
)  # fmt: skip


def score(
    counts_NKK: Counts,
    class_names: Sequence[str],
    *,
    void_pixels: int = 0,
    boundary_N3K: Counts | None = None,
    contour_N4K: Counts | None = None,
) -> Scores:
    """Score a prediction from the counts of its images.

    Args:
        counts_NKK: confusion counts of every image (`confusion_counts`), shape (N, K, K); N may be 0.
        class_names: the K names, in the order of the ids.
        void_pixels: number of pixels not counted, over all images.
        boundary_N3K: boundary counts of the same images (`boundary_counts`), shape (N, 3, K).
        contour_N4K: contour counts of the same images (`contour_counts`), shape (N, 4, K).

    Raises:
        ValueError: a shape does not fit, or counts are negative or not integers.
    """
    num_classes = len(class_names)
    _check_counts("counts", counts_NKK, (len(counts_NKK), num_classes, num_classes))
    counts_KK = counts_NKK.sum(axis=0)
    _, truth_K, _ = marginals(counts_KK)
    boundary_iou_K, boundary_f_K = np.full((2, num_classes), np.nan)
    if boundary_N3K is not None:
        _check_counts("boundary counts", boundary_N3K, (len(counts_NKK), 3, num_classes))
        boundary_iou_K = boundary_iou(boundary_N3K.sum(axis=0))
    if contour_N4K is not None:
        _check_counts("contour counts", contour_N4K, (len(counts_NKK), 4, num_classes))
        boundary_f_K = boundary_f(contour_N4K.sum(axis=0))
    classes = _class_scores(counts_KK, class_names, boundary_iou_K, boundary_f_K)
    present = [c for c in classes if c.truth_pixels]
    recall = _mean_of([c.recall for c in present])
    return Scores(
        images=len(counts_NKK),
        void_share=_share(void_pixels, void_pixels + int(truth_K.sum())),
        floor=floor(counts_KK),
        miou=_mean_of([c.iou for c in classes]),
        pixel_accuracy=_share(int(np.trace(counts_KK)), int(truth_K.sum())),
        mean_accuracy=recall,
        precision=_mean_of([c.precision for c in present]),
        recall=recall,
        f1=_mean_of([c.f1 for c in present]),
        fw_iou=_frequency_weighted(iou(counts_KK), truth_K),
        boundary_iou=mean(boundary_iou_K),
        boundary_f=mean(boundary_f_K),
        classes=classes,
        confusion=tuple(tuple(row) for row in counts_KK.tolist()),
        conventions=conventions(counts_NKK),
    )


def floor(counts_KK: Counts) -> Floor:
    """Return the floor of a truth, given confusion counts of any prediction on it, (K, K) or (N, K, K)."""
    return floor_of_pixels(counts_KK.reshape(-1, *counts_KK.shape[-2:]).sum(axis=(0, 2)))


def floor_of_pixels(truth_K: Counts) -> Floor:
    """Return the floor of a truth, given its pixels by class, (K,).

    The background's IoU is its share of the pixels, that of every other class in the truth is 0.
    """
    share = _share(int(truth_K[BACKGROUND]), int(truth_K.sum()))
    if share is None:
        return Floor(pixel_accuracy=None, miou=None)
    num_foreground = np.count_nonzero(truth_K) - bool(truth_K[BACKGROUND])
    return Floor(pixel_accuracy=share, miou=share / (1 + int(num_foreground)))


def _class_scores(
    counts_KK: Counts,
    class_names: Sequence[str],
    boundary_iou_K: NDArray[np.float64],
    boundary_f_K: NDArray[np.float64],
) -> tuple[ClassScore, ...]:
    hits_K, truth_K, predicted_K = marginals(counts_KK)
    iou_K = iou(counts_KK)
    precision_K = ratio(hits_K, predicted_K)
    precision_K[(predicted_K == 0) & (truth_K > 0)] = 0.0
    recall_K = ratio(hits_K, truth_K)
    f1_K = ratio(2 * hits_K, truth_K + predicted_K)
    return tuple(
        ClassScore(
            id=k,
            name=name,
            iou=_or_none(iou_K[k]),
            precision=_or_none(precision_K[k]),
            recall=_or_none(recall_K[k]),
            f1=_or_none(f1_K[k]),
            truth_pixels=int(truth_K[k]),
            predicted_pixels=int(predicted_K[k]),
            boundary_iou=_or_none(boundary_iou_K[k]),
            boundary_f=_or_none(boundary_f_K[k]),
        )
        for k, name in enumerate(class_names)
    )


def _frequency_weighted(iou_K: NDArray[np.float64], truth_K: Counts) -> float | None:
    """Return the mean IoU, weighted by the true pixels of each class."""
    total = int(truth_K.sum())
    return float(np.nansum(iou_K * truth_K)) / total if total else None


def _mean_of(values: Sequence[float | None]) -> float | None:
    return mean(np.array(values, dtype=np.float64))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _or_none(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def _check_counts(name: str, counts: Counts, shape: tuple[int, ...]) -> None:
    if counts.shape != shape:
        raise ValueError(f"{name} have shape {counts.shape}, expected {shape}")
    if counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0):
        raise ValueError(f"{name} must be integers and not negative")


def _check_fraction(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}, not a fraction in [0, 1]")


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {value!r}, not a count")
