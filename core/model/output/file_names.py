"""Names of the files written for a photo, from the name it came with, which may be anything.

A result is a single part of a path, valid on every file system, short, and different from all others even where a file
system ignores case.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from core.wording import numbered

FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
MAX_STEM_BYTES = 120
"""Half of what file systems allow, so that a suffix and a number fit."""

DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows reserves, with any suffix."""

FALLBACK = "photo"


def file_stem(name: str) -> str:
    """Return the safe stem of a file's name, without folders and suffix; never empty."""
    last = PurePosixPath(name.replace("\\", "/")).name.lstrip(". ")
    return clean(PurePosixPath(last).stem) or FALLBACK


def clean(text: str) -> str:
    """Return a text for a file's name: printable, without separators, no dot or blank at its ends; may be empty."""
    normal = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    printable = "".join(sign if sign.isprintable() else "_" for sign in FORBIDDEN.sub("_", normal))
    short = printable.encode()[:MAX_STEM_BYTES].decode("utf-8", "ignore").strip(". ")
    return f"_{short}" if DEVICES.fullmatch(short) else short


def file_stems(names: Iterable[str]) -> list[str]:
    """Return a different stem for each photo: of equal ones the second gets -2, or the next number that is free."""
    taken: set[str] = set()
    stems = []
    for stem in map(file_stem, names):
        free = next(candidate for candidate in numbered(stem) if _folded(candidate) not in taken)
        taken.add(_folded(free))
        stems.append(free)
    return stems


def _folded(stem: str) -> str:
    """Return a key that is equal for stems that some file system takes for one file."""
    return unicodedata.normalize("NFKC", stem).casefold()


def cutout_name(stem: str, class_id: int, class_name: str) -> str:
    """Return the name of a class's cut-out, unique because class names lose their underscores."""
    word = re.sub(r"[^\w]+|_", "-", clean(class_name)).strip("-")
    return f"{stem}_cutout_{class_id:02}-{word[:40]}.png"
