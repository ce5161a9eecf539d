"""Where evidence for a class lies on a photo, how far a pixel's receptive field reaches, and a check of the first.

The class map is between Seg-Grad-CAM (Vinogradova et al. 2020, arXiv 2002.11434), which weights each channel of the
backbone's last map by its gradient averaged over the whole map, and HiResCAM (Draelos and Carin 2020,
arXiv 2011.08891), which averages nothing: here the gradient is averaged over a window around each cell. Averaged over
everything a map marks whatever looks alike, also what the pixel does not depend on; `dev/LOG.md` has figures.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.data.geometry import Place
from core.explain.taps import Axis, axis_of
from core.explain.tracing import (
    Explainable,
    Target,
    Trace,
    branches_at,
    cell_weights,
    head_of,
    weighted,
    window_of,
)

WINDOW_SHARE = 0.25
"""The side of the window in which gradients are averaged, as a share of the map's."""

CHECKED_SHARE = 0.2
"""Share of the photo that the check leaves sharp."""
LEAST_GAIN = 0.05
"""How much more probable the class must then be than by any random map."""
BLURRED_CELLS = 8
"""Cells along a side that a blurred photo is made of."""
NUM_RANDOM_MAPS = 3
SMALL_WINDOW = 0.2
"""Share of the map's cells up to which the head in fp32 at these cells is faster than the predictor's at all."""


def class_map(trace: Trace) -> Tensor:
    """Return map_hw, 0 and more: the evidence in each cell of the backbone's last map for the target."""
    pooled_1Chw = trace.gradient_Chw[None]
    for axis, cells in enumerate(trace.weights_hw.shape):
        reach = round(WINDOW_SHARE * cells) // 2
        sides, kernel, padding = [1, 1], [1, 1], [0, 0]
        kernel[axis], padding[axis] = 2 * reach + 1, reach
        pooled_1Chw = F.avg_pool2d(pooled_1Chw, kernel, sides, padding, count_include_pad=False)
    return (pooled_1Chw[0] * trace.features_Chw).sum(dim=0).clamp_min(0)


def on_photo(map_hw: Tensor, axis: Axis, side_px: int, place: Place) -> NDArray[np.float32]:
    """Return a map of cells on the photo's part of the square, (H, W), linear between the centres of what cells see."""
    at_S = (torch.arange(side_px, device=map_hw.device) - axis.first_px) / axis.step_px
    at_S1 = at_S.clamp(0, axis.cells - 1)[:, None]
    shares_Sh = (1 - (at_S1 - torch.arange(axis.cells, device=map_hw.device)).abs()).clamp_min(0)
    part_HW: NDArray[np.float32] = place.part(shares_Sh @ map_hw @ shares_Sh.T).cpu().numpy()
    return part_HW


