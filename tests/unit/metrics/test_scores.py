"""Scores: golden by hand, and their properties."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.confusion import Counts, Ids, confusion_counts
from core.metrics.scores import Floor, floor, floor_of_pixels, score
from core.voc import CLASS_NAMES, VOID
from tests.unit.metrics.scored import COUNTS, DETERMINISTIC, MASKS, MEANS, NAMES, K, fractions_of, score_masks

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
    # Rows: background found, cat never predicted, dog only predicted, cow nowhere.
    counts_KK = np.array([[6, 0, 2, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    scores = score(counts_KK[None], NAMES[:4])
    found, unpredicted, only_predicted, nowhere = scores.classes
    assert (found.iou, found.precision, found.recall, found.f1) == (6 / 10, 6 / 8, 6 / 8, 12 / 16)
    assert (unpredicted.iou, unpredicted.precision, unpredicted.recall, unpredicted.f1) == (0, 0, 0, 0)
    assert (only_predicted.iou, only_predicted.precision, only_predicted.recall, only_predicted.f1) == (0, 0, None, 0)
    assert (nowhere.iou, nowhere.precision, nowhere.recall, nowhere.f1) == (None, None, None, None)
    assert [entry.is_only_predicted for entry in scores.classes] == [False, False, True, False]
    # mIoU counts the class that is only predicted as 0; the other means are over the truth's two classes.
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
