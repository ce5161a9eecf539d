"""Reading and comparing the names of photos, masks and list entries.

macOS writes an umlaut as two code points, other systems as one: names are compared in composed form (NFC).
"""

import os
import posixpath
import re
import time
import unicodedata
from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

JPEG_SUFFIXES = (".jpg", ".jpeg")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
CONVERTED_SUFFIXES = (".heic", ".heif", ".avif", ".gif")
"""Photos that Label reads and saves as JPEG: data sets hold no such files."""
ENDING = re.compile(r"[ _.-](mask|label|seg|segmentation|gt|annotation)s?$")
"""Suffixes that other programs add to a photo's name to name its mask; for names in lower case."""

SETTLED_NS = 2 * 10**9
"""A folder whose last change is this old is settled: until then a second change can leave the same stamp."""
LISTED_S = 30
"""A listing is remembered no longer than this: some network mounts change no stamp when a folder gets a file."""


def composed(name: str) -> str:
    """Return a name in composed form (NFC)."""
    return unicodedata.normalize("NFC", name)


def plain_path(path: str) -> str:
    """Return a path in composed form, with plain slashes and without dots in it."""
    return posixpath.normpath(composed(path).replace("\\", "/"))


def folded(name: str) -> set[str]:
    """Return the names of files that a list entry may mean: in lower case, with and without a photo's extension."""
    path = Path(name)
    return {name.casefold()} | ({path.stem.casefold()} if path.suffix.lower() in PHOTO_SUFFIXES else set())


def bare(name: str) -> str:
    """Return a name in lower case without the suffix of a mask: `Plant_1_mask` -> `plant_1`."""
    return ENDING.sub("", name.casefold())


def near(files: Mapping[str, Path], others: Container[str] = ()) -> Callable[[str], Path | None]:
    """Return a function that finds the file with nearly a given name, None if none or if the exact name exists.

    `files` are photos, or masks, and `others` the names of the other kind: a file with a partner there is not matched
    by its suffix.
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


def files_by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Return the files with one of these suffixes by name; of several with one name, the last. Only names are read.

    A folder's listing is remembered for a while, if its stamp stays: one run of the page Label asks for nine.
    """
    if not folder.is_dir():
        return {}
    if os.name != "posix":  # FAT there does not note when a folder gets a file
        return _listed(folder, tuple(suffixes))
    status = folder.stat()
    if time.time_ns() - status.st_ctime_ns < SETTLED_NS:
        return _listed(folder, tuple(suffixes))
    now = int(time.monotonic() // LISTED_S)
    return dict(_remembered(folder, tuple(suffixes), (status.st_dev, status.st_ino, status.st_ctime_ns, now)))


@lru_cache(maxsize=16)
def _remembered(folder: Path, suffixes: tuple[str, ...], _stamp: tuple[int, ...]) -> dict[str, Path]:
    return _listed(folder, suffixes)


def _listed(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    # Taking names apart as text is three times as fast as with `Path`, and data sets have thousands of photos.
    parts = [(name, *os.path.splitext(name)) for name in sorted(os.listdir(folder)) if is_listable(name)]  # noqa: PTH122, PTH208
    return {composed(stem): folder / name for name, stem, suffix in parts if suffix.lower() in suffixes}


def is_listable(name: str) -> bool:
    """Return whether a file counts: not the `._` files of macOS, nor a name with bytes that are not UTF-8."""
    return not name.startswith(".") and name.isprintable()
