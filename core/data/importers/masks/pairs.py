"""Pairs of photos and masks in any layout: what a file is, is said by its folders and by the ending of its name.

`images/train` + `masks/train`, `train/images` + `train/masks`, `img_dir` + `ann_dir`, `train_images` + `train_labels`,
`plant.jpg` beside `plant_mask.png`, a folder for each photo: all are the same once the words that mean photo, mask and
split are taken out of a path. What is left has to be equal. A file of which nothing says what it is, is a photo where a
mask has its name, and never a mask.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.data.importers.notes import Notes
from core.data.importers.photo_folder import PICTURE_SUFFIXES, files_in
from core.data.importers.plan import Source
from core.data.importers.source_splits import SPLITS, WORD, split_called
from core.data.pair_names import PHOTO_SUFFIXES, composed
from core.errors import DataError

UNREAD_SUFFIXES = (".heic", ".heif", ".avif", ".dng", ".cr2", ".nef", ".arw")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PHOTO_WORDS = _words(
    "image images img imgs photo photos picture pictures jpegimages leftimg8bit rgb original originals"
)
MASK_WORDS = _words(
    "mask masks label labels labelids ann anns annot annots annotation annotations gt gts gtfine gtcoarse groundtruth "
    "segmentationclass segmentation segmentations seg trimap trimaps"
)
OTHER_WORDS = _words("segmentationobject segmentationclassnpy visualization viz overlay overlays instances panoptic")
"""Folders and names of what is neither: masks of single objects, copies of the masks, pictures for people."""

SPLIT_BEFORE = re.compile(rf"{WORD}[-_ ]?(?=[a-z])(?P<rest>.+)", re.IGNORECASE)
MASKS_OF_SUBSET = re.compile(r"(.*[^-_. ])annot")
"""CamVid's folders of masks, as `defaultannot` beside `default`."""
PHOTO_ENDING = re.compile(r"(?:_leftImg8bit|[-_. ](?:sat|img|image|rgb|photo))$", re.IGNORECASE)
MASK_ENDING = re.compile(
    r"(?:_gt(?:Fine|Coarse))?(?:[-_. ](?:masks?|labels?|labelIds|labelTrainIds|instanceIds|instanceTrainIds|color|gt|"
    r"seg|segmentation|annotation|lab|groundtruth|trimap|viz)|_L|_P)$"
)
MASK_ENDING_ANY_CASE = re.compile(MASK_ENDING.pattern.replace("|_L|_P", ""), re.IGNORECASE)
OTHER_ENDING = re.compile(r"[-_](?:instanceIds|instanceTrainIds|viz)$", re.IGNORECASE)
COLOR_ENDING = re.compile(r"[-_]color$", re.IGNORECASE)
IDS_ENDING = re.compile(r"[-_]label(?:Train)?Ids$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """A photo, its mask, and the split that a folder above them is called after."""

    photo: Path
    mask: Path
    split: str | None


@dataclass(frozen=True)
class Picture:
    """What a path says: the role (photo, mask, other or None), the kind of a mask, and what photo and mask share."""

    file: Path
    role: str | None
    kind: str
    split: str | None
    folders: tuple[str, ...]
    stem: str

    @property
    def key(self) -> tuple[str | None, tuple[str, ...], str]:
        """What a photo and its mask have in common."""
        return self.split, self.folders, self.stem


def picture_of(file: Path, root: Path, role: str | None = None) -> Picture:
    """Return what the path of a file below `root` says; a role that is given is certain."""
    split, folders, kind = None, [], ""
    inner: str | None = None
    for part in file.relative_to(root).parent.parts:
        found_split, found_role = _meaning(part)
        if not found_role and (subset := MASKS_OF_SUBSET.fullmatch(part)):
            found_role = "mask"
            folders.append(composed(subset[1]))
        split = split or found_split
        inner = found_role or inner
        kind = part if found_role == "mask" else kind
        if not found_split and not found_role:
            folders.append(composed(part))
    stem = composed(file.stem)
    bare, in_name, ending = _bare(stem)
    certain = role or inner
    if inner == "other" or (in_name == "other" and certain != "photo"):
        certain = "other"
    stem = bare if in_name and (not certain or certain in (in_name, "other")) else stem
    return Picture(file, certain or in_name, ending or kind, split, tuple(folders), stem)


@cache
def _meaning(folder: str) -> tuple[str | None, str | None]:
    """Return the split and the role that a folder is called after."""
    if split := split_called(folder):
        return split, _role(folder.partition("_")[2])
    if (parts := SPLIT_BEFORE.fullmatch(folder)) and (role := _role(parts["rest"])):
        return next(name for name in SPLITS if parts[name]), role
    words = re.split(r"[-_ ]", folder)
    split = next((found for word in words if (found := split_called(word))), None)
    role = _role(folder)
    return (split, role) if role else (None, None)


def _role(words: str) -> str | None:
    found = {words.casefold(), *re.split(r"[-_. ]", words.casefold())}
    roles = (("other", OTHER_WORDS), ("mask", MASK_WORDS), ("photo", PHOTO_WORDS))
    return next((role for role, known in roles if found & known or words.casefold() in known), None)


def _bare(stem: str) -> tuple[str, str | None, str]:
    """Return a name without the ending of a photo or a mask, what that ending says, and a mask's ending."""
    whole = _role(stem) if stem.casefold() in PHOTO_WORDS | MASK_WORDS else None
    if whole:
        return "", whole, stem if whole == "mask" else ""
    if found := MASK_ENDING.search(stem) or MASK_ENDING_ANY_CASE.search(stem):
        role = "other" if OTHER_ENDING.search(stem) else "mask"
        return stem[: found.start()] or stem, role, found[0]
    if found := PHOTO_ENDING.search(stem):
        return stem[: found.start()], "photo", ""
    return stem, None, ""


def means_mask(label: str) -> bool:
    """Return whether a label only says "mask", as in plant_mask.png, and does not name a class."""
    return _bare(f"_{label}")[1] is not None or _role(label) is not None or split_called(label) is not None


def says_photos(folder: str) -> bool:
    """Return whether a folder is called after photos or a split."""
    return _meaning(folder)[1] == "photo" or split_called(folder) is not None


def is_of_class(pair: Pair, source: Source) -> bool:
    """Return whether a mask lies in a folder of its own, which may be called after a class."""
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
        raise DataError(f"{source.path} is no folder; name the folder that holds the masks.")
    pictures = _pictures(source)
    masks = _chosen_masks([one for one in pictures if one.role == "mask"], source, notes, is_colored=is_colored)
    photos = [one for one in pictures if one.role in ("photo", None) and one.file.suffix.lower() in PHOTO_SUFFIXES]
    pairs = _paired(photos, masks, notes)
    if not pairs:
        raise _no_pairs(source, photos, masks)
    with_mask = {pair.photo for pair in pairs}
    bare = [one for one in photos if one.file not in with_mask]
    notes.count("Photos without a mask left out", bare[0].file if bare else "", len(bare))
    used = {pair.mask for pair in pairs}
    strays = [one for one in masks if one.file not in used]
    notes.count("Masks without a photo left out", strays[0].file if strays else "", len(strays))
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
    unwanted = IDS_ENDING if is_colored else COLOR_ENDING
    preferred = [one for one in masks if not unwanted.search(one.file.stem)]
    keys = {one.key for one in preferred}
    others = [one for one in masks if unwanted.search(one.file.stem)]
    left_out = [one.file for one in others if one.key in keys]
    kind = "ids left out, as there are some in colours" if is_colored else "colours left out, as there are some of ids"
    notes.count(f"Masks of {kind}", left_out[0] if left_out else "", len(left_out))
    return [*preferred, *(one for one in others if one.key not in keys)]


def _paired(photos: Iterable[Picture], masks: Collection[Picture], notes: Notes) -> list[Pair]:
    """Return the pairs: of one key, else of one name within a split, else of one name but for its case."""
    steps: tuple[Callable[[Picture], object], ...] = (
        lambda one: one.key,
        lambda one: (one.split, one.folders, composed(one.file.stem)),
        lambda one: (one.split, one.stem),
        lambda one: one.stem,
        lambda one: one.stem.casefold(),
    )
    left, free, pairs = {one.file: one for one in photos}, {one.file: one for one in masks}, []
    for at, step in enumerate(steps):
        by_key: dict[object, list[Picture]] = {}
        for mask in free.values():
            by_key.setdefault(step(mask), []).append(mask)
        of_photos: dict[object, list[Picture]] = {}
        for photo in left.values():
            of_photos.setdefault(step(photo), []).append(photo)
        for key, found in of_photos.items():
            fitting = by_key.get(key, [])
            if not fitting:
                continue
            mask, photo = _only(fitting, [one for one in found if one.role] or found)
            pairs.append(Pair(photo.file, mask.file, photo.split or mask.split))
            del free[mask.file]
            del left[photo.file]
            notes.count("Pairs whose names differ in upper and lower case", photo.file, at == len(steps) - 1)
    return sorted(pairs, key=lambda pair: pair.photo)


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


def _no_pairs(source: Source, photos: list[Picture], masks: list[Picture]) -> DataError:
    unread = [file.name for file in files_in(source.photos or source.path, UNREAD_SUFFIXES)]
    if masks and not photos and unread:
        return DataError(f"The photos in {source.photos or source.path} are as {unread[0]}; save them as JPEG or PNG.")
    if masks and not photos:
        return DataError(
            f"There are no photos in {source.photos or source.path}, only masks as {masks[0].file.name}; name the "
            "folder of the photos with --photos."
        )
    if not masks:
        return DataError(
            f"{source.path} holds no masks that are told by the name of a folder (masks, labels, annotations) or an "
            "ending (_mask, _label, _gt); name the folder of the photos with --photos, that of the masks with --masks."
        )
    return DataError(
        f"{source.path} holds no mask of a photo: {masks[0].file.name} is called as none of {len(photos)} photos, as "
        f"{photos[0].file.name}; call masks as their photos, and name the folder of the photos with --photos."
    )
