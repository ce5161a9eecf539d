"""The whole file: one HTML document from `templates/report.html`, with `report.css` in it."""

from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import core
from core.report import tables
from core.report.content import Content
from core.report.html import sections
from core.report.html.charts import NUM_COLORS
from core.report.html.figures import colors_of, photos_of
from core.report.language.words import Words
from core.report.verdicts import Verdicts, decide

SECTIONS = ("data", "model", "training", "evaluation", "figures", "verdict", "definitions", "reproduction")

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,  # names of runs, classes and files may hold markup
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(
    content: Content, language: str = "en", *, verdicts: Verdicts | None = None, now: datetime | None = None
) -> str:
    """Return the report as an HTML document; photos or masks that cannot be read raise `DataError`.

    `verdicts` are those of this content, computed here unless given; `now` is the date of the report.
    """
    words = Words(language)
    verdicts = verdicts or decide(content)
    labels = words.labels(content)
    a, b = (labels[0], labels[-1]) if len(labels) > 1 else (words("the floor"), labels[0])
    photos = photos_of(content, words)
    return TEMPLATES.get_template("report.html").render(
        words=words,
        content=content,
        verdicts=verdicts,
        version=core.__version__,
        made=now or datetime.now().astimezone(),
        title=", ".join(reported.name for reported in content.runs),
        sections=SECTIONS,
        labels=labels,
        a=a,
        b=b,
        headline=words.verdict(verdicts.headline, a, b),
        is_demo=sections.is_of_demo(content),
        by_size=[
            label
            for label, checkpoint in zip(labels, content.checkpoints, strict=True)
            if not checkpoint.evaluation.is_by_content
        ],
        model=sections.model(content, words),
        settings=sections.settings(content, words),
        curves=sections.curves(content),
        shown_epochs=sections.shown_epochs,
        scores=tables.scores_table(content, words),
        class_tables=tables.class_tables(content, words),
        conventions=tables.conventions_table(content, words),
        warnings=sections.warnings(content, words),
        bars=sections.bars(content),
        num_colors=NUM_COLORS,
        photos=photos,
        colors=colors_of(photos, content, words),
        ranking=[(each, words.listed([labels[k] for k in each.ties_with])) for each in verdicts.ranking],
        defined=("iou", *tables.SCORE_NAMES, "floor", "delta"),
        commands=sections.commands(content, words),
    )
