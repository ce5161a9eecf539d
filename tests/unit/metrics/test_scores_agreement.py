"""Scores against brute force and torchmetrics."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassJaccardIndex,
    MulticlassPrecision,
    MulticlassRecall,
)

from core.metrics.boundary import fill_void
from core.metrics.confusion import Ids
from core.voc import VOID
from tests.unit.metrics.scored import DETERMINISTIC, MASKS, PER_CLASS, K, score_masks


def random_masks(seed: int, ids: list[int], predicted_ids: list[int]) -> tuple[Ids, Ids]:
    random = np.random.default_rng(seed)
    return random.choice(ids, (3, 16, 20)), random.choice(predicted_ids, (3, 16, 20))


def brute_force(truth_NHW: Ids, predicted_NHW: Ids) -> dict[str, Any]:
    """Score pixel by pixel in plain Python, one list of (true, predicted) pairs and no matrix."""
    pairs = list(zip(truth_NHW.ravel().tolist(), predicted_NHW.ravel().tolist(), strict=True))
    pairs = [pair for pair in pairs if pair[0] < K]
    classes: list[dict[str, float | None]] = []
    for k in range(K):
        tp = sum(1 for true, predicted in pairs if true == k and predicted == k)
        fp = sum(1 for true, predicted in pairs if true != k and predicted == k)
        fn = sum(1 for true, predicted in pairs if true == k and predicted != k)
        classes.append(
            {
                "iou": tp / (tp + fp + fn) if tp + fp + fn else None,
                "precision": tp / (tp + fp) if tp + fp else (0.0 if fn else None),
                "recall": tp / (tp + fn) if tp + fn else None,
                "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None,
                "share": (tp + fn) / len(pairs) if pairs else 0.0,
            }
        )
    return {"classes": classes, **brute_force_means(classes, pairs)}


def brute_force_means(classes: list[dict[str, float | None]], pairs: list[tuple[int, int]]) -> dict[str, float | None]:
    def mean(values: list[float | None]) -> float | None:
        defined = [value for value in values if value is not None]
        return math.fsum(defined) / len(defined) if defined else None

    present = [entry for entry in classes if entry["recall"] is not None]
    return {
        "miou": mean([entry["iou"] for entry in classes]),
        "pixel_accuracy": sum(true == predicted for true, predicted in pairs) / len(pairs) if pairs else None,
        "mean_accuracy": mean([entry["recall"] for entry in present]),
        "precision": mean([entry["precision"] for entry in present]),
        "recall": mean([entry["recall"] for entry in present]),
        "f1": mean([entry["f1"] for entry in present]),
        "fw_iou": math.fsum((e["iou"] or 0) * (e["share"] or 0) for e in present) if present else None,
    }


def brute_force_boundary(truth_NHW: Ids, predicted_NHW: Ids) -> float | None:
    """Score contours with sets of places; images this small have d = 1."""

    def edge(mask_HW: Ids, k: int) -> set[tuple[int, int]]:
        own = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask_HW == k), strict=True)}
        steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        return {(y, x) for y, x in own if any((y + dy, x + dx) not in own for dy, dx in steps)}

    values = []
    for k in range(K):
        both = union = 0
        for truth_HW, predicted_HW in zip(truth_NHW, predicted_NHW, strict=True):
            void = {(int(y), int(x)) for y, x in zip(*np.nonzero(truth_HW == VOID), strict=True)}
            drawn = fill_void(truth_HW, predicted_HW, K)
            truth, predicted = edge(drawn.truth_HW, k) - void, edge(drawn.predicted_HW, k) - void
            both += len(truth & predicted)
            union += len(truth | predicted)
        if union:
            values.append(both / union)
    return sum(values) / len(values) if values else None


@DETERMINISTIC
@given(MASKS)
def test_agrees_with_brute_force(masks: tuple[Ids, Ids]) -> None:
    scores, expected = score_masks(*masks), brute_force(*masks)
    for entry, expected_entry in zip(scores.classes, expected["classes"], strict=True):
        for name in PER_CLASS:
            assert getattr(entry, name) == pytest.approx(expected_entry[name], abs=1e-9), name
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "precision", "recall", "f1", "fw_iou"):
        assert getattr(scores, name) == pytest.approx(expected[name], abs=1e-9), name
    assert scores.boundary_iou == pytest.approx(brute_force_boundary(*masks), abs=1e-9)
    assert scores.void_share == (masks[0] == VOID).sum() / masks[0].size


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("miou", MulticlassJaccardIndex(K, average="macro", ignore_index=VOID)),
        ("fw_iou", MulticlassJaccardIndex(K, average="weighted", ignore_index=VOID)),
        ("pixel_accuracy", MulticlassAccuracy(K, average="micro", ignore_index=VOID)),
        ("mean_accuracy", MulticlassAccuracy(K, average="macro", ignore_index=VOID)),
        ("precision", MulticlassPrecision(K, average="macro", ignore_index=VOID)),
        ("recall", MulticlassRecall(K, average="macro", ignore_index=VOID)),
        ("f1", MulticlassF1Score(K, average="macro", ignore_index=VOID)),
    ],
)
def test_means_agree_with_torchmetrics(name: str, metric: Any, seed: int) -> None:
    """Class 4 absent, class 3 missed, none invented: torchmetrics counts an invented class as 0 in every mean."""
    truth_NHW, predicted_NHW = random_masks(seed, [0, 0, 1, 2, 3, VOID], [0, 0, 1, 2])
    metric.reset()
    expected = metric(torch.from_numpy(predicted_NHW), torch.from_numpy(truth_NHW))
    assert getattr(score_masks(truth_NHW, predicted_NHW), name) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("iou", MulticlassJaccardIndex(K, average="none", ignore_index=VOID)),
        ("precision", MulticlassPrecision(K, average="none", ignore_index=VOID)),
        ("recall", MulticlassRecall(K, average="none", ignore_index=VOID)),
        ("f1", MulticlassF1Score(K, average="none", ignore_index=VOID)),
    ],
)
def test_classes_agree_with_torchmetrics(name: str, metric: Any) -> None:
    """Class 3 missed, class 4 invented; where we say None (recall of the invented class) torchmetrics says 0."""
    truth_NHW, predicted_NHW = random_masks(5, [0, 0, 1, 2, 3, VOID], [0, 1, 1, 2, 4])
    expected = metric(torch.from_numpy(predicted_NHW), torch.from_numpy(truth_NHW)).tolist()
    values = [getattr(entry, name) or 0.0 for entry in score_masks(truth_NHW, predicted_NHW).classes]
    assert values == pytest.approx(expected, abs=1e-6)
