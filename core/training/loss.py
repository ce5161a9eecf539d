"""The loss: cross-entropy over the pixels that are not void, plus the auxiliary head's share.

A batch that is trained in parts divides the sum of each part by the weight of the whole batch's pixels: the gradients
of the parts then add up to that of the batch.

DeepLabV3 decides on a coarse grid, and torchvision enlarges its logits to the image before the loss: 21 numbers for
every pixel, kept for the backward pass several times over. Bilinear enlarging is linear in rows and in columns, so the
loss and its gradient are computed here a few rows at a time, in memory that stays in the processor's cache, and what is
kept is the gradient on the coarse grid. The numbers are those of enlarging first, but for rounding.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.data.dataset import Sample
from core.data.images import read_mask
from core.voc import VOID

BLOCK_BYTES = 2 * 1024**2
"""About what a core has of its own cache and its share of the common one; a GPU takes whole images."""

MAX_WEIGHT = 10.0
"""A class of a handful of pixels would otherwise steer whole steps."""

MAX_THREADS = 4


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
        masks_NHW: ids, int64, 255 is void; the logits are enlarged to their size (`enlarged_cross_entropy`).
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


def balanced_weights(samples: Sequence[Sample], num_classes: int) -> Tensor:
    """Read every mask and return the weights of the classes by median frequency, float32, shape (K,).

    A mask that cannot be used raises `DataError`.
    """

    def count(sample: Sample) -> NDArray[np.int64]:
        counts_256: NDArray[np.int64] = np.bincount(read_mask(sample.mask, num_classes).ravel(), minlength=256)
        return counts_256[:num_classes]

    with ThreadPoolExecutor(MAX_THREADS) as pool:
        pixels_NK = np.stack(list(pool.map(count, samples)))
    return torch.from_numpy(median_frequency_weights(pixels_NK)).float()


def median_frequency_weights(pixels_NK: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return median(f) / f of the classes, shape (K,), at most `MAX_WEIGHT` (Eigen & Fergus 2015, arXiv 1411.4734).

    A class's frequency f is its share of the pixels, void left out, of the photos that show it; the median is over the
    classes that occur. A class that never occurs has no pixel to weigh and gets 1.

    Args:
        pixels_NK: pixels by photo and class.
    """
    pixels_N1 = pixels_NK.sum(axis=1, keepdims=True)
    where_shown_K = (pixels_N1 * (pixels_NK > 0)).sum(axis=0)
    occurs_K = where_shown_K > 0
    weights_K = np.ones(pixels_NK.shape[1])
    if occurs_K.any():
        frequencies = pixels_NK.sum(axis=0)[occurs_K] / where_shown_K[occurs_K]
        weights_K[occurs_K] = np.minimum(np.median(frequencies) / frequencies, MAX_WEIGHT)
    return weights_K
