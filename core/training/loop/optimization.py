"""The optimizer, the learning rate schedule, and the moving average of the weights.

The learning rate is a pure function of the progress in the schedule: nothing has to be saved or restored.
"""

import copy
import math
from typing import Any

import torch
from torch import nn
from torchvision.models.segmentation import DeepLabV3

from core.training.settings.config import TrainingConfig

SGD_MOMENTUM = 0.9

POLY_POWER = 0.9
WARM_UP_SHARE = 0.3
FIRST_FACTOR = 1 / 25
LAST_FACTOR = 1e-4


def learning_rate_multipliers(config: TrainingConfig) -> tuple[float, ...]:
    """Return the learning rate factor of each parameter group: the heads', and the backbone's unless it is 1."""
    return (1.0,) if config.backbone_lr_mult == 1 else (1.0, config.backbone_lr_mult)


def build_optimizer(config: TrainingConfig, model: DeepLabV3) -> torch.optim.Optimizer:
    """Return the config's optimizer for a model's trainable weights, in groups as in `learning_rate_multipliers`."""
    parameters: Any = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.backbone_lr_mult != 1:
        backbone = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
        others = {id(parameter) for parameter in backbone}
        heads = [parameter for parameter in parameters if id(parameter) not in others]
        parameters = [{"params": heads}, {"params": backbone}]
    # Fused is the same arithmetic in one pass over the weights: a third of the default's time on a CPU.
    settings: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "fused": True}
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=SGD_MOMENTUM, **settings)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, **settings)
    return torch.optim.Adam(parameters, **settings)


class WeightAverage:
    """A second model: the exponential moving average of the trained model's weights.

    BatchNorm's statistics are averages already, so they are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, steps_done: int) -> None:
        """Move towards the trained model's weights after step `steps_done`, counted from 1.

        The decay is at most (1 + n) / (10 + n), as in TensorFlow's ExponentialMovingAverage: otherwise the average
        would consist of the random initial weights for a long time.
        """
        decay = min(self._decay, (1 + steps_done) / (10 + steps_done))
        for average, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)
        for copied, statistic in zip(self.model.buffers(), model.buffers(), strict=True):
            copied.copy_(statistic)


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Return the factor on the learning rate at `progress` in [0, 1] of the schedule.

    constant; poly, (1 - p)^0.9, as DeepLab is trained (arXiv 1606.00915); cosine, to 0 (arXiv 1608.03983);
    one-cycle, up by a cosine from 1/25 over the first 30 %, then down to 1/10,000 (arXiv 1708.07120).
    """
    progress = min(max(progress, 0.0), 1.0)
    match schedule:
        case "constant":
            return 1.0
        case "poly":
            return float((1 - progress) ** POLY_POWER)
        case "cosine":
            return _ease(1.0, 0.0, progress)
        case "one-cycle" if progress < WARM_UP_SHARE:
            return _ease(FIRST_FACTOR, 1.0, progress / WARM_UP_SHARE)
        case "one-cycle":
            return _ease(1.0, LAST_FACTOR, (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE))
    raise ValueError(f"unknown schedule {schedule!r}")


def _ease(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
