"""What the path of a picture says: whether it is a photo or a mask, and what a photo and its mask share."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.data.importers.source_splits import SPLITS, WORD, split_called
from core.data.pair_names import composed


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PHOTO_WORDS = _words(
    "image images img imgs photo photos picture pictures jpegimages leftimg8bit rgb original originals"
)
MASK_WORDS = _words(
    "mask masks label labels labelids ann anns annot annots annotation annotations gt gts gtfine gtcoarse groundtruth "
    "segmentationclass segmentation segmentations seg trimap trimaps manual manual1 manual2"
)
OTHER_WORDS = _words("segmentationobject segmentationclassnpy visualization viz overlay overlays instances panoptic")
"""Folders and names of what is neither: masks of single objects, copies of the masks, pictures for people."""

ROLE_WORDS = PHOTO_WORDS | MASK_WORDS | OTHER_WORDS
SEPARATOR = re.compile(r"[-_. ]")
SPLIT_BEFORE = re.compile(rf"{WORD}(?P<gap>[-_ ]?)(?=[a-z])(?P<rest>.+)", re.IGNORECASE)
MASKS_OF_SUBSET = re.compile(r"(.*[^-_. ])annot")
"""CamVid's folders of masks, as `defaultannot` beside `default`."""
PHOTO_ENDING = re.compile(r"(?:_leftImg8bit|[-_. ](?:sat|img|image|rgb|photo))$", re.IGNORECASE)
MASK_ENDING = re.compile(
    r"(?:_gt(?:Fine|Coarse))?(?:[-_. ](?:masks?|labels?|labelIds|labelTrainIds|instanceIds|instanceTrainIds|color|gt|"
    r"seg|segmentation|annotation|lab|groundtruth|trimap|viz|manual\d?|1stHO|2ndHO)|_L|_P)$"
)
MASK_ENDING_ANY_CASE = re.compile(MASK_ENDING.pattern.replace("|_L|_P", ""), re.IGNORECASE)
OTHER_ENDING = re.compile(r"[-_](?:instanceIds|instanceTrainIds|viz)$", re.IGNORECASE)


@dataclass(frozen=True)
class Picture:
    """What a path says: the role (photo, mask, other or None), the kind of a mask, and what photo and mask share.

    `words` are those beside the role in the names of folders, as siteA in `siteA_images`.
    """

    file: Path
    role: str | None
    kind: str
    split: str | None
    folders: tuple[str, ...]
    words: tuple[str, ...]
    stem: str

    @property
    def place(self) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
        """Where a file lies, apart from its role."""
        return self.split, self.folders, self.words

    @property
    def key(self) -> tuple[object, str]:
        """What a photo and its mask have in common."""
        return self.place, self.stem


def picture_of(file: Path, root: Path, role: str | None = None) -> Picture:
    """Return what the path of a file below `root` says; a role that is given is certain."""
    split, folders, kind = None, [], ""
    words: list[str] = []
    inner: str | None = None
    for part in file.relative_to(root).parent.parts:
        found_split, found_role, found_words = _meaning(part)
        if not found_role and (subset := MASKS_OF_SUBSET.fullmatch(part)):
            found_role = "mask"
            folders.append(composed(subset[1]))
        split = split or found_split
        words += found_words
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
    return Picture(file, certain or in_name, ending or kind, split, tuple(folders), tuple(words), stem)


@cache
def _meaning(folder: str) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Return the split and the role that a folder is called after, and its words beside them."""
    if split := split_called(folder):
        return split, _role(folder.partition("_")[2]), ()
    words = SEPARATOR.split(folder)
    split = next((found for word in words if (found := split_called(word))), None)
    if parts := SPLIT_BEFORE.fullmatch(folder):
        rest = SEPARATOR.split(parts["rest"])
        # Without a gap, as in trainMasks, the word behind the split has to be a role: valley is not a split.
        if parts["gap"] or rest[0].casefold() in ROLE_WORDS:
            words, split = rest, next(name for name in SPLITS if parts[name])
    role = _role("_".join(words))
    others = (word for word in words if word.casefold() not in ROLE_WORDS and not split_called(word))
    return (split, role, tuple(composed(word).casefold() for word in others if word)) if role else (None, None, ())


def _role(words: str) -> str | None:
    found = {words.casefold(), *SEPARATOR.split(words.casefold())}
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
