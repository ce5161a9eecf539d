"""Scores: golden by hand, brute force, torchmetrics, properties, and their JSON."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassJaccardIndex,
    MulticlassPrecision,
    MulticlassRecall,
)

from core.metrics.boundary import boundary_counts, contour_counts
from core.metrics.confusion import Counts, Ids, confusion_counts, void_pixels
from core.metrics.scores import ClassScore, Floor, Scores, floor, floor_of_pixels, score
from core.voc import CLASS_NAMES, VOID

K = 5
NAMES = ("background", "cat", "dog", "cow", "ship")
DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=50)
MEANS = ("miou", "pixel_accuracy", "mean_accuracy", "precision", "recall", "f1", "fw_iou", "boundary_iou", "boundary_f")
PER_CLASS = ("iou", "precision", "recall", "f1")

COUNTS = arrays(np.int64, (3, K, K), elements=st.sampled_from([0, 0, 0, 1, 2, 7, 10**9]))
MASKS = st.tuples(
    arrays(np.uint8, (2, 4, 5), elements=st.sampled_from([0, 0, 1, 2, 3, VOID])),
    arrays(np.uint8, (2, 4, 5), elements=st.sampled_from([0, 0, 1, 2, 4])),
)


def score_masks(truth_NHW: Ids, predicted_NHW: Ids) -> Scores:
    pairs = list(zip(truth_NHW, predicted_NHW, strict=True))
    return score(
        np.stack([confusion_counts(truth_HW, predicted_HW, K) for truth_HW, predicted_HW in pairs]),
        NAMES,
        void_pixels=sum(void_pixels(truth_HW, K) for truth_HW in truth_NHW),
        boundary_N3K=np.stack([boundary_counts(*pair, K, void_as="other") for pair in pairs]),
        contour_N4K=np.stack([contour_counts(*pair, K) for pair in pairs]),
    )


def random_masks(seed: int, ids: list[int], predicted_ids: list[int]) -> tuple[Ids, Ids]:
    random = np.random.default_rng(seed)
    return random.choice(ids, (3, 16, 20)), random.choice(predicted_ids, (3, 16, 20))


def fractions_of(scores: Scores) -> list[float]:
    """Return every fraction that the scores hold, None left out."""
    values = [getattr(scores, name) for name in (*MEANS, "void_share")]
    values += [getattr(entry, name) for entry in scores.classes for name in PER_CLASS]
    values += [scores.floor.pixel_accuracy, scores.floor.miou, *scores.conventions.values()]
    return [value for value in values if value is not None]


# golden values


def test_golden_3x3_with_an_absent_class_and_void() -> None:
    truth_HW = np.array([[0, 0, 1], [0, 2, 1], [VOID, 2, 2]])
    predicted_HW = np.array([[0, 1, 1], [0, 2, 1], [0, 0, 2]])
    scores = score(confusion_counts(truth_HW, predicted_HW, 4)[None], NAMES[:4], void_pixels=1)
    # By hand: hits 2, 2, 2; truth 3, 2, 3; predicted 3, 3, 2 (the pixel predicted under void does not count).
    assert [entry.iou for entry in scores.classes] == [2 / 4, 2 / 3, 2 / 3, None]
    assert [entry.precision for entry in scores.classes] == [2 / 3, 2 / 3, 1.0, None]
    assert [entry.recall for entry in scores.classes] == [2 / 3, 1.0, 2 / 3, None]
    assert [entry.f1 for entry in scores.classes] == [4 / 6, 4 / 5, 4 / 5, None]
    assert [entry.truth_pixels for entry in scores.classes] == [3, 2, 3, 0]
    assert [entry.predicted_pixels for entry in scores.classes] == [3, 3, 2, 0]
    assert (scores.images, scores.void_share, scores.pixel_accuracy) == (1, 1 / 9, 6 / 8)
    assert scores.miou == pytest.approx(11 / 18, abs=1e-15)
    assert scores.precision == pytest.approx(7 / 9, abs=1e-15)
    assert scores.recall == scores.mean_accuracy == pytest.approx(7 / 9, abs=1e-15)
    assert scores.f1 == pytest.approx(34 / 45, abs=1e-15)
    assert scores.fw_iou == pytest.approx(29 / 48, abs=1e-15)
    assert scores.boundary_iou is None
    assert scores.floor == Floor(pixel_accuracy=3 / 8, miou=1 / 8)
    assert scores.confusion == ((2, 1, 0, 0), (0, 2, 0, 0), (1, 0, 2, 0), (0, 0, 0, 0))


def test_precision_and_recall_are_not_each_other() -> None:
    # Class 1: 1 of 4 true pixels found, nothing else called 1.
    first = score(np.array([[[4, 0], [3, 1]]]), NAMES[:2]).classes[1]
    assert (first.precision, first.recall) == (1.0, 1 / 4)


def test_the_four_kinds_of_class() -> None:
    # Rows: background found, cat missed, dog invented, cow nowhere.
    counts_KK = np.array([[6, 0, 2, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    scores = score(counts_KK[None], NAMES[:4])
    found, missed, invented, nowhere = scores.classes
    assert (found.iou, found.precision, found.recall, found.f1) == (6 / 10, 6 / 8, 6 / 8, 12 / 16)
    assert (missed.iou, missed.precision, missed.recall, missed.f1) == (0, 0, 0, 0)
    assert (invented.iou, invented.precision, invented.recall, invented.f1) == (0, 0, None, 0)
    assert (nowhere.iou, nowhere.precision, nowhere.recall, nowhere.f1) == (None, None, None, None)
    assert [entry.is_invented for entry in scores.classes] == [False, False, True, False]
    # mIoU counts the invented class as 0; the other means are over the truth's two classes.
    assert scores.miou == pytest.approx(0.6 / 3, abs=1e-15)
    assert scores.precision == scores.recall == scores.f1 == pytest.approx(0.75 / 2, abs=1e-15)


def test_the_reports_floor() -> None:
    """The report's "0.6985 accuracy" is what predicting background everywhere scores on VOC-like data."""
    truth_HW = np.repeat(np.arange(21), [6985, *[151] * 15, *[150] * 5]).reshape(100, 100)
    scores = score(confusion_counts(truth_HW, np.zeros_like(truth_HW), 21)[None], CLASS_NAMES)
    assert scores.pixel_accuracy == 0.6985
    assert scores.miou == pytest.approx(0.6985 / 21, abs=1e-15)
    assert scores.mean_accuracy == pytest.approx(1 / 21, abs=1e-15)
    assert scores.floor == Floor(pixel_accuracy=0.6985, miou=scores.miou)


