"""The training loop: a generator of records, without a file written; `trainer` writes what it yields.

Every random number comes from the seed and the place in training (epoch, step, photo), so a run that was stopped and
resumed goes through the same arithmetic as one that was not.
"""

import math
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from core.classes import Classes
from core.data.dataset import Sample
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.loader import Waiting, fraction_of, mixed_seed
from core.errors import RunError
from core.home import home
from core.model.architectures import build_model, split_backbone
from core.model.device import choose_precision
from core.model.predict.predictor import Predictor, mask_precision
from core.model.weights.initial import start_from
from core.training.distributed import ALONE, Order, World
from core.training.evaluation import evaluate_together
from core.training.features import Backbone, FeaturePairs, HeadPredictor
from core.training.loop import memory
from core.training.loop.batches import fitting_batch_size, memory_share, residence, training_batches
from core.training.loop.optimization import learning_rate_factor
from core.training.loop.progress import RECORD_EVERY_S, Progress, StepClock
from core.training.loop.step import SMALLER_STEPS, TrainingStep
from core.training.loss import balanced_weights
from core.training.run.evaluations import ImageResult, summarize
from core.training.run.records import Epoch, Record, Validating, Warned
from core.training.settings.config import LEAST_BATCH_SIZE, TrainingConfig
from core.wording import count

VALIDATION_BATCH_SIZE = 8
"""Photos at once in the validation between epochs; after the last, whose masks are kept, it is 1 as in `evaluate`."""


