"""Writing one pair into a repaired copy, or setting it aside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.dataset import LAYOUTS, Contents
from core.data.doctor.mask_checks import palette_of_mask
from core.data.doctor.pair_checks import ExaminedPair
from core.data.doctor.problems import Problem
from core.data.images import MASK_MODES, load_picture, write_mask
from core.data.importers.masks.mask_file import CUT
from core.data.repair.color_counts import MAX_COLORS
from core.data.repair.label_decisions import Decision, apply_decisions
from core.data.repair.mask_encoding import Encoding, Form
from core.data.repair.remedies import (
    Unmendable,
    colors_of,
    copied,
    resized,
    translate,
    turned,
    values_of,
    write_photo,
    write_stretched,
)
from core.files import regular, unused
from core.voc import BACKGROUND, VOID

PHOTOS, MASKS = LAYOUTS[0]
ASIDE = "set_aside"
HOW: dict[Form, str] = {
    "ids": "",
    "colours": "ids by the colours of the classes",
    "greys": "ids by the greys of the classes' colours",
    "levels": "ids by the order of the set's grey levels",
    "smoothed": f"black and white with grey edges, cut at {CUT} of 255",
}
HOPELESS = ("missing photo", "missing mask", "unreadable photo", "unreadable mask", "lossy mask")


@dataclass(frozen=True)
class Change:
    """A change of a file of the source, named relative to its root."""

    file: str
    action: str
    detail: str


@dataclass(frozen=True)
class RepairPlan:
    """The decisions about the whole set: the meaning of mask values, and new names by old ones.

    `problems` are the doctor's, `photos` the files and `decisions` those about labels, by name; `folder` is the copy's.
    """

    contents: Contents
    problems: Mapping[str, Sequence[Problem]]
    photos: Mapping[str, Path | None]
    encoding: Encoding
    names: Mapping[str, str]
    folder: Path
    decisions: Mapping[str, Sequence[Decision]]

    def relative(self, file: Path) -> str:
        """Return a file's path relative to the source."""
        return file.relative_to(self.contents.root).as_posix()

    def photo_of(self, name: str) -> str:
        """Return the relative path of a photo, or the place of a missing one."""
        return self.relative(self.photos.get(name) or self.contents.photo_dir / f"{Path(name).name}.jpg")


def write_pair(plan: RepairPlan, pair: ExaminedPair) -> tuple[bool, list[Change]]:
    """Write a pair, or set its files aside; return whether it was written, and the changes."""
    try:
        mask_HW, words = _repaired_ids(plan, pair)
    except Unmendable as reason:
        return False, list(_set_aside(plan, pair, str(reason)))
    return True, [*_write_photo(plan, pair), *_write_mask(plan, pair, mask_HW, words)]


def put_aside(folder: Path, file: Path, what: str) -> str:
    """Copy a file to set_aside/`what` (photos or masks); return why it is unreadable, or ""."""
    try:
        content = regular(file).read_bytes()
    except OSError as error:  # a broken link, or a folder with the name of a photo
        return error.strerror or "it cannot be read"
    place = folder / ASIDE / what
    place.mkdir(parents=True, exist_ok=True)
    unused(place / file.name).write_bytes(content)
    return ""


def _set_aside(plan: RepairPlan, pair: ExaminedPair, reason: str) -> Iterator[Change]:
    files = (("photos", pair.entry.photo_file), ("masks", pair.entry.mask_file))
    failures = [put_aside(plan.folder, file, what) for what, file in files if file]
    detail = f"{reason} ({failure})" if (failure := "".join(failures[:1]) or "".join(failures[1:])) else reason
    yield Change(plan.photo_of(pair.entry.name), "left out" if all(failures) else "set aside", detail)


