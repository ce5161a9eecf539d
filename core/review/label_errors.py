"""Where a model that did not train on a photo confidently disagrees with its mask.

A pixel is doubted if its best class s is not the given one g, p_s is at least 0.7 t_s, and p_g is at most 0.2. t_k is
the mean probability of class k over the pixels that the masks give class k, its self-confidence as in confident
learning (Northcutt et al. 2021, arXiv 1911.00068). A *doubted region* is a connected part of one class of such pixels;
the class with the most probability there is suggested. The evidence of a pixel is

    w (log p_s / t_s - log p_g / t_g), where that is positive

w grows from 0 at the contours of the mask to 1 at the distance within which boundary IoU counts, so that an outline
drawn a little differently is no evidence. Void pixels count nowhere. A region counts by its peak: the largest value of
its evidence after a Gaussian of a 16th of the longer side. A small part that is surely wrong outranks a large one that
the model is unsure of, which a sum over pixels would not do; what is thin or tiny stays low.

A *shift* is a mask drawn in the wrong place: moved by 1.5, 3 or 4.5 % of the longer side, in one of eight directions,
it is likelier. Its gain is the mean over the pixels of log p of the moved mask's class less that of the given one,
divided by the share of the photo within a 32nd of the side of a contour: only there can a shift gain. Three times the
best gain is added to what counts for the photo, and to regions of which the moved mask explains most.

A *misnamed class* has the name of another wherever the photo shows it. Its evidence is the mean of that above without w
over the class's pixels, for the other class that makes it largest; less in proportion if they are under 2 % of the
photo. What exceeds 2 is added to what counts for the photo, and to regions of these two classes. Like the soft
minimum of Lad and Mueller 2023 (arXiv 2307.05080) it says something of a photo that no region says.

With e, what counts, the score is e / (e + 3). `bench label_errors` compares it with cleanlab.segmentation.

One photo is held at a time, at most 512 px on a side; of each photo at most 12 regions are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.data.repair.label_decisions import LabelRegion, region_of
from core.metrics.boundary import distance_px
from core.voc import BACKGROUND, VOID

MAX_SIDE_PX = 512
"""A larger mask is reduced to this for the comparison; regions are of its own size again."""
CONFIDENT_SHARE, MOST_GIVEN = 0.7, 0.2
"""Least p_s as a share of t_s, and largest p_g, of a doubted pixel."""
LEAST_PROBABILITY = 1e-3
"""A smaller probability counts as this: how much smaller it is says nothing."""
PEAK_SHARE = 1 / 16
"""Standard deviation of the Gaussian, as a share of the longer side."""
SHIFTS, CONTOUR_SHARE, SHIFT_WEIGHT = (0.015, 0.03, 0.045), 1 / 32, 3.0
"""How far a mask may have been moved, and what is near a contour, as shares of the longer side; the gain's weight."""
LEAST_MISNAMED, LARGE_CLASS = 2.0, 0.02
"""Evidence of a misnamed class that counts nothing, and the share of the photo from which it counts in full."""
SMALL_SIDE_PX = 128
"""Peaks, shifts and misnamed classes are looked for at this size."""
DIRECTIONS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)
HALF_EVIDENCE = 3.0
"""The evidence whose score is one half."""
LEAST_SHARE = 2.5e-4
"""A smaller region is not looked at, as a share of the photo."""
MAX_PER_PHOTO = 12

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Suspicion:
    """A doubted region with its score in [0, 1), larger for a likelier error, and its pixels in the mask."""

    region: LabelRegion
    score: float
    pixels: int


class SelfConfidence:
    """Sums up how sure a model is of each class where the masks have it."""

    def __init__(self, num_classes: int) -> None:
        self._sums_K, self._pixels_K = np.zeros((2, num_classes))

    def add(self, mask_HW: NDArray[np.uint8], probabilities_Khw: NDArray[np.float32]) -> None:
        """Add a photo; the arguments are those of `suspicions`."""
        given_hw = reduced(mask_HW)
        is_counted_hw = given_hw != VOID
        given_P, num = given_hw[is_counted_hw], len(self._sums_K)
        self._pixels_K += np.bincount(given_P, minlength=num)
        self._sums_K += np.bincount(given_P, _probability_of(given_hw, probabilities_Khw)[is_counted_hw], minlength=num)

    def thresholds(self) -> NDArray[np.float64]:
        """Return t_K; 1 for a class that no mask has."""
        mean_K = np.where(self._pixels_K > 0, self._sums_K / np.maximum(self._pixels_K, 1), 1)
        return np.maximum(mean_K, LEAST_PROBABILITY)


