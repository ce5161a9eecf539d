"""The batches of a training: their automatic size, and this process's part of each."""

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
"""The share of a GPU's free memory that the photos may take."""


def residence(config: TrainingConfig, pairs: SquarePairs, device: torch.device) -> torch.device | None:
    """Return the GPU if all photos fit on it and num_workers is 0; else None."""
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
    """Return this process's part of the batches, loaded to `device`; photos stay on `resident_on` (see `residence`)."""
    transform = TrainingTransform(
        config.image_size, flip=config.flip, scale_min=config.scale_min, scale_max=config.scale_max
    )
    part = (world.rank, world.size)
    if isinstance(source, FeaturePairs):  # memory-mapped: loader processes would have no work
        features = TrainingFeatures(source, transform, config.seed)
        return TrainingBatches(features, batch_size, 0, config.seed, part, device)
    pairs = TrainingPairs(source, transform, config.seed, resident_on)
    return TrainingBatches(pairs, batch_size, config.num_workers, config.seed, part, device)


def memory_share(device: torch.device, world: World) -> int:
    """Return the free bytes for this process; processes on a machine share its CPU memory."""
    available = memory.available_bytes(device)
    return available if device.type == "cuda" else available // world.local_size


def fitting_batch_size(
    photo: int, model: nn.Module, num_samples: int, device: torch.device, world: World
) -> tuple[int, str]:
    """Return the batch size that fits into memory, and a sentence about it.

    Args:
        photo: bytes of a photo in training (`memory.photo_bytes`).
        model: the model in training.
        num_samples: number of training photos.
        device: the device of the model.
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
