"""How much a pixel of each class counts in the loss, so that rare classes are not drowned by the background."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.dataset import Sample
from core.data.images import read_mask

MAX_WEIGHT = 10.0
"""A class of a handful of pixels would otherwise steer whole steps."""

MAX_THREADS = 4


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
