"""What was estimated, held against what a run took."""

from dataclasses import dataclass

from core.training.estimate import Estimate
from core.training.log import RunLog


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What was estimated beside what a run took, in seconds.

    predicted_seconds, actual_seconds   of the epochs that are done, training and validation
    ratio                               actual over predicted: 1.2 is a fifth slower than estimated
    predicted_total_seconds             of the whole run, as it was estimated
    expected_total_seconds              the same at the pace of the epochs that are done
    """

    epochs_done: int
    predicted_seconds: float
    actual_seconds: float
    ratio: float
    predicted_total_seconds: float
    expected_total_seconds: float


def compare(found: Estimate, log: RunLog) -> Prediction | None:
    """Hold an estimate against the epochs that a run has done; None while there are none."""
    done = len(log.epochs)
    predicted_s = done * found.seconds_per_epoch
    if any(epoch.epoch == found.epochs for epoch in log.epochs):
        predicted_s += found.last_validation_seconds - found.validation_seconds
    if predicted_s <= 0:
        return None
    actual_s = sum(epoch.seconds for epoch in log.epochs)
    return Prediction(
        epochs_done=done,
        predicted_seconds=predicted_s,
        actual_seconds=actual_s,
        ratio=actual_s / predicted_s,
        predicted_total_seconds=found.total_seconds,
        expected_total_seconds=found.total_seconds * actual_s / predicted_s,
    )
