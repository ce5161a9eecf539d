"""Which photos to label next: where a model is unsure, and unlike what is labelled or ranked already.

*Uncertainty* of a photo: the entropy of each pixel's class probabilities (0 sure, 1 every class alike), its mean over
the pixels of each predicted class, and the mean of those: a small object counts as much as a large background.
*Diversity*: a photo is described by the mean of the backbone's features over it; its distance from another is 1 less
the cosine of the two, after the mean of all photos is taken off. Photos are chosen one after the other, each time the
one with the largest uncertainty times distance from the nearest photo that is labelled or chosen (the greedy k-centre
of Sener and Savarese 2018, arXiv 1708.00489, with a weight).
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

IS_DEFAULT = False
VERDICT = (
    "Measured: with 20 labelled photos no better than random; with 40 and 80, 2 points of mIoU better on average, "
    "though not in each of three trials. So photos come in random order unless you choose otherwise."
)
"""What `bench labelling --full` found on 1,050 photos of animals, three seeds (dev/LOG.md, 2026-11-28)."""

LEAST_SHARE = 0.005
"""A class in fewer of the pixels does not count: a speck would weigh as much as the background."""
MARGIN = 0.5
"""A pixel is unsure if its two best classes are this near in probability."""
FAR, NEAR = 0.7, 0.15
"""Distances from the nearest labelled or chosen photo from, and up to, which a reason mentions it."""
MAX_COMPARED = 500
"""So many photos are compared with those before them; the time of it grows with the square of their number."""
KNOWN_AT_ONCE = 256
"""Number of labelled photos that the others are compared with at a time."""
UNSURE_SHARE = 0.02
"""With fewer unsure pixels the reason says that the model is sure."""

Descriptor = NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What a model makes of a photo.

    uncertainty   in [0, 1], as above
    unsure_share  share of the unsure pixels
    between       ids of the two classes between which most of those lie; empty without unsure pixels
    descriptor_D  float32, (D,)
    """

    uncertainty: float
    unsure_share: float
    between: tuple[int, ...]
    descriptor_D: Descriptor


@dataclass(frozen=True)
class Ranked:
    """A photo by name with its score, larger first, and the reason in words."""

    name: str
    score: float
    reason: str


