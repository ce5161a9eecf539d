"""How photos, masks and lists write one name: in Unicode's composed form, and what is nearly the same name.

macOS and archives made there write an umlaut as two signs, everybody else as one: names are compared composed (NFC).
"""

import re
import unicodedata
from collections.abc import Callable, Container, Mapping
from pathlib import Path

JPEG_SUFFIXES = (".jpg", ".jpeg")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
ENDING = re.compile(r"[ _.-](mask|label|seg|segmentation|gt|annotation)s?$")
"""What other programs put behind a photo's name to call its mask; of a name in lower case."""


def composed(name: str) -> str:
    """Return a name as it is compared: each letter with its accents as one sign."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> set[str]:
    """Return the ways in which a file may have the name that a list gives: another case, without the extension."""
    path = Path(name)
    return {name.casefold()} | ({path.stem.casefold()} if path.suffix.lower() in PHOTO_SUFFIXES else set())


def bare(name: str) -> str:
    """Return a name in lower case and without what stands behind that of a mask, as in `plant_1_mask`."""
    return ENDING.sub("", name.casefold())


def near(files: Mapping[str, Path], others: Container[str] = ()) -> Callable[[str], Path | None]:
    """Return a function that finds the file of nearly a name, None where there is none or it has the very name.

    Args:
        files: photos, or masks, by their names.
        others: names of the other kind of file: one that has its partner is no other's by an ending.
    """
    exact = {name.casefold(): file for name, file in files.items()}
    without_ending = {bare(name): file for name, file in files.items() if name not in others}

    def find(name: str) -> Path | None:
        if name in files:
            return None
        spellings = sorted(folded(name), key=len, reverse=True)
        found = [exact[each] for each in spellings if each in exact]
        found += [without_ending[bare(each)] for each in spellings if bare(each) in without_ending]
        return found[0] if found else None

    return find
