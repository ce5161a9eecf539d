"""Temperature scaling: what a model has that is too sure by a known factor."""

import numpy as np
import pytest

from core.metrics.calibration import BINS, calibration_bins
from core.metrics.temperature import AT_ONE, TEMPERATURES, fit


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_logits_multiplied_by_a_factor_need_it_as_their_temperature(factor: float) -> None:
    """Labels are drawn from the softmax of logits that are then multiplied: the factor is the temperature."""
    random = np.random.default_rng(0)
    logits_NK = random.normal(0, 2, (40_000, 4))
    probability_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(1, keepdims=True)
    truth_N = (random.random((40_000, 1)) > probability_NK.cumsum(1)).sum(1).clip(max=3)
    nll_2T, bins_2T3B = np.zeros((2, len(TEMPERATURES))), np.zeros((2, len(TEMPERATURES), 3, BINS))
    for half in (0, 1):
        rows, truth = logits_NK[half::2] * factor, truth_N[half::2]
        for index, value in enumerate(TEMPERATURES):
            scaled = np.exp(rows / value) / np.exp(rows / value).sum(1, keepdims=True)
            nll_2T[half, index] = -np.log(scaled[np.arange(len(truth)), truth]).sum()
            bins_2T3B[half, index] = calibration_bins(scaled.max(1).astype(np.float32), scaled.argmax(1) == truth)
    found = fit(nll_2T, bins_2T3B)
    assert found
    assert found.value == pytest.approx(factor, rel=0.1)  # a step of the grid is 9 %
    assert found.after.ece is not None
    assert found.before.ece is not None
    assert found.after.ece < 0.02
    assert factor == 1 or found.before.ece > 0.05


def test_one_is_on_the_grid_and_nothing_counted_has_no_temperature() -> None:
    assert TEMPERATURES[AT_ONE] == 1
    bins_2T3B = np.zeros((2, len(TEMPERATURES), 3, BINS))
    assert fit(np.zeros((2, len(TEMPERATURES))), bins_2T3B) is None
    bins_2T3B[0] = 1
    assert fit(np.zeros((2, len(TEMPERATURES))), bins_2T3B) is None, "one photo is in one half alone"


def test_no_half_is_measured_at_its_own_temperature() -> None:
    nll_2T, bins_2T3B = np.ones((2, len(TEMPERATURES))), np.zeros((2, len(TEMPERATURES), 3, BINS))
    nll_2T[0, 3] = nll_2T[1, 20] = 0
    bins_2T3B[:, :, :, 7] = 10, 5, 5
    for half, own in ((0, 3), (1, 20)):
        bins_2T3B[half, own, 2, 7] = 0  # nothing is right there
    found = fit(nll_2T, bins_2T3B)
    assert found
    assert found.after.ece == 0
