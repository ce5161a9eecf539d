"""The step records of a log as lines of text, until somebody looks at them: a long night leaves twenty thousand."""

import re
import threading
from collections.abc import Iterable

from core.training.records import Step, from_line

BEGIN = b'{"kind":"step",'
END = b"}"
NUMBER = re.compile(rb'"step":(\d+)')

LIMIT = 6000
"""More lines than this are thinned: every other one of the older half goes, and curves have 2,000 points at most."""


def is_step(line: bytes) -> bool:
    """Tell whether a line is a step record, and whole, without reading it."""
    return line.startswith(BEGIN) and line.endswith(END)


class StepLines:
    """Lines that are only appended, and read once asked for; a copy made by `until` shares what was read."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self._lines = list(lines)
        self._records: list[Step | None] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def append(self, line: bytes) -> None:
        """Add a line."""
        self._lines.append(line)

    def first(self, count: int) -> list[Step]:
        """Return the first records, reading those that nobody has asked for yet; a line that cannot be is left out."""
        with self._lock:  # sessions of the dashboard share what was read
            self._records += [self._record(line) for line in self._lines[len(self._records) : count]]
        return [record for record in self._records[:count] if record is not None]

    def last(self) -> Step | None:
        """Return the last record, reading that line alone."""
        return self._record(self._lines[-1])

    def _record(self, line: bytes) -> Step | None:
        try:
            record = from_line(line.decode())
        except ValueError:
            return None
        assert isinstance(record, Step)  # noqa: S101 - `is_step` told so
        return record

    def until(self, step: int) -> "StepLines":
        """Return those up to a step, by their number."""
        numbers = (NUMBER.search(line) for line in self._lines)
        kept = (line for line, found in zip(self._lines, numbers, strict=True) if found and int(found[1]) <= step)
        return StepLines(kept)

    def thinned(self) -> "StepLines":
        """Return these lines, or where there are more than `LIMIT` fewer of the older half."""
        if len(self._lines) <= LIMIT:
            return self
        half = len(self._lines) // 2
        return StepLines([*self._lines[:half:2], *self._lines[half:]]).thinned()
