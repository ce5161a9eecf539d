"""IoU against size, by hand; and how much of a published schedule a run has had."""

import numpy as np
import pytest

from core.metrics.conventions import PUBLISHED, share_of_schedule
from core.metrics.object_size import size_bins, size_scores


def test_sizes_by_hand() -> None:
    # 1000 pixels each: class 1 covers 0.5 % and is missed; then 30 % (its bin holds its upper bound), half found.
    small = [[990, 5, 0], [5, 0, 0], [0, 0, 0]]
    large = [[700, 0, 0], [150, 150, 0], [0, 0, 0]]
    counts_NKK = np.array([small, large], dtype=np.int64)
    assert size_bins(counts_NKK).tolist() == [[-1, 0, -1], [-1, 3, -1]]
    found = size_scores(counts_NKK)
    assert [(score.objects, score.iou) for score in found] == [(1, 0.0), (0, None), (0, None), (1, 0.5), (0, None)]


def test_an_image_of_void_has_no_objects() -> None:
    assert (size_bins(np.zeros((1, 3, 3), dtype=np.int64)) == -1).all()


def test_fifty_epochs_of_voc_train_are_a_quarter_of_mmseg_s_shortest_schedule() -> None:
    """23 % of 20,000 steps of 16 images, and 4.6 % after ten epochs."""
    by_system = {entry.system: entry for entry in PUBLISHED}
    mmseg = by_system["mmseg DeepLabV3-R50-D8, 20k"]
    assert share_of_schedule(50 * 1464, mmseg) == pytest.approx(0.229, abs=0.001)
    assert share_of_schedule(10 * 1464, mmseg) == pytest.approx(0.046, abs=0.001)
    assert share_of_schedule(50, by_system["VainF DeepLabV3-ResNet50"]) is None
    assert all(0 < entry.miou < 1 for entry in PUBLISHED)
