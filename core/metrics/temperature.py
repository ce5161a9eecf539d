"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599): logits divided by one number T, which changes no class.

T is the one of a grid at which the negative log-likelihood of held-out pixels is lowest. Photos alternate between two
halves; the calibration *after* is that of each half at the temperature fitted on the other, so no pixel fits its own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.calibration import Bins, Reliability, reliability
from core.wording import count

TEMPERATURES = np.geomspace(0.25, 4, 33)
AT_ONE = 16
"""The index of T = 1."""


@dataclass(frozen=True)
class Temperature:
    """The temperature fitted on all photos, and calibration at T = 1 and at fitted temperatures."""

    value: float
    before: Reliability
    after: Reliability

    @property
    def is_better(self) -> bool:
        """Whether the error is smaller after than before."""
        return (self.after.ece or 0) < (self.before.ece or 0)

    def said(self, num_photos: int) -> str:
        """Return in words what it is worth on as many held-out photos."""
        before, after = (100 * (each.ece or 0) for each in (self.before, self.after))
        advice = "" if self.is_better else " It does not calibrate here: leave it off."
        return (
            f"Temperature {self.value:.2f}: calibration error {before:.1f} % before, {after:.1f} % after, on "
            f"{count(num_photos, 'held-out photo')}.{advice}"
        )


def fit(nll_2T: NDArray[np.float64], bins_2T3B: NDArray[np.float64]) -> Temperature | None:
    """Return the fitted temperature; None unless both halves have a counted pixel.

    Args:
        nll_2T: summed negative log-likelihood of each half's pixels at each temperature.
        bins_2T3B: summed `calibration_bins` of each half at each temperature.
    """
    if not bins_2T3B.any(axis=(1, 2, 3)).all():
        return None
    of_other = [int(nll_T.argmin()) for nll_T in nll_2T[::-1]]
    after: Bins = sum((bins_2T3B[half, index] for half, index in enumerate(of_other)), np.zeros(bins_2T3B.shape[2:]))
    return Temperature(
        float(TEMPERATURES[nll_2T.sum(axis=0).argmin()]),
        reliability(bins_2T3B[:, AT_ONE].sum(axis=0)),
        reliability(after),
    )
