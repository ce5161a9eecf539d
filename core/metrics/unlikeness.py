"""How unlike the training photos a photo is: Mahalanobis distances of its features from theirs.

After Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples" (arXiv 1807.03888), with
one Gaussian for all photos, of two kinds of features (`predictor.Features`): those of the backbone's last map, divided
by their length, show things; those of an early stage, each divided by its deviation over the training photos, light,
noise and sharpness. The covariance is shrunk towards a multiple of the identity, as much as Ledoit and Wolf 2004 find
best, since there may be fewer photos than features. What distances mean is seen among held-out photos: a photo is as
unlike as the larger of its two ranks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_REFERENCE = 1000
"""The largest number of training photos that the reference is made of; more change little."""
MAX_DIRECTIONS = 128
"""The number of directions of largest variance that are stored; the others share their mean variance."""
LEAST_VARIANCE = 1e-8
LEAST_SHRINKAGE = 0.1
"""The least for whitened features: their directions of small variance say least about light and noise (dev/LOG.md)."""
UNLIKE = 0.05
"""The share of photos like the held-out ones that are called unlike all the same."""


@dataclass(frozen=True)
class Reference:
    """The Gaussian of training photos: mean, D directions, variance along each, and along all others (inf: none).

    `scale_C` is what features are divided by; it is empty where they are divided by their length.
    """

    mean_C: NDArray[np.float32]
    directions_CD: NDArray[np.float16]
    variance_D: NDArray[np.float32]
    other_variance: float
    scale_C: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    @classmethod
    def of(cls, features_MC: NDArray[np.float32], *, is_whitened: bool = False) -> "Reference":
        """Return the reference of the features of at least one photo; `is_whitened` scales each by its deviation."""
        deviation_C = features_MC.std(axis=0, dtype=np.float64) if is_whitened else np.zeros(0)
        scale_C = np.where(deviation_C > 0, deviation_C, 1).astype(np.float32)
        scaled_MC = _scaled(features_MC, scale_C)
        num_photos, num_features = scaled_MC.shape
        mean_C = scaled_MC.mean(axis=0)
        _, singular_R, directions_RC = np.linalg.svd(scaled_MC - mean_C, full_matrices=False)
        variance_C = np.zeros(num_features)
        variance_C[: len(singular_R)] = singular_R**2 / num_photos
        mean_variance = variance_C.mean()
        distance = ((variance_C - mean_variance) ** 2).sum()
        noise = ((((scaled_MC - mean_C) ** 2).sum(axis=1) ** 2).mean() - (variance_C**2).sum()) / num_photos
        shrinkage = min(1.0, noise / distance) if distance > 0 else 1.0
        shrinkage = max(shrinkage, LEAST_SHRINKAGE) if is_whitened else shrinkage
        variance_C = np.maximum((1 - shrinkage) * variance_C + shrinkage * mean_variance, LEAST_VARIANCE)
        kept = min(MAX_DIRECTIONS, len(singular_R))
        others = variance_C[kept:].mean() if kept < num_features else np.inf
        directions_CD = directions_RC[:kept].T.astype(np.float16)
        variance_D = variance_C[:kept].astype(np.float32)
        return cls(mean_C.astype(np.float32), directions_CD, variance_D, float(others), scale_C)

    def arrays(self, prefix: str = "") -> dict[str, Any]:
        """Return its arrays by name."""
        return {prefix + name: array for name, array in vars(self).items()}

    @classmethod
    def of_arrays(cls, stored: Mapping[str, NDArray[Any]], prefix: str = "") -> "Reference":
        """Return the reference of stored arrays; a missing one raises `KeyError`, but for the scale of older files."""
        names = ("mean_C", "directions_CD", "variance_D", "other_variance")
        mean_C, directions_CD, variance_D, other = (stored[prefix + name] for name in names)
        scale_C = stored[prefix + "scale_C"] if prefix + "scale_C" in stored else np.zeros(0, np.float32)
        return cls(mean_C, directions_CD, variance_D, float(other), scale_C)

    def distance(self, features_NC: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return distance_N of photos from the mean, in standard deviations of the training photos."""
        centred_NC = _scaled(features_NC, self.scale_C) - self.mean_C
        along_ND = centred_NC @ self.directions_CD.astype(np.float64)
        outside_N = np.maximum((centred_NC**2).sum(axis=1) - (along_ND**2).sum(axis=1), 0)
        within_N = (along_ND**2 / self.variance_D).sum(axis=1)
        distance_N: NDArray[np.float64] = np.sqrt(within_N + outside_N / self.other_variance)
        return distance_N


def _scaled(features_NC: NDArray[np.float32], scale_C: NDArray[np.float32]) -> NDArray[np.float64]:
    features = features_NC.astype(np.float64)
    divisor = scale_C if len(scale_C) else np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    scaled_NC: NDArray[np.float64] = features / divisor
    return scaled_NC


class Unlikeness(NamedTuple):
    """How unlike the training photos a photo is.

    `share` is that of the held-out photos which are less unlike, `by_distance` the same by each distance alone.
    """

    share: float
    by_distance: tuple[float, ...]
    is_unlike: bool

    @property
    def far_by(self) -> tuple[bool, ...]:
        """Whether it is far by each distance: by the one that ranks it highest, and where it would be unlike alone."""
        least = min(1 - UNLIKE, max(self.by_distance))
        return tuple(share >= least for share in self.by_distance)


def unlikeness(distance_R: NDArray[np.float64], held_out_NR: NDArray[np.float64]) -> Unlikeness:
    """Return how unlike a photo at R distances is, among N held-out photos at theirs.

    A photo's score is the largest of its ranks by each distance among all N + 1 photos, then their sum. So all are
    treated alike, and the test for `is_unlike` is a conformal one: of N + 1 photos like each other, at most `UNLIKE`
    are called unlike. A new photo like n held-out ones is the farthest in 1 of n + 1 cases: 18 call no photo unlike.
    """
    distance_MR = np.vstack([held_out_NR, distance_R])
    rank_MR = np.stack([np.searchsorted(np.sort(each_M), each_M) for each_M in distance_MR.T], axis=1)
    score_M = rank_MR.max(axis=1) + rank_MR.sum(axis=1) / rank_MR.size  # less than a rank
    is_nearer_N = score_M[:-1] < score_M[-1]
    return Unlikeness(
        float(is_nearer_N.mean()),
        tuple((held_out_NR < distance_R).mean(axis=0).tolist()),
        float((1 + (~is_nearer_N).sum()) / len(distance_MR)) <= UNLIKE,
    )
