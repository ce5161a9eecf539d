"""The tables of scores for HTML and LaTeX: fractions by row and column, the floor in each of them."""

from collections.abc import Sequence
from typing import NamedTuple

from core.metrics.scores import ClassScore, Scores
from core.report.content import Content
from core.report.language.words import Words

SCORE_NAMES = (
    "miou", "pixel_accuracy", "precision", "recall", "f1", "fw_iou", "boundary_iou", "boundary_f",
)  # fmt: skip
CLASS_SCORE_NAMES = ("iou", "precision", "recall", "f1")
CHECKPOINTS_A_TABLE = 2
"""The scores by class of two checkpoints and the floor fill the width of a page."""


class Row(NamedTuple):
    """A row: its label, and fractions or None."""

    label: str
    values: tuple[float | None, ...]


class ScoreTable(NamedTuple):
    """A table of fractions; `groups` are headings and the number of columns below each, or empty."""

    caption: str
    corner: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def scores_table(content: Content, words: Words) -> ScoreTable:
    """Return every score (rows) of each checkpoint and of the floor (columns)."""
    sides = [*(each.scores for each in content.checkpoints), content.floor]
    return ScoreTable(
        words("scores caption", images=words.number(content.floor.images), split=content.split),
        "",
        (),
        (*words.labels(content), words("floor")),
        tuple(Row(words(name), tuple(getattr(scores, name) for scores in sides)) for name in SCORE_NAMES),
    )


def class_tables(content: Content, words: Words) -> list[ScoreTable]:
    """Return tables of the scores of each class (rows), for two checkpoints each, beside the floor's IoU."""
    sides = list(zip(words.labels(content), (each.scores for each in content.checkpoints), strict=True))
    return [
        _class_table(content, sides[first : first + CHECKPOINTS_A_TABLE], words)
        for first in range(0, len(sides), CHECKPOINTS_A_TABLE)
    ]


def _class_table(content: Content, sides: Sequence[tuple[str, Scores]], words: Words) -> ScoreTable:
    names = tuple(words(f"short {name}") for name in CLASS_SCORE_NAMES)
    return ScoreTable(
        words("classes scores caption"),
        words("class"),
        (*((label, len(names)) for label, _ in sides), (words("floor"), 1)),
        (*(name for _ in sides for name in names), words("iou")),
        tuple(
            Row(
                words.class_name(content.floor.classes[k].name),
                _class_values([scores.classes[k] for _, scores in sides], content, k),
            )
            for k in scored_classes(content)
        ),
    )


def _class_values(entries: Sequence[ClassScore], content: Content, k: int) -> tuple[float | None, ...]:
    values = [getattr(entry, name) for entry in entries for name in CLASS_SCORE_NAMES]
    return (*values, content.floor.classes[k].iou)


def scored_classes(content: Content) -> list[int]:
    """Return the ids of the classes in the masks or in any prediction."""
    sides = [each.scores.classes for each in content.checkpoints]
    return [k for k in range(len(content.floor.classes)) if any(classes[k].iou is not None for classes in sides)]


def conventions_table(content: Content, words: Words) -> ScoreTable:
    """Return the mean IoU by other libraries' rules (rows) of each checkpoint and of the floor."""
    sides = [*(each.scores for each in content.checkpoints), content.floor]
    return ScoreTable(
        words("conventions caption"),
        words("convention"),
        (),
        (*words.labels(content), words("floor")),
        tuple(
            Row(words(f"convention {name}"), tuple(scores.conventions[name] for scores in sides))
            for name in content.floor.conventions
        ),
    )
