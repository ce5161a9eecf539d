"""What the values of masks are called: by a table beside them, or by the name of a known data set.

A table is Roboflow's `_classes.csv` (value, name), a list of names one a line (`classes.txt`, `class_names.txt`,
`labels.txt`, `label_names.txt`, `codes.txt`), or lines of a value, or a grey as `7 7 7`, and a name. labelme's
`__ignore__` at the head of a list is void and has no value. A list without a background starts at 0, or at 1 where the
highest value is its length, or where a person says that 0 is the background.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.classes import NAMED_COLOR
from core.data.importers.masks.known_names import KNOWN
from core.data.importers.photo_folder import files_in
from core.data.importers.plan import Source, colors_in, is_background, is_void, tidy
from core.errors import DataError
from core.files import read_lines

TABLES = ("_classes.csv", "classes.txt", "class_names.txt", "labels.txt", "label_names.txt", "codes.txt")
COLUMNS = re.compile(r"(?:\d+|\"\d+\")\s*([,;\t])")
VALUE_FIRST = re.compile(r"\"?(\d+)\"?\s*[: ]\s*\"?([^\d\",;:\s][^\",;]*)\"?")
GREY_FIRST = re.compile(r"(\d+)[\s,]+\1[\s,]+\1[\s,]+(\S.*)")
HEADING = re.compile(r"\"?(?:pixel value|(?:id|value|index|name|class)\b)[^,;\t]*[,;\t]", re.IGNORECASE)
IGNORED = "__ignore__"
VALUE = re.compile(r"-?\d{1,9}")


@dataclass(frozen=True)
class ValueNames:
    """Names by value where the source says the values, else in their order; `ending` is that of the usual masks.

    `said` are names that a person gave to some values, and `colors` those behind them.
    """

    where: str
    by_value: dict[int, str]
    in_order: tuple[str, ...]
    ending: str | None = None
    said: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[str, str] = field(default_factory=dict)

    def of(self, values: Sequence[int]) -> dict[int, str]:
        """Return the name of each value, for masks that hold these values."""
        names = {**self._of_source(values), **self.said}
        return names if 0 in names or 0 not in values else {0: "background"} | names

    def guess_of_0(self, values: Sequence[int]) -> str | None:
        """Return what 0 is taken for although it may be the background, as nothing says which value is first."""
        is_guessed = 0 in values and not self.by_value and 0 not in self.said and self.in_order
        name = self.of(values)[0] if is_guessed else ""
        return None if not name or is_background(name) or is_void(name) else name

    def _of_source(self, values: Sequence[int]) -> dict[int, str]:
        if self.by_value or not self.in_order or not values:
            return self.by_value
        is_0_taken = max(values) == len(self.in_order) or is_background(self.said.get(0, ""))
        starts_at_1 = not is_background(self.in_order[0]) and is_0_taken
        names = dict(enumerate(self.in_order, start=1 if starts_at_1 else 0))
        return {0: "background"} | names if starts_at_1 else names


def names_for(source: Source) -> ValueNames | None:
    """Return the names that a person asked for, or those of the tables in the source; None where there is none.

    Tables that differ, and lines that are none, raise `DataError`.
    """
    names = _names_of_source(source)
    if not (called := values_called(source)):
        return names
    said, colors = colors_in(called)
    return replace(names or ValueNames(str(source.path), {}, ()), said=said, colors=colors)


def values_called(source: Source) -> dict[int, str]:
    """Return what a person called values; none where they called classes, as they can where masks have no values."""
    is_value = [VALUE.fullmatch(key) is not None for key, _ in source.classes]
    return {int(key): name for key, name in source.classes} if all(is_value) else {}


def _names_of_source(source: Source) -> ValueNames | None:
    if source.names:
        if source.names not in KNOWN:
            raise DataError(f"There is no list of names '{source.names}'; choose one of {', '.join(KNOWN)}.")
        known = KNOWN[source.names]
        return ValueNames(source.names, known.by_value, tuple(known.by_value.values()), known.ending)
    if source.table:
        return _read(source.table)
    files = [file for file in files_in(source.path, (".txt", ".csv")) if file.name in TABLES]
    files = files or [file for name in TABLES if (file := source.path.parent / name).is_file()][:1]
    tables = {(names.in_order, *names.by_value.items()): names for names in map(_read, files)}
    if len(tables) > 1:
        both = " and ".join(names.where for names in tables.values())
        raise DataError(f"{both} name the classes differently; choose one with --table.")
    return next(iter(tables.values()), None)


def _read(file: Path) -> ValueNames:
    lines = [line for line in read_lines(file) if not line.startswith("#")]
    has_heading = len(lines) > 1 and HEADING.match(lines[0]) is not None
    below = lines[1:] if has_heading else lines
    valued = [_valued(line) for line in below]
    if valued and all(valued):
        by_value = dict(found for found in valued if found)
        if len(by_value) < len(valued):
            raise DataError(f"{file} names a value twice; take one of the lines out.")
        return ValueNames(str(file), by_value, tuple(by_value.values()))
    if has_heading or sum(COLUMNS.match(line) is not None for line in below) > len(below) / 2:
        wrong = below[valued.index(None)][:60]
        raise DataError(f"{file} holds the line '{wrong}', which is not a value with a name; write it as '1, leaf'.")
    names = [tidy(found[1]) if (found := NAMED_COLOR.fullmatch(line)) else tidy(line) for line in lines]
    names = names[1:] if names[:1] == [IGNORED] else names
    if not names or len(set(names)) < len(names):
        raise DataError(f"{file} names no class, or one twice; write one name a line.")
    return ValueNames(str(file), {}, tuple(names))


def _valued(line: str) -> tuple[int, str] | None:
    """Return the value, or the grey, and the name of a line; None where it is none. Names in quotes may hold commas."""
    if found := GREY_FIRST.fullmatch(line):
        return int(found[1]), tidy(found[2])
    if columns := COLUMNS.match(line):
        value, name, *others = next(csv.reader([line], delimiter=columns[1], skipinitialspace=True))
        return None if any(others) or not tidy(name) else (int(value), tidy(name))
    found = VALUE_FIRST.fullmatch(line)
    return (int(found[1]), tidy(found[2])) if found else None
