"""What runs in the browser, from the files in `browser/`: components, and the styles of pages."""

from pathlib import Path
from typing import Any

import streamlit as st

FOLDER = Path(__file__).with_name("browser")


def component(title: str, name: str) -> Any:
    """Return a function that draws the component in the files `name`; `title` is Streamlit's name for it."""
    html, css, js = ((FOLDER / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return st.components.v2.component(title, html=html, css=css, js=js)


def style(file: str) -> str:
    """Return a style sheet as an element of HTML."""
    return f"<style>\n{(FOLDER / file).read_text(encoding='utf-8')}</style>"
