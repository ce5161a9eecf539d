"""The photos beside annotations. Paths in an annotation file are only ever looked up among what a folder holds."""

import posixpath
from collections.abc import Collection
from pathlib import Path

from core.data.dataset import PHOTO_SUFFIXES
from core.errors import DataError

PHOTO_FOLDERS = ("images", "photos", "JPEGImages", "imgs", "leftImg8bit")
MASK_FOLDERS = ("masks", "labels", "SegmentationClass", "annotations", "gtFine")
LOSSLESS_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")


class PhotoFolder:
    """The photos of a folder and its subfolders; `without` are pictures in it that are no photos.

    Nothing outside the folder can be reached through it: a path is compared, never followed.
    """

    def __init__(self, root: Path, without: Collection[Path] = ()) -> None:
        self.root = root
        self.files = [file for file in files_in(root, PHOTO_SUFFIXES) if file not in set(without)]
        self._by_path = {file.relative_to(root).as_posix(): file for file in self.files}
        self._by_name: dict[str, list[Path]] = {}
        for file in self.files:
            self._by_name.setdefault(file.name.casefold(), []).append(file)

    def at(self, path: str) -> Path | None:
        """Return the photo at a path relative to the root, or None where there is none."""
        return self._by_path.get(posixpath.normpath(path.replace("\\", "/")))

    def find(self, path: str) -> Path | None:
        """Return the photo at a path, else the one of its name in any subfolder, else None.

        Several photos of that name of which none lies in the right subfolder raise `DataError`.
        """
        if found := self.at(path):
            return found
        path = posixpath.normpath(path.replace("\\", "/"))
        candidates = self._by_name.get(posixpath.basename(path).casefold(), [])
        if len(candidates) > 1:
            candidates = [file for file in candidates if f"/{file.as_posix()}".endswith(f"/{path}")] or candidates
        if len(candidates) > 1:
            raise DataError(
                f"'{posixpath.basename(path)}' may be {candidates[0]} or {candidates[1]}; give each photo a name of "
                "its own, or name their folder with --photos."
            )
        return candidates[0] if candidates else None


def files_in(root: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files with one of these suffixes in a folder and its subfolders, hidden ones left out, sorted."""
    return sorted(
        file
        for file in root.rglob("*")
        if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
    )


def first_folder(root: Path, names: Collection[str]) -> Path:
    """Return the first of these subfolders that exists, or the folder itself."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def missing_photos(missing: list[str], total: int, where: Path, folder: Path) -> DataError:
    """Return the error that names the first missing photo and tells how many there are."""
    count = f"{len(missing)} of {total} photos" if len(missing) > 1 else "a photo"
    first = " ".join(missing[0].split())
    return DataError(
        f"{where} names {count} that {folder} does not hold, first {first}; add what is missing, or name the folder of "
        "the photos with --photos."
    )