def test_nothing_counted_scores_nothing() -> None:
    for num_images in (0, 2):
        counts_NKK = np.zeros((num_images, K, K), dtype=np.int64)
        scores = score(counts_NKK, NAMES, boundary_N3K=np.zeros((num_images, 3, K), dtype=np.int64))
        assert fractions_of(scores) == []
        assert scores.images == num_images
    assert score(np.zeros((1, K, K), dtype=np.int64), NAMES, void_pixels=9).void_share == 1.0


# agreement


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
            truth, predicted = edge(truth_HW, k) - void, edge(predicted_HW, k) - void
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


# properties


@DETERMINISTIC
@given(COUNTS)
def test_every_score_is_a_fraction_and_f1_follows_from_iou(counts_NKK: Counts) -> None:
    scores = score(counts_NKK, NAMES)
    assert all(0 <= value <= 1 for value in fractions_of(scores))
    for entry in scores.classes:
        assert (entry.iou is None) == (entry.f1 is None)
        if entry.iou is not None:
            assert entry.f1 == pytest.approx(2 * entry.iou / (1 + entry.iou), abs=1e-12)


@DETERMINISTIC
@given(COUNTS, st.permutations(range(K)))
def test_renaming_classes_renames_the_scores(counts_NKK: Counts, order: list[int]) -> None:
    before = score(counts_NKK, NAMES)
    after = score(counts_NKK[:, order][:, :, order], [NAMES[k] for k in order])
    for new_id, old_id in enumerate(order):
        assert after.classes[new_id] == replace(before.classes[old_id], id=new_id)
    for name in MEANS:
        assert getattr(after, name) == pytest.approx(getattr(before, name), abs=1e-12), name
    assert after.conventions == pytest.approx(before.conventions, abs=1e-12)


