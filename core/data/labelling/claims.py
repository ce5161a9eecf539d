"""Which tab has a photo open: `labelling/claims/NAME`, refreshed by that tab."""

import os
import time
from contextlib import suppress
from pathlib import Path

from core.data.dataset import LABELLING
from core.data.labelling.kept_masks import locked, read_if_there
from core.data.labelling.label_set import LabelSet
from core.files import replacing

GONE_AFTER_S = 30.0


def claim(label_set: LabelSet, name: str, tab: str, *, take_over: bool = False) -> str | None:
    """Claim a photo for a tab, or refresh its claim, and return None; if another tab has it open, return a sentence.

    A claim that was not refreshed for 30 s is gone. `take_over` claims the photo all the same.
    """
    with locked(label_set.root):
        if holder(label_set, name) not in (None, tab) and not take_over:
            return f"'{name}' is open in another tab, so you can only look at it here; take it over or close it there."
        file = _file(label_set, name)
        if read_if_there(file) == tab.encode():
            os.utime(file)
            return None
        file.parent.mkdir(exist_ok=True)
        with replacing(file) as target:
            target.write(tab.encode())
    return None


def holder(label_set: LabelSet, name: str) -> str | None:
    """Return the tab that has a photo open, None if none has."""
    file = _file(label_set, name)
    with suppress(FileNotFoundError):
        return file.read_text() if abs(time.time() - file.stat().st_mtime) <= GONE_AFTER_S else None
    return None


def release(label_set: LabelSet, name: str, tab: str) -> None:
    """Give up a tab's claim of a photo; another tab's stays."""
    file = _file(label_set, name)
    with locked(label_set.root):
        if read_if_there(file) == tab.encode():
            file.unlink()


def _file(label_set: LabelSet, name: str) -> Path:
    label_set.photo(name)
    return label_set.root / LABELLING / "claims" / name
