"""Adding, renaming, recolouring and removing classes of a data set that is being labelled.

Removing a class gives other ids to pixels of many masks. First every mask that is going to change is kept in its
history; then `unfinished_change.json` says what is to be done; then masks, classes.txt and `changes.json` are written.
Whoever opens the data set after a crash in between finishes what the file says; until then it is not read otherwise.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core import jobs
from core.classes import BEFORE, CLASSES_FILE, Classes, css_color, read_classes, write_classes
from core.data.dataset import AUGMENTED_MASKS, LABELLING, LAYOUTS, UNFINISHED
from core.data.images import mask_image, pixels_of, png_bytes, read_mask
from core.data.labelling import kept_masks
from core.data.labelling.proposals import proposals_folder
from core.data.pair_names import composed
from core.errors import CoreError, DataError
from core.files import Stamp, delete_folder, replacing, stamp, write_json
from core.jobs import OnProgress
from core.voc import BACKGROUND, PALETTE, VOID

if TYPE_CHECKING:
    from core.data.labelling.label_set import LabelSet

MAX_NAMED = VOID - 1
"""Classes beside the background: an id is a byte, 0 is the background and 255 void."""


@dataclass(frozen=True)
class Usage:
    """The masks that show a class, and its pixels in them."""

    photos: int
    pixels: int


def add_class(label_set: "LabelSet", name: str, color: str = "") -> "LabelSet":
    """Add a class behind the others; without a colour it gets VOC's for its id."""
    classes = label_set.classes
    if len(classes) > MAX_NAMED:
        raise DataError(f"{label_set.root} has {MAX_NAMED} classes already, as many as a mask can hold; remove one.")
    color = color or css_color(PALETTE[len(classes)])
    return _with_classes(label_set, Classes((*classes.names, _checked(name)), (*classes.colors, color)))


def rename_class(label_set: "LabelSet", class_id: int, name: str) -> "LabelSet":
    """Give a class another name; its pixels stay."""
    names = list(label_set.classes.names)
    names[_known(label_set, class_id)] = _checked(name)
    return _with_classes(label_set, Classes(tuple(names), label_set.classes.colors))


def recolor_class(label_set: "LabelSet", class_id: int, color: str) -> "LabelSet":
    """Give a class another colour (`#rrggbb`); the palette of a mask follows when that mask is next written."""
    colors = list(label_set.classes.colors)
    colors[_known(label_set, class_id)] = color.lower()
    return _with_classes(label_set, Classes(label_set.classes.names, tuple(colors)))


def usage_of(label_set: "LabelSet", class_id: int, on_progress: OnProgress | None = None) -> Usage:
    """Count the photos and pixels of a class; a mask that cannot be read raises `DataError`."""
    counts = _masks_with(label_set, range(_known(label_set, class_id), class_id + 1), on_progress)
    return Usage(len(counts), sum(counts.values()))


def remove_class(
    label_set: "LabelSet",
    class_id: int,
    into: int = BACKGROUND,
    on_progress: OnProgress | None = None,
    refuse: Callable[[], None] = lambda: None,
) -> "LabelSet":
    """Remove a class and give its pixels to another one, the background or void; later classes move up by one id.

    Every mask that changes is kept in its history. Proposals are deleted, as a model makes them again. `refuse` is
    called when the data set can no longer be opened and no mask is changed yet; if it raises, nothing is changed.
    """
    classes = label_set.classes
    if _known(label_set, class_id) == BACKGROUND or len(classes) < 3:
        raise DataError("The background and the last class beside it cannot be removed; rename the class instead.")
    if into != VOID and _known(label_set, into) == class_id:
        raise DataError(f"The pixels of '{classes.names[class_id]}' need another class; choose one, or the background.")
    ids_256 = np.arange(VOID + 1)
    ids_256[class_id + 1 : VOID] -= 1
    ids_256[class_id] = into if into < class_id or into == VOID else into - 1
    if jobs.is_held(proposals_folder(label_set.root)):
        raise DataError(f"A model proposes masks for {label_set.root} now; stop it or wait, then remove the class.")
    names, colors = list(classes.names), list(classes.colors)
    del names[class_id], colors[class_id]
    _masks_with(label_set, range(class_id, VOID), on_progress)  # so that the lock is held for what changed since
    with kept_masks.locked(label_set.root):
        _refuse_outdated(label_set)
        affected = _masks_with(label_set, range(class_id, VOID), None)
        _begin(label_set, affected, ids_256, Classes(tuple(names), tuple(colors)))
        try:
            refuse()
        except CoreError:
            (label_set.root / UNFINISHED).unlink()
            raise
        classes = _finish(label_set.root)
    return replace(label_set, classes=classes, has_named_classes=True, generation=label_set.generation + 1)


def finish_change(root: Path) -> None:
    """Finish a removal that was interrupted; without one, do nothing."""
    with kept_masks.locked(root):
        if (root / UNFINISHED).exists():
            _finish(root)


def _begin(label_set: "LabelSet", affected: Mapping[str, int], ids_256: NDArray[np.int64], classes: Classes) -> None:
    """Keep the masks that are going to change, then say what is to be done."""
    root, masks, generation = label_set.root, label_set.masks(), len(kept_masks.changes(label_set.root))
    for name in affected:
        data = masks[name].read_bytes()
        kept_masks.keep_replaced(root, name, data, generation)
    change = {"generation": generation, "ids": ids_256.tolist(), "names": classes.names, "colors": classes.colors}
    write_json(
        root / UNFINISHED,
        change | {"masks": {name: _place(label_set, masks[name]) for name in affected}},
    )


