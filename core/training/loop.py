"""The training loop: a generator of records, without a file written; `trainer` writes what it yields.

Every random number comes from the seed and the place in training (epoch, step, photo), so a run that was stopped and
resumed goes through the same arithmetic as one that was not.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from core.classes import Classes
from core.data.dataset import Sample
from core.data.loader import TrainingBatches, TrainingPairs, fraction_of, mixed_seed
from core.data.transforms import TrainingTransform
from core.errors import RunError
from core.model.architectures import build_model
from core.model.device import autocast, choose_precision
from core.model.predictor import Predictor
from core.model.weights import initialize
from core.training.config import TrainingConfig
from core.training.evaluation import evaluate
from core.training.evaluations import ImageResult, summarize
from core.training.loss import segmentation_loss
from core.training.records import Epoch, Record, Step, Validating
from core.training.schedule import learning_rate_factor

if sys.platform != "win32":
    import resource

RECORD_EVERY_S = 1.0
SGD_MOMENTUM = 0.9
VALIDATION_BATCH_SIZE = 8
"""Photos at once in the validation between epochs; after the last, whose masks are kept, it is 1 as in `evaluate`."""

SMALLER_STEPS = "start a new run with a smaller learning_rate; the last checkpoint is intact"


@dataclass
class Progress:
    """How far a run has come; all of it goes into last.pt. `loss_sum` and `step_in_epoch` are of the current epoch."""

    epochs_done: int = 0
    steps_done: int = 0
    step_in_epoch: int = 0
    loss_sum: float = 0.0
    best_epoch: int | None = None
    best_miou: float | None = None


@dataclass
class _Clock:
    """Collects what happened since the last step record, which come about one a second."""

    since_s: float = field(default_factory=time.perf_counter)
    images: int = 0
    steps: int = 0
    loss_sum: float = 0.0

    def add(self, loss: float, images: int) -> None:
        self.loss_sum += loss
        self.images += images
        self.steps += 1

    def is_due(self) -> bool:
        return time.perf_counter() - self.since_s >= RECORD_EVERY_S


class TrainingLoop:
    """A model in training: build it, optionally `load_state`, then take records from `epochs`.

    `results` holds the last validation image by image. One that `is_resumed` needs no pretrained weights, because
    `load_state` brings its own.
    """

    def __init__(
        self,
        config: TrainingConfig,
        train: Sequence[Sample],
        val: Sequence[Sample],
        classes: Classes,
        device: torch.device,
        *,
        is_resumed: bool = False,
    ) -> None:
        self.config = config
        self.classes = classes
        self.device = device
        self.precision = choose_precision(config.precision, device)
        self.progress = Progress()
        self.train_samples = fraction_of(train, config.train_fraction, config.seed)
        self.val_samples = val
        self.results: list[ImageResult] = []
        torch.manual_seed(mixed_seed(config.seed))
        model = build_model(
            config.architecture,
            len(classes),
            output_stride=config.output_stride,
            has_aux_head=config.aux_weight > 0,
        )
        self.notes = [] if is_resumed else initialize(model, config.architecture, config.init)
        self.model = model.to(device, memory_format=torch.channels_last)
        self._freeze()
        self._optimizer = _build_optimizer(config, [p for p in model.parameters() if p.requires_grad])
        self._batches = self._build_batches()

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the training photos."""
        return len(self._batches)

    @property
    def batch_size(self) -> int:
        """Photos in a step: the config's, or all there are."""
        return min(self.config.batch_size, len(self.train_samples))

    def state(self) -> dict[str, Any]:
        """Return what, beside the weights, is needed to go on: optimizer and progress."""
        return {"optimizer": self._optimizer.state_dict(), "progress": vars(self.progress)}

    def load_state(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from the weights and state of an earlier leg."""
        self.model.load_state_dict(weights)
        self._optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])

    def epochs(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        """Train up to the config's epochs and validate after each; ends early, within a step, if `should_stop`.

        A loss that is not finite raises `RunError`; a photo or mask that cannot be read raises `DataError`.
        """
        while self.progress.epochs_done < self.config.epochs:
            started_s, first_step = time.perf_counter(), self.progress.step_in_epoch
            yield from self.train_epoch(should_stop)
            if self.progress.step_in_epoch < self.steps_per_epoch:
                return
            train_seconds = time.perf_counter() - started_s
            if not (yield from self._validate(should_stop)):
                return
            yield self._finish_epoch(started_s, train_seconds, self.steps_per_epoch - first_step)

    # --- training ---------------------------------------------------------------------------------------------------

    def _freeze(self) -> None:
        if self.config.freeze == "backbone":
            self.model.backbone.requires_grad_(requires_grad=False)

    def _build_batches(self) -> TrainingBatches:
        config = self.config
        transform = TrainingTransform(
            config.image_size, flip=config.flip, scale_min=config.scale_min, scale_max=config.scale_max
        )
        pairs = TrainingPairs(self.train_samples, len(self.classes), transform, config.seed)
        return TrainingBatches(
            pairs, len(self.train_samples), config.batch_size, num_workers=config.num_workers, seed=config.seed
        )

    def _train_mode(self) -> None:
        self.model.train()
        if self.config.freeze == "backbone":
            self.model.backbone.eval()

    def train_epoch(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        """Train through what is left of the current epoch, without validating; ends early if `should_stop`."""
        progress = self.progress
        epoch = progress.epochs_done + 1
        self._train_mode()
        clock = _Clock()
        for images, masks in self._batches.epoch(epoch, first=progress.step_in_epoch):
            if should_stop():
                return
            loss = self._train_step(images, masks)
            progress.loss_sum += loss
            clock.add(loss, len(images))
            if clock.is_due() or progress.step_in_epoch == self.steps_per_epoch:
                yield self._step_record(epoch, clock)
                clock = _Clock()

    def _train_step(self, images: Tensor, masks: Tensor) -> float:
        progress = self.progress
        learning_rate = self._learning_rate()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        # Dropout draws from here, the same numbers whether or not the run was interrupted before.
        torch.manual_seed(mixed_seed(self.config.seed, 1, progress.steps_done))
        images = images.to(self.device).contiguous(memory_format=torch.channels_last)
        with autocast(self.device, self.precision):
            outputs = self.model(images)
            loss = segmentation_loss(outputs, masks.to(self.device), self.config.aux_weight)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RunError(
                f"The loss became {value} at step {progress.steps_done + 1} (learning rate {learning_rate:.2g}); "
                f"{SMALLER_STEPS}."
            )
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        progress.steps_done += 1
        progress.step_in_epoch += 1
        return value

    def _learning_rate(self) -> float:
        total_steps = self.config.total_schedule_epochs * self.steps_per_epoch
        factor = learning_rate_factor(self.config.schedule, self.progress.steps_done / total_steps)
        return self.config.learning_rate * factor

    def _step_record(self, epoch: int, clock: _Clock) -> Step:
        return Step(
            epoch=epoch,
            step=self.progress.steps_done,
            loss=clock.loss_sum / clock.steps,
            learning_rate=float(self._optimizer.param_groups[0]["lr"]),
            images_per_second=clock.images / (time.perf_counter() - clock.since_s),
        )

    # --- validation -------------------------------------------------------------------------------------------------

    def _validate(self, should_stop: Callable[[], bool]) -> Generator[Record, None, bool]:
        """Fill `results` from every validation photo; returns False if asked to stop before the last."""
        predictor = Predictor(self.model, image_size=self.config.image_size, device=self.device)
        self.results = []
        told_s = time.perf_counter()
        is_last = self.progress.epochs_done + 1 == self.config.epochs
        batch_size = 1 if is_last else VALIDATION_BATCH_SIZE
        for result in evaluate(predictor, self.val_samples, self.classes, batch_size=batch_size):
            self.results.append(result)
            if should_stop():
                return False
            if time.perf_counter() - told_s >= RECORD_EVERY_S:
                told_s = time.perf_counter()
                epoch = self.progress.epochs_done + 1
                yield Validating(epoch=epoch, image=len(self.results), images=len(self.val_samples))
        return True

    def _finish_epoch(self, started_s: float, train_seconds: float, steps: int) -> Epoch:
        """Count the epoch as done and tell how it went."""
        progress = self.progress
        scores = summarize(self.results, self.classes.names)
        is_best = scores.miou is not None and (progress.best_miou is None or scores.miou > progress.best_miou)
        train_loss = progress.loss_sum / self.steps_per_epoch
        val_loss = statistics.fmean(result.loss for result in self.results)
        if not math.isfinite(val_loss):
            raise RunError(
                f"The validation loss became {val_loss} in epoch {progress.epochs_done + 1}; {SMALLER_STEPS}."
            )
        progress.epochs_done += 1
        progress.step_in_epoch, progress.loss_sum = 0, 0.0
        if is_best:
            progress.best_epoch, progress.best_miou = progress.epochs_done, scores.miou
        return Epoch(
            epoch=progress.epochs_done,
            step=progress.steps_done,
            train_loss=train_loss,
            val_loss=val_loss,
            miou=scores.miou,
            pixel_accuracy=scores.pixel_accuracy,
            iou=[entry.iou for entry in scores.classes],
            seconds=time.perf_counter() - started_s,
            train_seconds=train_seconds,
            images_per_second=steps * self.batch_size / train_seconds,
            peak_memory_bytes=peak_memory_bytes(self.device),
            is_best=is_best,
        )


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory used so far: of the GPU where there is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _build_optimizer(config: TrainingConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    # Fused: the same arithmetic in one pass over the weights, a third of the time of the default on a CPU.
    settings: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "fused": True}
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=SGD_MOMENTUM, **settings)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, **settings)
    return torch.optim.Adam(parameters, **settings)
