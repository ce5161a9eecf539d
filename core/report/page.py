"""The whole file: one HTML document that needs nothing else, no script, and nothing from a network."""

from datetime import datetime

import core
from core.metrics.verdict import Language
from core.report.content import Content
from core.report.markup import Markup, joined, style_sheet, tag
from core.report.reproduction import reproduction_section
from core.report.results import (
    definitions_section,
    evaluation_section,
    figures_section,
    headline_sentence,
    verdict_section,
)
from core.report.sections import data_section, model_section, training_section
from core.report.style import CSS
from core.report.verdicts import Verdicts, decide
from core.report.words import Words

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Nothing is fetched and no script runs, whatever a name in the report may say."""

HTML_LANGUAGES: dict[Language, str] = {"en": "en", "pt": "pt"}
SECTIONS = ("data", "model", "training", "evaluation", "figures", "verdict", "definitions", "reproduction")


def render(
    content: Content, language: Language = "en", *, verdicts: Verdicts | None = None, now: datetime | None = None
) -> str:
    """Return the report as an HTML document; photos or masks that cannot be read raise `DataError`.

    `verdicts` are those of this content, decided here unless given; `now` is when it was made, by default this moment.
    """
    words = Words(language)
    verdicts = verdicts or decide(content)
    title = ", ".join(trained.name for trained in content.trained)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"Atrous {core.__version__}"),
        tag("title", f"{title} · {words('kicker')}"),
        style_sheet(CSS),
    )
    body = tag("body", _header(title, content, verdicts, words, now), tag("main", *_sections(content, verdicts, words)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang=HTML_LANGUAGES[language])}\n"


def _header(title: str, content: Content, verdicts: Verdicts, words: Words, now: datetime | None) -> Markup:
    made = words("made", date=words.moment(now or datetime.now().astimezone()), version=core.__version__)
    links = [tag("li", tag("a", words(key), href=f"#{key}")) for key in SECTIONS]
    return tag(
        "header",
        tag("p", words("kicker"), class_="kicker"),
        tag("h1", title),
        tag("p", made, class_="made"),
        tag("p", headline_sentence(content, verdicts, words), class_="lead"),
        _standing(content, words),
        tag("nav", tag("ol", *links), aria_label=words("contents")),
    )


def _standing(content: Content, words: Words) -> Markup:
    """Return the mean IoU of every checkpoint and of the floor, large."""
    values = [(words("floor"), content.floor.miou)]
    values += [(label, judged.scores.miou) for label, judged in zip(words.labels(content), content.judged, strict=True)]
    entries = [
        tag("div", tag("dt", name), tag("dd", tag("data", words.percent(value), value=repr(value))))
        for name, value in values
    ]
    return joined(tag("p", words("miou"), class_="kicker"), tag("dl", *entries, class_="standing"))


def _sections(content: Content, verdicts: Verdicts, words: Words) -> list[Markup]:
    return [
        data_section(content, words),
        model_section(content, words),
        training_section(content, words),
        evaluation_section(content, words),
        figures_section(content, words),
        verdict_section(content, verdicts, words),
        definitions_section(content, words),
        reproduction_section(content, words, core.__version__),
    ]
