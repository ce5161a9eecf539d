"""Scores as JSON: the promised keys, no NaN, and nothing that no score can be."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from core.metrics.confusion import Ids
from core.metrics.scores import ClassScore, Scores, score
from tests.unit.metrics.scored import DETERMINISTIC, MASKS, NAMES, K, score_masks

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
