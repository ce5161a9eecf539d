"""Checks of one photo and its mask: bad files become problems, not exceptions."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from core.data.bit_depth import (
    STRETCH,
    UNSCALED_MODES,
    Refused,
    is_nearly_black,
    is_scalable,
    num_unused_bands,
    refuse_unscaled,
    stretched,
)
from core.data.dataset import LAYOUTS, LISTS, Contents
from core.data.doctor.mask_checks import LOSSY_FORMATS, MaskFacts, check_mask
from core.data.doctor.problems import Entry, Problem
from core.data.images import load_picture, upright_rgb
from core.data.pair_names import composed, folded
from core.data.statistics.pair_facts import PairFacts, pair_facts
from core.errors import DataError

FORMATS = {
    ".jpg": ("JPEG", "MPO"), ".jpeg": ("JPEG", "MPO"), ".png": ("PNG",), ".bmp": ("BMP",), ".tif": ("TIFF",),
    ".tiff": ("TIFF",), ".webp": ("WEBP",),
}  # fmt: skip
"""Pillow's names of formats by extension; phones write MPO, a JPEG followed by a second picture."""


@dataclass(frozen=True)
class PhotoFacts:
    """A readable photo: sizes (width, height) stored and upright, SHA-256 of its bytes, (8, 9) greys.

    `needs_stretch` is True for greys of more than 8 bits that training refuses or sees as nearly black.
    """

    format: str
    stored_size: tuple[int, int]
    size: tuple[int, int]
    orientation: int
    digest: bytes
    grey_89: NDArray[np.int16]
    needs_stretch: bool = False

    @property
    def hash(self) -> np.uint64:
        """The difference hash: one bit for each pixel whose right neighbour is brighter."""
        return np.uint64(int.from_bytes(np.packbits(np.diff(self.grey_89, axis=1) > 0).tobytes()))


