"""A data set on disk: its photos, masks and splits.

Accepted layouts, directly or inside `VOCdevkit/VOC2012`: `JPEGImages` + `SegmentationClass` (with split lists in
`ImageSets/Segmentation`; masks in `SegmentationClassAug` make a split `trainaug`), or `images` + `masks`; or a split
view of such a folder (`core.data.split_view`). Without lists the pairs are split 80/20 at random from a seed. Classes
come from `classes.txt`, else VOC's in VOC's own folder, else they are numbered (`core.classes`).
"""

import hashlib
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.classes import Classes, classes_of_folder
from core.data.hashing import BY_CONTENT, hashes
from core.data.pair_names import CONVERTED_SUFFIXES, PHOTO_SUFFIXES, composed, files_by_stem, is_listable, near
from core.data.split_view import is_view, read_view
from core.errors import DataError
from core.files import by_number, read_lines

PLACES = (".", "VOC2012", "VOCdevkit/VOC2012")
LAYOUTS = (("JPEGImages", "SegmentationClass"), ("images", "masks"))
LISTS = Path("ImageSets") / "Segmentation"
AUGMENTED_MASKS = "SegmentationClassAug"
TRAIN_SHARE = 0.8
TEST = "test"
"""The split that stays closed: nothing trains on it, and its scores are shown after an explicit, recorded opening."""
LABELLING = "labelling"
"""The folder that Label keeps beside the photos and masks (`core.data.labelling`)."""
LEAST_DONE = 3
"""The fewest labelled photos to train on: two for training, which BatchNorm needs, and one for validation."""
UNFINISHED = Path(LABELLING) / "unfinished_change.json"
"""Stands there while classes are changed in all masks: some have the new ids, others still the old ones."""


class UnlabelledError(DataError):
    """A folder of photos none of which is labelled yet: the page Label can draw their masks."""


@dataclass(frozen=True)
class Sample:
    """A photo and its mask."""

    name: str
    photo: Path
    mask: Path


@dataclass(frozen=True)
class Dataset:
    """The pairs of a folder by split.

    `split_source` says where the splits come from. `has_named_classes` is False where neither a classes.txt nor VOC's
    own folder names the classes.
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

    def is_of(self, class_names: Sequence[str]) -> bool:
        """Return whether its classes have these names, or, where nothing names them, this number."""
        return self.class_names == tuple(class_names) or (
            not self.has_named_classes and len(class_names) == self.num_classes
        )

    def split(self, name: str) -> tuple[Sample, ...]:
        """Return the pairs of a split; if it is missing or empty, raise `DataError`."""
        if name not in self.splits:
            raise DataError(f"{self.root} has no split '{name}'; it has {', '.join(self.splits)}.")
        if not self.splits[name]:
            raise DataError(f"The split '{name}' of {self.root} is empty; list at least one photo in it.")
        return self.splits[name]


@dataclass(frozen=True)
class Contents:
    """The files of a folder, by name, before any check.

    `lists` holds the names in each split list, whether their files exist or not; it is empty without lists.
    `has_named_classes` is that of `Dataset`. `view` is the split view, if any, that has the lists.
    """

    root: Path
    photo_dir: Path
    mask_dir: Path
    photos: dict[str, Path]
    masks: dict[str, Path]
    lists: dict[Path, list[str]]
    classes: Classes
    has_named_classes: bool
    view: Path | None = None

    def has_masks_of(self, names: Iterable[str]) -> bool:
        """Return whether any of these photos has a mask; in VOC's test.txt none has."""
        return any(name in self.masks for name in names)


def open_dataset(path: Path | str, *, seed: int = 0) -> Dataset:
    """Return the pairs and splits of a folder; only names are read.

    A folder that is missing or holds no masks, or a list with a photo that is missing, raises `DataError`.
    """
    contents = read_contents(Path(path))
    photos, masks = contents.photos, contents.masks
    if contents.lists:
        splits = {
            file.stem: _listed_samples(file, names, photos, masks)
            for file, names in contents.lists.items()
            if not names or contents.has_masks_of(names)
        }
        source = f"the split view {contents.view.name}" if contents.view else f"lists in {LISTS.as_posix()}"
    else:
        splits = random_splits(_all_pairs(photos, masks, contents.photo_dir, contents.mask_dir), seed)
        source = f"random 80/20, seed {seed}"
    root = contents.view or contents.root
    if not any(contents.lists.values()) and contents.lists:
        raise UnlabelledError(f"No photo of {root} is labelled and done yet; draw masks on the page Label.")
    if not any(splits.values()):
        raise DataError(
            f"No photo that is listed in {root / LISTS} has a mask of its name; mend the lists, or remove them."
        )
    usual = {name: splits[name] for name in ("train", "val") if name in splits}  # these come first
    return Dataset(root.resolve(), contents.classes, usual | splits, source, contents.has_named_classes)


