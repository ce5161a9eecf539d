"""What the pairs of a repaired copy are called: plain ASCII without spaces, no two alike but for capitals."""

import itertools
import re
import unicodedata
from collections.abc import Sequence

from core.data.problems import Entry
from core.wording import numbered

MAX_LENGTH = 240
"""File systems take names of 255 bytes, of which an extension and a number need some."""


def new_names(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the new name of every entry by its old one: that of its photo, if that is plain and not taken."""
    wanted = {entry.name: entry.photo_file.stem if entry.photo_file else entry.name for entry in entries}
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(wanted, key=lambda name: plain(wanted[name]) != wanted[name]):  # plain names keep theirs
        names[name] = _free(plain(wanted[name]), taken)
        taken.add(names[name].casefold())
    return names


def plain(name: str) -> str:
    """Return a name in ASCII, at most 240 letters, no spaces or slashes; an empty one if there is no such spelling."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\s/\\]+", "_", letters.strip())[:MAX_LENGTH] if letters.isascii() else ""


def _free(name: str, taken: set[str]) -> str:
    """Return the name, with a number if it is taken; photo_1, photo_2 … for an empty one."""
    candidates = numbered(name, "_") if name else (f"photo_{number}" for number in itertools.count(1))
    return next(candidate for candidate in candidates if candidate.casefold() not in taken)
