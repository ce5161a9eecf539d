"""Reading and saving the mask of a photo: whole or not at all, and what it replaces is kept.

Several processes may save at once. A mask is replaced only by who has seen it: `base_version` says what was drawn upon.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import UNFINISHED
from core.data.doctor.mask_checks import strays
from core.data.images import mask_image, photo_size, pixels_of, png_bytes, read_mask, refuse_size
from core.data.labelling import kept_masks, split_lists
from core.data.labelling.kept_masks import Entry
from core.data.labelling.label_set import LabelSet
from core.data.labelling.proposals import delete_proposal, read_proposal
from core.errors import DataError
from core.files import Stamp, replacing, stamp
from core.voc import BACKGROUND

KEPT_EVERY_S = 60.0
"""While one tab draws and saves every few seconds, its history gets an entry this often."""


class LabelConflictError(DataError):
    """Another tab or program has changed a mask since it was opened; what was drawn is in the history."""


@dataclass(frozen=True)
class Label:
    """The mask of a photo as it is seen, (H, W), uint8, background alone where there is none, and its version."""

    mask_HW: NDArray[np.uint8]
    version: str


def read_label(label_set: LabelSet, name: str) -> Label:
    """Return the mask of a photo; one that is damaged, or of another size than its photo, raises `DataError`."""
    size, file = photo_size(label_set.photo(name)), label_set.mask_file(name)
    while True:
        data = kept_masks.read_if_there(file)
        version = kept_masks.version_of(data, _generation(label_set))
        if data is None:
            return Label(np.full(size[::-1], BACKGROUND, dtype=np.uint8), version)
        mask_HW = read_mask(file, len(label_set.classes))
        if kept_masks.read_if_there(file) == data:  # else it was replaced in between
            refuse_size(file, mask_HW, size)
            return Label(mask_HW, version)


def version_of(label_set: LabelSet, name: str) -> str:
    """Return the version of a photo's mask; the file is read again only after it changed."""
    label_set.photo(name)
    return _version(stamp(label_set.mask_file(name)), _generation(label_set))


def _generation(label_set: LabelSet) -> int:
    return len(kept_masks.changes(label_set.root))


@lru_cache(maxsize=4096)
def _version(file: Stamp, generation: int) -> str:
    return kept_masks.version_of(kept_masks.read_if_there(Path(file.path)), generation)


def save_label(label_set: LabelSet, name: str, mask_HW: NDArray[np.uint8], *, base_version: str, tab: str = "") -> str:
    """Write the mask of a photo and return its version; an equal one is not written again.

    Args:
        label_set: the data set.
        name: the photo.
        mask_HW: class ids and 255, of the size of the photo as it is seen.
        base_version: the version that was drawn upon, from `read_label` or an earlier save.
        tab: who draws; whoever drew the mask on the disk may replace it, whatever `base_version` says.

    A first mask is in no split list (`mark_done`). If the mask on the disk is neither `base_version` nor of this tab,
    raise `LabelConflictError`; if the photo is gone or of another size, raise `DataError`. In both cases what was drawn
    is in the history. On a full disk raise `DataError`; the mask on the disk is unchanged.
    """
    with _changing(label_set, name) as place:
        mask_HW = kept_masks.translated(label_set.root, mask_HW, kept_masks.generation_in(base_version))
        if found := strays(np.flatnonzero(pixels_of(mask_HW)).tolist(), len(label_set.classes)):
            raise DataError(f"The drawn mask of '{name}' holds id {found[0]}, which is not a class; open it again.")
        try:
            refuse_size(place.file, mask_HW, photo_size(label_set.photo(name)))
        except DataError as error:
            place.keep_unsaved(mask_HW)
            raise DataError(f"{error} What was drawn is in the history of '{name}'.") from error
        drawn = place.encoded(mask_HW)
        if drawn == place.data or (place.writer is None and place.holds(mask_HW)):
            return place.version
        if not kept_masks.is_same_file(base_version, place.data) and (not tab or place.writer != tab):
            place.keep_unsaved(mask_HW)
            raise LabelConflictError(
                f"The mask of '{name}' was changed elsewhere since it was opened, so it was not replaced; what you "
                "drew is in its history, where you can restore it."
            )
        return place.replace_by(drawn, tab)


def mark_done(label_set: LabelSet, name: str) -> str:
    """List a photo in train or val, and return which; without a mask it gets one of background alone."""
    with _changing(label_set, name) as place:
        if place.data is None:
            width, height = photo_size(label_set.photo(name))
            place.replace_by(place.encoded(np.full((height, width), BACKGROUND, dtype=np.uint8)), "")
        return split_lists.add(label_set.root, label_set.photos, name)