def suspicions(
    names: tuple[str, str],
    mask_HW: NDArray[np.uint8],
    probabilities_Khw: NDArray[np.float32],
    thresholds_K: NDArray[np.float64],
    class_names: Sequence[str],
) -> tuple[list[Suspicion], float]:
    """Return the doubted regions of a photo, the most suspicious first, and the quality of all its labels in (0, 1].

    Args:
        names: the photo's name, and its `pair_keys`.
        mask_HW: ids; 255 is void.
        probabilities_Khw: at the size of `compared_size`; their sum over the classes is 1 at each pixel.
        thresholds_K: `SelfConfidence.thresholds`.
        class_names: names by id.
    """
    given_hw = reduced(mask_HW)
    best_hw = probabilities_Khw.argmax(axis=0)
    p_best_hw = np.take_along_axis(probabilities_Khw, best_hw[None], axis=0)[0]
    p_given_hw = _probability_of(given_hw, probabilities_Khw)
    differs_hw = (given_hw != VOID) & (best_hw != given_hw)
    is_doubted_hw = differs_hw & (p_best_hw >= CONFIDENT_SHARE * thresholds_K[best_hw]) & (p_given_hw <= MOST_GIVEN)
    weight_hw = np.minimum(_distances(given_hw) / distance_px(given_hw.shape), 1)
    t_given_hw = thresholds_K[np.where(given_hw == VOID, 0, given_hw)]
    evidence_hw = weight_hw * _log_ratio(p_best_hw, thresholds_K[best_hw], p_given_hw, t_given_hw)
    small_hw, logs_Khw = _small(given_hw, probabilities_Khw)
    gain, moved_hw = _shift(given_hw, small_hw, logs_Khw)
    misnamed, pair = _misnamed(small_hw, logs_Khw - np.log(thresholds_K)[:, None, None])
    quality = 1 - _score(_peak(np.where(differs_hw, evidence_hw, 0)) + gain + misnamed)
    found = []
    for given in np.unique(given_hw[is_doubted_hw]).tolist():
        parts_hw, _ = ndimage.label(is_doubted_hw & (given_hw == given))
        for part, box in enumerate(ndimage.find_objects(parts_hw), start=1):
            inside = parts_hw[box] == part
            if np.count_nonzero(inside) >= max(2, LEAST_SHARE * given_hw.size):
                p_KP = probabilities_Khw[(slice(None), *box)][:, inside]
                suggested = _suggested(p_KP, given)
                its_hw = np.zeros(given_hw.shape)
                sides = zip(p_KP[[suggested, given]], thresholds_K[[suggested, given]], strict=True)
                its_hw[box][inside] = weight_hw[box][inside] * _log_ratio(*(each for side in sides for each in side))
                is_moved = 2 * np.count_nonzero(moved_hw[box][inside] == suggested) > np.count_nonzero(inside)
                whole = float(is_moved) * gain + float(pair == (given, suggested)) * misnamed
                found.append((_peak(its_hw) + whole, given, suggested, box, inside))
    found.sort(key=lambda each: -each[0])
    doubted = []
    for evidence, given, suggested, box, inside in found[:MAX_PER_PHOTO]:
        whole_hw = np.zeros(given_hw.shape, dtype=np.uint8)
        whole_hw[box] = inside
        resized = Image.fromarray(whole_hw).resize(mask_HW.shape[::-1], Image.Resampling.NEAREST)
        is_inside_HW = np.asarray(resized, dtype=np.bool_) & (mask_HW == given)
        region = region_of(*names, (class_names[given], class_names[suggested]), is_inside_HW)
        doubted.append(Suspicion(region, _score(evidence), int(np.count_nonzero(is_inside_HW))))
    return doubted, quality


def compared_size(size: tuple[int, ...]) -> tuple[int, int]:
    """Return the height and width at which a mask of (height, width) is compared."""
    return _at_most(MAX_SIDE_PX, size)