def _repaired_ids(plan: RepairPlan, pair: ExaminedPair) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the ids of a mask on its upright photo, (H, W) uint8, and the changes; else raise `Unmendable`."""
    entry, kinds = pair.entry, {problem.kind for problem in plan.problems[pair.entry.name]}
    if plan.encoding.forms.get(entry.name) == "smoothed":
        kinds -= {"lossy mask"}
    hopeless = [kind for kind in HOPELESS if kind in kinds]
    if hopeless or not pair.photo or not entry.mask_file:
        raise Unmendable(hopeless[0] if hopeless else "a list names it by a path")
    mask_HW, words = _ids(load_picture(entry.mask_file, "mask"), plan.encoding, entry.name)
    if mask_HW.shape[::-1] == pair.photo.stored_size != pair.photo.size:
        mask_HW = turned(mask_HW, pair.photo.orientation)
        words.append("turned with its photo")
    if mask_HW.shape[::-1] != pair.photo.size:
        words.append(f"resized from {mask_HW.shape[1]} x {mask_HW.shape[0]} px by nearest")
        mask_HW = resized(mask_HW, pair.photo.size)
    mask_HW, decided = apply_decisions(mask_HW, plan.decisions.get(entry.name, ()), plan.encoding.classes)
    words += decided
    if (mask_HW == VOID).all():
        raise Unmendable("all void")
    return mask_HW, words


def _ids(mask: Image.Image, encoding: Encoding, name: str) -> tuple[NDArray[np.uint8], list[str]]:
    """Return a mask as ids of the encoding's classes, (H, W) uint8, and the changes."""
    form = encoding.forms[name]
    if form == "smoothed":
        return (np.asarray(mask.convert("L")) >= CUT).astype(np.uint8), [HOW[form]]
    id_by_value = encoding.id_by_value[form]
    if form == "colours":
        color_HW, is_clear_HW = colors_of(mask)
        background = next((color for color, its in id_by_value.items() if its == BACKGROUND), 0)
        try:
            ids_HW, about_void = translate(np.where(is_clear_HW, background, color_HW), id_by_value, form)
        except Unmendable:
            if name in encoding.pictures:
                raise Unmendable(f"more than {MAX_COLORS} colours, so it is a picture, not a mask") from None
            raise
    elif form == "levels" and not id_by_value:
        raise Unmendable("the classes of its grey levels are unknown")
    else:
        ids_HW, about_void = translate(values_of(mask), id_by_value, form)
    how = HOW[form] or ("" if mask.mode in MASK_MODES else "ids in 8 bits")
    return ids_HW, [words for words in (how, about_void) if words]


def _write_mask(plan: RepairPlan, pair: ExaminedPair, mask_HW: NDArray[np.uint8], words: list[str]) -> Iterator[Change]:
    """Write ids with the classes' palette; a file that has both is copied byte for byte.

    A palette that contradicts the ids stays: only a person knows which of the two is right.
    """
    source, target = pair.entry.mask_file, plan.folder / MASKS / f"{plan.names[pair.entry.name]}.png"
    if not source or not pair.mask:
        return
    kinds = {problem.kind for problem in plan.problems[pair.entry.name]}
    is_doubtful = "other palette" in kinds and plan.encoding.forms[pair.entry.name] == "ids"
    has_palette = is_doubtful or (pair.mask.colors == "usual" and plan.encoding.classes == plan.contents.classes)
    if has_palette and not words and pair.mask.format == "PNG":
        copied(source, target)
    else:
        palette_2563 = plan.encoding.classes.palette
        if is_doubtful:
            own_N3 = palette_of_mask(load_picture(source, "mask"))
            palette_2563 = np.concatenate([own_N3, palette_2563[len(own_N3) :]])
        write_mask(target, mask_HW, palette_2563)
    if "grey mask" in kinds and not words:
        words = ["palette added, the ids kept"]
    if pair.entry.name in plan.encoding.keeps_ids and not is_doubtful and not words:
        words = ["the ids kept, the palette of the classes in place of its own"]
    if words:
        yield Change(plan.relative(source), "mask mended", ", ".join(words))
    if source.name != target.name:
        yield Change(plan.relative(source), "renamed", f"to {MASKS}/{target.name}")


def _write_photo(plan: RepairPlan, pair: ExaminedPair) -> Iterator[Change]:
    source = pair.entry.photo_file
    if not source or not pair.photo:
        return
    stem = plan.folder / PHOTOS / plan.names[pair.entry.name]
    if pair.photo.needs_stretch:
        target, done = write_stretched(source, stem)
    else:
        target, done = write_photo(source, stem, pair.photo.format, is_turned=pair.photo.orientation != 1)
    if done:
        yield Change(plan.relative(source), "photo rewritten", done)
    if source.name != target.name:
        yield Change(plan.relative(source), "renamed", f"to {PHOTOS}/{target.name}")
    elif pair.entry.name != target.stem:
        yield Change(plan.relative(source), "renamed", f"in the lists, where it was {pair.entry.name}")
