"""Pairs of photos and masks in any layout: what a file is, is said by its folders and by the ending of its name.

`images/train` + `masks/train`, `train/images` + `train/masks`, `img_dir` + `ann_dir`, `train_images` + `train_labels`,
`plant.jpg` beside `plant_mask.png`, a folder for each photo: all are the same once the words that mean photo, mask and
split are taken out of a path. What is left has to be equal. A file of which nothing says what it is, is a photo where a
mask has its name, and never a mask.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.data.importers.masks.mask_file import holds_few_values
from core.data.importers.masks.picture_path import Picture, picture_of
from core.data.importers.notes import Notes
from core.data.importers.photo_folder import PICTURE_SUFFIXES, files_in
from core.data.importers.plan import Source
from core.data.importers.source_splits import WORD
from core.data.pair_names import JPEG_SUFFIXES, PHOTO_SUFFIXES, composed
from core.errors import DataError

LOSSLESS_SUFFIXES = (".png", ".gif", ".bmp")
UNREAD_SUFFIXES = (".heic", ".heif", ".avif", ".dng", ".cr2", ".nef", ".arw")


COLOR_ENDING = re.compile(r"[-_]color$", re.IGNORECASE)
DRAWN_BY_HAND = re.compile(r"manual\d?$|^_(?:1st|2nd)HO$")
"""Retinas come with masks of their vessels that are called so, and with masks of the field of view."""
SPLIT_BEHIND = re.compile(rf"[-_]{WORD}$", re.IGNORECASE)
IDS_ENDING = re.compile(r"[-_]label(?:Train)?Ids$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """A photo, its mask, and the split that a folder above them is called after."""

    photo: Path
    mask: Path
    split: str | None


def is_of_class(pair: Pair, source: Source) -> bool:
    """Return whether a mask called as its photo lies in a folder of its own, which may be called after a class."""
    if picture_of(pair.mask, pair.mask.parent).role:
        return False
    folders = {
        picture_of(file, source.path).folders for file in (pair.photo, pair.mask) if file.is_relative_to(source.path)
    }
    return len(folders) > 1


def find_pairs(source: Source, notes: Notes, *, is_colored: bool = False) -> list[Pair]:
    """Return the pairs of a folder, those in colours or those of ids where there are both.

    Photos without a mask and masks without a photo are noted. No pair at all, and several masks of a photo, raise
    `DataError`.
    """
    if not source.path.is_dir():
        raise DataError(f"{source.path} is not a folder; name the folder that holds the masks.")
    pictures = _with_shared_words(_with_masks_by_content(_pictures(source), notes))
    masks = _chosen_masks([one for one in pictures if one.role == "mask"], source, notes, is_colored=is_colored)
    photos = [one for one in pictures if one.role in ("photo", None) and one.file.suffix.lower() in PHOTO_SUFFIXES]
    pairs = _paired(photos, masks, notes)
    if not pairs:
        raise _no_pairs(source, pictures, photos, masks)
    with_mask = {pair.photo for pair in pairs}
    notes.count_all("Photos without a mask left out", [one.file for one in photos if one.file not in with_mask])
    used = {pair.mask for pair in pairs}
    notes.count_all("Masks without a photo left out", [one.file for one in masks if one.file not in used])
    return pairs


def _pictures(source: Source) -> list[Picture]:
    """Return what lies in the source, and in a folder of photos elsewhere; what a person named is certain."""
    root, named = source.path, source.path / source.masks if source.masks else None
    files = files_in(root, PICTURE_SUFFIXES)
    masks = [picture_of(file, named, "mask") for file in files if named and file.is_relative_to(named)]
    certain = {one.file for one in masks}
    if source.photos in (None, root):
        return [*masks, *(picture_of(file, root) for file in files if file not in certain)]
    photos = [picture_of(file, source.photos, "photo") for file in files_in(source.photos, PHOTO_SUFFIXES)]
    if root.is_relative_to(source.photos):  # masks within the folder of the photos
        photos = [one for one in photos if not one.file.is_relative_to(root) or root == source.photos]
    others = [file for file in files if file not in certain and not file.is_relative_to(source.photos)]
    found = [picture_of(file, root) for file in others]
    has_masks = masks or any(one.role == "mask" for one in found)
    # In a folder of masks alone every picture is one, whatever it is called.
    found = found if has_masks else [one if one.role else picture_of(one.file, root, "mask") for one in found]
    return [*photos, *masks, *found]


def _with_masks_by_content(pictures: list[Picture], notes: Notes) -> list[Picture]:
    """Return pictures that nothing says the role of, each a JPEG beside a lossless one of few values, with the roles.

    Any other pictures are returned as they are.
    """
    lossy = {(one.file.parent, one.stem): one for one in pictures if one.file.suffix.lower() in JPEG_SUFFIXES}
    lossless = {(one.file.parent, one.stem): one for one in pictures if one.file.suffix.lower() in LOSSLESS_SUFFIXES}
    is_twofold = lossy.keys() == lossless.keys() and len(lossy) + len(lossless) == len(pictures)
    if not pictures or not is_twofold or any(one.role for one in pictures):
        return pictures
    if not all(holds_few_values(one.file) for one in lossless.values()):
        return pictures
    first = next(iter(lossless.values())).file
    notes.count("Pictures taken for the mask of the JPEG of their name, as they hold few values", first, len(lossless))
    return [
        *(replace(one, role="photo") for one in lossy.values()),
        *(replace(one, role="mask") for one in lossless.values()),
    ]


def _with_shared_words(pictures: Sequence[Picture]) -> list[Picture]:
    """Return pictures with those words alone that folders of photos and of masks have: siteA, not labels_semantic."""
    of_masks = {one.words for one in pictures if one.role == "mask"}
    shared = {one.words for one in pictures if one.role != "mask"} & of_masks
    return [one if one.words in shared else replace(one, words=()) for one in pictures]


def _chosen_masks(masks: list[Picture], source: Source, notes: Notes, *, is_colored: bool) -> list[Picture]:
    """Return the masks of the kind that was asked for; of colours and ids, those that are looked for."""
    if source.masks:
        word = source.masks.strip("/").casefold()
        below = source.path / source.masks
        chosen = [one for one in masks if one.file.is_relative_to(below) or one.kind.casefold().endswith(word)]
        if not chosen:
            kinds = ", ".join(sorted({one.kind for one in masks})) or "none"
            raise DataError(f"{source.path} holds no masks called {source.masks}; there are: {kinds}.")
        return chosen
    if drawn := [one for one in masks if DRAWN_BY_HAND.search(one.kind)]:
        fields = [one.file for one in masks if one not in drawn]
        notes.count_all("Masks left out, as of the field of view, because others are called drawn by hand", fields)
        masks = drawn
    unwanted = IDS_ENDING if is_colored else COLOR_ENDING
    preferred = [one for one in masks if not unwanted.search(one.file.stem)]
    keys = {one.key for one in preferred}
    others = [one for one in masks if unwanted.search(one.file.stem)]
    kind = "ids left out, as there are some in colours" if is_colored else "colours left out, as there are some of ids"
    notes.count_all(f"Masks of {kind}", [one.file for one in others if one.key in keys])
    return [*preferred, *(one for one in others if one.key not in keys)]


def _paired(photos: Sequence[Picture], masks: Sequence[Picture], notes: Notes) -> list[Pair]:
    """Return the pairs within a place; then those of one name in two places, of which neither has pairs of its own.

    A photo without a mask beside others that have one is without a mask, whatever lies in other folders.
    """
    within = _matched(
        photos,
        masks,
        lambda one: one.key,
        lambda one: (one.place, composed(one.file.stem)),
        lambda one: (one.place, one.stem.casefold()),
        lambda one: (one.place, SPLIT_BEHIND.sub("", one.stem)),
    )
    taken = {one.file for pair in within for one in pair}
    own = {one.place for one in photos if one.role or one.file in taken} & {one.place for one in masks}
    across = _matched(
        [one for one in photos if one.file not in taken and one.place not in own],
        [one for one in masks if one.file not in taken and one.place not in own],
        lambda one: (one.split, one.stem),
        lambda one: one.stem,
        lambda one: one.stem.casefold(),
    )
    notes.count_all("Pairs of two folders, found by their names alone", [photo.file for photo, _ in across])
    pairs = []
    for photo, mask in [*within, *across]:
        is_other_case = photo.stem != mask.stem and photo.stem.casefold() == mask.stem.casefold()
        is_other_case = is_other_case and composed(photo.file.stem) != composed(mask.file.stem)
        notes.count("Pairs whose names differ in upper and lower case", photo.file, is_other_case)
        pairs.append(Pair(photo.file, mask.file, photo.split or mask.split))
    return sorted(pairs, key=lambda pair: pair.photo)


def _matched(
    photos: Sequence[Picture], masks: Sequence[Picture], *steps: Callable[[Picture], object]
) -> list[tuple[Picture, Picture]]:
    """Return each photo with the mask that the first step possible finds for it."""
    left, free = {one.file: one for one in photos}, {one.file: one for one in masks}
    pairs = []
    for step in steps:
        by_key: dict[object, list[Picture]] = {}
        for mask in free.values():
            by_key.setdefault(step(mask), []).append(mask)
        of_photos: dict[object, list[Picture]] = {}
        for photo in left.values():
            of_photos.setdefault(step(photo), []).append(photo)
        for key, found in of_photos.items():
            if fitting := by_key.get(key):
                mask, photo = _only(fitting, [one for one in found if one.role] or found)
                pairs.append((photo, mask))
                del free[mask.file]
                del left[photo.file]
    return pairs


def _only(masks: list[Picture], photos: list[Picture]) -> tuple[Picture, Picture]:
    """Return the one mask and the one photo that fit; more raise `DataError`."""
    if len(masks) > 1:
        kinds = sorted({one.kind for one in masks if one.kind})
        remedy = f"choose with --masks {' or '.join(kinds)}" if len(kinds) > 1 else "give each mask a name of its own"
        raise DataError(f"{photos[0].file} may belong to {masks[0].file} or {masks[1].file}; {remedy}.")
    if len(photos) > 1:
        raise DataError(
            f"{photos[0].file} and {photos[1].file} have the same name, so their masks cannot be told apart; rename "
            "one of them."
        )
    return masks[0], photos[0]


def _no_pairs(source: Source, pictures: Sequence[Picture], photos: list[Picture], masks: list[Picture]) -> DataError:
    unread = [file.name for file in files_in(source.photos or source.path, UNREAD_SUFFIXES)]
    if masks and not photos and unread:
        return DataError(f"The photos in {source.photos or source.path} are as {unread[0]}; save them as JPEG or PNG.")
    if masks and not photos:
        return DataError(
            f"There are no photos in {source.photos or source.path}, only masks as {masks[0].file.name}; name the "
            "folder of the photos with --photos."
        )
    first_of: dict[tuple[Path, str], Picture] = {}
    of_one_name = ((first_of.setdefault((one.file.parent, one.stem), one).file, one.file) for one in pictures)
    first, second = next((files for files in of_one_name if files[0] != files[1]), (None, None))
    if not masks and first and second:
        return DataError(
            f"{source.path} holds {first.name} and {second.name}, and nothing says which is the mask; call masks as "
            f"{second.stem}_mask.png, or put them into a folder called masks."
        )
    if not masks:
        return DataError(
            f"{source.path} holds no masks: no folder is called masks, labels or annotations, and no file ends in "
            "_mask, _label or _gt; name the folder of the photos with --photos, that of the masks with --masks."
        )
    return DataError(
        f"{source.path} holds no mask of a photo: {masks[0].file.name} is called as none of {len(photos)} photos, as "
        f"{photos[0].file.name}; call masks as their photos, and name the folder of the photos with --photos."
    )
