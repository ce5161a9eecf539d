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
from core.data.labelling.claims import holder
from core.data.labelling.kept_masks import Entry
from core.data.labelling.label_set import LabelSet
from core.data.labelling.proposals import delete_proposal, read_proposal
from core.errors import DataError
from core.files import Stamp, replacing, stamp
from core.voc import BACKGROUND

KEPT_EVERY_S = 60.0
"""While one tab draws and saves every few seconds, its history gets an entry this often."""


class KeptInHistoryError(DataError):
    """A mask cannot be saved in its place, and lies in the history: to send it again changes nothing."""


class LabelConflictError(KeptInHistoryError):
    """Another tab or program has changed a mask since it was opened; what was drawn is in the history."""


class TakenOverError(KeptInHistoryError):
    """Another tab has taken over the photo that this one has open; what was drawn here since is in the history."""


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
        is_there = data is not None
        mask_HW = read_mask(file, len(label_set.classes)) if is_there else np.full(size[::-1], BACKGROUND, np.uint8)
        if kept_masks.read_if_there(file) == data:  # else it was replaced in between
            _refuse_other_classes(label_set)
            refuse_size(file, mask_HW, size)
            return Label(mask_HW, kept_masks.version_of(data, label_set.generation))


def version_of(label_set: LabelSet, name: str) -> str:
    """Return the version of a photo's mask; the file is read again only after it changed."""
    label_set.photo(name)
    version = _version(stamp(label_set.mask_file(name)), label_set.generation)
    _refuse_other_classes(label_set)
    return version


def _refuse_other_classes(label_set: LabelSet) -> None:
    """Raise `DataError` if ids changed since the data set was opened. To be called after a mask was read.

    A removal leaves a file while it writes masks, and counts itself before it deletes that.
    """
    if (label_set.root / UNFINISHED).exists() or _generation(label_set) != label_set.generation:
        raise DataError(f"The classes of {label_set.root} were changed in another tab; open it again.")


def _generation(label_set: LabelSet) -> int:
    return len(kept_masks.changes(label_set.root))


@lru_cache(maxsize=4096)
def _version(file: Stamp, generation: int) -> str:
    return kept_masks.version_of(kept_masks.read_if_there(Path(file.path)), generation)


def save_label(
    label_set: LabelSet, name: str, mask_HW: NDArray[np.uint8], *, base_version: str, seen: str = "", tab: str = "",
    is_open: bool = False,
) -> str:  # fmt: skip
    """Write the mask of a photo and return its version; an equal one is not written again.

    Args:
        label_set: the data set.
        name: the photo.
        mask_HW: class ids and 255, of the size of the photo as it is seen; the ids are those of `base_version`.
        base_version: the version that was drawn upon, from `read_label` or an earlier save.
        seen: the version of another one's mask that the drawer has seen and replaces; its ids do not matter.
        tab: who draws; whoever drew the mask on the disk may replace it, whatever `base_version` says.
        is_open: whether that tab has the photo on its canvas; if another one has taken it over, raise `TakenOverError`.

    The version that is returned has the ids of `base_version` too: who drew goes on with those.
    A first mask is in no split list (`mark_done`). If the mask on the disk is neither `base_version` nor `seen` nor of
    this tab, raise `LabelConflictError`; if the photo is gone or of another size, raise `KeptInHistoryError`. In all
    three cases what was drawn is in the history. On a full disk raise `DataError`; the mask on the disk is unchanged.
    """
    with _changing(label_set, name) as place:
        return _save(place, mask_HW, base_version, seen, tab, is_open=is_open)


def _save(
    place: "_Place", mask_HW: NDArray[np.uint8], base_version: str, seen: str, tab: str, *, is_open: bool = False
) -> str:
    label_set, name = place.label_set, place.name
    generation = kept_masks.generation_in(base_version)
    mask_HW = kept_masks.translated(label_set.root, mask_HW, generation)
    if found := strays(np.flatnonzero(pixels_of(mask_HW)).tolist(), len(label_set.classes)):
        raise DataError(f"The drawn mask of '{name}' holds id {found[0]}, which is not a class; open it again.")
    try:
        refuse_size(place.file, mask_HW, photo_size(label_set.photo(name)))
    except DataError as error:
        place.keep_unsaved(mask_HW, tab, base_version)
        raise KeptInHistoryError(f"{error} What was drawn is in the history of '{name}'.") from error
    drawn = place.encoded(mask_HW)
    if drawn == place.data or (place.writer is None and place.holds(mask_HW)):
        return kept_masks.version_of(place.data, generation)
    if is_open and holder(label_set, name) not in (None, tab):
        place.keep_unsaved(mask_HW, tab, base_version)
        raise TakenOverError(
            f"'{name}' was taken over in another tab, so nothing is saved from this one; what you drew since is in its "
            "history."
        )
    is_seen = any(kept_masks.is_same_file(version, place.data) for version in {base_version, seen or base_version})
    if not is_seen and (not tab or place.writer != tab):
        place.keep_unsaved(mask_HW, tab, base_version)
        raise LabelConflictError(
            f"The mask of '{name}' was changed elsewhere since it was opened, so it was not replaced; what you "
            "drew is in its history, where you can restore it."
        )
    place.replace_by(drawn, tab)
    return kept_masks.version_of(drawn, generation)


def mark_done(label_set: LabelSet, name: str) -> str:
    """List a photo in train or val, and return which; without a mask it gets one of background alone."""
    with _changing(label_set, name) as place:
        if place.data is None:
            width, height = photo_size(label_set.photo(name))
            place.replace_by(place.encoded(np.full((height, width), BACKGROUND, dtype=np.uint8)), "")
        split_lists.write_missing(label_set.root, label_set.photos, label_set.masks())
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
    with _changing(label_set, name) as place:
        mask_HW = read_proposal(label_set, name)
        if mask_HW is None:
            raise DataError(f"There is no proposal for '{name}' any more; have it proposed again.")
        version = _save(place, mask_HW, kept_masks.version_of(None, place.generation), "", tab)
        delete_proposal(label_set, name)
    return version


def history(label_set: LabelSet, name: str) -> list[Entry]:
    """Return the masks of a photo that were replaced, the newest first."""
    return kept_masks.entries(label_set.root, name)[::-1]


def read_entry(label_set: LabelSet, name: str, entry: Entry) -> NDArray[np.uint8]:
    """Return a mask of the history with the ids of today, (H, W); one that is gone or damaged raises `DataError`."""
    if entry not in kept_masks.entries(label_set.root, name):
        raise DataError(f"The history of '{name}' does not hold this mask any more; choose another one.")
    mask_HW = kept_masks.decoded(entry.file.read_bytes(), entry.file)
    return kept_masks.translated(label_set.root, mask_HW, entry.generation)


def restore(label_set: LabelSet, name: str, entry: Entry) -> str:
    """Put a mask of the history back and return its version; the one that it replaces goes to the history."""
    with _changing(label_set, name) as place:
        mask_HW = read_entry(label_set, name, entry)
        refuse_size(entry.file, mask_HW, photo_size(label_set.photo(name)))
        is_of_today = entry.generation == place.generation
        return place.replace_by(entry.file.read_bytes() if is_of_today else place.encoded(mask_HW), "")


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

    def keep_unsaved(self, mask_HW: NDArray[np.uint8], tab: str, base_version: str) -> None:
        """Keep what a tab drew upon a version; what it sends later holds that too, and takes its place."""
        by = kept_masks.drawn_by(tab, base_version) if tab else ""
        kept_masks.keep(self.label_set.root, self.name, self.encoded(mask_HW), "unsaved", self.generation, by)
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
