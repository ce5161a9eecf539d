"""From a photo to its mask, at the photo's own size: the one way validation, `segment` and the page all go.

What a photo is batched with changes how convolutions round, in the sixth digit, and so now and then a pixel. Where a
mask is kept or shown, photos therefore go through the model one at a time; only the validation between epochs batches.
For the same reason all of them take the number format that `mask_precision` chooses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from core.data.transforms import normalize, squash_photo
from core.model.checkpoint import OpenedCheckpoint, open_checkpoint
from core.model.device import choose_device, choose_precision, dtype_of
from core.model.inference import ready_to_predict

SAME_MASK = 0.995
"""Share of the pixels that must keep their class for bf16 to be taken."""


@dataclass(frozen=True)
class Prediction:
    """A mask_HW of class ids (uint8) and, if asked for, the probability of that class at each pixel (float32)."""

    mask_HW: NDArray[np.uint8]
    confidence_HW: NDArray[np.float32] | None = None


class Predictor:
    """A model with its preprocessing, as it is now: what the model learns afterwards does not change it.

    `precision` is that of weights and activations; logits come as fp32 in any case.
    """

    def __init__(self, model: nn.Module, *, image_size: int, device: torch.device, precision: str = "fp32") -> None:
        self.image_size = image_size
        self.device = device
        self.precision = precision
        self._model = ready_to_predict(model.to(device), (1, 3, image_size, image_size), precision)

    def logits(self, photos: Sequence[Image.Image]) -> Tensor:
        """Return logits_NKSS, float32, of RGB photos squashed to the model's image size S."""
        return self.logits_of(torch.stack([squash_photo(photo, self.image_size) for photo in photos]))

    def logits_of(self, photos_N3SS: Tensor) -> Tensor:
        """Return logits_NKSS, float32, of photos that are squashed already (uint8, `transforms.squash_photo`)."""
        images_N3SS = normalize(photos_N3SS.to(self.device)).to(dtype_of(self.precision))
        with torch.inference_mode():
            logits_NKSS: Tensor = self._model(images_N3SS.contiguous(memory_format=torch.channels_last))["out"]
        return logits_NKSS.float()

    def predict(self, photo: Image.Image, *, with_confidence: bool = False) -> Prediction:
        """Segment an RGB photo at its own size."""
        return resolve(self.logits([photo])[0], (photo.height, photo.width), with_confidence=with_confidence)


@torch.inference_mode()
def resolve(logits_KSS: Tensor, size: tuple[int, int], *, with_confidence: bool = False) -> Prediction:
    """Enlarge logits to (height, width) and take the best class of each pixel; a tie goes to the lower id.

    One class is enlarged at a time: 21 of them at once would take a gigabyte for a 12-megapixel photo.
    """
    best = torch.full(size, -torch.inf, device=logits_KSS.device)
    mask = torch.zeros(size, dtype=torch.uint8, device=logits_KSS.device)
    total = torch.zeros(size, device=logits_KSS.device)
    for class_id, logits_SS in enumerate(logits_KSS):
        score = F.interpolate(logits_SS[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        mask[score > best] = class_id
        if with_confidence:
            # The softmax denominator relative to the best score so far, so that no exponential overflows.
            higher = torch.maximum(best, score)
            total = total * torch.exp(best - higher) + torch.exp(score - higher)
        best = torch.maximum(best, score)
    confidence = (1 / total).cpu().numpy() if with_confidence else None
    return Prediction(mask.cpu().numpy(), confidence)


def open_predictor(checkpoint: Path | OpenedCheckpoint) -> tuple[Predictor, OpenedCheckpoint]:
    """Make a checkpoint ready to predict, in the number format that keeps its masks; raises `CheckpointError`."""
    opened = checkpoint if isinstance(checkpoint, OpenedCheckpoint) else open_checkpoint(checkpoint)
    model, device, size = opened.build(), choose_device(), opened.meta.image_size
    precision = mask_precision(model, image_size=size, device=device)
    return Predictor(model, image_size=size, device=device, precision=precision), opened


def mask_precision(model: nn.Module, *, image_size: int, device: torch.device) -> str:
    """Return the number format for masks that are kept or shown: bf16 where it is fast and changes next to nothing.

    Tried on one picture, the same for all: a model that is near a tie everywhere is asked in fp32.
    """
    if choose_precision("auto", device) == "fp32":
        return "fp32"
    exact_KSS, rounded_KSS = (
        Predictor(model, image_size=image_size, device=device, precision=precision).logits_of(_blobs(image_size))[0]
        for precision in ("fp32", "bf16")
    )
    same = (exact_KSS.argmax(0) == rounded_KSS.argmax(0)).float().mean()
    return "bf16" if float(same) >= SAME_MASK else "fp32"


def _blobs(image_size: int) -> Tensor:
    """Return a picture of soft blobs in all colours, uint8 (1, 3, S, S)."""
    colors_N3SS = torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    size = (image_size, image_size)
    return (255 * F.interpolate(colors_N3SS, size, mode="bilinear", align_corners=False)).to(torch.uint8)
