"""Whether two statistics tell the same."""

import numpy as np

from core.data.statistics.split_stats import SplitStats


def assert_equal(stats: SplitStats, expected: SplitStats) -> None:
    assert stats == expected
    np.testing.assert_array_equal(stats.co_occurrence_KK, expected.co_occurrence_KK)
    np.testing.assert_array_equal(stats.heat_KGG, expected.heat_KGG)
