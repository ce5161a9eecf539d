"""Loops on drawn photos and a real model, and what they report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.classes import VOC_CLASSES
from core.data.dataset import open_dataset
from core.training.loop.loop import TrainingLoop
from core.training.run.records import Epoch, Record
from core.training.settings.config import TrainingConfig

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32, "batch_size": 2,
    "precision": "fp32", "epochs": 1, "learning_rate": 1e-3,
}  # fmt: skip


def loop_on(root: Path, **settings: Any) -> TrainingLoop:
    dataset = open_dataset(root)
    return TrainingLoop(
        TrainingConfig(**SMALL | settings), dataset.split("train"), dataset.split("val"), VOC_CLASSES, CPU
    )


def never() -> bool:
    return False


def epochs_of(records: Sequence[Record]) -> list[Epoch]:
    return [record for record in records if isinstance(record, Epoch)]


def is_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], value) for key, value in second.items())


def contents(records: Sequence[Record]) -> list[tuple[Any, ...]]:
    return [(each.step, each.train_loss, each.val_loss, each.miou, each.iou) for each in epochs_of(records)]
