"""Reads an HTML file back: its elements, texts and tables, and that every element that is opened is closed."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

EMPTY_TAGS = frozenset({"meta", "img", "br"})


@dataclass
class Element:
    """An element: its attributes and children; a text is a child without a name."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element"] = field(default_factory=list)
    own_text: str = ""

    @property
    def text(self) -> str:
        """All text in it."""
        return self.own_text + "".join(child.text for child in self.children)

    def all(self, name: str = "") -> list["Element"]:
        """Return every element of a name below this one, in order."""
        found = []
        for child in self.children:
            if child.name and name in ("", child.name):
                found.append(child)
            found += child.all(name)
        return found

    def with_id(self, wanted: str) -> "Element":
        """Return the element of an id."""
        return next(element for element in self.all() if element.attributes.get("id") == wanted)

    def rows(self) -> list[list[str]]:
        """Return the texts of a table, row by row."""
        return [[cell.text for cell in row.children] for row in self.all("tr")]

    def values(self) -> dict[str, list[float]]:
        """Return the numbers behind the cells of a table by the label of their row."""
        return {
            row.children[0].text: [float(each.attributes["value"]) for each in row.all("data")]
            for row in self.all("tbody")[0].all("tr")
        }


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(element)
        if tag not in EMPTY_TAGS:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():  # spaces between elements show nowhere
            self.open[-1].children.append(Element("", own_text=data))


def read(html: str) -> Element:
    """Return the document."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].name}> is never closed"
    return reader.open[0]


def table(document: Element, caption: str) -> Element:
    """Return the table whose caption begins so."""
    return next(each for each in document.all("table") if each.all("caption")[0].text.startswith(caption))
