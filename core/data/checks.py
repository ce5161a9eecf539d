"""What is wrong with one photo and its mask: nothing is raised for a bad file, everything is told."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from core.data.images import MASK_MODES, load_picture, upright_rgb
from core.errors import DataError
from core.voc import BACKGROUND, PALETTE, VOID

Severity = Literal["error", "warning"]
MIN_BINARY_SHARE = 0.005
"""Less of id 255 than this can be the void border of something that was never labelled."""


@dataclass(frozen=True)
class Entry:
    """A name and its files; None where one is missing. `splits` are those that hold it, the usual ones first."""

    name: str
    splits: tuple[str, ...]
    photo: Path | None
    mask: Path | None

    @property
    def split(self) -> str | None:
        """The split that a finding is told for."""
        return self.splits[0] if self.splits else None


@dataclass(frozen=True)
class Problem:
    """What is wrong with a pair; `is_of_mask` tells which of its two files it is about."""

    kind: str
    detail: str
    severity: Severity = "error"
    is_of_mask: bool = True


@dataclass(frozen=True)
class PhotoFacts:
    """A photo that can be read: sizes (width, height) in the file and upright, hash of its bytes, (8, 9) greys."""

    stored_size: tuple[int, int]
    size: tuple[int, int]
    orientation: int
    digest: bytes
    grey_89: NDArray[np.int16]

    @property
    def hash(self) -> np.uint64:
        """The difference hash: one bit for each neighbour to the right that is brighter."""
        return np.uint64(int.from_bytes(np.packbits(np.diff(self.grey_89, axis=1) > 0).tobytes()))


@dataclass(frozen=True)
class ExaminedPair:
    """What came out of a pair; `class_ids` are those of the mask that have a class, void left out."""

    entry: Entry
    problems: tuple[Problem, ...]
    photo: PhotoFacts | None
    class_ids: frozenset[int]


def examine_pair(entry: Entry, num_classes: int) -> ExaminedPair:
    """Read both files and tell all that is wrong with them; a file that is missing or damaged is told too."""
    problems: list[Problem] = []
    photo, mask = _read(entry.photo, "photo", problems), _read(entry.mask, "mask", problems)
    seen = _look_at(photo, entry.photo, problems) if photo and entry.photo else None
    class_ids: frozenset[int] = frozenset()
    if mask:
        class_ids = _check_mask(mask, num_classes, problems)
        if seen:
            problems += _check_sizes(seen, mask.size)
    if not entry.name.isascii():
        remedy = "other systems may write it otherwise and then not find it; rename photo, mask and list entry"
        problems.append(
            Problem("non-ascii name", f"The name is not plain ASCII: {remedy}.", "warning", is_of_mask=False)
        )
    return ExaminedPair(entry, tuple(problems), seen, class_ids)


def _read(path: Path | None, what: str, problems: list[Problem]) -> Image.Image | None:
    is_mask = what == "mask"
    if path is None:
        detail = f"There is no {what} of this name, and training stops at it; restore it or take the name off the list."
        problems.append(Problem(f"missing {what}", detail, is_of_mask=is_mask))
        return None
    try:
        return load_picture(path, what)
    except DataError as error:
        problems.append(_unreadable(what, error.__cause__))
        return None


def _unreadable(what: str, cause: BaseException | None) -> Problem:
    reason = "it is no picture" if isinstance(cause, UnidentifiedImageError) else str(cause)
    detail = f"The {what} cannot be read ({reason}), and training stops at it; replace it or take it off the list."
    return Problem(f"unreadable {what}", detail, is_of_mask=what == "mask")


def _look_at(picture: Image.Image, path: Path, problems: list[Problem]) -> PhotoFacts | None:
    try:
        stated = picture.getexif().get(ExifTags.Base.Orientation)
        orientation = stated if isinstance(stated, int) and 2 <= stated <= 8 else 1  # some cameras write 0
        upright = upright_rgb(picture)
        digest = hashlib.sha256(path.read_bytes()).digest()
    except Exception as error:  # noqa: BLE001  damaged EXIF raises whatever its bytes lead to
        problems.append(_unreadable("photo", error))
        return None
    grey_89 = np.asarray(upright.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return PhotoFacts(picture.size, upright.size, orientation, digest, grey_89)


def _check_mask(mask: Image.Image, num_classes: int, problems: list[Problem]) -> frozenset[int]:
    """Add what is wrong with the values of a mask, and return the classes in it."""
    if mask.mode not in MASK_MODES:
        is_deep = mask.mode.startswith(("I", "F"))
        what = "has more than 8 bits a pixel" if is_deep else f"is a colour picture ({mask.mode})"
        detail = f"The mask {what} instead of class ids, and training stops at it; save one id per pixel, 8 bits."
        problems.append(Problem("deep mask" if is_deep else "colour mask", detail))
        return frozenset()
    counts_256 = np.bincount(np.array(mask, dtype=np.uint8).ravel(), minlength=256)
    ids = frozenset(np.flatnonzero(counts_256).tolist())
    if problem := _problem_of_ids(ids, num_classes, counts_256[VOID] / counts_256.sum(), has_void_color=_is_voc(mask)):
        problems.append(problem)
    return ids & frozenset(range(num_classes))


def _problem_of_ids(
    ids: frozenset[int], num_classes: int, void_share: float, *, has_void_color: bool
) -> Problem | None:
    if strays := sorted(ids - set(range(num_classes)) - {VOID}):
        listed = ", ".join(map(str, strays[:5])) + (" and more" if len(strays) > 5 else "")
        remedy = "correct the ids, or name all classes in classes.txt"
        return Problem("stray ids", f"Id {listed} has no class, and training stops at it; {remedy}.")
    if ids == {VOID}:
        return Problem("all void", "All of it is void (255): nothing here is trained or scored; draw the mask again.")
    if ids == {BACKGROUND, VOID} and void_share > MIN_BINARY_SHARE and not has_void_color:
        remedy = "write the object's class id instead of 255"
        return Problem("binary mask", f"A 0/255 mask: 255 means void, so the object is never trained on; {remedy}.")
    if ids <= {BACKGROUND, VOID}:
        detail = "Only background: the photo teaches no class; draw what is in it, unless it is meant to be empty."
        return Problem("empty mask", detail, "warning")
    return None


def _is_voc(mask: Image.Image) -> bool:
    """Tell whether 255 has VOC's colour of void: then it is meant as such."""
    palette = mask.getpalette("RGB") if mask.mode == "P" else None
    return bool(palette) and (palette or [])[3 * VOID : 3 * VOID + 3] == PALETTE[VOID].tolist()


def _check_sizes(photo: PhotoFacts, mask_size: tuple[int, int]) -> Iterator[Problem]:
    is_drawn_unturned = photo.orientation != 1 and mask_size == photo.stored_size != photo.size
    if photo.orientation != 1:
        turned = f"EXIF orientation {photo.orientation} is applied when the photo is read"
        if is_drawn_unturned:
            detail = f"{turned}, but the mask is drawn on the unturned photo, and training stops; turn the mask."
            yield Problem("rotated photo", detail, "error", is_of_mask=False)
        else:
            detail = f"{turned}; make sure that the mask is drawn on the upright photo."
            yield Problem("rotated photo", detail, "warning", is_of_mask=False)
    if mask_size != photo.size and not is_drawn_unturned:
        sizes = f"{mask_size[0]} x {mask_size[1]} px, but its photo {photo.size[0]} x {photo.size[1]} px"
        remedy = "draw it on the photo's own pixels"
        yield Problem("size mismatch", f"The mask is {sizes}, and training stops at it; {remedy}.")