def read_contents(path: Path, *, needs_masks: bool = True) -> Contents:
    """Return the files of a folder; one that cannot be read, or is not a data set, raises `DataError`.

    Without `needs_masks` the folder of the masks may be missing.
    """
    try:
        return _read_contents(path, needs_masks=needs_masks)
    except OSError as error:
        raise DataError(
            f"The folder {path} cannot be read: {error.strerror}; check its name and whose it is."
        ) from error


def _read_contents(path: Path, *, needs_masks: bool) -> Contents:
    if is_view(path):
        view = read_view(path)
        contents = _read_contents(view.data, needs_masks=needs_masks)
        view.refuse_missing(contents.photos, contents.masks)
        lists = {contents.root / LISTS / f"{split}.txt": names for split, names in view.splits.items()}
        return replace(contents, lists=lists, view=path)
    if not path.is_dir():
        raise DataError(f"There is no folder {path}; give a VOCdevkit, a VOC2012 folder, or one with images and masks.")
    root, photo_dir, mask_dir = _find_layout(path, needs_masks=needs_masks)
    if (root / UNFINISHED).exists():
        raise DataError(f"The classes of {root} are being changed, or that was interrupted; open it on the page Label.")
    photos = files_by_stem(photo_dir, PHOTO_SUFFIXES)
    masks = files_by_stem(mask_dir, PHOTO_SUFFIXES)
    lists = {file: listed_names(file, photos) for file in list_files(root)}
    if lists:
        # Lists such as trainaug use a mask of the augmented set where VOC has none.
        augmented = augmented_masks(root)
        masks = augmented | masks
        if augmented:
            # As the usual trainaug.txt: what is augmented and in neither val nor test.
            others = {name for split in ("val", TEST) for name in lists.get(root / LISTS / f"{split}.txt", ())}
            names = [name for name in augmented if name in photos and name not in others]
            lists.setdefault(root / LISTS / "trainaug.txt", names)
    classes, has_named_classes = classes_of_folder(root, photo_dir, masks)
    return Contents(root, photo_dir, mask_dir, photos, masks, lists, classes, has_named_classes)


def pair_hashes(samples: Sequence[Sample]) -> dict[Sample, tuple[str, str]]:
    """Return the SHA-256 of photo and mask of each pair; files are read again if they changed (`core.data.hashing`)."""
    digests = hashes([file for sample in samples for file in (sample.photo, sample.mask)])
    return dict(zip(samples, zip(digests[::2], digests[1::2], strict=True), strict=True))


def fingerprint(samples: Iterable[Sample], known: Mapping[Sample, tuple[str, str]] | None = None) -> str:
    """Return a SHA-256 over names and the content of photos and masks: equal for copies only.

    `known` spares looking at the files again. An unreadable one raises `DataError`.
    """
    pairs = list(samples)
    known = pair_hashes(pairs) if known is None else known
    digest = hashlib.sha256()
    for sample in pairs:
        photo, mask = known[sample]
        digest.update(f"{sample.name}\0{photo}\0{mask}\0".encode())
    return BY_CONTENT + digest.hexdigest()


def _find_layout(path: Path, *, needs_masks: bool) -> tuple[Path, Path, Path]:
    places = [(path / each, path / each / photos, path / each / masks) for each in PLACES for photos, masks in LAYOUTS]
    with_photos = [place for place in places if place[1].is_dir()]
    whole = [place for place in with_photos if place[2].is_dir()]
    if whole or (with_photos and not needs_masks):
        return (whole or with_photos)[0]
    if with_photos:
        root, photos, masks = with_photos[0]
        where = f"put them into {masks}, or draw them on the page Label"
        raise UnlabelledError(f"{root} has photos in {photos.name} but no folder of masks; {where}.")
    if any(path.name in layout and all((path.parent / each).is_dir() for each in layout) for layout in LAYOUTS):
        raise DataError(f"{path} is a part of the data set {path.parent}; choose that folder.")
    if files_by_stem(path, (*PHOTO_SUFFIXES, *CONVERTED_SUFFIXES)):
        raise UnlabelledError(f"{path} holds photos without masks; draw masks on the page Label, or segment them.")
    expected = " or ".join(f"{photos} + {masks}" for photos, masks in LAYOUTS)
    raise DataError(f"{path} is not a data set; it needs the folders {expected}, directly or in VOCdevkit/VOC2012.")


