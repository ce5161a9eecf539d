"""From a photo to its mask, at the photo's own size: the one way validation, `segment` and the page all go.

What a photo is batched with changes how convolutions round, in the sixth digit, and so now and then a pixel. Where a
mask is kept or shown, photos therefore go through the model one at a time; only the validation between epochs batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from core.data.transforms import photo_to_tensor


@dataclass(frozen=True)
class Prediction:
    """A mask_HW of class ids (uint8) and, if asked for, the probability of that class at each pixel (float32)."""

    mask_HW: NDArray[np.uint8]
    confidence_HW: NDArray[np.float32] | None = None


class Predictor:
    """A model with its preprocessing; it computes in fp32."""

    def __init__(self, model: nn.Module, *, image_size: int, device: torch.device) -> None:
        self.model = model.to(device)
        self.image_size = image_size
        self.device = device

    def logits(self, photos: Sequence[Image.Image]) -> Tensor:
        """Return logits_NKSS, float32, of RGB photos squashed to the model's image size S."""
        images_N3SS = torch.stack([photo_to_tensor(photo, self.image_size) for photo in photos]).to(self.device)
        self.model.eval()
        with torch.inference_mode():
            logits_NKSS: Tensor = self.model(images_N3SS.contiguous(memory_format=torch.channels_last))["out"]
        return logits_NKSS

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