def _finish(root: Path) -> Classes:
    """Do what `unfinished_change.json` says, as far as it is not done, and return the new classes."""
    try:
        return _done(root)
    except OSError as error:
        where = error.filename or root
        raise DataError(
            f"{where} cannot be written: {error.strerror}; make room and open {root} on the page Label again, where "
            "the change of its classes goes on."
        ) from error


def _done(root: Path) -> Classes:
    change = _read(root / UNFINISHED)
    classes: Classes = change["classes"]
    done = kept_masks.changes(root)
    if len(done) == change["generation"]:
        for name, place in change["masks"].items():
            _renumber(root, name, root / place, change["ids_256"], classes)
        _write(root, classes)
        delete_folder(proposals_folder(root))
        write_json(root / LABELLING / "changes.json", [*done, {"ids": change["ids"], "names": change["names"]}])
    (root / UNFINISHED).unlink()
    return classes


def _renumber(root: Path, name: str, file: Path, ids_256: NDArray[np.uint8], classes: Classes) -> None:
    """Give a mask its new ids, unless it has them: until then it is the newest one of its history."""
    data, kept = kept_masks.read_if_there(file), kept_masks.entries(root, name)
    if data is not None and not kept:
        raise DataError(f"{kept_masks.history_dir(root, name)} is gone, so whether {file} is done is not known.")
    if data is None or data != kept[-1].file.read_bytes():
        return
    new = png_bytes(mask_image(ids_256[kept_masks.decoded(data, file)], classes.palette))
    with replacing(file) as target:
        target.write(new)
    kept_masks.note_written(root, name, new, "")


def _read(file: Path) -> dict[str, Any]:
    """Return what is to be done; places outside the folders of masks, as in a foreign data set, are damage."""
    try:
        change = dict(json.loads(file.read_bytes()))
        change["classes"] = Classes(tuple(change["names"]), tuple(change["colors"]))
        change["ids_256"] = np.array(change["ids"], dtype=np.uint8)
        is_whole = change["ids_256"].shape == (VOID + 1,) and isinstance(change["generation"], int)
        if is_whole and all(_is_place(place, name) for name, place in change["masks"].items()):
            return change
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, DataError):
        pass
    raise DataError(f"{file} is damaged; delete it and check the masks in their history.")


def _is_place(place: str, name: str) -> bool:
    """Return whether the mask of a photo may lie at a place below its data set."""
    folder, _, file = place.partition("/")
    stem, suffix = os.path.splitext(file)  # noqa: PTH122
    is_plain = not set(file) & set("/\\\0") and not file.startswith(".") and suffix.lower() == ".png"
    return folder in (*(masks for _, masks in LAYOUTS), AUGMENTED_MASKS) and is_plain and composed(stem) == name


def _place(label_set: "LabelSet", file: Path) -> str:
    """Return where a mask lies below its data set, whose folder of masks may be a link."""
    usual = next(masks for _, masks in LAYOUTS if (label_set.root / masks).resolve() == label_set.mask_dir)
    return f"{usual if file.parent == label_set.mask_dir else AUGMENTED_MASKS}/{file.name}"


def _masks_with(label_set: "LabelSet", ids: range, on_progress: OnProgress | None) -> dict[str, int]:
    """Return the pixels with one of these ids by mask, for the masks that have any."""
    counts = {}
    masks = label_set.masks()
    for done, (name, file) in enumerate(masks.items(), start=1):
        if pixels := int(_pixels(stamp(file), len(label_set.classes))[ids.start : ids.stop].sum()):
            counts[name] = pixels
        if on_progress:
            on_progress(done, len(masks))
    return counts


@lru_cache(maxsize=16_384)
def _pixels(file: Stamp, num_classes: int) -> NDArray[np.int32]:
    """Return how many pixels of a mask have each of 256 ids: 1 KB a mask."""
    return pixels_of(read_mask(Path(file.path), num_classes)).astype(np.int32)


def _known(label_set: "LabelSet", class_id: int) -> int:
    if not 0 <= class_id < len(label_set.classes):
        raise DataError(f"{label_set.root} has no class {class_id}; it has {len(label_set.classes)}, counted from 0.")
    return class_id


def _checked(name: str) -> str:
    """Return a class name that `classes.txt` can hold, one line of signs that print; others raise `DataError`."""
    tidy = " ".join(name.split())
    if not tidy or not tidy.isprintable() or tidy.casefold() == "void":
        raise DataError(f"'{name[:40]}' cannot name a class; use letters, digits and signs (void is the void brush).")
    return tidy


def _with_classes(label_set: "LabelSet", classes: Classes) -> "LabelSet":
    with kept_masks.locked(label_set.root):
        _refuse_outdated(label_set)
        _write(label_set.root, classes)
    return replace(label_set, classes=classes, has_named_classes=True)


def _refuse_outdated(label_set: "LabelSet") -> None:
    """Raise `DataError` if another process has changed the classes since the data set was opened."""
    file = label_set.root / CLASSES_FILE
    if (read_classes(file) if file.exists() else label_set.classes) != label_set.classes:
        raise DataError(f"The classes of {label_set.root} were changed in another tab; look at them and try again.")


def _write(root: Path, classes: Classes) -> None:
    """Write classes.txt; the one that came with the data set stays as classes-before.txt."""
    write_classes(root, classes, replace=True, keeps_old=not (root / BEFORE).exists())