def ranks(map_HW: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """Return the share of the pixels with more evidence, in [0, 1); among equal ones the order is random."""
    random = np.random.default_rng(seed).permutation(map_HW.size)
    order = random[np.argsort(-map_HW.ravel()[random], kind="stable")]
    ranks_HW = np.empty(map_HW.size, np.float32)
    ranks_HW[order] = np.arange(map_HW.size) / map_HW.size
    return ranks_HW.reshape(map_HW.shape)


def random_map(map_HW: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return a map with the spectrum of another and random phases: blobs as large as its own, anywhere.

    Smaller blobs would scatter over the whole photo and spoil all of it, which a map is not to be compared with.
    """
    noise_HW = np.random.default_rng(seed).standard_normal(map_HW.shape)
    phases = np.exp(1j * np.angle(np.fft.rfft2(noise_HW)))
    return np.fft.irfft2(np.abs(np.fft.rfft2(map_HW)) * phases, map_HW.shape).astype(np.float32)


def replaced(square_3SS: Tensor, place: Place, is_replaced_HW: NDArray[np.bool_], by_3SS: Tensor) -> Tensor:
    """Return a photo in the square with the marked pixels of its part from another picture."""
    mixed_3SS = square_3SS.clone()
    place.part(mixed_3SS)[:] = torch.where(torch.from_numpy(is_replaced_HW), place.part(by_3SS), place.part(square_3SS))
    return mixed_3SS


def blurred(square_3SS: Tensor) -> Tensor:
    """Return a photo in the square without its details: what insertion starts from, and what deletion ends at."""
    cells = F.interpolate(square_3SS[None].float(), (BLURRED_CELLS, BLURRED_CELLS), mode="area")
    side_px = square_3SS.shape[-1]
    return F.interpolate(cells, (side_px, side_px), mode="bilinear", align_corners=False)[0].to(torch.uint8)


@torch.no_grad()
def probability(explained: Explainable, square_3SS: Tensor, target: Target) -> float:
    """Return the softmax of the target's mean logits at its class, for a photo in the square."""
    predictor, model = explained.predictor, explained.model
    cells = axis_of(model.backbone, predictor.image_size).cells
    weights_hw = cell_weights(model, target, torch.Size((cells, cells)))
    window = window_of(weights_hw)
    weights_ij = weights_hw[window]
    if weights_ij.numel() < SMALL_WINDOW * weights_hw.numel():
        features_1Chw = predictor.features_of(square_3SS[None])
        logits_1Kij = head_of(model, torch.cat(branches_at(model, features_1Chw, window), dim=1))
        means_K = weighted(logits_1Kij, weights_ij)
    else:
        means_K = weighted(predictor.logits_of(square_3SS[None]), target.weights_SS)
    return float(means_K.softmax(dim=0)[target.class_id])


@dataclass(frozen=True)
class Check:
    """The probability of the class from `CHECKED_SHARE` of a blurred photo left sharp: by the map, by random maps."""

    by_map: float
    by_random: tuple[float, ...]

    @property
    def is_passed(self) -> bool:
        """Whether the map finds the class's evidence: by `LEAST_GAIN` more than every random map."""
        return self.by_map >= max(self.by_random) + LEAST_GAIN


def check(
    explained: Explainable, square_3SS: Tensor, place: Place, target: Target, map_HW: NDArray[np.float32]
) -> Check:
    """Leave sharp what a map marks, and as much by random maps, and compare how probable the class is then."""
    maps = [map_HW, *(random_map(map_HW, seed) for seed in range(1, NUM_RANDOM_MAPS + 1))]
    blurred_3SS = blurred(square_3SS)
    squares = [replaced(square_3SS, place, ranks(each) >= CHECKED_SHARE, blurred_3SS) for each in maps]
    by_map, *by_random = (probability(explained, each_3SS, target) for each_3SS in squares)
    return Check(by_map, tuple(by_random))


@dataclass(frozen=True)
class Reach:
    """How far a receptive field reaches from its pixel, in px of the photo.

    half_px, most_px  the radii within which half and nine tenths of the gradient lie
    reached_share     share of the photo's pixels with any gradient at all
    padding_share     share of the gradient on the padding of `fit`
    """

    half_px: float
    most_px: float
    reached_share: float
    padding_share: float


def reach_of(field_HW: NDArray[np.float32], total: float, at: tuple[int, int], size: tuple[int, int]) -> Reach:
    """Return the reach of a field on the photo's part of the square.

    Args:
        field_HW: absolute gradients.
        total: their sum over the whole square.
        at: the pixel (x, y) of the photo.
        size: height and width of the photo.
    """
    y_H, x_W = (
        (np.arange(length) + 0.5) * of / length - 0.5 - middle
        for length, of, middle in zip(field_HW.shape, size, at[::-1], strict=True)
    )
    distance_P = np.hypot(y_H[:, None], x_W[None]).ravel()
    order = np.argsort(distance_P)
    inside_P = np.cumsum(field_HW.ravel()[order], dtype=np.float64)
    if not inside_P[-1]:
        return Reach(0.0, 0.0, 0.0, 0.0)
    half_px, most_px = (
        float(distance_P[order][np.searchsorted(inside_P, share * inside_P[-1])]) for share in (0.5, 0.9)
    )
    padding_share = max(0.0, 1 - float(inside_P[-1]) / total)
    return Reach(half_px, most_px, float((field_HW > 0).mean()), padding_share)
