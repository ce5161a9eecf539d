"""HTML, SVG and MathML from nested calls. A text is escaped unless it is `Markup`, which only this module makes.

`tag("p", "1 < 2 ", tag("b", "always"), class_="note")` is `<p class="note">1 &lt; 2 <b>always</b></p>`.
"""

from html import escape

EMPTY_TAGS = frozenset({"meta", "img", "br", "col"})

Attribute = str | int | float | None


class Markup(str):
    """Text that is markup already and must not be escaped again."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: Attribute) -> Markup:
    """Return an element; of an attribute's name a last `_` is dropped and others become `-`, None leaves it out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in EMPTY_TAGS:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Return pieces one after the other, those that are plain text escaped."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def style_sheet(css: str) -> Markup:
    """Return a style element; its text comes from this package alone."""
    return Markup(f"<style>{css}</style>")


def _text(value: str | int | float) -> str:
    """Return an attribute's value; coordinates need no more than two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
