"""What runs in the browser, from the files in `browser/`: components, and the styles of pages."""

from pathlib import Path
from typing import Any

import streamlit as st

FOLDER = Path(__file__).with_name("browser")


def component(title: str, name: str) -> Any:
    """Return a function that draws the component in the files `name`; `title` is Streamlit's name for it."""
    html, css, js = ((FOLDER / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component(title, html=html, css=css, js=js)


def chart_colors() -> str:
    """Return rules that give the marks of drawn charts the colours of the theme in use.

    Streamlit puts the theme's colours into a chart once: after a change of theme dark lines would stand on black.
    """
    light, dark = (st.get_option(f"theme.{name}.chartCategoricalColors") or () for name in ("light", "dark"))
    rules = []
    for pair in zip(light, dark, strict=True):
        drawn = [f"rgb({', '.join(map(str, bytes.fromhex(color.removeprefix('#'))))})" for color in pair]
        for what in ("stroke", "fill"):
            marks = ", ".join(f'[data-testid=stPlotlyChart] [style*="{what}: {color}"]' for color in drawn)
            rules.append(f"{marks} {{ {what}: light-dark({', '.join(pair)}) !important; }}")
    return "\n".join(["<style>", *rules, "</style>"])


def style(file: str) -> str:
    """Return a style sheet as an element of HTML."""
    return f"<style>\n{(FOLDER / file).read_text(encoding='utf-8')}</style>"
