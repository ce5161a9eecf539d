"""Selective prediction: what is right of the pixels that a model keeps, and what can be promised of them.

A photo's *loss* at a threshold is the share of its kept pixels that are wrong, 0 where nothing is kept. It need not
fall as the threshold rises, so its running maximum from the highest threshold down is controlled: that one falls, and
is never below the loss. Conformal risk control (Angelopoulos et al. 2022, arXiv 2208.02814) takes the lowest threshold
t at which, over n held-out photos,

    (n x mean loss(t) + 1) / (n + 1) <= 1 - promise.

If a new photo is exchangeable with them, its expected loss at t is at most 1 - promise. The expectation is over the
held-out photos and the new one together, where what keeps nothing counts as right: nothing is promised of a single
photo, class or pixel. The 1 stands for a new photo that is all wrong, so few photos allow no high promise. Where one
cannot be made, t is chosen by mean loss(t) <= 1 - promise, which is the same rule for a promise lower by
promise / (n + 1); that lower one is then made.
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
    "control (Angelopoulos et al. 2022). The promise is a mean over photos like them, in one pass: not for one photo, "
    "class or pixel. A photo that keeps nothing counts as right, and what masks leave void is not counted."
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

    def controlled(self) -> NDArray[np.float64]:
        """Return, by threshold, the mean over photos of the loss's running maximum."""
        highest_NT: NDArray[np.float64] = np.maximum.accumulate(self.loss_NT[:, ::-1], axis=1)[:, ::-1]
        mean_T: NDArray[np.float64] = highest_NT.mean(axis=0)
        return mean_T

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
    controlled_T, right_T = curve.controlled(), curve.right()
    is_right_T = np.nan_to_num(right_T) >= aim - 1e-12
    for promise in (aim, aim - aim / (n + 1)):
        is_enough_T = (n * controlled_T + 1) / (n + 1) <= 1 - promise + 1e-12  # 1 - 0.9 is not quite 0.1
        if (is_enough_T & is_right_T).any():
            t = int((is_enough_T & is_right_T).argmax())
            num_empty = int((curve.kept_NT[:, t] == 0).sum())
            return Promise(aim, promise, t, n, num_empty, float(curve.kept_NT[:, t].mean()), float(right_T[t]))
    return Promise(aim, promise, KEEPS_NOTHING, n, n, 0.0, None)
