"""The loss: cross-entropy over the pixels that are not void, plus the auxiliary head's share.

Each part of a batch divides its sum by the weight of the whole batch's pixels, so the gradients of the parts add up to
that of the batch.

DeepLabV3 predicts on a coarse grid, and torchvision upsamples its logits to the image before the loss: 21 numbers for
every pixel, saved several times for the backward pass. Bilinear upsampling is linear in rows and in columns, so the
loss and its gradient are computed here a few rows at a time, within the processor's cache, and only the gradient on the
coarse grid is saved. The result equals that of upsampling first, except for rounding.
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
from core.model.device import sums_type
from core.voc import VOID

BLOCK_BYTES = 2 * 1024**2
"""About a core's own cache and its share of the common one."""
GPU_BLOCK_BYTES = 256 * 1024**2
"""A GPU processes as many whole images at a time as have this many bytes of upsampled logits: it waits for orders."""

MAX_WEIGHT = 10.0
"""Without a limit, a class of a few pixels would dominate whole steps."""

MAX_THREADS = 4


def upsampled_cross_entropy(
    coarse_NKhw: Tensor, masks_NSS: Tensor, class_weights_K: Tensor | None, total: Tensor
) -> Tensor:
    """Return the sum of the weighted cross-entropies of all pixels that are not void, divided by `total`; float32.

    Args:
        coarse_NKhw: logits of any float type, at most the masks' size; upsampled bilinearly, corners not aligned.
        masks_NSS: ids, int64; 255 is void.
        class_weights_K: weight of a pixel of each class, float32; 1 if None.
        total: the divisor, above 0.
    """
    loss: Tensor = _UpsampledCrossEntropy.apply(coarse_NKhw, masks_NSS, class_weights_K, total)
    return loss


class _UpsampledCrossEntropy(torch.autograd.Function):
    """Computes the gradient together with the loss, since both need the same upsampled rows."""

    @staticmethod
    def forward(
        ctx: Any, coarse_NKhw: Tensor, masks_NSS: Tensor, class_weights_K: Tensor | None, total: Tensor
    ) -> Tensor:
        at_a_time = 1
        if masks_NSS.device.type != "cpu":
            at_a_time = max(1, GPU_BLOCK_BYTES // (4 * coarse_NKhw.shape[1] * masks_NSS[0].numel()))
        parts = zip(torch.split(coarse_NKhw.detach(), at_a_time), torch.split(masks_NSS, at_a_time), strict=True)
        of_parts = [_loss_and_gradient(coarse_MKhw, masks_MSS, class_weights_K) for coarse_MKhw, masks_MSS in parts]
        ctx.save_for_backward(torch.cat([gradient_MKhw for _, gradient_MKhw in of_parts]) / total)
        ctx.dtype = coarse_NKhw.dtype
        return torch.stack([loss for loss, _ in of_parts]).sum().float() / total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient_NKhw,) = ctx.saved_tensors
        return (gradient_NKhw * outer[0]).to(ctx.dtype), None, None, None


