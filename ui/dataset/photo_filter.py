"""Which photos of a split are looked at: all of them, or those that a click on a chart asked for.

The query string holds the choice as text: `class:8`, `class:8+15` (both in one photo), `objects:3`, `size:500x375`.
"""

import re
from dataclasses import dataclass

from core.classes import Classes
from core.data.statistics.pair_facts import PairFacts
from core.wording import count

FORM = re.compile(r"(class|objects|size):(\d{1,6}(?:[+x]\d{1,6})*)")


@dataclass(frozen=True)
class PhotoFilter:
    """A condition on what a photo shows; all of the classes must be in it."""

    class_ids: tuple[int, ...] = ()
    num_objects: int | None = None
    size: tuple[int, int] | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is asked at all."""
        return self != PhotoFilter()

    def matches(self, facts: PairFacts) -> bool:
        """Tell whether a photo shows what is asked for."""
        return (
            all(facts.pixels.get(class_id) for class_id in self.class_ids)
            and self.num_objects in (None, sum(facts.objects.values()))
            and self.size in (None, facts.size)
        )

    def text(self) -> str:
        """Return the form that `parse` reads; empty if nothing is asked."""
        if self.class_ids:
            return "class:" + "+".join(map(str, self.class_ids))
        if self.num_objects is not None:
            return f"objects:{self.num_objects}"
        return f"size:{self.size[0]}x{self.size[1]}" if self.size else ""

    def words(self, classes: Classes) -> str:
        """Return what the photos have in common, as in `only photos with ...`."""
        if self.class_ids:
            return " and ".join(classes.names[class_id] for class_id in self.class_ids)
        if self.num_objects is not None:
            return count(self.num_objects, "object")
        return f"{self.size[0]} × {self.size[1]} px" if self.size else ""  # noqa: RUF001 - the sign of sizes


def parse(text: str, num_classes: int) -> PhotoFilter:
    """Read a filter; one that is none, or names a class that is not there, asks for nothing."""
    found = FORM.fullmatch(text)
    if not found:
        return PhotoFilter()
    kind, numbers = found[1], tuple(int(number) for number in re.split(r"[+x]", found[2]))
    if kind == "class" and max(numbers) < num_classes:
        return PhotoFilter(class_ids=tuple(dict.fromkeys(numbers)))
    if kind == "objects" and len(numbers) == 1:
        return PhotoFilter(num_objects=numbers[0])
    if kind == "size" and len(numbers) == 2:
        return PhotoFilter(size=(numbers[0], numbers[1]))
    return PhotoFilter()
