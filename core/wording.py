"""Formats shared by pages, commands and files: counts, sizes, times, free names, CSV."""

import csv
import io
import itertools
from collections.abc import Iterator, Sequence

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet computes cells that begin with one of these."""


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 photo`, `1,464 photos`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def megabytes(size_bytes: float) -> str:
    """Return a size in MB (10^6 bytes, at least 1 MB), or in GB from 10^9 bytes on."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{max(1, round(size_bytes / 1e6))} MB"


def duration(seconds: float) -> str:
    """Return a time in its two largest units: `4.2 s`, `45 s`, `2 min 10 s`, `3 h 5 min`, `2 d 4 h`."""
    whole = round(seconds)
    for (unit, size), (smaller, small) in itertools.pairwise((("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s" if seconds >= 9.95 else f"{max(0.0, seconds):.1f} s"


def numbered(name: str, sign: str = "-") -> Iterator[str]:
    """Yield a name and its alternatives: `photo`, `photo-2`, `photo-3` and so on."""
    yield name
    yield from (f"{name}{sign}{number}" for number in itertools.count(2))


def csv_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return CSV; a cell that a spreadsheet would compute gets a quote before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell for cell in row] for row in rows)
    return text.getvalue()
