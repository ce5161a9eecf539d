"""The loss: cross-entropy over the pixels that are not void, plus the auxiliary head's share.

A batch that is trained in parts divides the sum of each part by the weight of the whole batch's pixels: the gradients
of the parts then add up to that of the batch.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from core.training.enlarged_loss import enlarged_cross_entropy
from core.voc import VOID


def segmentation_loss(
    outputs: Mapping[str, Tensor],
    masks_NHW: Tensor,
    aux_weight: float = 0.0,
    class_weights_K: Tensor | None = None,
    total: Tensor | None = None,
) -> Tensor:
    """Return the mean loss of a batch, float32, as torchvision's reference: out + aux_weight * aux.

    Args:
        outputs: `out` and, where `aux_weight` is above 0, `aux`: logits_NKhw, as coarse as the model decides.
        masks_NHW: ids, int64, 255 is void; the logits are enlarged to their size (`enlarged_loss`).
        aux_weight: weight of the auxiliary head's loss.
        class_weights_K: what a pixel of each class counts, float32; all alike if None.
        total: `pixel_weight` of the batch that this is a part of; None where this is all of it.
    """
    total = pixel_weight(masks_NHW, class_weights_K) if total is None else total
    loss = enlarged_cross_entropy(outputs["out"], masks_NHW, class_weights_K, total)
    if not aux_weight:
        return loss
    return loss + aux_weight * enlarged_cross_entropy(outputs["aux"], masks_NHW, class_weights_K, total)


def cross_entropy(
    logits_NKHW: Tensor, masks_NHW: Tensor, class_weights_K: Tensor | None = None, total: Tensor | None = None
) -> Tensor:
    """Return the mean cross-entropy over pixels that are not void; 0 where all of them are (a mean would be NaN).

    With class weights w the mean is torch's: sum(w * loss) / sum(w). Arguments are as in `segmentation_loss`.
    """
    total = pixel_weight(masks_NHW, class_weights_K) if total is None else total
    summed = F.cross_entropy(
        logits_NKHW.float(), masks_NHW, weight=class_weights_K, ignore_index=VOID, reduction="sum"
    )  # fmt: skip
    return summed / total


def pixel_weight(
    masks_NHW: Tensor,
    class_weights_K: Tensor | None = None,
    over_all: Callable[[Tensor], Tensor] = lambda weight: weight,
) -> Tensor:
    """Return what the pixels that are not void weigh together: their number, or the sum of their classes' weights.

    Where all are void it is above 0 all the same, to divide by. `over_all` adds the weights of a batch's other parts.
    """
    is_counted = masks_NHW != VOID
    if class_weights_K is None:
        return over_all(is_counted.sum()).clamp(min=1)
    return over_all(class_weights_K[masks_NHW[is_counted]].sum()).clamp(min=torch.finfo(torch.float32).tiny)
