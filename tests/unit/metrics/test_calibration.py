"""Calibration: golden bins, torchmetrics, and what a perfectly calibrated model scores."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from core.metrics.calibration import BINS, calibration_bins, reliability


def test_golden_bins() -> None:
    bins_3B = calibration_bins(np.array([0.0, 0.5, 0.51, 1.0], dtype=np.float32), np.array([False, True, False, True]))
    # By hand, 15 bins of 1/15: 0.5 and 0.51 lie in bin 7 (0.467 to 0.533), 1.0 in the last.
    assert bins_3B[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert bins_3B[1, 7] == pytest.approx(1.01)
    assert bins_3B[2].tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    found = reliability(bins_3B)
    assert found.ece == pytest.approx(0.01 / 4, abs=1e-6)
    assert found.accuracy_B[7] == 0.5
    assert np.isnan(found.accuracy_B[1])
    assert found.share_B.sum() == 1


def test_ece_agrees_with_torchmetrics() -> None:
    random = np.random.default_rng(0)
    logits_NK = torch.from_numpy(random.normal(0, 2, (4000, 6)).astype(np.float32))
    truth_N = torch.from_numpy(random.integers(0, 6, 4000))
    probability_NK = logits_NK.softmax(1)
    confidence_N, predicted_N = probability_NK.max(1)
    bins_3B = calibration_bins(confidence_N.numpy(), (predicted_N == truth_N).numpy())
    expected = multiclass_calibration_error(probability_NK, truth_N, 6, n_bins=BINS, norm="l1")
    assert reliability(bins_3B).ece == pytest.approx(float(expected), abs=1e-5)


def test_bins_of_images_are_added() -> None:
    random = np.random.default_rng(1)
    confidence, is_right = random.random(1000).astype(np.float32), random.random(1000) < 0.5
    parts = sum(calibration_bins(confidence[i : i + 100], is_right[i : i + 100]) for i in range(0, 1000, 100))
    np.testing.assert_allclose(parts, calibration_bins(confidence, is_right))


def test_a_calibrated_model_has_no_error_and_a_boastful_one_does() -> None:
    random = np.random.default_rng(2)
    confidence = random.uniform(0.5, 1, 100_000).astype(np.float32)
    honest = reliability(calibration_bins(confidence, random.random(100_000) < confidence))
    boastful = reliability(calibration_bins(confidence, random.random(100_000) < confidence - 0.2))
    assert honest.ece is not None
    assert honest.ece < 0.01
    assert boastful.ece == pytest.approx(0.2, abs=0.01)
    assert boastful.overconfidence == pytest.approx(0.2, abs=0.01)


def test_nothing_counted_has_no_error() -> None:
    found = reliability(np.zeros((3, BINS)))
    assert (found.ece, found.overconfidence) == (None, None)
    assert np.isnan(found.accuracy_B).all()
