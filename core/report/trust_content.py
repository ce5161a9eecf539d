"""What is stored about reported checkpoints beyond their scores: robustness and trust."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.training import trust
from core.training.run import robustness
from core.training.run.robustness import Robustness
from core.training.trust import Trust

if TYPE_CHECKING:
    from core.report.content import ReportedCheckpoint


@dataclass(frozen=True)
class TrustContent:
    """What is stored about the checkpoints beyond their scores.

    `robustness` has one store for each of them, all on the same photos; it is empty unless all have one. `held_out` has
    the figures of each, None where there are none.
    """

    robustness: tuple[Robustness, ...]
    held_out: tuple[Trust | None, ...]


def trust_content(checkpoints: Sequence["ReportedCheckpoint"]) -> TrustContent:
    """Return what is stored; damaged figures raise `RunError`."""
    places = [(each.run.eval_dir, each.evaluation) for each in checkpoints]
    keys = [(eval_dir, of.checkpoint_hash, of.split, of.fingerprint) for eval_dir, of in places]
    return TrustContent(
        tuple(robustness.on_same_photos([robustness.find(*key) for key in keys])),
        tuple(trust.stored(*key) for key in keys),
    )
