"""What moves the weights, and the average of where they have been."""

import copy
from typing import Any

import torch
from torch import nn
from torchvision.models.segmentation import DeepLabV3

from core.training.config import TrainingConfig

SGD_MOMENTUM = 0.9


def learning_rate_multipliers(config: TrainingConfig) -> tuple[float, ...]:
    """Return by what each of the optimizer's groups multiplies the learning rate: the heads', the backbone's if set."""
    return (1.0,) if config.backbone_lr_mult == 1 else (1.0, config.backbone_lr_mult)


def build_optimizer(config: TrainingConfig, model: DeepLabV3) -> torch.optim.Optimizer:
    """Return the optimizer that a config asks for, of a model's weights that are trained, in groups as above."""
    parameters: Any = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.backbone_lr_mult != 1:
        backbone = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
        others = {id(parameter) for parameter in backbone}
        heads = [parameter for parameter in parameters if id(parameter) not in others]
        parameters = [{"params": heads}, {"params": backbone}]
    # Fused: the same arithmetic in one pass over the weights, a third of the time of the default on a CPU.
    settings: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "fused": True}
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=SGD_MOMENTUM, **settings)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, **settings)
    return torch.optim.Adam(parameters, **settings)


class WeightAverage:
    """A second model whose weights are the exponential moving average of a first one's in training.

    BatchNorm's statistics, which are averages already, are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, steps_done: int) -> None:
        """Move towards the first model's weights after a step of it, which `steps_done` counts from 1.

        The first steps count more, or the average would be of random weights for a long time: the decay is at most
        (1 + n) / (10 + n), as in TensorFlow's ExponentialMovingAverage.
        """
        decay = min(self._decay, (1 + steps_done) / (10 + steps_done))
        for average, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)
        for copied, statistic in zip(self.model.buffers(), model.buffers(), strict=True):
            copied.copy_(statistic)
