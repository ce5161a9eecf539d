"""The loss: cross-entropy over the pixels that are not void, plus the auxiliary head's share."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from core.voc import VOID


def segmentation_loss(outputs: Mapping[str, Tensor], masks_NHW: Tensor, aux_weight: float = 0.0) -> Tensor:
    """Return the mean loss of a batch, float32, as torchvision's reference: out + aux_weight * aux.

    Args:
        outputs: `out` and, where `aux_weight` is above 0, `aux`: logits_NKHW.
        masks_NHW: ids, int64, at the logits' size; 255 is void.
        aux_weight: weight of the auxiliary head's loss.
    """
    loss = cross_entropy(outputs["out"], masks_NHW)
    return loss + aux_weight * cross_entropy(outputs["aux"], masks_NHW) if aux_weight else loss


def cross_entropy(logits_NKHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """Return the mean cross-entropy over pixels that are not void; 0 where all of them are (a mean would be NaN)."""
    total = F.cross_entropy(logits_NKHW.float(), masks_NHW, ignore_index=VOID, reduction="sum")
    return total / (masks_NHW != VOID).sum().clamp(min=1)
