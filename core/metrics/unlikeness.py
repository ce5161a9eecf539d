"""How unlike the training photos a photo is: the Mahalanobis distance of its features from theirs.

After Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples" (arXiv 1807.03888), with
one Gaussian for all photos: a photo is the mean of the backbone's features over it, divided by its length. The
covariance is shrunk towards a multiple of the identity, as much as Ledoit and Wolf 2004 find best, since there may be
fewer photos than features. What a distance means is its *percentile*: the share of held-out photos that are nearer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_REFERENCE = 1000
"""The largest number of training photos that the reference is made of; more change little."""
MAX_DIRECTIONS = 128
"""The number of directions of largest variance that are stored; the others share their mean variance."""
LEAST_VARIANCE = 1e-8
UNLIKE = 0.05
"""The share of photos like the held-out ones that are called unlike all the same."""


@dataclass(frozen=True)
class Reference:
    """The Gaussian of training photos: mean, D directions, variance along each, and along all others (inf: none)."""

    mean_C: NDArray[np.float32]
    directions_CD: NDArray[np.float16]
    variance_D: NDArray[np.float32]
    other_variance: float

    @classmethod
    def of(cls, features_MC: NDArray[np.float32]) -> "Reference":
        """Return the reference of the features of at least one photo."""
        unit_MC = _unit(features_MC)
        num_photos, num_features = unit_MC.shape
        mean_C = unit_MC.mean(axis=0)
        _, singular_R, directions_RC = np.linalg.svd(unit_MC - mean_C, full_matrices=False)
        variance_C = np.zeros(num_features)
        variance_C[: len(singular_R)] = singular_R**2 / num_photos
        mean_variance = variance_C.mean()
        distance = ((variance_C - mean_variance) ** 2).sum()
        noise = ((((unit_MC - mean_C) ** 2).sum(axis=1) ** 2).mean() - (variance_C**2).sum()) / num_photos
        shrinkage = min(1.0, noise / distance) if distance > 0 else 1.0
        variance_C = np.maximum((1 - shrinkage) * variance_C + shrinkage * mean_variance, LEAST_VARIANCE)
        kept = min(MAX_DIRECTIONS, len(singular_R))
        others = variance_C[kept:].mean() if kept < num_features else np.inf
        directions_CD = directions_RC[:kept].T.astype(np.float16)
        return cls(mean_C.astype(np.float32), directions_CD, variance_C[:kept].astype(np.float32), float(others))

    def arrays(self) -> dict[str, Any]:
        """Return its arrays by name."""
        return dict(vars(self))

    @classmethod
    def of_arrays(cls, stored: Mapping[str, NDArray[Any]]) -> "Reference":
        """Return the reference of stored arrays; a missing one raises `KeyError`."""
        mean_C, directions_CD, variance_D, other = (stored[name] for name in cls.__dataclass_fields__)
        return cls(mean_C, directions_CD, variance_D, float(other))

    def distance(self, features_NC: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return distance_N of photos from the mean, in standard deviations of the training photos."""
        centred_NC = _unit(features_NC) - self.mean_C
        along_ND = centred_NC @ self.directions_CD.astype(np.float64)
        outside_N = np.maximum((centred_NC**2).sum(axis=1) - (along_ND**2).sum(axis=1), 0)
        within_N = (along_ND**2 / self.variance_D).sum(axis=1)
        distance_N: NDArray[np.float64] = np.sqrt(within_N + outside_N / self.other_variance)
        return distance_N


def _unit(features_NC: NDArray[np.float32]) -> NDArray[np.float64]:
    features = features_NC.astype(np.float64)
    unit_NC: NDArray[np.float64] = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return unit_NC


def percentile(distance: float, held_out_N: NDArray[np.float64]) -> float:
    """Return the share of held-out photos whose distance is smaller."""
    return float((held_out_N < distance).mean())


def is_unlike(distance: float, held_out_N: NDArray[np.float64]) -> bool:
    """Return whether a photo is farther than all but `UNLIKE` of photos like the held-out ones: a conformal test.

    Of n held-out photos and a new one like them, it is the farthest in 1 of n + 1 cases: 18 call no photo unlike.
    """
    return float((1 + (held_out_N >= distance).sum()) / (len(held_out_N) + 1)) <= UNLIKE
