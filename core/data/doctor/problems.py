"""The words of the doctor: a name with its two files, and what can be wrong with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]
HIDDEN = {"photos": "two photos of one name", "masks": "two masks of one name"}
"""The kinds of problem that are about a file which is never read, by what the file is."""


@dataclass(frozen=True)
class Entry:
    """A name and its files; None where one is missing. `splits` are those that hold it, the usual ones first.

    `near_photo` and `near_mask` are files of nearly that name (see `pair_names.near`), `unread_photo` has that name and
    is of a format that is not read.
    """

    name: str
    splits: tuple[str, ...]
    photo: Path | None
    mask: Path | None
    near_photo: Path | None = None
    near_mask: Path | None = None
    unread_photo: Path | None = None

    @property
    def split(self) -> str | None:
        """The split that a finding is told for."""
        return self.splits[0] if self.splits else None

    @property
    def photo_file(self) -> Path | None:
        """The photo, if only of nearly that name."""
        return self.photo or self.near_photo

    @property
    def mask_file(self) -> Path | None:
        """The mask, if only of nearly that name."""
        return self.mask or self.near_mask


@dataclass(frozen=True)
class Problem:
    """What is wrong with a pair; `is_of_mask` tells which of its two files it is about, `file` names another one.

    `other` is the name of the second pair where a problem is between two.
    """

    kind: str
    detail: str
    severity: Severity = "error"
    is_of_mask: bool = True
    file: Path | None = None
    other: str = ""


def printable(text: str) -> str:
    """Return a text that can be written anywhere: bytes of a file name that are no UTF-8 are spelt out."""
    return text.encode(errors="backslashreplace").decode()
