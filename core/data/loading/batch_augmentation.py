"""Augmentation of a whole batch on its device: some thirty kernels, of any number of photos, and no waiting for a GPU.

What `TrainingTransform` does to a pair. Bilinear resizing with antialias, cropping and mirroring are linear and
separable, so together they are a product with a matrix for the rows and one for the columns of each photo.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torchvision import tv_tensors

from core.data.loading.transforms import PADDING
from core.voc import VOID


def augmented_batch(photos_N3SS: Tensor, masks_NSS: Tensor, drawn_N4: Tensor) -> tuple[Tensor, Tensor]:
    """Return photos and ids, uint8, augmented as drawn; `drawn_N4` holds an `Augmentation` a row, on the same device.

    Ids are those of `TrainingTransform`; photos differ by at most 1 of 255, as torchvision rounds between the axes.
    """
    side_px = photos_N3SS.shape[-1]
    sizes_N1, tops_N1, lefts_N1, flips_N1 = drawn_N4[:, :, None].unbind(1)
    places_S = torch.arange(side_px, device=drawn_N4.device)
    mirrored_NS = torch.where(flips_N1 > 0, places_S.flip(0), places_S)
    rows_NS, columns_NS = tops_N1 + places_S, lefts_N1 + mirrored_NS  # pixels of the resized photos
    outside_NSS = _is_outside(rows_NS, sizes_N1)[:, :, None] | _is_outside(columns_NS, sizes_N1)[:, None]

    by_rows_NSS, by_columns_NSS = (_weights(each_NS, sizes_N1) for each_NS in (rows_NS, columns_NS))
    with _full_fp32():
        resized_N3SS = by_rows_NSS[:, None] @ (photos_N3SS.float().flatten(1, 2) @ by_columns_NSS.mT).view(
            photos_N3SS.shape
        )
    out_N3SS = resized_N3SS.round_().to(torch.uint8)
    for channel, level in enumerate(PADDING[tv_tensors.Image]):  # a list of three would be copied, and waited for
        out_N3SS[:, channel].masked_fill_(outside_NSS, level)

    photo_N11 = torch.arange(len(masks_NSS), device=masks_NSS.device)[:, None, None]
    from_rows_NS, from_columns_NS = (_nearest(each_NS, sizes_N1, side_px) for each_NS in (rows_NS, columns_NS))
    ids_NSS = masks_NSS[photo_N11, from_rows_NS[:, :, None], from_columns_NS[:, None]]
    return out_N3SS, ids_NSS.masked_fill_(outside_NSS, VOID)


def _is_outside(pixels_NS: Tensor, sizes_N1: Tensor) -> Tensor:
    return (pixels_NS < 0) | (pixels_NS >= sizes_N1)


def _centres(pixels_NS: Tensor, sizes_N1: Tensor, side_px: int) -> tuple[Tensor, Tensor]:
    """Return where the centres of a resized photo's pixels lie in the photo, (N, S), and its pixels for each, (N, 1).

    Both in float32, in torch's own order: in exact arithmetic, `nearest-exact` would take the other pixel at some ties.
    """
    within_NS = pixels_NS.clamp(min=0).minimum(sizes_N1 - 1)
    ratio_N1 = torch.full_like(sizes_N1, side_px, dtype=torch.float32) / sizes_N1.float()
    return (within_NS.float() + 0.5) * ratio_N1, ratio_N1


def _weights(pixels_NS: Tensor, sizes_N1: Tensor) -> Tensor:
    """Return each pixel's weights of the photo's S pixels, (N, S, S): a triangle as `upsample_bilinear2d_aa` has it."""
    side_px = pixels_NS.shape[-1]
    centres_NS, ratio_N1 = _centres(pixels_NS, sizes_N1, side_px)
    sources_S = torch.arange(side_px, device=pixels_NS.device) + 0.5
    distances_NSS = (sources_S - centres_NS[:, :, None]).abs_()
    weights_NSS = (1 - distances_NSS / ratio_N1.clamp(min=1)[:, :, None]).clamp_(min=0)
    return weights_NSS.div_(weights_NSS.sum(dim=2, keepdim=True))


def _nearest(pixels_NS: Tensor, sizes_N1: Tensor, side_px: int) -> Tensor:
    """Return the photo's pixel for each, (N, S), as `nearest-exact` does."""
    centres_NS, _ = _centres(pixels_NS, sizes_N1, side_px)
    return centres_NS.floor().long().clamp_(max=side_px - 1)


@contextmanager
def _full_fp32() -> Iterator[None]:
    """Multiply without TF32, whose 11 bits would blur grey levels, in a `with` block."""
    was_allowed = torch.backends.cuda.matmul.allow_tf32
    if was_allowed:
        torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        if was_allowed:
            torch.backends.cuda.matmul.allow_tf32 = True