def random_order(names: Iterable[str]) -> list[str]:
    """Return names by a hash of each, not that of the splits: random, always the same, and no name moves another."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def look(logits_Khw: "Tensor", descriptor_D: "Tensor", class_ids: Sequence[int]) -> Look:
    """Return what a model makes of a photo, from its logits at any resolution and the mean of its features.

    `class_ids` are the ids of the logits' classes, at least two.
    """
    probabilities_Khw = logits_Khw.float().softmax(dim=0)
    num_classes = len(probabilities_Khw)
    entropy_hw = -(probabilities_Khw * probabilities_Khw.clamp_min(1e-12).log()).sum(dim=0) / math.log(num_classes)
    best_2hw, ids_2hw = probabilities_Khw.topk(2, dim=0)
    entropies, ids_P = entropy_hw.cpu().numpy().ravel(), ids_2hw[0].cpu().numpy().ravel()
    pixels_K = np.bincount(ids_P, minlength=num_classes)
    sums_K = np.bincount(ids_P, weights=entropies, minlength=num_classes)
    counts = pixels_K >= max(1, LEAST_SHARE * len(ids_P))
    is_unsure_hw = best_2hw[0] - best_2hw[1] < MARGIN
    low_P, high_P = ids_2hw[:, is_unsure_hw].sort(dim=0).values.cpu().numpy()
    pairs = np.bincount(low_P * num_classes + high_P, minlength=1)
    return Look(
        float((sums_K[counts] / pixels_K[counts]).mean()),
        len(low_P) / len(ids_P),
        tuple(class_ids[each] for each in divmod(int(pairs.argmax()), num_classes)) if len(low_P) else (),
        descriptor_D.float().cpu().numpy(),
    )


def ranked(looks: Mapping[str, Look], labelled: Sequence[Descriptor], class_names: Sequence[str]) -> list[Ranked]:
    """Return photos, the one to label first at the head; the order of `looks` and `labelled` does not matter.

    Args:
        looks: what a model makes of each photo, by name.
        labelled: the descriptors of photos that are labelled, by the same model.
        class_names: names by the ids of `Look.between`.
    """
    names = sorted(looks)
    if not names:
        return []
    uncertainty_N = np.array([looks[name].uncertainty for name in names])
    vectors_ND, known_MD = _centred([looks[name].descriptor_D for name in names], labelled)
    distance_N = _distance_from_nearest(vectors_ND, known_MD)
    is_near_known_N = np.full(len(names), len(known_MD) > 0)
    left = np.ones(len(names), dtype=bool)
    chosen: list[Ranked] = []

    def choose(at: int, weight: float) -> None:
        left[at] = False
        reason = _reason(looks[names[at]], class_names)
        if len(known_MD) or chosen:
            reason += _about_distance(float(distance_N[at]), is_near_labelled=bool(is_near_known_N[at]))
        chosen.append(Ranked(names[at], float(weight), f"{reason}."))

    for _ in names[:MAX_COMPARED]:
        weight_N = np.where(left, uncertainty_N * distance_N.clip(0), -1.0)
        at = int(weight_N.argmax())
        choose(at, weight_N[at])
        to_chosen_N = 1 - vectors_ND @ vectors_ND[at]
        is_near_known_N &= to_chosen_N >= distance_N
        distance_N = np.minimum(distance_N, to_chosen_N)
    weight_N = uncertainty_N * distance_N.clip(0)
    for at in sorted(np.flatnonzero(left).tolist(), key=lambda each: (-weight_N[each], each)):
        choose(at, weight_N[at])
    return chosen


def _centred(
    photos: Sequence[Descriptor], labelled: Sequence[Descriptor]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return unit vectors of both, with the mean of all taken off; equal descriptors count once in the mean.

    Without that, ten frames of one scene would pull the mean towards themselves.
    """
    both_ND = np.stack([*photos, *labelled]).astype(np.float64)
    centred_ND = both_ND - np.unique(both_ND, axis=0).mean(axis=0) if len(both_ND) > 1 else both_ND
    lengths_N1 = np.linalg.norm(centred_ND, axis=1, keepdims=True)
    unit_ND = (centred_ND / np.maximum(lengths_N1, 1e-12)).astype(np.float32)
    return unit_ND[: len(photos)], unit_ND[len(photos) :]


def _distance_from_nearest(photos_ND: NDArray[np.float32], known_MD: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distance of each photo from the nearest labelled one, 1 without any.

    Some at a time: all distances of 10,000 photos from 10,000 took 800 MB.
    """
    parts = [known_MD[begin : begin + KNOWN_AT_ONCE] for begin in range(0, len(known_MD), KNOWN_AT_ONCE)]
    nearest = [(1 - photos_ND @ part_MD.T).min(axis=1) for part_MD in parts]
    return np.min(nearest, axis=0) if nearest else np.ones(len(photos_ND), dtype=np.float32)


def _reason(look: Look, class_names: Sequence[str]) -> str:
    if look.unsure_share < UNSURE_SHARE or not look.between:
        return "the model is sure nearly everywhere"
    first, second = (class_names[each] for each in look.between)
    return f"unsure over {100 * look.unsure_share:.0f} % of the photo, mostly between {first} and {second}"


def _about_distance(distance: float, *, is_near_labelled: bool) -> str:
    if distance >= FAR:
        return "; unlike what is labelled" if is_near_labelled else "; unlike the photos ranked before it"
    if distance <= NEAR:
        return "; much like a labelled photo" if is_near_labelled else "; much like a photo ranked before it"
    return ""
