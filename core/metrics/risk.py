"""Selective prediction: what is right of the pixels that a model keeps, and what can be promised of them.

A photo's *loss* at a threshold is the share of its kept pixels that are wrong, 0 where nothing is kept. Conformal risk
control (Angelopoulos et al. 2022, arXiv 2208.02814) takes the lowest threshold t from which on, over n held-out photos,

    (n x mean loss + 1) / (n + 1) <= 1 - promise.

The 1 stands for a new photo that is all wrong, so few photos allow no high promise. Where one cannot be made, t is
chosen by mean loss <= 1 - promise, which is the same rule for a promise lower by promise / (n + 1); that lower one is
then made.

A photo's loss may rise with the threshold, so a photo that was not held out may lose by the others' choice. How much is
the *stability* (Angelopoulos 2026, arXiv 2602.20151): the mean loss of photos at thresholds chosen without them, less
that at the lowest threshold from which on all of them together have a mean loss of 1 - promise. If a new photo is
exchangeable with the held-out ones, its expected loss at t is at most 1 - promise + stability. The stability is
estimated by leaving out each held-out photo in turn, and the promise is lower by it. The expectation is over the
held-out photos and the new one together, where what keeps nothing counts as right: nothing is promised of a single
photo, class or pixel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.confusion import Counts, ratio

LEVELS = 256
"""Confidence is counted as a page stores it: rounded to a byte, 255 is 1."""
KEEPS_NOTHING = LEVELS
AIMS = (0.90, 0.95, 0.99)
"""The shares to be right that are offered."""
MEANING = (
    "Pixels below a confidence threshold become void. The threshold is chosen on held-out photos, by conformal risk "
    "control (Angelopoulos et al. 2022); the promise is lower by what held-out photos lose at thresholds chosen "
    "without them. It is a mean over photos like them, in one pass: not for one photo, class or pixel. A photo that "
    "keeps nothing counts as right, and what masks leave void is not counted."
)


def confidence_counts(confidence: NDArray[np.float32], is_right: NDArray[np.bool_]) -> Counts:
    """Return counts_2L of a photo's counted pixels by confidence byte: all of them, and those that are right.

    Args:
        confidence: probability of the predicted class, in [0, 1]; any shape.
        is_right: whether the predicted class is true, same shape.
    """
    level = np.rint(255 * confidence).astype(np.uint8)
    return np.stack([np.bincount(of.ravel(), minlength=LEVELS) for of in (level, level[is_right])])


@dataclass(frozen=True)
class RiskCurve:
    """By threshold t, 0 to 256, where bytes from t on are kept: each photo's kept share, and its loss; (N, 257)."""

    kept_NT: NDArray[np.float64]
    loss_NT: NDArray[np.float64]

    def right(self) -> NDArray[np.float64]:
        """Return, by threshold, the mean share right over the photos of which something is kept, NaN without one."""
        return 1 - ratio(self.loss_NT.sum(axis=0), (self.kept_NT > 0).sum(axis=0).astype(np.float64))


def risk_curve(counts_N2L: Counts) -> RiskCurve:
    """Return the curve of photos; those without a counted pixel are left out."""
    counted = counts_N2L[counts_N2L[:, 0].any(axis=1)].astype(np.float64)
    from_t = np.zeros((len(counted), 2, LEVELS + 1))
    from_t[..., :LEVELS] = counted[..., ::-1].cumsum(axis=-1)[..., ::-1]
    kept_NT, right_NT = from_t[:, 0], from_t[:, 1]
    return RiskCurve(kept_NT / kept_NT[:, :1], (kept_NT - right_NT) / np.maximum(kept_NT, 1))


@dataclass(frozen=True)
class Promise:
    """A threshold for an aim, a share to be right, and the share that it promises, the aim or lower; fractions.

    `stability` is what the promise is lower by, since losses may rise with the threshold.
    `threshold` is a byte: pixels from it on are kept, none at 256. Of the `num_photos` held out, `num_empty` keep
    nothing; `kept` is the mean share kept, `right` that which is right of photos that keep something, None without one.
    """

    aim: float
    promise: float
    threshold: int
    num_photos: int
    num_empty: int
    kept: float
    right: float | None
    stability: float = 0.0

    @property
    def confidence(self) -> float:
        """The lowest confidence that is kept, as a fraction; above 1 where nothing is."""
        return max(0.0, (self.threshold - 0.5) / 255)

    @property
    def keeps_all(self) -> bool:
        """Whether the model keeps the promise with every pixel, so that nothing is abstained from."""
        return self.threshold == 0


def promised(curve: RiskCurve, aim: float) -> Promise | None:
    """Return the threshold for an aim in (0, 1) by conformal risk control; None without a photo.

    The threshold is raised further, which the theorem allows, until the aim is met by the photos that keep something.
    """
    n = len(curve.loss_NT)
    if not n:
        return None
    is_some_NT = curve.kept_NT > 0
    loss_T, some_T = curve.loss_NT.sum(axis=0), is_some_NT.sum(axis=0)
    threshold, can_be = _chosen(loss_T, some_T, n, aim)
    t, promise = int(threshold), float(can_be)
    without_N, _ = _chosen(loss_T - curve.loss_NT, some_T - is_some_NT, n - 1, aim)
    with_all = _lowest(_from_here_on(loss_T) <= n * (1 - promise) + 1e-9)
    left_out_N = curve.loss_NT[np.arange(n), without_N] - curve.loss_NT[:, with_all]
    stability = max(0.0, float(left_out_N.mean()))
    kept_N = curve.kept_NT[:, t]
    right = None if t == KEEPS_NOTHING else float(curve.right()[t])
    return Promise(aim, promise - stability, t, n, int((kept_N == 0).sum()), float(kept_N.mean()), right, stability)


def _chosen(
    loss_xT: NDArray[np.float64], some_xT: NDArray[np.int64], n: int, aim: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return thresholds and promises from the summed losses of n photos and the number of those that keep something."""
    is_right_xT = (some_xT > 0) & (loss_xT <= (1 - aim) * some_xT + 1e-9)  # 1 - 0.9 is not quite 0.1
    lower = aim - aim / (n + 1)
    at_aim_x, at_lower_x = (
        _lowest(is_right_xT & (_from_here_on(loss_xT) + 1 <= (n + 1) * (1 - promise) + 1e-9))
        for promise in (aim, lower)
    )
    is_met_x = at_aim_x < KEEPS_NOTHING
    return np.where(is_met_x, at_aim_x, at_lower_x), np.where(is_met_x, aim, lower)


def _from_here_on(loss_xT: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest loss at each threshold and those above it."""
    highest_xT: NDArray[np.float64] = np.maximum.accumulate(loss_xT[..., ::-1], axis=-1)[..., ::-1]
    return highest_xT


def _lowest(is_met_xT: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the lowest threshold that is met, `KEEPS_NOTHING` if none is."""
    lowest_x: NDArray[np.int64] = np.where(is_met_xT.any(axis=-1), is_met_xT.argmax(axis=-1), KEEPS_NOTHING)
    return lowest_x
