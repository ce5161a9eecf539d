"""Class weights by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.dataset import open_dataset
from core.errors import DataError
from core.training.loss import balanced_weights, median_frequency_weights
from tests.small_data import CAT, DOG


def test_weights_are_the_median_frequency_over_each_class_s() -> None:
    # Frequencies over the photos that show a class: 150/200 = 0.75, 40/100 = 0.4, 10/100 = 0.1; their median is 0.4.
    pixels_NK = np.array([[60, 40, 0, 0], [90, 0, 10, 0]])
    np.testing.assert_allclose(median_frequency_weights(pixels_NK), [0.4 / 0.75, 1.0, 4.0, 1.0])


def test_a_handful_of_pixels_weighs_ten_times_at_most() -> None:
    weights_K = median_frequency_weights(np.array([[99_999, 1, 100_000]]))
    assert weights_K[1] == 10
    assert weights_K[[0, 2]] == pytest.approx([0.5 / 0.499995 * 0.99999, 0.99999], rel=1e-4)


def test_photos_of_void_alone_weigh_nothing() -> None:
    assert median_frequency_weights(np.zeros((3, 2), dtype=np.int64)).tolist() == [1, 1]


def test_masks_are_counted_without_their_void(tiny_voc: Path) -> None:
    samples = open_dataset(tiny_voc).split("train")
    weights_K = balanced_weights(samples, 21)
    assert (weights_K.shape, weights_K.dtype) == ((21,), torch.float32)
    assert weights_K[0] < 1 < weights_K[CAT] + weights_K[DOG]
    absent = [class_id for class_id in range(1, 21) if class_id not in (CAT, DOG)]
    assert (weights_K[absent] == 1).all()
    samples[0].mask.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        balanced_weights(samples, 21)
