"""A program for torchrun, and the function that it runs: ten steps of a loop, their losses as one JSON document.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.programs.ten_losses DIR

BatchNorm stays frozen and dropout off, so that nothing depends on who sees which photo of a batch.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from core.data.dataset import open_dataset
from core.training.distributed import World, joined
from core.training.loop.loop import TrainingLoop
from core.training.settings.config import TrainingConfig
from tests.programs.thin import build_thin

SETTINGS: dict[str, Any] = {
    "architecture": "deeplabv3_efficientnet_lite0", "output_stride": 16, "image_size": 32, "batch_size": 4,
    "precision": "fp32", "optimizer": "sgd", "learning_rate": 0.05, "flip": True, "scale_min": 0.5, "aux_weight": 0.4,
    "class_weighting": "balanced", "clip_norm": 2.0, "ema_decay": 0.9, "epochs": 5, "freeze": "early",
    "backbone_lr_mult": 0.2,
}  # fmt: skip


def ten_losses(root: Path, world: World) -> dict[str, Any]:
    """Return the losses, what the weights and their average sum up to, and the results of a validation before."""
    loop = frozen_loop(root, world)
    list(loop._validate(lambda: False))
    results = [[each.name, each.loss, each.counts_KK.tolist(), each.mask_png.hex()] for each in loop.results]
    take, losses = loop._step.take, []

    def note(*arguments: Any, **named: Any) -> float:
        losses.append(take(*arguments, **named))
        return losses[-1]

    loop._step.take = note  # type: ignore[method-assign]
    while len(losses) < 10:
        list(loop.train_epoch(lambda: len(losses) == 10))
        loop.progress.epochs_done, loop.progress.step_in_epoch = loop.progress.epochs_done + 1, 0
    sums = [float(sum(each.detach().double().abs().sum() for each in model.parameters())) for model in models(loop)]
    return {"losses": losses, "weights": sums, "results": results}


def frozen_loop(root: Path, world: World) -> TrainingLoop:
    """Return a loop that trains its model as it is in evaluation; among others each takes its part in two halves."""
    dataset, cpu = open_dataset(root), torch.device("cpu")
    config = TrainingConfig(**SETTINGS)
    loop = TrainingLoop(config, dataset.split("train"), dataset.split("val"), dataset.classes, cpu, world=world)
    loop._train_mode = lambda: None  # type: ignore[method-assign]
    for model in models(loop):
        model.eval()
    loop._step.parts = 2 if world.size > 1 else 1
    loop.connect()
    return loop


def models(loop: TrainingLoop) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Return the model in training and the average of its weights."""
    return loop._step.model, loop.model


if __name__ == "__main__":
    build_thin()
    with joined(World.from_environment(os.environ)) as world:
        found = ten_losses(Path(sys.argv[1]), world)
        if world.is_rank_0:
            sys.stdout.write(json.dumps(found) + "\n")
