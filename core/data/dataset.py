"""A data set on disk: which photos and masks there are, and how they are split.

Accepted layouts, directly or inside `VOCdevkit/VOC2012`: `JPEGImages` + `SegmentationClass` (with split lists in
`ImageSets/Segmentation`; with masks in `SegmentationClassAug` there is a split `trainaug`), or `images` + `masks`.
Without lists the pairs are split 80/20 at random from a seed. Classes are those of a `classes.txt`, else those that the
masks' own palette colours, numbered, else VOC's.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import (
    CLASSES_FILE,
    VOC_CLASSES,
    Classes,
    classes_of_palette,
    has_voc_palette,
    read_classes,
)
from core.errors import DataError
from core.files import read_lines

PLACES = (".", "VOC2012", "VOCdevkit/VOC2012")
LAYOUTS = (("JPEGImages", "SegmentationClass"), ("images", "masks"))
LISTS = Path("ImageSets") / "Segmentation"
AUGMENTED_MASKS = "SegmentationClassAug"
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
TRAIN_SHARE = 0.8
PEEKED_MASKS = 5
"""Masks whose palette is looked at: one may be broken, or not like the others."""


@dataclass(frozen=True)
class Sample:
    """A photo and its mask."""

    name: str
    photo: Path
    mask: Path


@dataclass(frozen=True)
class Dataset:
    """The pairs of a folder by split; `split_source` says in words where the splits come from.

    `has_named_classes` is False where nothing says what the classes are: neither a classes.txt nor VOC's palette.
    """

    root: Path
    classes: Classes
    splits: dict[str, tuple[Sample, ...]]
    split_source: str
    has_named_classes: bool = True

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes by id, the background first."""
        return self.classes.names

    @property
    def num_classes(self) -> int:
        """Number of classes, the background among them."""
        return len(self.classes)

    def split(self, name: str) -> tuple[Sample, ...]:
        """Return the pairs of a split; one that does not exist or is empty raises `DataError`."""
        if name not in self.splits:
            raise DataError(f"{self.root} has no split '{name}'; it has {', '.join(self.splits)}.")
        if not self.splits[name]:
            raise DataError(f"The split '{name}' of {self.root} is empty; list at least one photo in it.")
        return self.splits[name]


@dataclass(frozen=True)
class Contents:
    """What a folder holds, by name, before anything is asked of it.

    `lists` holds the names in each split list, whether their files exist or not; it is empty where there are no lists.
    `has_named_classes` is that of `Dataset`.
    """

    root: Path
    photo_dir: Path
    mask_dir: Path
    photos: dict[str, Path]
    masks: dict[str, Path]
    lists: dict[Path, list[str]]
    classes: Classes
    has_named_classes: bool

    def has_masks_of(self, names: Iterable[str]) -> bool:
        """Tell whether any of these photos has a mask; none has in VOC's test.txt, photos without truth."""
        return any(name in self.masks for name in names)


def open_dataset(path: Path | str, *, seed: int = 0) -> Dataset:
    """Find the pairs and splits of a folder, reading names only.

    A folder that does not exist, holds no masks, or lists a photo it does not have raises `DataError`.
    """
    contents = read_contents(Path(path))
    photos, masks = contents.photos, contents.masks
    if contents.lists:
        splits = {
            file.stem: _listed_samples(file, names, photos, masks)
            for file, names in contents.lists.items()
            if not names or contents.has_masks_of(names)
        }
        source = f"lists in {LISTS.as_posix()}"
    else:
        splits = random_splits(_all_pairs(photos, masks, contents.mask_dir), seed)
        source = f"random 80/20, seed {seed}"
    root = contents.root
    if not any(splits.values()):
        raise DataError(f"No split of {root} has a photo; fill the lists in {root / LISTS}, or remove them.")
    return Dataset(root.resolve(), contents.classes, _in_usual_order(splits), source, contents.has_named_classes)


def read_contents(path: Path) -> Contents:
    """List a folder by names; one that does not exist, cannot be read or is no data set raises `DataError`."""
    try:
        return _read_contents(path)
    except OSError as error:
        raise DataError(
            f"The folder {path} cannot be read: {error.strerror}; check its name and whose it is."
        ) from error


def _read_contents(path: Path) -> Contents:
    if not path.is_dir():
        raise DataError(f"There is no folder {path}; give a VOCdevkit, a VOC2012 folder, or one with images and masks.")
    root, photo_dir, mask_dir = _find_layout(path)
    photos = _files_by_stem(photo_dir, PHOTO_SUFFIXES)
    masks = _files_by_stem(mask_dir, (".png", *PHOTO_SUFFIXES))
    lists = {file: _listed_names(file, photos) for file in sorted((root / LISTS).glob("*.txt")) if _is_told(file)}
    if lists:
        # trainaug and its kin take a mask of the augmented set where VOC itself has none.
        augmented = _files_by_stem(root / AUGMENTED_MASKS, (".png",))
        masks = augmented | masks
        if augmented:
            _add_trainaug(lists, root / LISTS, [name for name in augmented if name in photos])
    classes, has_named_classes = _classes(root, masks)
    return Contents(root, photo_dir, mask_dir, photos, masks, lists, classes, has_named_classes)


def _add_trainaug(lists: dict[Path, list[str]], folder: Path, augmented: list[str]) -> None:
    """List what is augmented and not in val, as the usual trainaug.txt does, unless there is one."""
    val = set(lists.get(folder / "val.txt", ()))
    lists.setdefault(folder / "trainaug.txt", [name for name in augmented if name not in val])


