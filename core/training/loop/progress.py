"""How far a run has come, and what happened since the log was told last."""

import time
from dataclasses import dataclass, field

from core.training.run.records import Step
from core.training.settings.config import TrainingConfig
from core.wording import count

RECORD_EVERY_S = 1.0


@dataclass
class Progress:
    """How far a run has come; all of it goes into last.pt. `loss_sum` and `step_in_epoch` are of the current epoch.

    `patience_since` is the epoch from which patience is counted, if none since was the best. `scored_on` is the
    fingerprint of the validation photos that the scores are of, `best_since` the epoch after which they are: scores of
    others count neither for the best nor for patience.
    """

    epochs_done: int = 0
    steps_done: int = 0
    step_in_epoch: int = 0
    loss_sum: float = 0.0
    best_epoch: int | None = None
    best_miou: float | None = None
    patience_since: int = 0
    scored_on: str = ""
    best_since: int = 0

    def score_on(self, fingerprint: str) -> bool:
        """Score on these photos from now on; tells whether there are scores of others, after which all begins anew."""
        is_anew = self.epochs_done > 0 and self.scored_on != fingerprint
        self.scored_on = fingerprint
        if is_anew:
            self.best_epoch = self.best_miou = None
            self.best_since = self.patience_since = self.epochs_done
        return is_anew

    def is_impatient(self, patience: int, epochs_done: int) -> bool:
        """Tell whether patience is at its end after so many epochs, if the best is still the best by then."""
        return 0 < patience <= epochs_done - max(self.best_epoch or 0, self.patience_since)

    def is_over(self, config: TrainingConfig) -> bool:
        """Tell whether all epochs are done, or patience is at its end."""
        return self.epochs_done >= config.epochs or self.is_impatient(config.patience, self.epochs_done)

    def end_reason(self, config: TrainingConfig) -> str:
        """Return why training is over, in words."""
        if self.epochs_done >= config.epochs:
            return f"{count(self.epochs_done, 'epoch')} done"
        best = f" than in epoch {self.best_epoch}" if self.best_epoch else ""
        return f"no better validation mIoU{best} for {count(config.patience, 'epoch')}: ended after {self.epochs_done}"

    def add(self, loss: float) -> None:
        """Count a step of the current epoch."""
        self.steps_done += 1
        self.step_in_epoch += 1
        self.loss_sum += loss

    def finish_epoch(self, miou: float | None) -> bool:
        """Count the current epoch as done, and tell whether it is the best so far."""
        self.epochs_done += 1
        self.step_in_epoch, self.loss_sum = 0, 0.0
        is_best = miou is not None and (self.best_miou is None or miou > self.best_miou)
        if is_best:
            self.best_epoch, self.best_miou = self.epochs_done, miou
        return is_best


@dataclass
class StepClock:
    """Collects what happened since the last step record, which come about one a second."""

    since_s: float = field(default_factory=time.perf_counter)
    images: int = 0
    steps: int = 0
    loss_sum: float = 0.0

    def add(self, loss: float, images: int) -> None:
        """Count a step."""
        self.loss_sum += loss
        self.images += images
        self.steps += 1

    def is_due(self) -> bool:
        """Tell whether it is time for a record."""
        return time.perf_counter() - self.since_s >= RECORD_EVERY_S

    def record(self, epoch: int, step: int, learning_rate: float) -> Step:
        """Return the record of what was collected."""
        return Step(
            epoch=epoch,
            step=step,
            loss=self.loss_sum / self.steps,
            learning_rate=learning_rate,
            images_per_second=self.images / (time.perf_counter() - self.since_s),
        )