def remove_label(label_set: LabelSet, name: str) -> None:
    """Move the mask of a photo to its history, and take the photo off the split lists."""
    with _changing(label_set, name) as place:
        root, photos = label_set.root, label_set.photos
        split_lists.take_off(root, photos, {name}, split_lists.listed(root, photos))
        if place.data is not None:
            kept_masks.keep_replaced(root, name, place.data, place.generation)
            place.file.unlink()


def accept_proposal(label_set: LabelSet, name: str, tab: str = "") -> str:
    """Make a photo's proposal its mask, a draft, and return its version; a photo with a mask keeps that."""
    mask_HW = read_proposal(label_set, name)
    if mask_HW is None:
        raise DataError(f"There is no proposal for '{name}' any more; have it proposed again.")
    version = save_label(
        label_set, name, mask_HW, base_version=kept_masks.version_of(None, _generation(label_set)), tab=tab
    )
    delete_proposal(label_set, name)
    return version


def history(label_set: LabelSet, name: str) -> list[Entry]:
    """Return the masks of a photo that were replaced, the newest first."""
    return kept_masks.entries(label_set.root, name)[::-1]


def restore(label_set: LabelSet, name: str, entry: Entry) -> str:
    """Put a mask of the history back and return its version; the one that it replaces goes to the history."""
    with _changing(label_set, name) as place:
        if entry not in kept_masks.entries(label_set.root, name):
            raise DataError(f"The history of '{name}' does not hold this mask any more; choose another one.")
        data = entry.file.read_bytes()
        old_HW = kept_masks.decoded(data, entry.file)
        mask_HW = kept_masks.translated(label_set.root, old_HW, entry.generation)
        refuse_size(entry.file, mask_HW, photo_size(label_set.photo(name)))
        return place.replace_by(data if mask_HW is old_HW else place.encoded(mask_HW), "")


# --- writing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Where the mask of a photo is written, what lies there now, and after how many class changes."""

    label_set: LabelSet
    name: str
    file: Path
    data: bytes | None
    generation: int

    @property
    def version(self) -> str:
        return kept_masks.version_of(self.data, self.generation)

    @property
    def writer(self) -> str | None:
        return None if self.data is None else kept_masks.writer_of(self.label_set.root, self.name, self.data)

    def holds(self, mask_HW: NDArray[np.uint8]) -> bool:
        """Return whether the mask on the disk is this one."""
        if self.data is None:
            return False
        try:
            return np.array_equal(kept_masks.decoded(self.data, self.file), mask_HW)
        except DataError:
            return False

    def encoded(self, mask_HW: NDArray[np.uint8]) -> bytes:
        return png_bytes(mask_image(mask_HW, self.label_set.classes.palette))

    def keep_unsaved(self, mask_HW: NDArray[np.uint8]) -> None:
        kept_masks.keep(self.label_set.root, self.name, self.encoded(mask_HW), "unsaved", self.generation)
        kept_masks.forget_old(self.label_set.root, self.name)

    def replace_by(self, data: bytes, tab: str) -> str:
        """Keep the mask on the disk, then write another one in its place, and return its version."""
        root = self.label_set.root
        if self.data is None:
            split_lists.prepare(root, self.label_set.photos, self.label_set.masks(), self.name)
            self.file.parent.mkdir(exist_ok=True)
        elif not self._is_of_this_minute(tab):
            kept_masks.keep_replaced(root, self.name, self.data, self.generation)
        with replacing(self.file) as target:
            target.write(data)
        kept_masks.note_written(root, self.name, data, tab)
        kept_masks.forget_old(root, self.name)
        return kept_masks.version_of(data, self.generation)

    def _is_of_this_minute(self, tab: str) -> bool:
        """Return whether the mask is a draft of the same tab, and its history has an entry that is young enough."""
        newest = kept_masks.entries(self.label_set.root, self.name)[-1:]
        is_young = bool(newest) and time.time() - newest[0].at.timestamp() < KEPT_EVERY_S
        return bool(tab) and self.writer == tab and is_young


@contextmanager
def _changing(label_set: LabelSet, name: str) -> Iterator[_Place]:
    """Hold the data set and yield what lies at the place of a photo's mask."""
    label_set.photo(name)
    with kept_masks.locked(label_set.root):
        if (label_set.root / UNFINISHED).exists():  # its process was killed: opening the data set finishes it
            raise DataError(f"A change of the classes of {label_set.root} was interrupted; open the data set again.")
        file = label_set.mask_file(name)
        generation = _generation(label_set)
        yield _Place(label_set, name, file, kept_masks.read_if_there(file), generation)
