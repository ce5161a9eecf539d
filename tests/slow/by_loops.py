"""Scores by brute force: loops in plain Python over the pixels of masks."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

from core.voc import VOID

Mask = list[list[int]]


def counted_by_loops(pairs: list[tuple[Mask, Mask]]) -> tuple[list[list[int]], int]:
    """Return the confusion matrix, truth in the rows, and the number of void pixels."""
    confusion = [[0] * 21 for _ in range(21)]
    void = 0
    for truth, predicted in pairs:
        for true_row, predicted_row in zip(truth, predicted, strict=True):
            for true, guess in zip(true_row, predicted_row, strict=True):
                if true == VOID:
                    void += 1
                else:
                    confusion[true][guess] += 1
    return confusion, void


def classes_by_loops(confusion: list[list[int]]) -> list[dict[str, float | None]]:
    """Return the scores of each class; None where nothing is to be divided by."""
    classes = []
    for k in range(21):
        hits, truth, predicted = confusion[k][k], sum(confusion[k]), sum(row[k] for row in confusion)
        union = truth + predicted - hits
        classes.append({
            "iou": hits / union if union else None,
            "precision": hits / predicted if predicted else (0 if truth else None),
            "recall": hits / truth if truth else None,
            "f1": 2 * hits / (truth + predicted) if union else None,
            "truth_pixels": truth,
            "predicted_pixels": predicted,
        })  # fmt: skip
    return classes  # type: ignore[return-value]


def scores_by_loops(confusion: list[list[int]], void: int) -> dict[str, Any]:
    """Return the means: over classes with an IoU, or over those in the truth."""
    classes = classes_by_loops(confusion)
    present = [each for each in classes if each["truth_pixels"]]
    total = sum(each["truth_pixels"] for each in classes)  # type: ignore[misc]
    ious = [each["iou"] for each in classes if each["iou"] is not None]
    background = classes[0]["truth_pixels"]
    scores: dict[str, Any] = {
        "miou": sum(ious) / len(ious),  # type: ignore[arg-type]
        "pixel_accuracy": sum(confusion[k][k] for k in range(21)) / total,
        "void_share": void / (void + total),
        "fw_iou": sum(each["iou"] * each["truth_pixels"] for each in present) / total,  # type: ignore[operator,misc]
        "floor": {"pixel_accuracy": background / total, "miou": background / total / len(present)},  # type: ignore[operator]
    }
    for name in ("precision", "recall", "f1"):
        scores[name] = sum(each[name] for each in present) / len(present)  # type: ignore[misc]
    return scores | {"mean_accuracy": scores["recall"]}


def boundary_by_loops(pairs: list[tuple[Mask, Mask]]) -> float:
    """Return the mean over classes of the IoU of the contours, pixel by pixel (arXiv 2103.16562)."""
    both, of_truth, of_prediction = [0] * 21, [0] * 21, [0] * 21
    for truth, predicted in pairs:
        height, width = len(truth), len(truth[0])
        reach = max(1, round(0.02 * math.hypot(height, width)))
        drawn, guessed = filled(truth, predicted)
        for y, x in itertools.product(range(height), range(width)):
            if truth[y][x] == VOID:
                continue
            true, guess = truth[y][x], predicted[y][x]
            is_true_edge, is_guessed_edge = is_edge(drawn, y, x, reach), is_edge(guessed, y, x, reach)
            of_truth[true] += is_true_edge
            of_prediction[guess] += is_guessed_edge
            both[true] += is_true_edge and is_guessed_edge and true == guess
    ious = [hits / (t + p - hits) for hits, t, p in zip(both, of_truth, of_prediction, strict=True) if t + p]
    return sum(ious) / len(ious)


def filled(truth: Mask, predicted: Mask) -> tuple[Mask, Mask]:
    """Return both masks with the ids of the nearest counted pixel in each void one (leftmost, then topmost)."""
    places = list(itertools.product(range(len(truth)), range(len(truth[0]))))
    counted = [(v, u) for v, u in places if truth[v][u] != VOID]
    drawn, guessed = [row[:] for row in truth], [row[:] for row in predicted]
    for y, x in places:
        if truth[y][x] == VOID:
            _, u, v = min(((v - y) ** 2 + (u - x) ** 2, u, v) for v, u in counted)
            drawn[y][x], guessed[y][x] = truth[v][u], predicted[v][u]
    return drawn, guessed


def is_edge(ids: Mask, y: int, x: int, reach: int) -> bool:
    """Return whether another class or the outside lies within reach."""
    return any((v, u) == (-1, -1) or ids[v][u] != ids[y][x] for v, u in neighbours(ids, y, x, reach))


def neighbours(ids: Mask, y: int, x: int, reach: int) -> Iterator[tuple[int, int]]:
    """Give the pixels of the square around one; (-1, -1) for what lies outside."""
    for v, u in itertools.product(range(y - reach, y + reach + 1), range(x - reach, x + reach + 1)):
        yield (v, u) if 0 <= v < len(ids) and 0 <= u < len(ids[0]) else (-1, -1)
