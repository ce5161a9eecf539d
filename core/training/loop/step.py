"""One training step: forward, loss, gradients, update; in parts if a whole batch does not fit into memory."""

import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3

from core.data.seeding import mixed_seed
from core.errors import RunError
from core.model.architectures import CoarseLogits
from core.model.device import autocast, dtype_of, forget_freed_memory
from core.model.fast import dynamo
from core.model.fast.inference import ready_to_predict
from core.training.distributed import ALONE, World, without_sync
from core.training.loop.heap import KeptHeap
from core.training.loop.memory import KEPT_SHARE, is_out_of_memory
from core.training.loop.optimization import WeightAverage, build_optimizer, learning_rate_multipliers
from core.training.loop.replay import Replay
from core.training.loss import pixel_weight, segmentation_loss
from core.training.settings.config import TrainingConfig
from core.training.settings.fitting import LEAST_BATCH_SIZE
from core.wording import count

SMALLER_STEPS = "start a new run with a smaller learning_rate; the last checkpoint is intact"
LESS_MEMORY = "free memory and resume, or start a new run with a smaller image_size"


class TrainingStep:
    """Takes the training steps of a model; once it `connect`s, each process takes them on its part of the batch.

    `stages` are the model's frozen stages and the others (`split_backbone`). On a CPU the frozen ones run as for
    prediction, BatchNorm folded and weights packed: the same but for rounding, in two thirds of the time.

    model     the model in training
    average   the moving average of its weights, or None
    parts     number of parts of a batch; doubled whenever memory runs out
    heap      keeps the memory that a step frees for the next one, where it `is_kept`
    notes     sentences about its decisions; the caller logs and clears them
    """

    def __init__(
        self,
        model: DeepLabV3,
        config: TrainingConfig,
        device: torch.device,
        precision: str,
        class_weights_K: Tensor | None = None,
        stages: tuple[nn.Sequential, nn.Sequential] | None = None,
        world: World = ALONE,
    ) -> None:
        self.model = model
        self.average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        self.parts = 1
        self.heap = KeptHeap()
        self.notes: list[str] = []
        self._world = world
        frozen, others = stages or (nn.Sequential(), None)
        is_ahead = len(frozen) > 0 and device.type == "cpu" and not config.store_features and not config.aux_weight
        self._frozen = frozen if is_ahead else None
        self._ready: nn.Module | None = None  # the frozen stages once prepared
        self._stages = others if is_ahead or config.store_features else None
        self._trained: nn.Module = CoarseLogits(model, self._stages)
        self._config = config
        self._device = device
        self._precision = precision
        self._class_weights_K = None if class_weights_K is None else class_weights_K.to(device)
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(config, model)
        self._multipliers = learning_rate_multipliers(config)
        can_replay = device.type == "cuda" and world.size == 1 and os.environ.get(dynamo.SWITCH) != "0"
        self._replay = Replay(self._add_gradients, model) if can_replay else None

    def state(self) -> dict[str, Any]:
        """Return everything to resume from, except the validated model's weights: those of the average, if any."""
        state: dict[str, Any] = {"optimizer": self.optimizer.state_dict(), "parts": self.parts}
        if self.average:
            state["weights"] = self.model.state_dict()
        if self._class_weights_K is not None:
            state["class_weights"] = self._class_weights_K
        return state

    def load_state(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Resume from `state` and the weights of the validated model; batches keep at least as many parts."""
        self.model.load_state_dict(state.get("weights", weights))
        self._ready = None
        if self.average:
            self.average.model.load_state_dict(weights)
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:  # load_state_dict restored the earlier leg's
            group["weight_decay"] = self._config.weight_decay
        self.parts = max(self.parts, state.get("parts", 1))
        if "class_weights" in state:
            if self._class_weights_K is None:
                self._class_weights_K = torch.empty_like(state["class_weights"], device=self._device)
            self._class_weights_K.copy_(state["class_weights"])  # in place: a CUDA graph reads them where they are

    def connect(self) -> None:
        """Synchronize gradients with the other processes from now on; all processes call this together."""
        self._trained = self._world.parallel(self._trained, self._device)

    def compile(self, backend: str | Callable[..., Any] | None = "inductor") -> None:
        """Compile the model for the steps to come, which the next one does; with None, compile it no longer.

        For one process alone: what `connect` wrapped the model in would be lost.
        Each shape is compiled for itself: trials and training differ in theirs, and code for any shape is slower.
        """
        self._trained = CoarseLogits(self.model, self._stages)
        if self._replay:
            self._replay.forget()
        if backend:
            dynamo.load()
            self._trained.compile(backend=backend, dynamic=False)

    def take(self, images_N3SS: Tensor, masks_NSS: Tensor, *, steps_done: int, learning_rate: float) -> float:
        """Train on a batch of images or stored features, and return its loss; if not finite, raises `RunError`.

        With other processes, the images are this process's part of the batch, and the loss is the whole batch's.
        """
        for group, multiplier in zip(self.optimizer.param_groups, self._multipliers, strict=True):
            group["lr"] = learning_rate * multiplier
        where = f"at step {steps_done + 1} (learning rate {learning_rate:.2g})"
        with self.heap.during_step():
            loss = self._gradients(images_N3SS, masks_NSS, steps_done, where)
        self._clip(where)
        self._update()
        if self.average:
            self.average.update(self.model, steps_done + 1)
        return loss

    def split(self, batch_size: int) -> None:
        """Split batches into twice as many parts from now on; raises `RunError` if the parts cannot be smaller."""
        has_batchnorm = any(isinstance(module, nn.BatchNorm2d) and module.training for module in self.model.modules())
        parts = min(2 * self.parts, batch_size // (LEAST_BATCH_SIZE if has_batchnorm else 1))
        if parts <= self.parts:
            size, px = math.ceil(batch_size / self.parts), self._config.image_size
            raise RunError(f"Even {count(size, 'photo')} of {px} px at once do not fit in memory; {LESS_MEMORY}.")
        self.parts = parts
        size = math.ceil(batch_size / parts)
        words = f"{parts} x {size}" if batch_size % parts == 0 else f"{parts} parts of at most {size}"
        seen = f"; BatchNorm now sees {count(size, 'photo')} at a time" if has_batchnorm else ""
        self.notes.append(
            f"A batch of {batch_size} does not fit in memory: continues with {words} and accumulated gradients{seen}."
        )

    def split_to_fit(self, batch_size: int, photos: int) -> None:
        """Split batches until no part holds more than `photos`; keep the heap where parts hold clearly fewer."""
        while math.ceil(batch_size / self.parts) > photos:
            self.split(batch_size)
        self.heap.is_kept = batch_size / self.parts <= KEPT_SHARE * photos

    def _gradients(self, images_N3SS: Tensor, masks_NSS: Tensor, steps_done: int, where: str) -> float:
        """Compute the batch's gradients, in more parts each time memory runs out, and return its loss."""
        seed = mixed_seed(self._config.seed, 1, steps_done, *([self._world.rank] if self._world.rank else []))
        self.optimizer.zero_grad()
        images_N3SS, masks_NSS = images_N3SS.to(self._device), masks_NSS.to(self._device)
        if self._replay and self._replay.has(images_N3SS):
            torch.manual_seed(seed)
            return self._finite(self._replay.take(images_N3SS, masks_NSS), where)
        statistics = [buffer.clone() for buffer in self.model.buffers()]
        while True:
            # Seeds dropout: the same numbers whether or not the run was interrupted.
            torch.manual_seed(seed)
            began_s = time.perf_counter()
            try:
                loss = self._finite(self._accumulate(images_N3SS, masks_NSS), where)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self._world.size > 1:  # the others are within this step and cannot repeat it
                    raise RunError(
                        f"Memory ran out in process {self._world.rank} of {self._world.size}; {LESS_MEMORY} or "
                        "batch_size."
                    ) from error
            else:
                if self._replay and self.parts == 1:
                    seconds = time.perf_counter() - began_s
                    note = self._replay.consider(images_N3SS, masks_NSS, loss, seconds, seed)
                    self.notes += [note] if note else []
                return loss
            # Not in the except block: there the error's traceback still holds the attempt's tensors.
            self.optimizer.zero_grad()
            forget_freed_memory(self._device)
            self.split(len(images_N3SS))
            for buffer, before in zip(self.model.buffers(), statistics, strict=True):
                buffer.copy_(before)

    def _accumulate(self, images_N3SS: Tensor, masks_NSS: Tensor) -> float:
        total = pixel_weight(masks_NSS, self._class_weights_K, self._world.summed)
        parts = zip(images_N3SS.tensor_split(self.parts), masks_NSS.tensor_split(self.parts), strict=True)
        loss_sum = 0.0
        for number, (images, masks) in enumerate(parts, start=1):
            with nullcontext() if number == self.parts else without_sync(self._trained):
                loss_sum += float(self._add_gradients(images, masks, total))
        return float(self._world.summed(torch.tensor(loss_sum, dtype=torch.float64)))

    def _finite(self, loss: float, where: str) -> float:
        if not math.isfinite(loss):
            raise RunError(f"The loss became {loss} {where}; {SMALLER_STEPS}.")
        return loss

    def _add_gradients(self, images_N3SS: Tensor, masks_NSS: Tensor, total: Tensor | None = None) -> Tensor:
        """Add a part's gradients, and return its share of the loss; `total` as in `segmentation_loss`."""
        # Stored features are bf16; without autocast (fp32) nothing else would convert them.
        inputs = images_N3SS.to(dtype_of(self._precision)) if self._config.store_features else images_N3SS
        if self._frozen is not None:
            inputs = self._features_of(inputs, self._frozen)
        with autocast(self._device, self._precision):
            outputs = self._trained(inputs.contiguous(memory_format=torch.channels_last))
        # Outside autocast, which would upsample the logits in bf16.
        loss = segmentation_loss(outputs, masks_NSS, self._config.aux_weight, self._class_weights_K, total)
        # DDP averages gradients over the processes, but they must add up.
        torch.autograd.backward(loss * self._world.size)
        return loss.detach()

    @torch.no_grad()
    def _features_of(self, images_N3SS: Tensor, frozen: nn.Sequential) -> Tensor:
        images_N3SS = images_N3SS.to(dtype_of(self._precision)).contiguous(memory_format=torch.channels_last)
        if self._ready is None:
            self._ready = ready_to_predict(frozen, tuple(images_N3SS.shape), precision=self._precision)
        features_NChw: Tensor = self._ready(images_N3SS)
        return features_NChw

    def _clip(self, where: str) -> None:
        """Scale the gradients of all weights together down to `clip_norm` (Pascanu et al. 2013, arXiv 1211.5063)."""
        if not self._config.clip_norm:
            return
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._config.clip_norm))
        if not math.isfinite(norm):
            raise RunError(f"The gradients became {norm} {where}; {SMALLER_STEPS}.")

    def _update(self) -> None:
        try:
            self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunError(f"The optimizer's state does not fit in memory; {LESS_MEMORY}.") from error
