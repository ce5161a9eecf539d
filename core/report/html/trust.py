"""Robustness and trust: the section of a report that is asked for, from what is stored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.corruptions import CORRUPTIONS
from core.metrics.comparison import Difference, compare_levels
from core.metrics.confusion import iou, mean, mean_over_classes
from core.metrics.scores import floor
from core.report.content import Content
from core.report.html.charts import NUM_COLORS, Line, LineChart
from core.report.language.words import Words
from core.report.tables import Row, ScoreTable
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
        rows.append(Row(words(name), (*(mean(miou_L[1:]) for miou_L in miou_CL), mean(floor_L))))
        if len(stored) > 1:
            differences.append((words(name), compare_levels(counts_CLNKK[0], counts_CLNKK[-1])[1]))
    columns = (*words.labels(content), words("floor"))
    means = ScoreTable(words("robustness caption"), words("corruption"), (), columns, tuple(rows))
    return RobustnessPart(len(stored[0].names), stored[0].split_images, tuple(charts), means, tuple(differences))


def _known(scores: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(score) else float(score) for score in scores]


def missing(content: Content) -> list[str]:
    """Return the commands that count what the section lacks."""
    if content.trust is None or content.trust.robustness:
        return []
    on = command_line(["--data", content.evaluation.data, "--split", content.split])
    return [
        f"{command_line(['python', '-m', 'core', 'evaluate', each.file])} {on} --corruptions"
        for each in content.checkpoints
    ]
