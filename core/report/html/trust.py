"""Robustness and trust: the section of a report that is asked for, from what is stored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.corruptions import CORRUPTIONS
from core.data.dataset import TEST
from core.metrics.comparison import Difference, compare_levels
from core.metrics.confusion import iou, mean_over_classes
from core.metrics.risk import AIMS, Promise
from core.metrics.scores import floor
from core.report.content import Content
from core.report.html.charts import NUM_COLORS, Line, LineChart
from core.report.language.words import Words
from core.report.tables import Row, ScoreTable
from core.training.trust import Trust
from core.windows import command_line


@dataclass(frozen=True)
class RobustnessPart:
    """Curves by corruption with their titles, the means over levels, and B's difference from A where there are two."""

    images: int
    split_images: int
    charts: tuple[tuple[str, LineChart], ...]
    means: ScoreTable
    differences: tuple[tuple[str, Difference], ...]


def robustness(content: Content, words: Words) -> RobustnessPart | None:
    """Return the part on corrupted photos; None if not asked for, or not stored for all checkpoints."""
    stored = content.trust.robustness if content.trust else ()
    if not stored:
        return None
    charts, differences = [], []
    rows = list[Row]()
    for name in CORRUPTIONS:
        counts_CLNKK = np.stack([each.counts_of(name) for each in stored])
        miou_CL = mean_over_classes(iou(counts_CLNKK.sum(axis=2)))
        floors = [floor(counts_NKK).miou for counts_NKK in counts_CLNKK[0]]
        lines = [Line(k % NUM_COLORS, list(enumerate(_known(miou_L)))) for k, miou_L in enumerate(miou_CL)]
        charts.append((words(name), LineChart([*lines, Line(Line.FLOOR, list(enumerate(floors)))])))
        if not rows:
            rows.append(Row(words("level 0"), (*_known(miou_CL[:, 0]), floors[0])))
        floor_L = np.array(floors[1:], dtype=np.float64)
        rows.append(Row(words(name), tuple(_known(np.array([*(miou_CL[:, 1:].mean(axis=1)), floor_L.mean()])))))
        if len(stored) > 1:
            differences.append((words(name), compare_levels(counts_CLNKK[0], counts_CLNKK[-1])[1]))
    columns = (*words.labels(content), words("floor"))
    means = ScoreTable(words("robustness caption"), words("corruption"), (), columns, tuple(rows))
    return RobustnessPart(len(stored[0].names), stored[0].split_images, tuple(charts), means, tuple(differences))


def _known(scores: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(score) else float(score) for score in scores]


@dataclass(frozen=True)
class PromisesPart:
    """By checkpoint with figures: its label and figures; and their risk-coverage curves."""

    figures: tuple[tuple[str, Trust], ...]
    chart: LineChart

    @property
    def rows(self) -> list[tuple[str, str, Promise]]:
        """The promises of each checkpoint, with its label and the split of its held-out photos."""
        return [
            (label, each.about.split, found)
            for label, each in self.figures
            for aim in AIMS
            if (found := each.promise(aim))
        ]


def promises(content: Content, words: Words) -> PromisesPart | None:
    """Return the part on held-out photos; None if not asked for, or stored for no checkpoint."""
    held_out = content.trust.held_out if content.trust else ()
    if not any(held_out):
        return None
    labels = words.labels(content)
    lines = [Line(k % NUM_COLORS, _risk(each)) for k, each in enumerate(held_out) if each]
    return PromisesPart(
        tuple((label, each) for label, each in zip(labels, held_out, strict=True) if each), LineChart(lines)
    )


def _risk(figures: Trust) -> list[tuple[float, float | None]]:
    """Return the mean share of wrong pixels over the mean share kept, in percent, by threshold."""
    curve = figures.curve
    kept_T, wrong_T = 100 * curve.kept_NT.mean(axis=0), 1 - curve.right()
    return [(float(kept), float(wrong)) for kept, wrong in zip(kept_T, wrong_T, strict=True) if kept]


def missing(content: Content) -> dict[str, list[str]]:
    """Return the commands that count what the section lacks, by part."""
    if content.trust is None:
        return {}
    on = command_line(["--data", content.evaluation.data, "--split", content.split])
    files = [command_line([each.file]) for each in content.checkpoints]
    corrupted = [f"python -m core evaluate {file} {on} --corruptions" for file in files]
    held_out = zip(files, content.trust.held_out, strict=True)
    return {
        "robustness": [] if content.trust.robustness else corrupted,
        "promises": [
            f"python -m core trust {file} {on}" for file, found in held_out if not found and content.split != TEST
        ],
    }
