"""The whole file: one HTML document from `templates/report.html`, with `report.css` in it."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import core
from core.report import tables
from core.report.content import Content
from core.report.html import sections, trust
from core.report.html.charts import NUM_COLORS
from core.report.html.figures import colors_of, photos_of
from core.report.html.why import why_here
from core.report.language.words import Words
from core.report.verdicts import Verdicts, decide

SECTIONS = (
    "data",
    "model",
    "training",
    "evaluation",
    "figures",
    "verdict",
    "study",
    "trust",
    "definitions",
    "reproduction",
)

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,  # names of runs, classes and files may hold markup
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Cover(NamedTuple):
    """What stands at the head of a report; empty parts are left out, and the title is the runs' names without one."""

    title: str = ""
    author: str = ""
    course: str = ""
    date: str = ""

    @property
    def options(self) -> list[str]:
        """The options of the command `report` that say so."""
        return [f"--{name}={text}" for name, text in self._asdict().items() if text]  # a text may begin with a dash


NO_COVER = Cover()


def file_name(run_folder: str, language: str) -> str:
    """Return the name of a report's file, such as `2026-11-27_1200_demo-report-pt.html`."""
    return f"{run_folder}-report-{language}.html"


def render(
    content: Content, language: str = "en", *, cover: Cover = NO_COVER, verdicts: Verdicts | None = None,
    now: datetime | None = None,
) -> str:  # fmt: skip
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
        title=cover.title or ", ".join(reported.name for reported in content.runs),
        byline=[part for part in (cover.author, cover.course, cover.date) if part],
        sections=[
            each
            for each in SECTIONS
            if {"study": content.study or content.gone_study, "trust": content.trust is not None}.get(each, True)
        ],
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
        study_curves=sections.study_curves(content, words),
        test_photos=content.test_photos.items(),
        study_verdicts=sections.study_verdicts(content, words),
        robustness=trust.robustness(content, words),
        promises=trust.promises(content, words),
        missing=trust.missing(content),
        why=why_here(content, words),
        openings=sections.openings(content, words),
        chosen_labels=sections.chosen_labels(content, words),
        model=sections.model(content, words),
        settings=sections.settings(content, words),
        curves=sections.curves(content),
        shown_epochs=sections.shown_epochs,
        scores=tables.scores_table(content, words),
        class_tables=tables.class_tables(content, words),
        conventions=tables.conventions_table(content, words),
        warnings=sections.warnings(content, words),
        bars=sections.bars(content, words),
        num_colors=NUM_COLORS,
        photos=photos,
        colors=colors_of(photos, content, words),
        ranking=[(each, words.listed([labels[k] for k in each.ties_with])) for each in verdicts.ranking],
        defined=("iou", *tables.SCORE_NAMES, "floor", "delta"),
        commands=sections.commands(content, words, cover.options),
    )
