"""The types of the doctor: a name with its two files, and a problem."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]
HIDDEN = {"photos": "two photos of one name", "masks": "two masks of one name"}
"""Problems of files that are never read, since another file has their name."""


@dataclass(frozen=True)
class Entry:
    """A name and its files, None if missing; `splits` are those with this name, train and val first.

    `near_photo` and `near_mask` have nearly that name (`pair_names.near`), `unread_photo` has it, in an unread format.
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
        """The split that findings name."""
        return self.splits[0] if self.splits else None

    @property
    def photo_file(self) -> Path | None:
        """The photo, or else the one with nearly that name."""
        return self.photo or self.near_photo

    @property
    def mask_file(self) -> Path | None:
        """The mask, or else the one with nearly that name."""
        return self.mask or self.near_mask


@dataclass(frozen=True)
class Problem:
    """A problem of a pair, about its mask, its photo, or `file`.

    `other` is the name of the second pair, if the problem is between two.
    """

    kind: str
    detail: str
    severity: Severity = "error"
    is_of_mask: bool = True
    file: Path | None = None
    other: str = ""


def printable(text: str) -> str:
    """Return a text in which bytes of a file name that are not UTF-8 are escaped."""
    return text.encode(errors="backslashreplace").decode()
