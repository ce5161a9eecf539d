"""Cross-entropy of logits that are coarser than the mask, without the enlarged logits ever being kept.

DeepLabV3 decides on a coarse grid, and torchvision enlarges its logits to the image before the loss: 21 numbers for
every pixel, kept for the backward pass several times over. Bilinear enlarging is linear in rows and in columns, so the
loss and its gradient are computed here a few rows at a time, in memory that stays in the processor's cache, and what is
kept is the gradient on the coarse grid. The numbers are those of enlarging first, but for rounding.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.voc import VOID

BLOCK_BYTES = 2 * 1024**2
"""About what a core has of its own cache and its share of the common one; a GPU takes whole images."""


def enlarged_cross_entropy(
    coarse_NKhw: Tensor, masks_NSS: Tensor, class_weights_K: Tensor | None, total: Tensor
) -> Tensor:
    """Return the sum of the weighted cross-entropies of all pixels that are not void, over `total`; float32.

    Args:
        coarse_NKhw: logits of any float type, at most as large as the masks; enlarged bilinearly, corners not aligned.
        masks_NSS: ids, int64; 255 is void.
        class_weights_K: what a pixel of each class counts, float32; all alike if None.
        total: what to divide by, above 0.
    """
    loss: Tensor = _EnlargedCrossEntropy.apply(coarse_NKhw, masks_NSS, class_weights_K, total)
    return loss


class _EnlargedCrossEntropy(torch.autograd.Function):
    """The gradient is computed together with the loss, since both need the same enlarged rows."""

    @staticmethod
    def forward(
        ctx: Any, coarse_NKhw: Tensor, masks_NSS: Tensor, class_weights_K: Tensor | None, total: Tensor
    ) -> Tensor:
        pairs = zip(coarse_NKhw.detach(), masks_NSS, strict=True)
        of_each = [_loss_and_gradient(coarse_Khw, mask_SS, class_weights_K) for coarse_Khw, mask_SS in pairs]
        ctx.save_for_backward(torch.stack([gradient_Khw for _, gradient_Khw in of_each]) / total)
        ctx.dtype = coarse_NKhw.dtype
        return torch.stack([loss for loss, _ in of_each]).sum().float() / total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient_NKhw,) = ctx.saved_tensors
        return (gradient_NKhw * outer[0]).to(ctx.dtype), None, None, None


def _loss_and_gradient(coarse_Khw: Tensor, mask_SS: Tensor, class_weights_K: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the summed loss of one image, float64, and its gradient on the coarse grid, float32 (K, h, w)."""
    num_classes, height, width = coarse_Khw.shape
    rows_Sh, columns_Sw = (
        enlarging(coarse, fine, mask_SS.device) for coarse, fine in zip((height, width), mask_SS.shape, strict=True)
    )
    wide_KhS = coarse_Khw.float() @ columns_Sw.T
    gradient_KhS = torch.zeros_like(wide_KhS)
    loss = torch.zeros((), dtype=torch.float64, device=mask_SS.device)
    step = len(mask_SS)
    if mask_SS.device.type == "cpu":
        step = max(1, BLOCK_BYTES // (4 * num_classes * mask_SS.shape[1]))
    for first in range(0, len(mask_SS), step):
        some_rh = rows_Sh[first : first + step]
        block_loss, block_KrS = _softmax_less_truth(some_rh @ wide_KhS, mask_SS[first : first + step], class_weights_K)
        loss += block_loss
        gradient_KhS += some_rh.T @ block_KrS
    return loss, gradient_KhS @ columns_Sw


def _softmax_less_truth(logits_KrS: Tensor, mask_rS: Tensor, class_weights_K: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the summed loss of some rows and its gradient, w (softmax - one-hot); the logits are written over."""
    is_counted_rS = mask_rS != VOID
    ids_1rS = torch.where(is_counted_rS, mask_rS, 0)[None]
    weight_rS = is_counted_rS.float() if class_weights_K is None else class_weights_K[ids_1rS[0]] * is_counted_rS
    logits_KrS -= logits_KrS.amax(0, keepdim=True)
    of_truth_rS = logits_KrS.gather(0, ids_1rS)[0]
    logits_KrS.exp_()
    sum_rS = logits_KrS.sum(0)
    loss = ((sum_rS.log() - of_truth_rS) * weight_rS).sum(dtype=torch.float64)
    logits_KrS *= weight_rS / sum_rS
    logits_KrS.scatter_add_(0, ids_1rS, -weight_rS[None])
    return loss, logits_KrS


@functools.lru_cache(maxsize=32)
def enlarging(coarse: int, fine: int, device: torch.device) -> Tensor:
    """Return the matrix, float32 (fine, coarse), that enlarges a row of numbers as `F.interpolate` does bilinearly."""
    units_11cc = torch.eye(coarse, device=device)[None]
    enlarged_1cf = F.interpolate(units_11cc, size=fine, mode="linear", align_corners=False)
    return enlarged_1cf[0].T.contiguous()