def augmented_masks(root: Path) -> dict[str, Path]:
    """Return the masks that lists such as trainaug use where `SegmentationClass` has none; none without lists."""
    return files_by_stem(root / AUGMENTED_MASKS, (".png",)) if list_files(root) else {}


def list_files(root: Path) -> list[Path]:
    """Return the split lists of a data set, sorted by name."""
    return [file for file in sorted((root / LISTS).glob("*.txt"), key=by_number) if is_listable(file.name)]


def listed_names(file: Path, photos: Container[str]) -> list[str]:
    """Return the names in a split list, line by line: the first word, unless a photo has the whole line as its name.

    VOC's lists of other tasks have a second column.
    """
    return [line if line in photos else line.split()[0] for line in map(composed, read_lines(file))]


def _listed_samples(
    file: Path, names: list[str], photos: dict[str, Path], masks: dict[str, Path]
) -> tuple[Sample, ...]:
    for name in names:
        if name not in photos:
            raise DataError(f"{file} names {name}, but its photo is missing; restore it or delete that line.")
        if name not in masks:
            raise DataError(f"{file} names {name}, but its mask is missing; restore it or delete that line.")
    return tuple(Sample(name, photos[name], masks[name]) for name in names)


def no_masks(mask_dir: Path) -> DataError:
    """Return the error for a folder without a readable mask."""
    held = sorted(each for each in mask_dir.iterdir() if not each.name.startswith("."))
    folders = [each.name for each in held if each.is_dir()]
    if folders:
        return DataError(
            f"{mask_dir} holds folders ({', '.join(folders[:3])}) and no masks; put the masks themselves there, and "
            f"the photos likewise, and list what is in each split in {LISTS.as_posix()}."
        )
    if held:
        return DataError(f"{mask_dir} holds no masks that are read, but {held[0].name}; save each mask as a PNG.")
    where = "put one PNG per photo there, under the photo's name, or draw them on the page Label"
    return UnlabelledError(f"{mask_dir} holds no masks; {where}.")


def unread_photos(photo_dir: Path) -> dict[str, Path]:
    """Return by name the files beside the photos in formats that are not read, such as HEIC and raw."""
    names = [name for name in sorted(os.listdir(photo_dir)) if not name.lower().endswith(PHOTO_SUFFIXES)]  # noqa: PTH208
    files = [photo_dir / name for name in names if is_listable(name)]
    return {composed(file.stem): file for file in files if file.is_file()}


def _no_photo(name: str, mask: Path, photo_dir: Path, photos: dict[str, Path], masks: dict[str, Path]) -> DataError:
    remedy = "; add the photo or remove the mask"
    if unread := unread_photos(photo_dir).get(name):
        remedy = f", only {unread.name}, which is not read; save the photos as JPEG or PNG"
    elif other := near(photos, masks)(name):
        remedy = (
            f", only {other.name}; give each pair one name, as Make a repaired copy on Dataset does, or doctor --repair"
        )
    return DataError(f"The mask {mask} has no photo of that name{remedy}.")


def _all_pairs(photos: dict[str, Path], masks: dict[str, Path], photo_dir: Path, mask_dir: Path) -> list[Sample]:
    if not masks:
        raise no_masks(mask_dir)
    orphans = [name for name in masks if name not in photos]
    if orphans:
        raise _no_photo(orphans[0], masks[orphans[0]], photo_dir, photos, masks)
    return [Sample(name, photos[name], masks[name]) for name in sorted(masks)]


def num_to_train(num_samples: int) -> int:
    """Return the size of train for a random split: 80 %, but at least one pair of two or more is left for val."""
    return min(round(TRAIN_SHARE * num_samples), max(1, num_samples - 1))


def in_random_order(samples: Iterable[Sample], seed: int) -> list[Sample]:
    """Return samples sorted by a hash of seed and name: random, and the same on every machine."""
    return sorted(samples, key=lambda sample: hashlib.sha256(f"{seed}/{sample.name}".encode()).digest())


def random_splits(samples: list[Sample], seed: int) -> dict[str, tuple[Sample, ...]]:
    """Split 80/20 by `in_random_order`: a pair that is added or removed moves at most one other."""
    shuffled = in_random_order(samples, seed)
    num_train = num_to_train(len(samples))
    by_name = [tuple(sorted(part, key=lambda s: s.name)) for part in (shuffled[:num_train], shuffled[num_train:])]
    return {"train": by_name[0], "val": by_name[1]}
