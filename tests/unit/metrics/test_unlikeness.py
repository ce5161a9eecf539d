"""Unlikeness: distances by the full matrix, few and many training photos, and what lies outside their directions."""

import numpy as np
import pytest

from core.metrics.unlikeness import LEAST_SHRINKAGE, MAX_DIRECTIONS, Reference, unlikeness


def unit(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize("is_whitened", [False, True])
def test_the_distance_is_that_of_the_shrunk_covariance(is_whitened: bool) -> None:
    """Against the formulas of Ledoit and Wolf 2004 (section 3.2) with whole matrices."""
    random = np.random.default_rng(0)
    usual = random.normal(1, np.linspace(0.05, 0.5, 12), (30, 12)).astype(np.float32)
    strange = random.normal(0, 1, (5, 12)).astype(np.float32)
    scaled = (lambda features: features / usual.std(0)) if is_whitened else unit
    mean = scaled(usual).mean(0)
    centred = scaled(usual) - mean
    sample = centred.T @ centred / 30
    target = np.trace(sample) / 12 * np.eye(12)
    noise = np.mean([((np.outer(row, row) - sample) ** 2).sum() for row in centred]) / 30
    weight = max(min(1, noise / ((sample - target) ** 2).sum()), LEAST_SHRINKAGE if is_whitened else 0)
    away = scaled(strange) - mean
    inverse = np.linalg.inv((1 - weight) * sample + weight * target)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", away, inverse, away))
    found = Reference.of(usual, is_whitened=is_whitened).distance(strange)
    np.testing.assert_allclose(found, expected, rtol=0.01)  # float16


@pytest.mark.parametrize("is_whitened", [False, True])
@pytest.mark.parametrize(("photos", "features"), [(1, 3), (6, 8), (20, 300), (300, 200)])
def test_a_strange_photo_is_farther_than_a_usual_one(photos: int, features: int, is_whitened: bool) -> None:
    random = np.random.default_rng(0)
    usual = np.abs(random.normal(1, 0.1, (photos + 20, features))).astype(np.float32)
    reference = Reference.of(usual[:photos], is_whitened=is_whitened)
    assert reference.directions_CD.shape[1] <= MAX_DIRECTIONS
    held_out_N = reference.distance(usual[photos:])
    strange = usual[:1] * np.where(np.arange(features) % 2, 3, 0.2).astype(np.float32)
    assert unlikeness(reference.distance(strange), held_out_N[:, None]).share == 1
    again = Reference.of_arrays({name: np.asarray(array) for name, array in reference.arrays().items()})
    np.testing.assert_array_equal(again.distance(strange), reference.distance(strange))


@pytest.mark.parametrize(("photos", "distance", "said"), [(19, 19, True), (19, 18, False), (18, 1000, False)])
def test_few_held_out_photos_call_no_photo_unlike(photos: int, distance: float, said: bool) -> None:
    """With 4 held-out photos every fifth ordinary photo is the farthest, and was called unlike."""
    assert unlikeness(np.array([distance]), np.arange(photos, dtype=np.float64)[:, None]).is_unlike is said


def test_two_distances_call_no_more_of_usual_photos_unlike_than_one() -> None:
    """Each of 100 photos among the 99 others, by ranks counted one by one; far by either distance is far."""
    distance_NR = np.random.default_rng(0).gamma(3, size=(100, 2))
    found = [unlikeness(distance_NR[i], np.delete(distance_NR, i, axis=0)) for i in range(100)]
    rank_NR = (distance_NR[:, None] > distance_NR).sum(axis=1)
    score_N = rank_NR.max(axis=1) + 0.001 * rank_NR.sum(axis=1)
    for each, score in zip(found, score_N, strict=True):
        assert each.share == pytest.approx((score_N < score).sum() / 99)
        assert each.is_unlike == ((score_N >= score).sum() <= 5)
    assert 0 < sum(each.is_unlike for each in found) <= 5
    for distance_R, shares in (([99, 0.01], (1, 0)), ([0.01, 99], (0, 1))):
        far = unlikeness(np.array(distance_R), distance_NR)
        assert far.is_unlike
        assert far.by_distance == shares


def test_photos_that_are_all_alike_or_without_a_feature_have_a_distance() -> None:
    reference = Reference.of(np.ones((4, 3), np.float32))
    assert np.isfinite(reference.distance(np.array([[0, 0, 0], [1, 1, 1], [1, 2, 1]], np.float32))).all()