def _loss_and_gradient(coarse_MKhw: Tensor, masks_MSS: Tensor, class_weights_K: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the summed loss of some images, float64, and its gradient on the coarse grid, float32 (M, K, h, w)."""
    _, num_classes, height, width = coarse_MKhw.shape
    rows_Sh = upsampling_matrix(height, masks_MSS.shape[1], masks_MSS.device)
    columns_Sw = upsampling_matrix(width, masks_MSS.shape[2], masks_MSS.device)
    wide_MKhS = coarse_MKhw.float() @ columns_Sw.T
    gradient_MKhS = torch.zeros_like(wide_MKhS)
    loss = torch.zeros((), dtype=sums_type(masks_MSS.device), device=masks_MSS.device)
    step = len(rows_Sh)
    if masks_MSS.device.type == "cpu":
        step = max(1, BLOCK_BYTES // (4 * num_classes * masks_MSS.shape[2]))
    for first in range(0, len(rows_Sh), step):
        near = _rows_near(first, first + step, len(rows_Sh), height)
        some_rn, masks_MrS = rows_Sh[first : first + step, near], masks_MSS[:, first : first + step]
        block_loss, block_MKrS = _softmax_less_truth(some_rn @ wide_MKhS[:, :, near], masks_MrS, class_weights_K)
        loss += block_loss
        gradient_MKhS[:, :, near] += some_rn.T @ block_MKrS
    return loss, gradient_MKhS @ columns_Sw


def _rows_near(first: int, end: int, fine: int, coarse: int) -> slice:
    """Return the coarse rows that some upsampled rows lie between: the others' weights are 0."""
    # Row i lies at (i + 1/2) coarse / fine - 1/2; 1 less, since that may be rounded below a whole number.
    above = ((2 * first + 1) * coarse - fine - 1) // (2 * fine)
    below = ((2 * min(end, fine) - 1) * coarse - fine) // (2 * fine)
    return slice(max(0, above), below + 2)


def _softmax_less_truth(
    logits_MKrS: Tensor, masks_MrS: Tensor, class_weights_K: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the summed loss of some rows and its gradient, w (softmax - one-hot); overwrites the logits."""
    is_counted_MrS = masks_MrS != VOID
    ids_M1rS = torch.where(is_counted_MrS, masks_MrS, 0)[:, None]
    weight_M1rS = is_counted_MrS[:, None].float()
    if class_weights_K is not None:
        weight_M1rS *= class_weights_K[ids_M1rS]
    logits_MKrS -= logits_MKrS.amax(1, keepdim=True)
    of_truth_M1rS = logits_MKrS.gather(1, ids_M1rS)
    logits_MKrS.exp_()
    sum_M1rS = logits_MKrS.sum(1, keepdim=True)
    loss = ((sum_M1rS.log() - of_truth_M1rS) * weight_M1rS).sum(dtype=sums_type(masks_MrS.device))
    logits_MKrS *= weight_M1rS / sum_M1rS
    logits_MKrS.scatter_add_(1, ids_M1rS, -weight_M1rS)
    return loss, logits_MKrS


@functools.cache  # never freed: a CUDA graph reads it where it was
def upsampling_matrix(coarse: int, fine: int, device: torch.device) -> Tensor:
    """Return the matrix, float32 (fine, coarse), that upsamples a row of numbers as `F.interpolate` does bilinearly."""
    units_1cc = torch.eye(coarse, device=device)[None]
    upsampled_1cf = F.interpolate(units_1cc, size=fine, mode="linear", align_corners=False)
    return upsampled_1cf[0].T.contiguous()


def segmentation_loss(
    outputs: Mapping[str, Tensor],
    masks_NHW: Tensor,
    aux_weight: float = 0.0,
    class_weights_K: Tensor | None = None,
    total: Tensor | None = None,
) -> Tensor:
    """Return the mean loss of a batch, float32, as in torchvision's reference: out + aux_weight * aux.

    Args:
        outputs: `out` and, where `aux_weight` is above 0, `aux`: logits_NKhw on the model's coarse grid.
        masks_NHW: ids, int64, 255 is void; the logits are upsampled to their size (`upsampled_cross_entropy`).
        aux_weight: weight of the auxiliary head's loss.
        class_weights_K: weight of a pixel of each class, float32; 1 if None.
        total: `pixel_weight` of the whole batch if this is a part of it; None for a whole batch.
    """
    total = pixel_weight(masks_NHW, class_weights_K) if total is None else total
    loss = upsampled_cross_entropy(outputs["out"], masks_NHW, class_weights_K, total)
    if not aux_weight:
        return loss
    return loss + aux_weight * upsampled_cross_entropy(outputs["aux"], masks_NHW, class_weights_K, total)


def cross_entropy(logits_NKHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """Return the mean cross-entropy over pixels that are not void; 0 if all are void (a mean would be NaN)."""
    summed = F.cross_entropy(logits_NKHW.float(), masks_NHW, ignore_index=VOID, reduction="sum")
    return summed / pixel_weight(masks_NHW)


def pixel_weight(
    masks_NHW: Tensor,
    class_weights_K: Tensor | None = None,
    over_all: Callable[[Tensor], Tensor] = lambda weight: weight,
) -> Tensor:
    """Return the weight of all pixels that are not void: their number, or the sum of their classes' weights.

    It is above 0 even if all are void, since it is a divisor. `over_all` adds the weights of the other processes.
    """
    is_counted = masks_NHW != VOID
    if class_weights_K is None:
        return over_all(is_counted.sum()).clamp(min=1)
    weight_NHW = class_weights_K[torch.where(is_counted, masks_NHW, 0)] * is_counted  # of one shape for any mask
    return over_all(weight_NHW.sum()).clamp(min=torch.finfo(torch.float32).tiny)


def balanced_weights(samples: Sequence[Sample], num_classes: int) -> Tensor:
    """Read every mask and return `median_frequency_weights`, float32; an unusable mask raises `DataError`."""

    def count(sample: Sample) -> NDArray[np.int64]:
        counts_256: NDArray[np.int64] = np.bincount(read_mask(sample.mask, num_classes).ravel(), minlength=256)
        return counts_256[:num_classes]

    with ThreadPoolExecutor(MAX_THREADS) as pool:
        pixels_NK = np.stack(list(pool.map(count, samples)))
    return torch.from_numpy(median_frequency_weights(pixels_NK)).float()


def median_frequency_weights(pixels_NK: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return median(f) / f of the classes, shape (K,), at most `MAX_WEIGHT` (Eigen & Fergus 2015, arXiv 1411.4734).

    A class's frequency f is its share of the non-void pixels of the photos that show it; the median is over the classes
    that occur. A class that never occurs gets 1. `pixels_NK` counts pixels by photo and class.
    """
    pixels_N1 = pixels_NK.sum(axis=1, keepdims=True)
    where_shown_K = (pixels_N1 * (pixels_NK > 0)).sum(axis=0)
    occurs_K = where_shown_K > 0
    weights_K = np.ones(pixels_NK.shape[1])
    if occurs_K.any():
        frequencies = pixels_NK.sum(axis=0)[occurs_K] / where_shown_K[occurs_K]
        weights_K[occurs_K] = np.minimum(np.median(frequencies) / frequencies, MAX_WEIGHT)
    return weights_K
