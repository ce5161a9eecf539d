"""Comparisons of checkpoints: each with the floor, the others with the first, and a ranking of three or more."""

from dataclasses import dataclass

from core.metrics.comparison import Comparison, Ranked, compare, ranking
from core.report.content import Content

RANKED_FROM = 3
"""Number of checkpoints from which a ranking says more than the comparison."""


@dataclass(frozen=True)
class Verdicts:
    """Comparisons on the same photos, in the order of the checkpoints; `against_first` begins with the second."""

    against_floor: tuple[Comparison, ...]
    against_first: tuple[Comparison, ...]
    ranking: tuple[Ranked, ...]

    @property
    def headline(self) -> Comparison:
        """The last checkpoint against the first, or a single one against the floor."""
        return self.against_first[-1] if self.against_first else self.against_floor[0]


def decide(content: Content) -> Verdicts:
    """Compare the checkpoints, reproducibly (`core.metrics.comparison`)."""
    first_NKK, *others = content.counts_CNKK
    return Verdicts(
        against_floor=tuple(compare(content.floor_NKK, counts_NKK) for counts_NKK in content.counts_CNKK),
        against_first=tuple(compare(first_NKK, counts_NKK) for counts_NKK in others),
        ranking=ranking(list(content.counts_CNKK)) if len(content.checkpoints) >= RANKED_FROM else (),
    )