def fingerprint(samples: Iterable[Sample]) -> str:
    """Return a SHA-256 over names, masks and photo sizes: equal for copies, different once a pair changes.

    Photos count by their size in bytes alone, which keeps it fast on thousands of files.
    """
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.name}\0{_size(sample.photo)}\0".encode())
        digest.update(_bytes(sample.mask))
    return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"The photo {path} cannot be read: {error.strerror}; restore it.") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"The mask {path} cannot be read: {error.strerror}; restore it.") from error


def _find_layout(path: Path) -> tuple[Path, Path, Path]:
    roots = [path / place for place in PLACES]
    for root in roots:
        for photos, masks in LAYOUTS:
            if (root / photos).is_dir() and (root / masks).is_dir():
                return root, root / photos, root / masks
    for root in roots:
        for photos, masks in LAYOUTS:
            if (root / photos).is_dir():
                raise DataError(f"{root} has photos in {photos} but no folder of masks; put them into {root / masks}.")
    expected = " or ".join(f"{photos} + {masks}" for photos, masks in LAYOUTS)
    raise DataError(f"{path} is no data set; it needs the folders {expected}, directly or in VOCdevkit/VOC2012.")


def _files_by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in suffixes and _is_told(file)}


def _is_told(file: Path) -> bool:
    """Tell whether a file counts: not the `._` files that macOS leaves, nor a name that is no text in any language."""
    return not file.name.startswith(".") and file.name.isprintable()


def _listed_names(file: Path, photos: dict[str, Path]) -> list[str]:
    # Official lists of other tasks carry a second column: the name is the first word, unless a photo is called so.
    return [line if line in photos else line.split()[0] for line in read_lines(file)]


def _listed_samples(
    file: Path, names: list[str], photos: dict[str, Path], masks: dict[str, Path]
) -> tuple[Sample, ...]:
    for name in names:
        if name not in photos:
            raise DataError(f"{file} names {name}, but its photo is missing; restore it or delete that line.")
        if name not in masks:
            raise DataError(f"{file} names {name}, but its mask is missing; restore it or delete that line.")
    return tuple(Sample(name, photos[name], masks[name]) for name in names)


def _all_pairs(photos: dict[str, Path], masks: dict[str, Path], mask_dir: Path) -> list[Sample]:
    if not masks:
        raise DataError(f"{mask_dir} holds no masks; put one PNG per photo there, under the photo's name.")
    orphans = [name for name in masks if name not in photos]
    if orphans:
        raise DataError(f"The mask {masks[orphans[0]]} has no photo of that name; add the photo or remove the mask.")
    return [Sample(name, photos[name], masks[name]) for name in sorted(masks)]


def num_to_train(num_samples: int) -> int:
    """Return how many of so many pairs are trained on: 80 %, and of two or more at least one is left to validate."""
    return min(round(TRAIN_SHARE * num_samples), max(1, num_samples - 1))


def random_splits(samples: list[Sample], seed: int) -> dict[str, tuple[Sample, ...]]:
    """Split 80/20 in the order of a hash of the names: a pair that is added or removed moves at most one other."""
    shuffled = sorted(samples, key=lambda sample: hashlib.sha256(f"{seed}/{sample.name}".encode()).digest())
    num_train = num_to_train(len(samples))
    by_name = [tuple(sorted(part, key=lambda s: s.name)) for part in (shuffled[:num_train], shuffled[num_train:])]
    return {"train": by_name[0], "val": by_name[1]}


def _in_usual_order(splits: dict[str, tuple[Sample, ...]]) -> dict[str, tuple[Sample, ...]]:
    first = [name for name in ("train", "val") if name in splits]
    return {name: splits[name] for name in [*first, *(name for name in splits if name not in first)]}


def _classes(root: Path, masks: dict[str, Path]) -> tuple[Classes, bool]:
    """Return the classes and whether they are named: by a classes.txt, or by VOC's palette."""
    file = root / CLASSES_FILE
    if file.exists():
        return read_classes(file), True
    palette_N3 = _usual_palette(list(masks.values())[:PEEKED_MASKS])
    if palette_N3 is None or has_voc_palette(palette_N3) or not classes_of_palette(palette_N3):
        return VOC_CLASSES, palette_N3 is not None and has_voc_palette(palette_N3)
    # Writers cut a palette after the last colour that a mask uses: the longest of its kind has all classes.
    palettes = (palette for palette in map(_palette_of, masks.values()) if palette is not None)
    longest_N3 = max((palette for palette in palettes if _begins_alike(palette_N3, palette)), key=len)
    return classes_of_palette(longest_N3) or VOC_CLASSES, False


def _begins_alike(a_N3: NDArray[np.uint8], b_N3: NDArray[np.uint8]) -> bool:
    common = min(len(a_N3), len(b_N3))
    return bool((a_N3[:common] == b_N3[:common]).all())


def _usual_palette(masks: list[Path]) -> NDArray[np.uint8] | None:
    """Return the palette that most of these masks have, shape (N, 3); None if most have none."""
    palettes = Counter(None if palette is None else palette.tobytes() for palette in map(_palette_of, masks))
    usual = palettes.most_common(1)[0][0] if palettes else None
    return None if usual is None else np.frombuffer(usual, dtype=np.uint8).reshape(-1, 3)


def _palette_of(mask: Path) -> NDArray[np.uint8] | None:
    """Return the palette of a mask, shape (N, 3); None where it has none or cannot be read, which others will tell."""
    try:
        with Image.open(mask) as image:
            palette = image.getpalette("RGB") if image.mode == "P" else None
    except (OSError, SyntaxError, ValueError):
        return None
    return None if palette is None else np.array(palette, dtype=np.uint8).reshape(-1, 3)
