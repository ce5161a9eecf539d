"""The memory of a training step, the free memory, the batch size that fits, and out-of-memory errors.

The tensors that a step saves for its backward pass are counted on PyTorch's meta device, whose tensors have shapes but
no contents: exact, and free. By the measured peaks of real steps (ResNet-50 and MobileNetV3, 128 to 192 px, fp32 and
bf16), a step needs another tenth of that, and one to two times the weights.
"""

import functools
import sys

import psutil
import torch
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3

from core.data.loading.decoded_pairs import SquarePairs
from core.free_memory import free_bytes
from core.model.architectures import CoarseLogits, build_model, split_backbone, without_weights
from core.model.device import dtype_of
from core.training.distributed import World
from core.training.loss import segmentation_loss
from core.training.settings.config import TrainingConfig
from core.training.settings.fitting import LEAST_BATCH_SIZE

if sys.platform != "win32":
    import resource

SAFE_SHARE = 0.6
"""Share of the free memory that an automatic batch size may fill: the rest is for other programs and validation."""

KEPT_SHARE = SAFE_SHARE
"""Share of the free memory up to which what a step frees is kept for the next one (`heap`)."""

MAX_AUTOMATIC_BATCH_SIZE = 64
RESIDENT_SHARE = 0.05
"""The share of a GPU's free memory that the photos may take."""
WEIGHT_COPIES = 4
"""Besides the weights: at most their gradients, two moments (Adam) and copies in bf16."""

MOST_BYTES_PER_PIXEL = 8_000
"""More than a step saves for each pixel of a photo, in any architecture, with 255 classes and the auxiliary head."""

MATTER_TO_MEMORY = ("architecture", "output_stride", "image_size", "aux_weight", "freeze", "freeze_batchnorm")

OUT_OF_MEMORY_TEXTS = ("DefaultCPUAllocator", "bad_alloc", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; on a CPU, PyTorch raises a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)


def available_bytes(device: torch.device) -> int:
    """Return the free bytes of the GPU, else of the machine or of its container, whichever has less."""
    if device.type in ("cuda", "xpu"):
        of_kind = getattr(torch, device.type)
        cached = of_kind.memory_reserved(device) - of_kind.memory_allocated(device)
        return int(of_kind.mem_get_info(device)[0]) + int(cached)
    if device.type == "mps":  # it shares the machine's memory
        return min(free_bytes(), torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return free_bytes()


def surely_fits(config: TrainingConfig, batch_size: int, available: float) -> bool:
    """Return whether a batch fits, whatever the architecture; else it has to be counted, which takes 0.6 s."""
    return batch_size * config.image_size**2 * MOST_BYTES_PER_PIXEL <= available


def photo_bytes(config: TrainingConfig, num_classes: int, precision: str) -> int:
    """Return the bytes that a step saves for its backward pass, for each photo of the batch."""
    # Settings that do not matter have their default: more calls hit the cache.
    matter = {name: getattr(config, name) for name in MATTER_TO_MEMORY}
    return _photo_bytes(TrainingConfig(**matter), num_classes, precision)


@functools.lru_cache(maxsize=32)
def _photo_bytes(config: TrainingConfig, num_classes: int, precision: str) -> int:
    dtype, image_size = dtype_of(precision), config.image_size
    with without_weights():
        model = build_model(
            config.architecture,
            num_classes,
            output_stride=config.output_stride,
            has_aux_head=config.aux_weight > 0,
        ).to(dtype)
    model.train()
    frozen, _ = split_backbone(model, config.architecture, config.freeze)
    frozen.eval().requires_grad_(requires_grad=False)
    if config.freeze_batchnorm:
        model.backbone.eval()
    two, four = (
        _saved_bytes(
            model,
            torch.empty((count, 3, image_size, image_size), dtype=dtype, device="meta"),
            torch.zeros((count, image_size, image_size), dtype=torch.int64, device="meta"),
            config.aux_weight,
        )
        for count in (2, 4)
    )
    return (four - two) // 2


def _saved_bytes(model: DeepLabV3, images_N3SS: Tensor, masks_NSS: Tensor, aux_weight: float) -> int:
    """Return the bytes that a forward pass saves for the backward pass; each storage counts once."""
    saved: dict[int, torch.UntypedStorage] = {}

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        segmentation_loss(CoarseLogits(model)(images_N3SS), masks_NSS, aux_weight)
    return sum(storage.nbytes() for storage in saved.values())


def fitting_batch_size(photo: int, weights: int, available: int) -> int:
    """Return the largest batch size, a power of two from 2 to 64, whose step fits into memory.

    All are in bytes: a photo in training (`photo_bytes`), the model's weights, and the free memory (`available_bytes`).
    """
    room = SAFE_SHARE * available - WEIGHT_COPIES * weights
    size = MAX_AUTOMATIC_BATCH_SIZE
    while size > LEAST_BATCH_SIZE and size * photo > room:
        size //= 2
    return size


def automatic_batch_size(
    photo: int, model: nn.Module, num_samples: int, device: torch.device, world: World
) -> tuple[int, str]:
    """Return the batch size that fits into memory, and a sentence about it; `photo` is in bytes (`photo_bytes`)."""
    weights = sum(parameter.nbytes for parameter in model.parameters())
    available = memory_share(device, world)
    most = num_samples // world.size * world.size
    size = min(fitting_batch_size(photo, weights, available) * world.size, most)
    each = f" for each of {world.size} processes" if world.size > 1 else ""
    return size, (
        f"A batch size of {size} was chosen: a photo takes about {photo / 1e6:.3g} MB in training, and "
        f"{available / 1e9:.3g} GB of memory are free{each}"
    )


def memory_share(device: torch.device, world: World) -> int:
    """Return the free bytes for this process; processes on a machine share its CPU memory."""
    available = available_bytes(device)
    return available if device.type == "cuda" else available // world.local_size


def residence(config: TrainingConfig, pairs: SquarePairs, device: torch.device) -> torch.device | None:
    """Return the GPU if all photos fit on it and num_workers is 0; else None."""
    if device.type != "cuda" or config.num_workers:
        return None
    return device if pairs.nbytes <= RESIDENT_SHARE * available_bytes(device) else None


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak memory in bytes: of the GPU if the training runs there, else of this process."""
    if device.type in ("cuda", "xpu"):
        return int(getattr(torch, device.type).max_memory_allocated(device))
    if device.type == "mps":  # which keeps no peak, but gives little back
        return torch.mps.driver_allocated_memory()
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
