"""The photos beside annotations. Paths in an annotation file are only ever looked up among what a folder holds."""

import os
import posixpath
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from core.data.dataset import LABELLING
from core.data.importers.masks.picture_path import picture_of
from core.data.importers.notes import Notes
from core.data.importers.plan import Drawing, Source
from core.data.importers.source_splits import MASKS_OF_SPLIT, split_called, split_of
from core.data.pair_names import CONVERTED_SUFFIXES, PHOTO_SUFFIXES, composed, plain_path
from core.errors import DataError

PHOTO_FOLDERS = ("images", "photos", "JPEGImages", "imgs", "leftImg8bit")
MASK_FOLDERS = ("masks", "labels", "SegmentationClass", "annotations", "gtFine")
MACOSX = "__MACOSX"
PICTURE_SUFFIXES = (*PHOTO_SUFFIXES, ".gif", ".npy")
ANY_SUFFIXES = (*PHOTO_SUFFIXES, *CONVERTED_SUFFIXES)


class PhotoFolder:
    """The photos of a folder and its subfolders; `without` are pictures in it that are not photos.

    Nothing outside the folder can be reached through it: a path is compared, never followed.
    """

    def __init__(self, root: Path, notes: Notes, without: Collection[Path] = ()) -> None:
        self.root = root
        self._notes = notes
        left_out = set(without)
        self.files = [file for file in files_in(root, PHOTO_SUFFIXES) if file not in left_out]
        self._by_path = {composed(file.relative_to(root).as_posix()): file for file in self.files}
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        self._paths_of: dict[Path, dict[str, None]] = {}
        for file in self.files:
            self._by_stem.setdefault(composed(file.stem), []).append(file)
            name = composed(file.name)
            for spelling in {name, name.casefold()}:
                self._by_name.setdefault(spelling, []).append(file)

    def at(self, path: str) -> Path | None:
        """Return the photo at a path relative to the root, or None where there is none."""
        return self._by_path.get(plain_path(path))

    def claim(self, photo: Path, path: str) -> Path:
        """Return a photo after noting the path that an entry calls it by: two paths are not one photo."""
        self._paths_of.setdefault(photo, {})[plain_path(path)] = None
        return photo

    def find(self, path: str, split: str | None = None) -> Path | None:
        """Return the photo at a path, else the one of its name in any subfolder but those of other splits, else None.

        Upper and lower case count as long as one file has the very name; after that not, which is noted; and where no
        file has it, the ending of the only one called so may be another: photos are often saved anew as JPEG.
        Several photos of that name of which none lies in the right subfolder, nor one in that of the split alone, raise
        `DataError`.
        """
        found = self.at(path) or self._of_name(path, split)
        return self.claim(found, path) if found else None

    def _of_name(self, path: str, split: str | None) -> Path | None:
        path = plain_path(path)
        name = path.rpartition("/")[2]
        exact = [file for file in self._by_name.get(name, []) if composed(file.name) == name]
        same_but_case = exact or self._by_name.get(name.casefold(), [])
        candidates = same_but_case or self._with_another_ending(name)
        if len(candidates) > 1:
            whole = [file for file in candidates if f"/{composed(file.as_posix())}".endswith(f"/{path}")]
            candidates = whole or candidates
        if split:
            splits = {file: split_of(file, self.root) for file in candidates}
            candidates = [file for file in candidates if splits[file] == split] or [
                file for file in candidates if splits[file] is None
            ]
        if len(candidates) > 1:
            raise DataError(
                f"'{name}' may be {candidates[0]} or {candidates[1]}; give each photo a name of "
                "its own, or name their folder with --photos."
            )
        if candidates and not exact:
            how = "a name that differs in upper and lower case" if same_but_case else "their name with another ending"
            self._notes.count(f"Photos found under {how}", name)
        return candidates[0] if candidates else None

    def _with_another_ending(self, name: str) -> list[Path]:
        """Return the only photo called so apart from its ending; what lies in a folder of masks is none."""
        stem, ending = posixpath.splitext(name)
        alike = self._by_stem.get(stem if ending.lower() in ANY_SUFFIXES else name, [])
        photos = [file for file in alike if picture_of(file.with_stem("photo"), self.root).role == "photo"]
        return photos if len(photos) == 1 else []

    def drawings_of(self, drawings: Iterable[Drawing]) -> list[Drawing]:
        """Return the first drawing of each photo; second ones, and photos without a drawing, are noted.

        Entries of two paths that found one photo raise `DataError`: the photo of one of them is missing.
        """
        of_file: dict[Path, Drawing] = {}
        for drawing in drawings:
            self._notes.count("Second entries of a photo left out", drawing.file, drawing.file in of_file)
            of_file.setdefault(drawing.file, drawing)
        self._refuse_shared()
        bare = [file for file in self.files if file not in of_file]
        self._notes.count_all("Photos that nothing annotates left out", bare)
        return list(of_file.values())

    def _refuse_shared(self) -> None:
        """Raise `DataError` where entries of two paths found one photo: the path that is more like its own is right."""
        for photo, paths in self._paths_of.items():
            if len(paths) > 1:
                *others, best = sorted(paths, key=lambda path: (self.at(path) == photo, self._ending(photo, path)))
                raise DataError(
                    f"{self.root} does not hold {others[0]}: {photo} is called alike, but is that of {best}; add "
                    "what is missing, or name the folder of the photos with --photos."
                )

    def _ending(self, photo: Path, path: str) -> int:
        """Return how many last parts of its path a photo shares with an entry's path."""
        parts = composed(photo.relative_to(self.root).as_posix()).split("/"), path.split("/")
        pairs = zip(*map(reversed, parts), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@dataclass(frozen=True)
class Part:
    """A folder of photos and the one of their masks; `split` is None where at most their subfolders say it."""

    photos: Path
    masks: Path
    split: str | None = None

    def split_of(self, photo: Path) -> str | None:
        """Return the split of one of the photos, or None."""
        return self.split or split_of(photo, self.photos)


def mask_parts(source: Source, notes: Notes) -> list[Part]:
    """Return where photos and masks lie: a part for each split, or one for all.

    The splits are `train/images` + `train/masks`, or `train` + `train_labels`, or `images/train` + `masks/train`, or
    `train` with both in it.
    """
    root = source.path
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; name the folder that holds the masks.")
    whole = Part(source.photos or first_folder(root, PHOTO_FOLDERS), first_folder(root, MASK_FOLDERS))
    parts = [*_parts_of_splits(whole)]
    # A folder called only train may be a class, unless photos and masks are beside each other in it.
    is_certain = whole.masks == whole.photos and any(part.masks != part.photos for part in parts)
    if len({part.split for part in parts}) < 2 and not is_certain:
        return [whole]
    taken = [folder for part in parts for folder in (part.photos, part.masks)]
    outside = [file for file in files_in(whole.photos, PHOTO_SUFFIXES) if not {*file.parents}.intersection(taken)]
    notes.count_all("Pictures outside the folders of the splits left out", outside)
    return parts


def _parts_of_splits(whole: Part) -> Iterator[Part]:
    beside = {split_called(folder.name, MASKS_OF_SPLIT): folder for folder in reversed(folders_in(whole.masks))}
    has_pictures = any(file.suffix.lower() in PHOTO_SUFFIXES for file in whole.photos.iterdir())
    for folder in folders_in(whole.photos):
        split = split_called(folder.name)
        if split and split in beside:
            yield Part(folder, beside[split], split)
        elif split and whole.masks != whole.photos and (whole.masks / folder.name).is_dir():
            yield Part(folder, whole.masks / folder.name, split)
        elif split and whole.masks == whole.photos:
            part = Part(first_folder(folder, PHOTO_FOLDERS), first_folder(folder, MASK_FOLDERS), split)
            if part.masks != folder or not has_pictures:
                yield part


def is_hidden(file: Path, root: Path) -> bool:
    """Return whether a file, or a folder between it and a root, is hidden or macOS's own in archives."""
    return any(part.startswith(".") or part == MACOSX for part in file.relative_to(root).parts)


def folders_in(root: Path) -> list[Path]:
    """Return the folders in a folder, sorted; what is hidden is left out."""
    return sorted(folder for folder in root.iterdir() if folder.is_dir() and not is_hidden(folder, root))


def files_in(root: Path, suffixes: Collection[str]) -> list[Path]:
    """Return what has one of these suffixes in a folder and its subfolders, sorted.

    What is hidden is left out, and so is the folder in which Label keeps replaced masks and proposals.

    Links that lead nowhere and folders called as files are among them, so that their readers can report them. A folder
    is looked through once, whatever links lead to it.
    """
    found, folders = [], [root] if root.is_dir() else []
    linked: list[Path] = []
    seen: set[tuple[int, int]] = set()
    while folders or linked:  # `rglob` ends in a traceback in folders that are very deep, and passes over some
        folder = folders.pop() if folders else linked.pop()
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in os.scandir(folder):
            if not entry.name.startswith(".") and entry.name != MACOSX:
                if os.path.splitext(entry.name)[1].lower() in suffixes:  # noqa: PTH122  ten times as fast
                    found.append(Path(entry.path))
                is_kept_by_label = entry.name == LABELLING and (Path(entry.path) / "lock").exists()
                if entry.is_dir() and not is_kept_by_label:
                    (linked if entry.is_symlink() else folders).append(Path(entry.path))
    return sorted(found)


def picture_folders(root: Path) -> dict[str, int]:
    """Return the folders below a root that hold pictures themselves, by their path in it, and how many."""
    found = files_in(root, PICTURE_SUFFIXES) if root.is_dir() else []
    return dict(Counter(file.parent.relative_to(root).as_posix() for file in found))


def first_folder(root: Path, names: Collection[str]) -> Path:
    """Return the first of these subfolders that exists, or the folder itself."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def no_masks(part: Part, names: str) -> DataError:
    """Return the error that no photo has a mask; `names` says what masks must be called."""
    return DataError(
        f"{part.masks} holds no mask of a photo in {part.photos}; call {names}, and name the folder of the photos with "
        "--photos."
    )


def missing_photos(missing: list[str], total: int, where: Path, folder: Path) -> DataError:
    """Return the error that names the first missing photo and says how many there are."""
    names = {posixpath.basename(plain_path(name.partition(" of ")[0])) for name in missing}
    if unread := next((file for file in files_in(folder, CONVERTED_SUFFIXES) if composed(file.name) in names), None):
        return DataError(
            f"The photos in {folder} are as {unread.name}, which is not read; save them as JPEG or PNG there."
        )
    count = f"{len(missing)} of {total} photos" if len(missing) > 1 else "a photo"
    first = " ".join(missing[0].split())
    return DataError(
        f"{where} names {count} that {folder} does not hold, first {first}; add what is missing, or name the folder of "
        "the photos with --photos."
    )
