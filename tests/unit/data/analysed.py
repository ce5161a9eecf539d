"""Statistics straight from the files, and whether two are equal."""

from collections.abc import Sequence

import numpy as np

from core.data.dataset import Sample
from core.data.images import read_pair
from core.data.statistics.pair_facts import pair_facts
from core.data.statistics.split_stats import SplitStats, summarize


def split_stats(samples: Sequence[Sample], class_names: Sequence[str]) -> SplitStats:
    """Return the statistics of pairs, read one by one."""
    num_classes = len(class_names)
    facts = [pair_facts(*read_pair(each.photo, each.mask, num_classes), num_classes) for each in samples]
    return summarize([each.name for each in samples], facts, class_names)


def assert_equal(stats: SplitStats, expected: SplitStats) -> None:
    assert stats == expected
    np.testing.assert_array_equal(stats.co_occurrence_KK, expected.co_occurrence_KK)
    np.testing.assert_array_equal(stats.heat_KGG, expected.heat_KGG)
