"""What an analysis left in its folder, and whether two tell the same."""

from pathlib import Path

import numpy as np

from core.data.stats import SplitStats


def stored_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def assert_equal(stats: SplitStats, expected: SplitStats) -> None:
    assert stats == expected
    np.testing.assert_array_equal(stats.co_occurrence_KK, expected.co_occurrence_KK)
    np.testing.assert_array_equal(stats.heat_KGG, expected.heat_KGG)
