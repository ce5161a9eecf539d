"""Names of files that are written about a photo, from the name that it came with, wherever that was.

A name from outside is believed nothing: what is left of it is one part of a path, without signs that any file system
reads as more than a name, short enough, and different from all others even where A and a are one.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from core.wording import numbered

FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
MAX_STEM_BYTES = 120
"""Half of what file systems take, so that an ending and a number have room."""

DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for itself, whatever their ending."""

FALLBACK = "photo"


def file_stem(name: str) -> str:
    """Return the last part of a file's name without its ending, whatever path it came with; never empty."""
    last = PurePosixPath(name.replace("\\", "/")).name.lstrip(". ")
    return clean(PurePosixPath(last).stem) or FALLBACK


def clean(text: str) -> str:
    """Return a text as a part of a file's name: printable, no separators, no dot or blank at its ends; may be empty."""
    normal = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    printable = "".join(sign if sign.isprintable() else "_" for sign in FORBIDDEN.sub("_", normal))
    short = printable.encode()[:MAX_STEM_BYTES].decode("utf-8", "ignore").strip(". ")
    return f"_{short}" if DEVICES.fullmatch(short) else short


def file_stems(names: Iterable[str]) -> list[str]:
    """Return a stem for each photo, no two alike: of equal ones the second gets -2, unless that is taken too."""
    taken: set[str] = set()
    stems = []
    for stem in map(file_stem, names):
        free = next(candidate for candidate in numbered(stem) if _folded(candidate) not in taken)
        taken.add(_folded(free))
        stems.append(free)
    return stems


def _folded(stem: str) -> str:
    """Return what stems have in common that are one file on some file system."""
    return unicodedata.normalize("NFKC", stem).casefold()


def cutout_name(stem: str, class_id: int, class_name: str) -> str:
    """Return the name of a class's cut-out; no other photo's file can have it, as class names keep no underscore."""
    word = re.sub(r"[^\w]+|_", "-", clean(class_name)).strip("-")
    return f"{stem}_cutout_{class_id:02}-{word[:40]}.png"
