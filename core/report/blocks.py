"""The building blocks of the page: sections, tables and figures with captions."""

from collections.abc import Sequence
from typing import NamedTuple

from core.report.markup import Markup, joined, tag
from core.report.tables import ScoreTable
from core.report.words import Words

LONG = 20
"""Tables of more rows may break at the end of a page, others move to the next."""


class Cell(NamedTuple):
    """A cell: what it shows, and the number behind it, which a copy of the table or a script can take."""

    shown: str
    value: float | None = None
    is_number: bool = True
    css: str | None = None


def text_cell(shown: str) -> Cell:
    """Return a cell of words."""
    return Cell(shown, is_number=False)


def section(number: int, key: str, title: str, *children: str) -> Markup:
    """Return a numbered section that the contents can lead to."""
    heading = tag("h2", tag("span", f"{number} ", class_="number"), title, id=f"{key}-title")
    return tag("section", heading, *children, id=key, aria_labelledby=f"{key}-title")


def table(
    caption: str, head: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]], *,
    groups: Sequence[tuple[str, int]] = (), css: str = "",
) -> Markup:  # fmt: skip
    """Return a table of rows with a label each; `head` names the column of labels first."""
    first, *others = head
    is_number = [all(row[1][k].is_number for row in rows) for k in range(len(others))]
    heads = [tag("th", first, scope="col")] if first else [tag("td")]
    heads += [
        tag("th", name, scope="col", class_="n" if numeric else None)
        for name, numeric in zip(others, is_number, strict=True)
    ]
    lines = [tag("tr", *heads)]
    if groups:
        over = [tag("th", name, scope="colgroup", colspan=span) for name, span in groups]
        lines.insert(0, tag("tr", tag("td"), *over, class_="groups"))
    body = [tag("tr", tag("th", label, scope="row"), *map(_cell, cells)) for label, cells in rows]
    css = f"{css} long".strip() if len(body) > LONG else css
    whole = tag("table", _caption(caption), tag("thead", *lines), tag("tbody", *body), class_=css or None)
    return tag("div", whole, class_="scroll", tabindex=0, role="group", aria_label=caption)


def _caption(text: str) -> Markup:
    """Return a caption that stays readable where a wide table is scrolled."""
    return tag("caption", tag("span", text))


def _cell(cell: Cell) -> Markup:
    shown = cell.shown if cell.value is None else tag("data", cell.shown, value=repr(cell.value))
    css = " ".join(name for name in ("n" if cell.is_number else "", cell.css or "") if name)
    return tag("td", shown, class_=css or None)


def facts(caption: str, rows: Sequence[tuple[str, str | Cell]]) -> Markup:
    """Return a table of names and values."""
    body = []
    for name, value in rows:
        cell = value if isinstance(value, Cell) else text_cell(value)
        body.append(tag("tr", tag("th", name, scope="row"), _cell(cell._replace(is_number=False))))
    css = "facts long" if len(body) > LONG else "facts"
    return tag("table", _caption(caption), tag("tbody", *body), class_=css)


def score_table(scores: ScoreTable, words: Words, *, css: str = "") -> Markup:
    """Return a table of fractions in per cent, the floor's column set apart."""
    last = len(scores.columns) - 1
    rows = [
        (row.label, [fraction_cell(value, words, css="floor-cell" if k == last else None)
                     for k, value in enumerate(row.values)])
        for row in scores.rows
    ]  # fmt: skip
    return table(scores.caption, [scores.corner, *scores.columns], rows, groups=scores.groups, css=css)


def fraction_cell(value: float | None, words: Words, *, css: str | None = None) -> Cell:
    """Return a fraction in per cent."""
    return Cell(words.per_cent(value), value, css=css)


def figure(drawn: Markup, caption: str, legend: Markup | None = None) -> Markup:
    """Return a chart with its legend and caption."""
    return tag("figure", drawn, legend or Markup(), tag("figcaption", caption))


def legend(entries: Sequence[tuple[Markup, str]]) -> Markup:
    """Return a list of samples and what they stand for."""
    return tag("ul", *(tag("li", sample, " ", name) for sample, name in entries), class_="legend")


def note(text: str, css: str = "note") -> Markup:
    """Return a paragraph beside the matter."""
    return tag("p", text, class_=css)


def paragraphs(*texts: str) -> Markup:
    """Return each text as a paragraph; an empty one is left out."""
    return joined(*(tag("p", text) for text in texts if text))