def reduced(mask_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a mask at its `compared_size`, by nearest neighbour."""
    size = compared_size(mask_HW.shape)
    return np.asarray(Image.fromarray(mask_HW).resize(size[::-1], Image.Resampling.NEAREST))


def _probability_of(given_hw: NDArray[np.uint8], probabilities_Khw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability of the given class, that of class 0 where it is void."""
    ids_hw = np.where(given_hw == VOID, 0, given_hw).astype(np.intp)
    return np.asarray(np.take_along_axis(probabilities_Khw, ids_hw[None], axis=0)[0], dtype=np.float32)


def _suggested(p_KP: NDArray[np.float32], given: int) -> int:
    totals_K = p_KP.sum(axis=1)
    totals_K[given] = -1
    return int(totals_K.argmax())


def _log_ratio(p_s: Floats, t_s: Floats | float, p_g: Floats, t_g: Floats | float) -> Floats:
    """Return the evidence of pixels before its weight."""
    ratio = np.maximum(p_s, LEAST_PROBABILITY) / t_s * t_g / np.maximum(p_g, LEAST_PROBABILITY)
    return np.maximum(np.log(ratio), 0)


def _peak(evidence_hw: Floats) -> float:
    """Return the largest value of evidence after the Gaussian, at most `SMALL_SIDE_PX` large: it is smooth."""
    size = _at_most(SMALL_SIDE_PX, evidence_hw.shape)
    small_hw = np.asarray(Image.fromarray(evidence_hw.astype(np.float32)).resize(size[::-1], Image.Resampling.BOX))
    return float(ndimage.gaussian_filter(small_hw, PEAK_SHARE * max(size)).max())


def _small(
    given_hw: NDArray[np.uint8], probabilities_Khw: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return mask and log-probabilities at most `SMALL_SIDE_PX` large, by nearest neighbour."""
    height, width = _at_most(SMALL_SIDE_PX, given_hw.shape)
    at = np.ix_(np.arange(height) * given_hw.shape[0] // height, np.arange(width) * given_hw.shape[1] // width)
    return given_hw[at], np.log(np.maximum(probabilities_Khw[:, *at], LEAST_PROBABILITY))


def _shift(
    given_hw: NDArray[np.uint8], small_hw: NDArray[np.uint8], logs_Khw: NDArray[np.float32]
) -> tuple[float, NDArray[np.uint8]]:
    """Return the weighted gain of the likeliest shift, 0 where none is likelier, and the mask shifted by it."""
    now_hw = _probability_of(small_hw, logs_Khw)
    side = max(small_hw.shape)
    best, best_gain = (0, 0), 0.0
    for down, right in ((round(share * side * y), round(share * side * x)) for share in SHIFTS for y, x in DIRECTIONS):
        moved_hw = _moved(small_hw, down, right)
        counts_hw = (small_hw != VOID) & (moved_hw != VOID)
        gain = float((_probability_of(moved_hw, logs_Khw) - now_hw)[counts_hw].sum() / max(1, counts_hw.sum()))
        if gain > best_gain:
            best, best_gain = (down, right), gain
    scale = max(given_hw.shape) / side
    moved_hw = _moved(given_hw, round(scale * best[0]), round(scale * best[1]))
    near_share = max(1 / small_hw.size, float((_distances(small_hw) <= CONTOUR_SHARE * side).mean()))
    return SHIFT_WEIGHT * best_gain / near_share, moved_hw


def _misnamed(small_hw: NDArray[np.uint8], ratios_Khw: NDArray[np.floating[Any]]) -> tuple[float, tuple[int, int]]:
    """Return what counts of the class that is likeliest another, with the two; `ratios_Khw` are log p / t.

    The background is no such class: it is what no other class is.
    """
    best, pair = 0.0, (VOID, VOID)
    for given in np.setdiff1d(small_hw, [BACKGROUND, VOID]).tolist():
        is_given_hw = small_hw == given
        mean_K = ratios_Khw[:, is_given_hw].mean(axis=1) - ratios_Khw[given, is_given_hw].mean()
        mean_K[given] = 0
        evidence = float(mean_K.max() * min(1, is_given_hw.mean() / LARGE_CLASS))
        if evidence > best:
            best, pair = evidence, (given, int(mean_K.argmax()))
    return max(0.0, best - LEAST_MISNAMED), pair


def _moved(ids_hw: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Return ids moved by some pixels; void where they are not known."""
    reach, (height, width) = max(abs(down), abs(right)), ids_hw.shape
    padded = np.pad(ids_hw, reach, constant_values=VOID)
    return padded[reach - down :, reach - right :][:height, :width]


def _at_most(side_px: int, size: tuple[int, ...]) -> tuple[int, int]:
    share = min(1.0, side_px / max(size))
    return max(1, round(share * size[0])), max(1, round(share * size[1]))


def _score(evidence: float) -> float:
    return evidence / (evidence + HALF_EVIDENCE)


def _distances(ids_hw: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return each pixel's distance from the nearest one that lies at a contour, in px; infinite without contours."""
    is_contour_hw = np.zeros(ids_hw.shape, dtype=np.bool_)
    rows, columns = ids_hw[1:] != ids_hw[:-1], ids_hw[:, 1:] != ids_hw[:, :-1]
    for sides, differs in (((np.s_[1:], np.s_[:-1]), rows), ((np.s_[:, 1:], np.s_[:, :-1]), columns)):
        for side in sides:
            is_contour_hw[side] |= differs
    if not is_contour_hw.any():
        return np.full(ids_hw.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~is_contour_hw))
