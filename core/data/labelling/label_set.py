"""A data set that is being labelled: its photos, and how far each one is."""

import os
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.classes import PEEKED_MASKS, Classes
from core.data.dataset import (
    LABELLING,
    LISTS,
    PLACES,
    UNFINISHED,
    Contents,
    augmented_masks,
    read_contents,
    unread_photos,
)
from core.data.doctor.mask_checks import strays
from core.data.images import MASK_MODES, load_picture, pixels_of
from core.data.labelling.class_changes import finish_change
from core.data.labelling.kept_masks import changes
from core.data.labelling.split_lists import listed
from core.data.pair_names import PHOTO_SUFFIXES, files_by_stem
from core.errors import DataError
from core.files import Stamp, by_number, stamp
from core.voc import BACKGROUND, VOID


class State(StrEnum):
    """How far a photo is: no mask, a proposal and no mask, a mask that is in no split list, a mask in a list."""

    UNLABELLED = "unlabelled"
    PROPOSED = "proposed"
    STARTED = "started"
    DONE = "done"


@dataclass(frozen=True)
class LabelSet:
    """The photos and classes of a data set when it was opened; `states` and `masks` look at the disk anew.

    `skipped` says in sentences which photos are left out, and why. `has_named_classes` is that of `Dataset`.
    `generation` counts the changes of classes that gave pixels other ids.
    """

    root: Path
    photo_dir: Path
    mask_dir: Path
    photos: dict[str, Path]
    classes: Classes
    has_named_classes: bool
    skipped: tuple[str, ...]
    generation: int

    def photo(self, name: str) -> Path:
        """Return the photo of a name; a name that is none raises `DataError`."""
        if name not in self.photos:
            raise DataError(f"{self.root} has no photo called '{name[:80]}'; choose one of the list.")
        return self.photos[name]

    def masks(self) -> dict[str, Path]:
        """Return the masks on the disk, by name."""
        return augmented_masks(self.root) | files_by_stem(self.mask_dir, (".png",))

    def mask_file(self, name: str) -> Path:
        """Return where the mask of a photo lies or would lie; only a rare spelling needs the whole folder read."""
        usual = self.mask_dir / f"{name}.png"
        return usual if usual.exists() else self.masks().get(name, usual)

    def states(self) -> dict[str, State]:
        """Return the state of every photo, in the order of `photos`."""
        masks, augmented = self.masks(), augmented_masks(self.root)
        lists = listed(self.root, self.photos)
        in_a_list = {name for names in lists.values() for name in names} | augmented.keys()
        proposed = files_by_stem(self.root / LABELLING / "proposals", (".png",))

        def state(name: str) -> State:
            if name in masks:
                return State.DONE if name in in_a_list or not lists else State.STARTED
            return State.PROPOSED if name in proposed else State.UNLABELLED

        return {name: state(name) for name in self.photos}


def open_label_set(path: Path, *, is_to_write: bool = True) -> LabelSet:
    """Open a data set for labelling, or only to read it; an interrupted change of its classes is finished first.

    A folder without photos, one that is to be written and cannot, and one whose masks are not PNGs of class ids raise
    `DataError`.
    """
    for root in (path / place for place in PLACES):
        if (root / UNFINISHED).exists():
            finish_change(root)
    generations = {root: len(changes(root)) for root in (path / place for place in PLACES)}  # before the classes
    contents = read_contents(path, needs_masks=False)
    if is_to_write:
        _refuse_protected(contents)
    _refuse_other_encodings(contents)
    photos, skipped = _usable(contents)
    if not photos:
        unread = next(iter(unread_photos(contents.photo_dir).values()), None)
        found = f"only {unread.name}, which is not read" if unread else "none"
        reason = skipped[0] if skipped else f"{contents.photo_dir} must hold JPEG or PNG photos and holds {found}"
        raise DataError(f"There is no photo to label in {path}: {reason}")
    return LabelSet(
        contents.root.resolve(),
        contents.photo_dir.resolve(),
        contents.mask_dir.resolve(),
        photos,
        contents.classes,
        contents.has_named_classes,
        tuple(skipped),
        generations[contents.root],
    )