@dataclass(frozen=True)
class ExaminedPair:
    """A pair and its problems; `class_ids` are the classes in the mask.

    `photo` and `mask` are None if the file cannot be read, `facts` if training could not use the pair.
    """

    entry: Entry
    problems: tuple[Problem, ...]
    photo: PhotoFacts | None
    mask: MaskFacts | None
    class_ids: frozenset[int]
    facts: PairFacts | None

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its problems."""
        return frozenset(problem.kind for problem in self.problems)


def examine_pair(entry: Entry, contents: Contents) -> ExaminedPair:
    """Read both files once and return all their problems; missing and damaged files are problems too."""
    problems = [*(_check_odd_name(entry, contents) or _check_names(entry))]
    photo, seen = _look_at_photo(entry.photo_file, contents, problems)
    mask, mask_HW = _look_at_mask(entry.mask_file, contents, problems)
    if seen and mask:
        problems += _check_sizes(seen, mask.size)
    facts = None
    if photo and seen and mask_HW is not None and mask_HW.shape[::-1] == seen.size and entry.photo and entry.mask:
        facts = pair_facts(photo, mask_HW, len(contents.classes))
    values = mask.values if mask and mask.format not in LOSSY_FORMATS else frozenset()
    class_ids = frozenset(value for value in values if value < len(contents.classes))
    return ExaminedPair(entry, tuple(problems), seen, mask, class_ids, facts)


def _check_odd_name(entry: Entry, contents: Contents) -> list[Problem]:
    """Report a list entry that is a path: files elsewhere are not part of the data set."""
    has_path = "/" in entry.name or "\\" in entry.name or entry.name in (".", "..")
    if not has_path or entry.photo or entry.mask or not contents.lists:
        return []
    detail = f"It lists '{entry.name}', a path where a name must stand, and training stops at it; write the name alone."
    return [Problem("odd name", detail, file=contents.root / LISTS / f"{entry.split}.txt")]


def _check_names(entry: Entry) -> Iterator[Problem]:
    if entry.photo is None and entry.near_photo:
        yield _near(entry.name, entry.near_photo, is_of_mask=False)
    elif entry.photo is None and entry.unread_photo:
        harm = f"There is only {entry.unread_photo.name}, which is not read, and training stops at it"
        yield Problem("missing photo", f"{harm}; save it as JPEG or PNG.", is_of_mask=False, file=entry.unread_photo)
    elif entry.photo is None:
        yield _missing("photo", entry)
    if entry.mask is None and entry.near_mask:
        if entry.photo or not entry.near_photo:
            yield _near(entry.name, entry.near_mask, is_of_mask=True)
    elif entry.mask is None:
        yield _missing("mask", entry)
    if not entry.name.isascii():
        remedy = "other systems may write it otherwise and then not find it; rename photo, mask and list entry"
        yield Problem("non-ascii name", f"The name is not plain ASCII: {remedy}.", "warning", is_of_mask=False)


def _missing(what: str, entry: Entry) -> Problem:
    # Without lists a name is there because of its mask, and in no split without a photo.
    remedy = "restore it or take the name off the list" if entry.splits else "add the photo or remove the mask"
    detail = f"There is no {what} of this name, and training stops at it; {remedy}."
    return Problem(f"missing {what}", detail, is_of_mask=what == "mask")


def _near(name: str, file: Path, *, is_of_mask: bool) -> Problem:
    stem = usual = composed(file.stem)
    if stem.casefold() == name.casefold():
        kind, what = "wrong case", f"'{name}' differs from it in capitals alone"
    elif stem.casefold() not in folded(name):
        kind, what, usual = "odd name", f"'{name}' differs from it by an ending", min(stem, name, key=len)
    else:
        kind, what = "odd extension", f"'{name}' is listed with its extension"
    detail = f"{what}, so it is not found and training stops; write one name everywhere, as '{usual}'."
    return Problem(kind, detail, is_of_mask=is_of_mask)


def _load(path: Path | None, what: str, contents: Contents, problems: list[Problem]) -> Image.Image | None:
    try:
        return load_picture(path, what) if path else None
    except DataError as error:
        problems.append(_unreadable(what, error.__cause__, contents))
        return None


def _unreadable(what: str, cause: BaseException | None, contents: Contents) -> Problem:
    if isinstance(cause, Refused):
        return Problem(f"unreadable {what}", f"The {what} {cause}.", is_of_mask=what == "mask")
    known = {UnidentifiedImageError: "it is not a picture", type(None): "it is a broken link"}
    reason = known.get(type(cause)) or str(cause)
    remedy = "replace it or take it off the list" if contents.lists else "replace it or remove photo and mask"
    detail = f"The {what} cannot be read ({reason}), and training stops at it; {remedy}."
    return Problem(f"unreadable {what}", detail, is_of_mask=what == "mask")


def _look_at_photo(
    path: Path | None, contents: Contents, problems: list[Problem]
) -> tuple[Image.Image | None, PhotoFacts | None]:
    """Return a photo upright and its facts, or None twice."""
    picture = _load(path, "photo", contents, problems)
    if not picture or not path:
        return None, None
    try:
        stated = picture.getexif().get(ExifTags.Base.Orientation)
        orientation = stated if isinstance(stated, int) and 2 <= stated <= 8 else 1  # some cameras write 0
        is_refused = picture.mode in UNSCALED_MODES
        upright = upright_rgb(stretched(picture) if is_refused else picture)
        digest = hashlib.sha256(path.read_bytes()).digest()
    except Exception as error:  # noqa: BLE001  damaged EXIF raises whatever its bytes lead to
        problems.append(_unreadable("photo", error, contents))
        return None, None
    problems += _check_extension(path, picture.format or "", (".jpg", ".png") if _is_voc_layout(contents) else ())
    needs_stretch = is_refused or (is_scalable(picture) and is_nearly_black(upright))
    problems += _check_scale(picture, upright)
    grey_89 = np.asarray(upright.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    facts = PhotoFacts(picture.format or "", picture.size, upright.size, orientation, digest, grey_89, needs_stretch)
    return None if is_refused else upright, facts


def _check_scale(picture: Image.Image, upright: Image.Image) -> Iterator[Problem]:
    try:
        refuse_unscaled(picture)
    except Refused as refused:
        yield Problem("deep photo", f"The photo {refused}.", is_of_mask=False)
        return
    if unused := num_unused_bands(picture):
        detail = (
            f"Of its bands {unused} {'is' if unused == 1 else 'are'} no colour: training and Segment use the others."
        )
        yield Problem("unused bands", detail, "warning", is_of_mask=False)
    if is_nearly_black(upright):
        why = "nearly black to training and to Segment"
        remedy = f"the repair scales it, {STRETCH}" if is_scalable(picture) else "replace it, if it is not meant to be"
        yield Problem("dark photo", f"The photo is {why}; {remedy}.", "warning", is_of_mask=False)


def _look_at_mask(
    path: Path | None, contents: Contents, problems: list[Problem]
) -> tuple[MaskFacts | None, NDArray[np.uint8] | None]:
    """Return the facts of a mask, and its ids, (H, W) uint8, if training accepts them."""
    picture = _load(path, "mask", contents, problems)
    if not picture or not path:
        return None, None
    facts, problem, mask_HW = check_mask(picture, contents.classes)
    problems += [problem] if problem else []
    if facts.format not in LOSSY_FORMATS:
        expected = (".png",) if _is_voc_layout(contents) else ()
        problems += _check_extension(path, facts.format, expected, is_of_mask=True)
    return facts, mask_HW


def _is_voc_layout(contents: Contents) -> bool:
    return contents.photo_dir.name == LAYOUTS[0][0]


def _check_extension(
    path: Path, content: str, expected: tuple[str, ...], *, is_of_mask: bool = False
) -> Iterator[Problem]:
    suffix = path.suffix
    if content not in FORMATS.get(suffix.lower(), ()):
        harm, remedy = f"Its content is {content}, not {suffix}: programs that go by the extension stop", "rename it"
    elif suffix != suffix.lower() or (expected and suffix not in expected):
        usual = " or ".join(expected) or suffix.lower()
        harm, remedy = f"Programs that look for {usual} do not find {suffix} and stop or skip it", f"use {usual}"
    else:
        return
    yield Problem("odd extension", f"{harm}; {remedy}.", "warning", is_of_mask=is_of_mask)


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
