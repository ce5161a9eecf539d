"""The training loop: a generator of records that writes no file; `trainer` writes its records.

Every random number comes from the seed and the position in training (epoch, step, photo), so an interrupted and resumed
run computes the same numbers as an uninterrupted one.
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
from core.data.loading import array_cache
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.loader import Waiting
from core.data.seeding import fraction_of, mixed_seed
from core.errors import RunError
from core.home import home
from core.metrics.image_scores import ImageResult, summarize
from core.model.architectures import build_model, split_backbone
from core.model.device import choose_precision
from core.model.predict.predictor import Predictor, mask_precision
from core.model.weights.initial import start_from
from core.training.distributed import ALONE, Order, World
from core.training.evaluation import evaluate
from core.training.features import Backbone, FeaturePairs, HeadPredictor, training_batches
from core.training.loop import memory
from core.training.loop.optimization import learning_rate_factor
from core.training.loop.progress import RECORD_EVERY_S, RunProgress, StepClock
from core.training.loop.step import SMALLER_STEPS, TrainingStep
from core.training.loss import balanced_weights
from core.training.run.records import Epoch, Record, Validating, Warned
from core.training.settings.config import TrainingConfig
from core.training.settings.fitting import LEAST_BATCH_SIZE
from core.wording import count

VALIDATION_BATCH_SIZE = 8
"""Batch size for validation between epochs. The last epoch uses 1, like `evaluate`."""


class TrainingLoop:
    """A model in training: create it, optionally `load_state`, then iterate over `epochs`.

    `model` is validated and saved: the model in training, or with `ema_decay` the average of its weights. `init` names
    its initial weights, empty if resumed, where `load_state` loads them. `results` holds the last validation by image,
    of pixels alone unless it may be the run's last, `number_format` its precision. With other processes, `connect`
    first; records and `results` cover all processes.
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
        self.progress = RunProgress()
        self.train_samples = fraction_of(train, config.train_fraction, config.seed)
        self.val_samples = val
        self.train_pairs, self.val_pairs = (
            SquarePairs(some, len(classes), config.image_size, config.geometry) for some in (self.train_samples, val)
        )
        self.features = self.features_val = None
        if config.store_features:
            self.features = FeaturePairs(self.train_pairs, lambda: self.backbone, config)
            self.features_val = FeaturePairs(self.val_pairs, lambda: self.backbone)
        self.results: list[ImageResult] = []
        self.number_format = self.precision
        torch.manual_seed(mixed_seed(config.seed))
        has_aux_head = config.aux_weight > 0
        model = build_model(
            config.architecture, len(classes), output_stride=config.output_stride, has_aux_head=has_aux_head
        )
        self.init = ""
        self.notes: list[str] = []
        if not is_resumed:
            self.init, self.notes = start_from(model, config.architecture, config.init, classes.names)
        model = world.with_shared_batchnorm(model, device).to(device, memory_format=torch.channels_last)
        stages = split_backbone(model, config.architecture, config.freeze)
        stages[0].requires_grad_(requires_grad=False)
        is_balanced = config.class_weighting == "balanced" and not is_resumed
        weights_K = balanced_weights(self.train_samples, len(classes)) if is_balanced else None
        self._step = TrainingStep(model, config, device, self.precision, weights_K, stages, world)
        self.model = self._step.average.model if self._step.average else model
        self._photos_reside_on = memory.residence(config, self.train_pairs, device)
        self._set_batch_size(config.batch_size or self._fitting_batch_size(is_resumed=is_resumed))
        self.notes += world.notes(self.batch_size, device)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        return len(self._batches)

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or patience has run out."""
        return self.progress.is_over(self.config)

    @property
    def end_reason(self) -> str:
        """Why training is over, in words."""
        return self.progress.end_reason(self.config)

    def state(self) -> dict[str, Any]:
        """Return everything to resume from, except the weights of `model`: optimizer, progress, batch size, parts."""
        return {"progress": vars(self.progress), "batch_size": self.batch_size} | self._step.state()

    def load_state(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Resume from the weights of `model` and the state of an earlier leg, of an older version too.

        A run that patience had ended gets its full patience again.
        """
        self._step.load_state(weights, state)
        self.progress = RunProgress(**state["progress"])
        if self.progress.is_impatient(self.config.patience, self.progress.epochs_done):
            self.progress.patience_since = self.progress.epochs_done
        self._set_batch_size(self.config.batch_size or state.get("batch_size", LEAST_BATCH_SIZE))

    def connect(self) -> None:
        """Train together with the loops of the other processes from now on; all processes call this together."""
        self._step.connect()

    def compile_step(self, backend: str | None = "inductor") -> None:
        """Compile the training step, with None no longer; the first one to come takes long."""
        self._step.compile(backend)

    def epochs(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        """Train up to the config's epochs and validate after each; `should_stop` ends it within a step.

        A loss that is not finite raises `RunError`; a photo or mask that cannot be read raises `DataError`.
        """
        self.world.order(Order.TRAIN)
        with self._step.heap:
            while not self.is_over:
                started_s, first_step = time.perf_counter(), self.progress.step_in_epoch
                yield from self.train_epoch(should_stop)
                if self.progress.step_in_epoch < self.steps_per_epoch:
                    return
                train_seconds = time.perf_counter() - started_s
                if not (yield from self._validate(should_stop)):
                    return
                yield self._finish_epoch(started_s, train_seconds, self.steps_per_epoch - first_step)

    @cached_property
    def backbone(self) -> Backbone:
        """The frozen backbone, ready to compute features."""
        frozen, _ = split_backbone(self._step.model, self.config.architecture, self.config.freeze)
        return Backbone(frozen, self.config.image_size, self.precision)

    def compute_features(self) -> Iterator[tuple[int, int]]:
        """Compute and store the features, yielding (photos done, all photos); raises `RunError` if the disk is full."""
        stores = [store for store in (self.features, self.features_val) if store and not store.open_cached()]
        total, nbytes = sum(map(len, stores)), sum(store.nbytes for store in stores)
        if stores and array_cache.make_room(FeaturePairs.folder(), nbytes):
            stored = self._step.heap.keeping(chain.from_iterable(store.cache() for store in stores))
            with self._step.heap:
                for done, _ in enumerate(stored, start=1):
                    yield done, total
        if not all(store.open_cached() for store in stores):
            raise RunError(
                f"The features of {count(total, 'photo')} take {nbytes / 1e9:.1f} GB, for which {home() / 'cache'} has "
                "no room; make room, or start a new run with a smaller image_size or store_features=false."
            )

    def _fitting_batch_size(self, *, is_resumed: bool) -> int:
        """Return a batch size that fits into memory, and note it; a resumed loop loads its own later."""
        if is_resumed:
            return LEAST_BATCH_SIZE * self.world.size
        photo, num_samples = self._photo_bytes(), len(self.train_samples)
        size, note = memory.automatic_batch_size(photo, self._step.model, num_samples, self.device, self.world)
        self.notes.append(note)
        return size

    def _photo_bytes(self) -> int:
        return memory.photo_bytes(self.config, len(self.classes), self.precision)

    def _set_batch_size(self, batch_size: int) -> None:
        """Build the batches, and on a CPU split those that exceed the free memory."""
        self.batch_size = min(batch_size, len(self.train_samples))
        own = self.world.share_of(self.batch_size)
        source = self.features or self.train_pairs
        self._batches = training_batches(
            self.config, source, batch_size, self.world, self.device, self._photos_reside_on
        )
        self._step.parts = min(self._step.parts, max(1, own // LEAST_BATCH_SIZE))
        if self.device.type == "cpu":
            # Linux grants more memory than it has, and kills the process that uses it.
            share = memory.memory_share(self.device, self.world)
            self._step.heap.is_kept = memory.surely_fits(self.config, own, memory.KEPT_SHARE * share)
            if not self._step.heap.is_kept:
                self._step.split_to_fit(own, share // self._photo_bytes())

    def _train_mode(self) -> None:
        model = self._step.model.train()
        split_backbone(model, self.config.architecture, self.config.freeze)[0].eval()
        for module in model.backbone.modules() if self.config.freeze_batchnorm else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def train_epoch(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        """Train through the rest of the current epoch, without validation; `should_stop` ends it early."""
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
        """Yield the step's new notes, and clear them."""
        notes, self._step.notes = self._step.notes, []
        for note in notes:
            yield Warned(message=note)

    def _learning_rate(self) -> float:
        total_steps = self.config.total_schedule_epochs * self.steps_per_epoch
        factor = learning_rate_factor(self.config.schedule, self.progress.steps_done / total_steps)
        return self.config.learning_rate * factor

    def _validate(self, should_stop: Callable[[], bool]) -> Generator[Record, None, bool]:
        """Fill `results` from every validation photo; returns False if stopped before the last."""
        epochs = self.progress.epochs_done + 1
        may_be_last = epochs == self.config.epochs or self.progress.is_impatient(self.config.patience, epochs)
        batch_size = 1 if may_be_last else VALIDATION_BATCH_SIZE
        self.world.align_statistics(self.model)
        predictor, pairs = self.validation_predictor(is_last=may_be_last)
        pairs.open_cached()
        self.results, self.number_format = [], predictor.precision
        recorded_s = time.perf_counter()
        how: dict[str, Any] = {"batch_size": batch_size, "world": self.world, "is_whole": may_be_last}
        for result in self._step.heap.keeping(evaluate(predictor, pairs, self.classes, **how)):
            self.results.append(result)
            if self.world.any_of(should_stop()):
                return False
            if time.perf_counter() - recorded_s >= RECORD_EVERY_S:
                recorded_s = time.perf_counter()
                yield Validating(epoch=epochs, image=len(self.results), images=len(self.val_samples))
        return True

    def validation_predictor(self, *, is_last: bool) -> tuple[Predictor, SquarePairs | FeaturePairs]:
        """Return the predictor and the validation pairs; if `is_last`, both are as in `evaluate`."""
        size, geometry, precision = self.config.image_size, self.config.geometry, self.precision
        if self.features_val and not is_last:
            shape = self.features_val.shape
            _, stages = split_backbone(self.model, self.config.architecture, self.config.freeze)
            rest = nn.Sequential(stages, self.model.get_submodule("classifier"))
            head = HeadPredictor(rest, shape, image_size=size, geometry=geometry, precision=precision)
            return head, self.features_val
        if is_last:
            precision = mask_precision(self.model, image_size=size, device=self.device, wanted=self.config.precision)
        predictor = Predictor(self.model, image_size=size, geometry=geometry, device=self.device, precision=precision)
        return predictor, self.val_pairs

    def _finish_epoch(self, started_s: float, train_seconds: float, steps: int) -> Epoch:
        """Count the epoch as done, and return its record."""
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