def _refuse_protected(contents: Contents) -> None:
    folders = [contents.root, contents.mask_dir, contents.root / LISTS, contents.root / LABELLING]
    for folder in folders:
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            raise DataError(f"{folder} cannot be written, so no mask can be saved there; copy the data set, or ask.")


def _usable(contents: Contents) -> tuple[dict[str, Path], list[str]]:
    """Return the photos that can be labelled, by name in natural order, and what is left out."""
    unread = unread_photos(contents.photo_dir).values()
    skipped = [f"{file.name} is in a format that is not read; save it as JPEG or PNG." for file in unread]
    kept = {file.name for file in contents.photos.values()}
    names = sorted(os.listdir(contents.photo_dir))  # noqa: PTH208  `Path` takes three times as long
    for name in names if len(names) > len(kept) else ():
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        if suffix.lower() in PHOTO_SUFFIXES and name not in kept:
            used = contents.photos.get(stem)
            why = f"{used.name} has the same name and is used in its place" if used else "its name cannot be listed"
            skipped.append(f"{name!r} is left out, as {why}; rename it.")
    padded = [name for name in contents.photos if name != name.strip()]
    skipped += [f"{name!r} is left out, as a split list cannot hold a name with a space at its end." for name in padded]
    usable = {name: contents.photos[name] for name in sorted(contents.photos, key=by_number) if name not in padded}
    return usable, skipped


# --- masks that are not PNGs of class ids ---------------------------------------------------------------------------


def _refuse_other_encodings(contents: Contents) -> None:
    """Raise `DataError` for masks that came with the data set and are colours, black and white, or not PNGs."""
    remedy = "bring the folder in under *Bring data* on the page Dataset, or repair it there, and label the copy"
    if other := next((file for file in contents.masks.values() if file.suffix.lower() != ".png"), None):
        raise DataError(f"The mask {other} is not a PNG, and Label writes PNGs of class ids; {remedy}.")
    if contents.photos and contents.masks and contents.photos.keys().isdisjoint(contents.masks):
        first = next(iter(contents.masks.values()))
        raise DataError(f"No mask in {contents.mask_dir} is called as a photo, as {first.name} is not; {remedy}.")
    history = contents.root / LABELLING / "history"
    drawn_here = set(os.listdir(history)) if history.is_dir() else set()  # noqa: PTH208
    masks = [file for name, file in contents.masks.items() if name not in drawn_here][:PEEKED_MASKS]
    found = [_values(stamp(file)) for file in masks]
    colored = [file for file, values in zip(masks, found, strict=True) if values is None]
    if colored:
        raise DataError(f"The mask {colored[0]} is a colour picture, not a PNG of class ids; {remedy}.")
    read = [values for values in found if values]
    if read and frozenset.union(*read) in ({VOID}, {BACKGROUND, VOID}):
        raise DataError(f"The masks in {contents.mask_dir} are black and white (0 and 255), not class ids; {remedy}.")
    if read and all(strays(values, len(contents.classes)) for values in read):
        number = strays(read[0], len(contents.classes))[0]
        raise DataError(f"The masks in {contents.mask_dir} hold values without a class, such as {number}; {remedy}.")


@lru_cache(maxsize=256)
def _values(file: Stamp) -> frozenset[int] | None:
    """Return the ids in a mask, none for one that cannot be read, None for a colour picture."""
    try:
        mask = load_picture(Path(file.path), "mask")
    except DataError:
        return frozenset()
    if mask.mode not in MASK_MODES:
        return None
    return frozenset(np.flatnonzero(pixels_of(np.array(mask, dtype=np.uint8))).tolist())
