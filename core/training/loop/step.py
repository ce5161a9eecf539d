"""One step of training: forward, loss, gradients, update; whole, or in parts where a whole batch does not fit."""

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3

from core.data.loading.loader import mixed_seed
from core.errors import RunError
from core.model.architectures import CoarseLogits
from core.model.device import autocast, dtype_of
from core.training.distributed import ALONE, World, keeping_apart
from core.training.loop.memory import is_out_of_memory
from core.training.loop.optimization import WeightAverage, build_optimizer, learning_rate_multipliers
from core.training.loss import pixel_weight, segmentation_loss
from core.training.settings.config import LEAST_BATCH_SIZE, TrainingConfig
from core.wording import count

SMALLER_STEPS = "start a new run with a smaller learning_rate; the last checkpoint is intact"
LESS_MEMORY = "free memory and resume, or start a new run with a smaller image_size"


class TrainingStep:
    """Takes the steps that train a model; with other processes, once it `connect`s, each on its part of the batch.

    model     the model in training
    average   the moving average of its weights, or None
    parts     into how many parts a batch is split; doubled whenever memory runs out
    notes     what was decided on the way, in words; whoever tells it takes it off
    """

    def __init__(
        self,
        model: DeepLabV3,
        config: TrainingConfig,
        device: torch.device,
        precision: str,
        class_weights_K: Tensor | None = None,
        stages: nn.Sequential | None = None,
        world: World = ALONE,
    ) -> None:
        self.model = model
        self.average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        self.parts = 1
        self.notes: list[str] = []
        self._world = world
        self._trained: nn.Module = CoarseLogits(model, stages if config.store_features else None)
        self._config = config
        self._device = device
        self._precision = precision
        self._class_weights_K = None if class_weights_K is None else class_weights_K.to(device)
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(config, model)
        self._multipliers = learning_rate_multipliers(config)

    def state(self) -> dict[str, Any]:
        """Return what, beside the judged model's weights, is needed to go on; with an average, that is both models."""
        state: dict[str, Any] = {"optimizer": self.optimizer.state_dict(), "parts": self.parts}
        if self.average:
            state["weights"] = self.model.state_dict()
        if self._class_weights_K is not None:
            state["class_weights"] = self._class_weights_K
        return state

    def load_state(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from `state` and the weights of the model that was judged: the average where there is one.

        What already had to be split stays so.
        """
        self.model.load_state_dict(state.get("weights", weights))
        if self.average:
            self.average.model.load_state_dict(weights)
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:  # which brought the earlier leg's
            group["weight_decay"] = self._config.weight_decay
        self.parts = max(self.parts, state.get("parts", 1))
        if "class_weights" in state:
            self._class_weights_K = state["class_weights"].to(self._device)

    def connect(self) -> None:
        """Begin to add up gradients with the other processes, all of which do the same now."""
        self._trained = self._world.parallel(self._trained, self._device)

    def take(self, images_N3SS: Tensor, masks_NSS: Tensor, *, steps_done: int, learning_rate: float) -> float:
        """Train on a batch of photos, or of stored features, and return its loss; if not finite, `RunError`.

        With other processes the photos are this one's part of the batch, and the loss is that of all of it.
        """
        for group, multiplier in zip(self.optimizer.param_groups, self._multipliers, strict=True):
            group["lr"] = learning_rate * multiplier
        where = f"at step {steps_done + 1} (learning rate {learning_rate:.2g})"
        loss = self._gradients(images_N3SS, masks_NSS, steps_done, where)
        self._clip(where)
        self._update()
        if self.average:
            self.average.update(self.model, steps_done + 1)
        return loss

    def split(self, batch_size: int) -> None:
        """Split batches into twice as many parts from now on; raises `RunError` where they are as small as can be."""
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
            f"A batch of {batch_size} does not fit in memory: goes on with {words} and accumulated gradients{seen}."
        )

    def split_to_fit(self, batch_size: int, photos: int) -> None:
        """Split batches as `split` does, until no part holds more than so many photos."""
        while math.ceil(batch_size / self.parts) > photos:
            self.split(batch_size)

    # --- within a step ----------------------------------------------------------------------------------------------

    def _gradients(self, images_N3SS: Tensor, masks_NSS: Tensor, steps_done: int, where: str) -> float:
        """Compute the batch's gradients, in more parts whenever memory runs out, and return its loss."""
        statistics = [buffer.clone() for buffer in self.model.buffers()]
        seed = mixed_seed(self._config.seed, 1, steps_done, *([self._world.rank] if self._world.rank else []))
        while True:
            # Dropout draws from here, the same numbers whether or not the run was interrupted before.
            torch.manual_seed(seed)
            try:
                return self._accumulate(images_N3SS, masks_NSS, where)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self._world.size > 1:  # the others are in the middle of this step and cannot begin it again
                    raise RunError(
                        f"Memory ran out in process {self._world.rank} of {self._world.size}; {LESS_MEMORY} or "
                        "batch_size."
                    ) from error
            # Not above: there the error still holds the tensors of the attempt, through the frames it came from.
            self.optimizer.zero_grad()
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            self.split(len(images_N3SS))
            for buffer, before in zip(self.model.buffers(), statistics, strict=True):
                buffer.copy_(before)

    def _accumulate(self, images_N3SS: Tensor, masks_NSS: Tensor, where: str) -> float:
        self.optimizer.zero_grad()
        masks_NSS = masks_NSS.to(self._device)
        total = pixel_weight(masks_NSS, self._class_weights_K, self._world.summed)
        parts = zip(images_N3SS.tensor_split(self.parts), masks_NSS.tensor_split(self.parts), strict=True)
        loss_sum = 0.0
        for number, (images, masks) in enumerate(parts, start=1):
            with nullcontext() if number == self.parts else keeping_apart(self._trained):
                loss_sum += self._add_gradients(images, masks, total)
        loss_sum = float(self._world.summed(torch.tensor(loss_sum, dtype=torch.float64)))
        if not math.isfinite(loss_sum):
            raise RunError(f"The loss became {loss_sum} {where}; {SMALLER_STEPS}.")
        return loss_sum

    def _add_gradients(self, images_N3SS: Tensor, masks_NSS: Tensor, total: Tensor) -> float:
        """Add a part's gradients to those that are there, and return its share of the loss."""
        # Stored features come in bf16, which autocast would leave as it is where all else is fp32.
        inputs = images_N3SS.to(self._device, dtype_of(self._precision) if self._config.store_features else None)
        with autocast(self._device, self._precision):
            outputs = self._trained(inputs.contiguous(memory_format=torch.channels_last))
        # Outside autocast: it would enlarge the logits in bf16.
        loss = segmentation_loss(outputs, masks_NSS, self._config.aux_weight, self._class_weights_K, total)
        # Processes average their gradients, which are to add up.
        torch.autograd.backward(loss * self._world.size)
        return float(loss.detach())

    def _clip(self, where: str) -> None:
        """Shorten the gradients of all weights together to `clip_norm` (Pascanu et al. 2013, arXiv 1211.5063)."""
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
            raise RunError(f"There is no memory for the optimizer's own numbers; {LESS_MEMORY}.") from error
