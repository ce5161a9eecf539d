"""The progress of a run, and the steps since the last step record."""

import time
from dataclasses import dataclass, field

from core.training.run.records import Step
from core.training.settings.config import TrainingConfig
from core.wording import count

RECORD_EVERY_S = 1.0


@dataclass
class RunProgress:
    """The progress of a run, saved in last.pt. `loss_sum` and `step_in_epoch` count the current epoch.

    Patience counts from the best epoch, or from `patience_since` if that is later. `scored_on` is the fingerprint of
    the validation photos; only epochs after `best_since` were scored on them and count for the best and for patience.
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
        """Set the validation photos; if earlier epochs had others, reset the best and patience, and return True."""
        is_reset = self.epochs_done > 0 and self.scored_on != fingerprint
        self.scored_on = fingerprint
        if is_reset:
            self.best_epoch = self.best_miou = None
            self.best_since = self.patience_since = self.epochs_done
        return is_reset

    def is_impatient(self, patience: int, epochs_done: int) -> bool:
        """Return whether patience has run out after `epochs_done` epochs, if no later epoch is the best."""
        return 0 < patience <= epochs_done - max(self.best_epoch or 0, self.patience_since)

    def is_over(self, config: TrainingConfig) -> bool:
        """Return whether all epochs are done, or patience has run out."""
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
        """Count the current epoch as done, and return whether it is the best so far."""
        self.epochs_done += 1
        self.step_in_epoch, self.loss_sum = 0, 0.0
        is_best = miou is not None and (self.best_miou is None or miou > self.best_miou)
        if is_best:
            self.best_epoch, self.best_miou = self.epochs_done, miou
        return is_best


@dataclass
class StepClock:
    """The steps since the last step record; a record is due every `RECORD_EVERY_S`."""

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
        """Return whether a record is due."""
        return time.perf_counter() - self.since_s >= RECORD_EVERY_S

    def record(self, epoch: int, step: int, learning_rate: float) -> Step:
        """Return the record of these steps."""
        return Step(
            epoch=epoch,
            step=step,
            loss=self.loss_sum / self.steps,
            learning_rate=learning_rate,
            images_per_second=self.images / (time.perf_counter() - self.since_s),
        )