@DETERMINISTIC
@given(COUNTS, st.permutations(range(3)))
def test_the_order_of_images_does_not_matter(counts_NKK: Counts, order: list[int]) -> None:
    before, after = score(counts_NKK, NAMES), score(counts_NKK[order], NAMES)
    assert before.conventions == pytest.approx(after.conventions, abs=1e-12)
    assert replace(before, conventions={}) == replace(after, conventions={})


@DETERMINISTIC
@given(MASKS)
def test_cutting_images_into_batches_or_pieces_does_not_matter(masks: tuple[Ids, Ids]) -> None:
    """IoU averaged per batch depends on the batch size; ours is a ratio of sums over any cut of the pixels."""
    truth_NHW, predicted_NHW = masks
    per_image = np.stack([confusion_counts(*pair, K) for pair in zip(truth_NHW, predicted_NHW, strict=True)])
    whole = confusion_counts(truth_NHW.reshape(-1, 5), predicted_NHW.reshape(-1, 5), K)[None]
    per_row = np.stack(
        [
            confusion_counts(*rows, K)
            for rows in zip(truth_NHW.reshape(-1, 5), predicted_NHW.reshape(-1, 5), strict=True)
        ]
    )
    plain: dict[str, Any] = {"images": 1, "conventions": {}}
    assert (
        replace(score(per_image, NAMES), **plain)
        == replace(score(whole, NAMES), **plain)
        == replace(score(per_row, NAMES), **plain)
    )


@DETERMINISTIC
@given(MASKS)
def test_the_floor_is_the_score_of_predicting_background(masks: tuple[Ids, Ids]) -> None:
    truth_NHW, predicted_NHW = masks
    background = score_masks(truth_NHW, np.zeros_like(predicted_NHW))
    scores = score_masks(truth_NHW, predicted_NHW)
    assert scores.floor.pixel_accuracy == background.pixel_accuracy
    assert scores.floor.miou == pytest.approx(background.miou, abs=1e-15)


@DETERMINISTIC
@given(COUNTS)
def test_floor_from_images_sums_and_pixels(counts_NKK: Counts) -> None:
    assert floor(counts_NKK) == floor(counts_NKK.sum(axis=0)) == floor_of_pixels(counts_NKK.sum(axis=(0, 2)))


# JSON


EVALUATE_KEYS = [  # DESIGN, section 8, less what the caller adds: checkpoint, split, images_per_second
    "images", "void_share", "floor", "miou", "pixel_accuracy", "mean_accuracy", "precision", "recall", "f1", "fw_iou",
    "boundary_iou", "boundary_f", "classes", "confusion", "conventions",
]  # fmt: skip


