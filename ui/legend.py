"""The colours of the classes: a line of chips, or a table."""

import html
from collections.abc import Iterable, Mapping, Sequence

import streamlit as st

from core.classes import Classes
from core.model.photo import ClassArea
from core.voc import BACKGROUND, VOID
from ui.charts import NEUTRAL
from ui.words import percent


def show_legend(
    class_ids: Iterable[int], classes: Classes, void: str = "void", *, is_void_striped: bool = False
) -> None:
    """Draw a colour chip and a name for each class but the background; id 255 is called `void`."""
    ids = sorted(set(class_ids) - {BACKGROUND})
    chips = [
        _chip(_color(k, classes, is_striped=is_void_striped), void if k == VOID else classes.names[k]) for k in ids
    ]
    _show_chips(chips)


def show_colors(meanings: Mapping[str, tuple[int, int, int]]) -> None:
    """Draw a colour chip (RGB) with its meaning for each entry."""
    chips = [_chip("rgb({}, {}, {})".format(*color), meaning) for meaning, color in meanings.items()]
    _show_chips(chips)


def _show_chips(chips: Sequence[str]) -> None:
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:.25rem .9rem;font-size:.875rem">{"".join(chips)}</div>')


def show_areas(areas: Sequence[ClassArea], classes: Classes, *, is_void_striped: bool = False) -> None:
    """Draw a table of the classes in a mask: share of the photo, and the model's mean confidence."""
    titles = {
        "Class": "What the model calls these pixels",
        "Area": "Share of the photo's pixels that got this class",
        "Confidence": "Mean probability the model gave this class on its pixels; models are often too sure",
    }
    heading = "".join(
        f'<th scope="col" title="{html.escape(meaning)}" style="{_cell(title)};border-bottom:1px solid {NEUTRAL}">'
        f"{title}</th>"
        for title, meaning in titles.items()
    )
    rows = "".join(_area_row(area, _color(area.id, classes, is_striped=is_void_striped)) for area in areas)
    style = "border-collapse:collapse;width:100%;max-width:26rem;font-size:.875rem"
    st.html(f'<table style="{style}"><tr>{heading}</tr>{rows}</table>')


def _area_row(area: ClassArea, color: str) -> str:
    share = "< 0.1 %" if area.share < 0.0005 else percent(area.share)
    cells = {
        "Class": _chip(color, area.name),
        "Area": html.escape(share),
        "Confidence": percent(area.mean_confidence),
    }
    return "<tr>" + "".join(f'<td style="{_cell(title)}">{cell}</td>' for title, cell in cells.items()) + "</tr>"


def _color(class_id: int, classes: Classes, *, is_striped: bool) -> str:
    """Return the CSS background of a chip, that of void striped as `render.hatch` stripes it in the pictures."""
    color = classes.css_color(class_id)
    if class_id != VOID or not is_striped:
        return color
    return f"repeating-linear-gradient(135deg,{color} 0 .28em,color-mix(in srgb,{color},black) .28em .42em)"


def _cell(title: str) -> str:
    if title == "Class":
        return "text-align:left;padding:.2em 0;overflow-wrap:anywhere"
    return "text-align:right;padding:.2em 0 .2em .7em;white-space:nowrap;font-variant-numeric:tabular-nums"


def _chip(color: str, name: str) -> str:
    square = (
        f'<span aria-hidden="true" style="display:inline-block;width:.8em;height:.8em;margin-right:.35em;'
        f'border:1px solid {NEUTRAL};background:{color}"></span>'
    )
    return f"<span>{square}{html.escape(name)}</span>"