class TrainingLoop:
    """A model in training: build it, optionally `load_state`, then take records from `epochs`.

    `model` is the one that is validated and saved: the one in training, or with `ema_decay` the average of its weights.
    `init` is what it started from, empty where it is resumed: `load_state` brings its own weights. `results` holds the
    last validation image by image, `number_format` what it was computed in. In a `world` of several it is to `connect`;
    records and `results` are of all of them.
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
        world: World = ALONE,
    ) -> None:
        self.config = config
        self.world = world
        self.classes = classes
        self.device = device
        self.precision = choose_precision(config.precision, device)
        self.progress = Progress()
        self.train_samples = fraction_of(train, config.train_fraction, config.seed)
        self.val_samples = val
        self.train_pairs, self.val_pairs = (
            SquarePairs(some, len(classes), config.image_size, config.geometry) for some in (self.train_samples, val)
        )
        self.features, self.features_val = (
            FeaturePairs(pairs, lambda: self.backbone, has_flips=has_flips) if config.store_features else None
            for pairs, has_flips in ((self.train_pairs, config.flip), (self.val_pairs, False))
        )
        self.results: list[ImageResult] = []
        self.number_format = self.precision
        torch.manual_seed(mixed_seed(config.seed))
        model = build_model(
            config.architecture,
            len(classes),
            output_stride=config.output_stride,
            has_aux_head=config.aux_weight > 0,
        )
        self.init = ""
        self.notes: list[str] = []
        if not is_resumed:
            self.init, self.notes = start_from(model, config.architecture, config.init, classes.names)
        model = world.with_shared_batchnorm(model, device).to(device, memory_format=torch.channels_last)
        frozen, stages = split_backbone(model, config.architecture, config.freeze)
        frozen.requires_grad_(requires_grad=False)
        is_balanced = config.class_weighting == "balanced" and not is_resumed
        weights_K = balanced_weights(self.train_samples, len(classes)) if is_balanced else None
        self._step = TrainingStep(model, config, device, self.precision, weights_K, stages, world)
        self.model = self._step.average.model if self._step.average else model
        self._photos_reside_on = residence(config, self.train_pairs, device)
        self._set_batch_size(config.batch_size or self._fitting_batch_size(is_resumed=is_resumed))
        self.notes += world.notes(self.batch_size, device)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the training photos."""
        return len(self._batches)

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        return self.progress.is_over(self.config)

    @property
    def end_reason(self) -> str:
        """Why training is over, in words."""
        return self.progress.end_reason(self.config)

    def state(self) -> dict[str, Any]:
        """Return what, beside the weights, is needed to go on: optimizer, progress, and how a batch is trained."""
        return {"progress": vars(self.progress), "batch_size": self.batch_size} | self._step.state()

    def load_state(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from the weights of `model` and the state of an earlier leg, of an older version too.

        Whoever goes on with a run that had ended early wants more of it: patience starts anew.
        """
        self._step.load_state(weights, state)
        self.progress = Progress(**state["progress"])
        if self.progress.is_impatient(self.config.patience, self.progress.epochs_done):
            self.progress.patience_since = self.progress.epochs_done
        self._set_batch_size(self.config.batch_size or state.get("batch_size", LEAST_BATCH_SIZE))

    def connect(self) -> None:
        """Begin to train with the loops of the other processes, all of which do the same now."""
        self._step.connect()

    def epochs(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        """Train up to the config's epochs and validate after each; ends early, within a step, if `should_stop`.

        A loss that is not finite raises `RunError`; a photo or mask that cannot be read raises `DataError`.
        """
        self.world.order(Order.TRAIN)
        while not self.is_over:
            started_s, first_step = time.perf_counter(), self.progress.step_in_epoch
            yield from self.train_epoch(should_stop)
            if self.progress.step_in_epoch < self.steps_per_epoch:
                return
            train_seconds = time.perf_counter() - started_s
            if not (yield from self._validate(should_stop)):
                return
            yield self._finish_epoch(started_s, train_seconds, self.steps_per_epoch - first_step)

    # --- features ---------------------------------------------------------------------------------------------------

    @cached_property
    def backbone(self) -> Backbone:
        """The frozen backbone, ready to make features."""
        frozen, _ = split_backbone(self._step.model, self.config.architecture, self.config.freeze)
        return Backbone(frozen, self.config.image_size, self.precision)

    def keep_features(self) -> Iterator[tuple[int, int]]:
        """Compute the features that are to be stored, and yield how many of how many photos are done.

        Without room for them it raises `RunError`.
        """
        stores = [store for store in (self.features, self.features_val) if store]
        total = sum(map(len, stores))
        for done, _ in enumerate(chain.from_iterable(store.keep() for store in stores), start=1):
            yield done, total
        if not all(store.open_kept() for store in stores):
            size = sum(store.nbytes for store in stores) / 1e9
            raise RunError(
                f"The features of {count(total, 'photo')} take {size:.1f} GB, for which {home() / 'cache'} has no "
                "room; make room, or start a new run with a smaller image_size or store_features=false."
            )

    # --- batches ----------------------------------------------------------------------------------------------------

    def _fitting_batch_size(self, *, is_resumed: bool) -> int:
        """Choose a batch size by the memory there is, and note why; a loop that `is_resumed` will be told its own."""
        if is_resumed:
            return LEAST_BATCH_SIZE * self.world.size
        photo, num_samples = self._photo_bytes(), len(self.train_samples)
        size, note = fitting_batch_size(photo, self._step.model, num_samples, self.device, self.world)
        self.notes.append(note)
        return size

    def _photo_bytes(self) -> int:
        return memory.photo_bytes(self.config, len(self.classes), self.precision)

    def _set_batch_size(self, batch_size: int) -> None:
        """Make the batches; what the machine would be killed for is split beforehand."""
        self.batch_size = min(batch_size, len(self.train_samples))
        own = self.world.share_of(self.batch_size)
        source = self.features or self.train_pairs
        self._batches = training_batches(
            self.config, source, batch_size, self.world, self.device, self._photos_reside_on
        )
        self._step.parts = min(self._step.parts, max(1, own // LEAST_BATCH_SIZE))
        if self.device.type == "cpu":
            # Linux grants memory that it does not have, and ends the process when it is used.
            self._step.split_to_fit(own, memory_share(self.device, self.world) // self._photo_bytes())

    # --- training ---------------------------------------------------------------------------------------------------

    def _train_mode(self) -> None:
        model = self._step.model.train()
        split_backbone(model, self.config.architecture, self.config.freeze)[0].eval()
        for module in model.backbone.modules() if self.config.freeze_batchnorm else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def train_epoch(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        """Train through what is left of the current epoch, without validating; ends early if `should_stop`."""
        progress = self.progress
        epoch = progress.epochs_done + 1
        self._train_mode()
        clock = StepClock()
        self._waiting = Waiting(self._batches.epoch(epoch, first=progress.step_in_epoch))
        for images, masks in self._waiting:
            yield from self._take_notes()
            if self.world.any_of(should_stop()):
                return
            loss = self._step.take(images, masks, steps_done=progress.steps_done, learning_rate=self._learning_rate())
            progress.add(loss)
            clock.add(loss, len(images) * self.world.size)
            if clock.is_due() or progress.step_in_epoch == self.steps_per_epoch:
                learning_rate = float(self._step.optimizer.param_groups[0]["lr"])
                yield clock.record(epoch, progress.steps_done, learning_rate)
                clock = StepClock()
        yield from self._take_notes()

    def _take_notes(self) -> Iterator[Warned]:
        """Tell what the step has decided since the last time."""
        notes, self._step.notes = self._step.notes, []
        for note in notes:
            yield Warned(message=note)

    def _learning_rate(self) -> float:
        total_steps = self.config.total_schedule_epochs * self.steps_per_epoch
        factor = learning_rate_factor(self.config.schedule, self.progress.steps_done / total_steps)
        return self.config.learning_rate * factor

    # --- validation -------------------------------------------------------------------------------------------------

    def _validate(self, should_stop: Callable[[], bool]) -> Generator[Record, None, bool]:
        """Fill `results` from every validation photo; returns False if asked to stop before the last."""
        epochs = self.progress.epochs_done + 1
        may_be_last = epochs == self.config.epochs or self.progress.is_impatient(self.config.patience, epochs)
        batch_size = 1 if may_be_last else VALIDATION_BATCH_SIZE
        self.world.align_statistics(self.model)
        predictor, pairs = self.ready_to_judge(are_masks_kept=may_be_last)
        pairs.open_kept()
        self.results, self.number_format = [], predictor.precision
        told_s = time.perf_counter()
        for result in evaluate_together(self.world, predictor, pairs, self.classes, batch_size=batch_size):
            self.results.append(result)
            if self.world.any_of(should_stop()):
                return False
            if time.perf_counter() - told_s >= RECORD_EVERY_S:
                told_s = time.perf_counter()
                yield Validating(epoch=epochs, image=len(self.results), images=len(self.val_samples))
        return True

    def ready_to_judge(self, *, are_masks_kept: bool) -> tuple[Predictor, SquarePairs | FeaturePairs]:
        """Return the model ready to be judged, and on what; where the masks are kept, all as `evaluate` does it."""
        size, geometry, precision = self.config.image_size, self.config.geometry, self.precision
        if self.features_val and not are_masks_kept:
            shape = self.features_val.shape
            _, stages = split_backbone(self.model, self.config.architecture, self.config.freeze)
            rest = nn.Sequential(stages, self.model.get_submodule("classifier"))
            head = HeadPredictor(rest, shape, image_size=size, geometry=geometry, precision=precision)
            return head, self.features_val
        if are_masks_kept:
            precision = mask_precision(self.model, image_size=size, device=self.device, wanted=self.config.precision)
        predictor = Predictor(self.model, image_size=size, geometry=geometry, device=self.device, precision=precision)
        return predictor, self.val_pairs

    def _finish_epoch(self, started_s: float, train_seconds: float, steps: int) -> Epoch:
        """Count the epoch as done and tell how it went."""
        progress = self.progress
        scores = summarize(self.results, self.classes.names)
        train_loss = progress.loss_sum / self.steps_per_epoch
        val_loss = statistics.fmean(result.loss for result in self.results)
        if not math.isfinite(val_loss):
            raise RunError(
                f"The validation loss became {val_loss} in epoch {progress.epochs_done + 1}; {SMALLER_STEPS}."
            )
        is_best = progress.finish_epoch(scores.miou)
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
            peak_memory_bytes=memory.peak_memory_bytes(self.device),
            is_best=is_best,
            data_seconds=self._waiting.seconds,
        )
