"""The batches of a training: how large they are where nobody says so, and which part of each is this process's."""

import torch
from torch import nn

from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.loader import TrainingBatches, TrainingPairs
from core.data.loading.transforms import TrainingTransform
from core.training.distributed import World
from core.training.features import FeaturePairs, TrainingFeatures
from core.training.loop import memory
from core.training.settings.config import TrainingConfig

RESIDENT_SHARE = 0.05
"""How much of a GPU's free memory the photos may take that are copied there."""


def residence(config: TrainingConfig, pairs: SquarePairs, device: torch.device) -> torch.device | None:
    """Return where the photos are to reside: on a GPU if they are few for it and nobody wants loader processes."""
    if device.type != "cuda" or config.num_workers:
        return None
    return device if pairs.nbytes <= RESIDENT_SHARE * memory.available_bytes(device) else None


def training_batches(
    config: TrainingConfig,
    source: SquarePairs | FeaturePairs,
    batch_size: int,
    world: World,
    device: torch.device,
    resident_on: torch.device | None,
) -> TrainingBatches:
    """Return this process's part of the batches of so many photos, which can be shared, on a device.

    Photos that are to reside on it (`residence`) are copied there once.
    """
    transform = TrainingTransform(
        config.image_size, flip=config.flip, scale_min=config.scale_min, scale_max=config.scale_max
    )
    part = (world.rank, world.size)
    if isinstance(source, FeaturePairs):  # mapped into memory: there is nothing for loader processes to do
        features = TrainingFeatures(source, transform, config.seed)
        return TrainingBatches(features, batch_size, 0, config.seed, part, device)
    pairs = TrainingPairs(source, transform, config.seed, resident_on)
    return TrainingBatches(pairs, batch_size, config.num_workers, config.seed, part, device)


def memory_share(device: torch.device, world: World) -> int:
    """Return the bytes that this process can still have, where it shares the machine's memory with others."""
    available = memory.available_bytes(device)
    return available if device.type == "cuda" else available // world.local_size


def fitting_batch_size(
    photo: int, model: nn.Module, num_samples: int, device: torch.device, world: World
) -> tuple[int, str]:
    """Choose a batch size by the memory there is, and tell why in words.

    Args:
        photo: the bytes that a photo takes in training (`memory.photo_bytes`).
        model: the model in training.
        num_samples: the photos there are.
        device: where the model is trained.
        world: the processes that share each batch.
    """
    weights = sum(parameter.nbytes for parameter in model.parameters())
    available = memory_share(device, world)
    most = num_samples // world.size * world.size
    size = min(memory.fitting_batch_size(photo, weights, available) * world.size, most)
    each = f" for each of {world.size} processes" if world.size > 1 else ""
    return size, (
        f"A batch size of {size} was chosen: a photo takes about {photo / 1e6:.3g} MB in training, and "
        f"{available / 1e9:.3g} GB of memory are free{each}"
    )
