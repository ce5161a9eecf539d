"""How much memory a step takes, how much there is, and whether an error says that there was too little.

What a step keeps for its backward pass is counted on PyTorch's meta device, where tensors have shapes and no contents:
exact, and without a byte of it. Measured against the peak of real steps (ResNet-50 and MobileNetV3, 128 to 192 px,
fp32 and bf16), the rest of a step is a tenth of that, and one to two times the weights.
"""

import functools
import sys
from pathlib import Path

import psutil
import torch
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from core.free_memory import CGROUP, free_bytes
from core.model.architectures import CoarseLogits, build_model, split_backbone
from core.training.loss import segmentation_loss
from core.training.settings.config import LEAST_BATCH_SIZE, TrainingConfig

if sys.platform != "win32":
    import resource

SAFE_SHARE = 0.6
"""Share of the available memory that a chosen batch size may fill: the rest is for other programs and validation."""

MAX_AUTOMATIC_BATCH_SIZE = 64
WEIGHT_COPIES = 4
"""Beside the weights there are at most their gradients, two moments (Adam) and copies in bf16."""

OUT_OF_MEMORY_TEXTS = ("DefaultCPUAllocator", "bad_alloc", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out; on a CPU, PyTorch says so in a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)


def available_bytes(device: torch.device, cgroup: Path = CGROUP) -> int:
    """Return the bytes that can still be had: of the GPU, else of the machine or, if that is less, its container."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    return free_bytes(cgroup)


def photo_bytes(config: TrainingConfig, num_classes: int, precision: str) -> int:
    """Return the bytes a step keeps for each photo of its batch until the backward pass."""
    return _photo_bytes(
        config.architecture,
        num_classes,
        config.output_stride,
        config.image_size,
        config.aux_weight,
        precision,
        config.freeze,
        is_batchnorm_frozen=config.freeze_batchnorm,
    )


@functools.lru_cache(maxsize=32)
def _photo_bytes(
    architecture: str,
    num_classes: int,
    output_stride: int,
    image_size: int,
    aux_weight: float,
    precision: str,
    freeze: str,
    *,
    is_batchnorm_frozen: bool,
) -> int:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with torch.device("meta"):
        model = build_model(
            architecture, num_classes, output_stride=output_stride, has_aux_head=aux_weight > 0
        ).to(dtype)  # fmt: skip
    model.train()
    frozen, _ = split_backbone(model, architecture, freeze)
    frozen.eval().requires_grad_(requires_grad=False)
    if is_batchnorm_frozen:
        model.backbone.eval()
    two, four = (
        _kept_bytes(
            model,
            torch.empty((count, 3, image_size, image_size), dtype=dtype, device="meta"),
            torch.zeros((count, image_size, image_size), dtype=torch.int64, device="meta"),
            aux_weight,
        )
        for count in (2, 4)
    )
    return (four - two) // 2


def _kept_bytes(model: DeepLabV3, images_N3SS: Tensor, masks_NSS: Tensor, aux_weight: float) -> int:
    """Sum up what a forward pass keeps for the backward pass; a tensor kept more than once is counted once."""
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        segmentation_loss(CoarseLogits(model)(images_N3SS), masks_NSS, aux_weight)
    return sum(storage.nbytes() for storage in kept.values())


def fitting_batch_size(photo: int, weights: int, available: int) -> int:
    """Return the largest power of two, from 2 to 64, of photos whose step fits; all arguments are bytes.

    Args:
        photo: what `photo_bytes` returns.
        weights: the size of the model's weights.
        available: what `available_bytes` returns; `SAFE_SHARE` of it is filled.
    """
    room = SAFE_SHARE * available - WEIGHT_COPIES * weights
    size = MAX_AUTOMATIC_BATCH_SIZE
    while size > LEAST_BATCH_SIZE and size * photo > room:
        size //= 2
    return size


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory used so far: of the GPU where there is one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
