"""How far a run is and how long it will take, read off its records; pure functions, no streamlit."""

import statistics
from dataclasses import dataclass

from core.training.run.log import RunLog
from core.training.run.records import Preflight, Preparing, Record, Validating, seconds_between

RECENT_EPOCHS = 5
USUAL_TRAINING_SHARE = 0.9
"""Share of an epoch's time that is training and not validation, until an epoch has told."""


@dataclass(frozen=True)
class Progress:
    """Where a run is: `doing` in words, shares in [0, 1] of the epoch under way and of all planned epochs."""

    doing: str
    epochs_done: int
    target_epochs: int
    epoch_share: float
    remaining_s: float | None

    @property
    def share(self) -> float:
        """Share of the planned epochs that is done."""
        return min(1.0, (self.epochs_done + self.epoch_share) / self.target_epochs)


def progress_of(log: RunLog, target_epochs: int) -> Progress:
    """Read the progress off a log; `target_epochs` is `folders.target_epochs`."""
    epochs_done = log.epochs[-1].epoch if log.epochs else 0
    if not log.legs or isinstance(log.last, Preparing | Preflight):
        return Progress(_getting_ready(log.last), epochs_done, target_epochs, 0.0, None)
    doing, epoch_share = _epoch_under_way(log, epochs_done)
    epoch_s = _seconds_per_epoch(log)
    remaining_s = None if epoch_s is None else max(0.0, (target_epochs - epochs_done - epoch_share) * epoch_s)
    return Progress(doing, epochs_done, target_epochs, epoch_share, remaining_s)


def _getting_ready(last: Record | None) -> str:
    if isinstance(last, Preparing):
        return f"{last.doing}: {last.done:,} of {last.total:,}" if last.total else last.doing
    return "Getting ready: loading PyTorch"


def _epoch_under_way(log: RunLog, epochs_done: int) -> tuple[str, float]:
    training_share = _training_share(log)
    if isinstance(log.last, Validating) and log.last.epoch > epochs_done:
        seen = log.last.image / max(1, log.last.images)
        doing = f"Validating after epoch {log.last.epoch}: image {log.last.image} of {log.last.images}"
        return doing, training_share + (1 - training_share) * seen
    per_epoch = max(1, log.legs[-1].steps_per_epoch)
    step = log.steps[-1].step - epochs_done * per_epoch if log.steps else 0
    step = min(max(step, 0), per_epoch)
    return f"Epoch {epochs_done + 1}: batch {step} of {per_epoch}", training_share * step / per_epoch


def _training_share(log: RunLog) -> float:
    if log.epochs and log.epochs[-1].seconds > 0:
        return min(1.0, log.epochs[-1].train_seconds / log.epochs[-1].seconds)
    return USUAL_TRAINING_SHARE


def _seconds_per_epoch(log: RunLog) -> float | None:
    if log.epochs:
        return statistics.median(epoch.seconds for epoch in log.epochs[-RECENT_EPOCHS:])
    if not log.steps or log.steps[-1].step <= log.legs[-1].steps_done:
        return None
    leg, last = log.legs[-1], log.steps[-1]
    per_step = seconds_between(leg, last) / (last.step - leg.steps_done)
    return per_step * leg.steps_per_epoch / USUAL_TRAINING_SHARE