def refuse_constant(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


@DETERMINISTIC
@given(MASKS)
def test_json_holds_no_nan_and_reads_back_the_same(masks: tuple[Ids, Ids]) -> None:
    scores = score_masks(*masks)
    text = json.dumps(scores.as_dict(), allow_nan=False)
    assert Scores.from_dict(json.loads(text, parse_constant=refuse_constant)) == scores


def example() -> dict[str, Any]:
    """Return the scores of two classes, one missed, as read from JSON."""
    scores = score(np.array([[[6, 0], [2, 0]]]), NAMES[:2], boundary_N3K=np.array([[[2, 0], [4, 2], [3, 0]]]))
    document: dict[str, Any] = json.loads(json.dumps(scores.as_dict()))
    return document


def test_as_dict_has_exactly_the_keys_of_evaluate() -> None:
    document = example()
    assert list(document) == EVALUATE_KEYS
    assert list(document["floor"]) == ["pixel_accuracy", "miou"]
    class_keys = ["id", "name", "iou", "precision", "recall", "f1", "truth_pixels", "predicted_pixels"]
    class_keys += ["boundary_iou", "boundary_f"]
    assert [list(entry) for entry in document["classes"]] == [class_keys, class_keys]
    assert document["confusion"] == [[6, 0], [2, 0]]
    assert document["boundary_iou"] == pytest.approx((2 / 5 + 0) / 2)


def test_from_dict_leaves_the_callers_keys_alone() -> None:
    extra = {"checkpoint": "best.pt", "split": "val", "images_per_second": 2.5}
    assert Scores.from_dict(example() | extra) == Scores.from_dict(example())


@pytest.mark.parametrize("key", EVALUATE_KEYS)
def test_from_dict_names_a_missing_key(key: str) -> None:
    document = example()
    del document[key]
    with pytest.raises(ValueError, match=key):
        Scores.from_dict(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recall": 112.0}, "recall is 112.0, not a fraction"),  # the report's own
        ({"miou": float("nan")}, "miou is nan, not a fraction"),
        ({"miou": -0.1}, "miou is -0.1"),
        ({"f1": "0.5"}, "f1 is '0.5'"),
        ({"precision": True}, "precision is True"),
        ({"images": -1}, "images is -1, not a count"),
        ({"images": 1.5}, "images is 1.5, not a count"),
        ({"floor": {"pixel_accuracy": 0.7, "miou": 70}}, "floor.miou is 70"),
        ({"floor": {"pixel_accuracy": 0.7}}, "not scores: .*miou"),
        ({"conventions": {"mmseg": 52.1}}, "conventions.mmseg is 52.1"),
        ({"confusion": [[6, 0], [1, 1]]}, "confusion and classes count different pixels"),
        ({"confusion": [[6, 0], [2]]}, "zip"),
        ({"confusion": [[6, -1], [2, 1]]}, "confusion is -1, not a count"),
        ({"classes": []}, "confusion and classes"),
        ({"classes": None}, "not scores"),
        ({"classes": [{"id": 0}]}, "not scores: .*name"),
    ],
)
def test_from_dict_refuses_what_no_score_can_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scores.from_dict(example() | change)


def test_a_class_score_out_of_range_cannot_exist() -> None:
    entry = ClassScore(id=1, name="cat", iou=0.5, precision=1, recall=0.5, f1=2 / 3, truth_pixels=2, predicted_pixels=1)
    with pytest.raises(ValueError, match=r"iou of class cat is 1\.5"):
        replace(entry, iou=1.5)
    with pytest.raises(ValueError, match="truth_pixels of class cat is -2"):
        replace(entry, truth_pixels=-2)


@pytest.mark.parametrize(
    ("counts_NKK", "message"),
    [
        (np.zeros((1, 2, 3), dtype=np.int64), r"shape \(1, 2, 3\), expected \(1, 2, 2\)"),
        (np.zeros((2, 2), dtype=np.int64), r"shape \(2, 2\), expected \(2, 2, 2\)"),
        (np.zeros((1, 2, 2)), "must be integers"),
        (np.full((1, 2, 2), -1), "not negative"),
    ],
)
def test_score_refuses_wrong_counts(counts_NKK: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(counts_NKK, NAMES[:2])


def test_score_refuses_boundary_counts_of_other_images() -> None:
    with pytest.raises(ValueError, match=r"boundary counts have shape \(2, 3, 5\), expected \(1, 3, 5\)"):
        score(np.zeros((1, K, K), dtype=np.int64), NAMES, boundary_N3K=np.zeros((2, 3, K), dtype=np.int64))
