"""A new data set to label, from a folder of photos, which stays as it is, or from uploads."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from core.classes import Classes, write_classes
from core.data.dataset import LAYOUTS, LISTS
from core.data.images import JPEG_QUALITY, jpeg_bytes, read_photo
from core.data.importers.incoming import place_of
from core.data.importers.photo_folder import files_in
from core.data.importers.writer import free_name
from core.data.pair_names import CONVERTED_SUFFIXES, PHOTO_SUFFIXES
from core.data.splits import PARTS
from core.errors import DataError
from core.files import output_folder, regular
from core.jobs import OnProgress


@dataclass(frozen=True)
class NewLabelSet:
    """A new data set, the number of its photos, and in sentences which ones were skipped, and why."""

    root: Path
    num_photos: int
    skipped: tuple[str, ...]


def photos_in(folder: Path) -> list[Path]:
    """Return the photos of a folder and its subfolders, sorted; without any, raise `DataError`."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; name the folder that holds the photos.")
    try:
        found = files_in(folder, (*PHOTO_SUFFIXES, *CONVERTED_SUFFIXES))
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be read: {error.strerror}; check whose it is.") from error
    if not found:
        raise DataError(f"{folder} holds no photos; put JPEG, PNG, HEIC, WebP, TIFF or BMP files there.")
    return found


def new_label_set(
    name: str, photos: Iterable[Path | tuple[str, bytes]], classes: Classes, on_progress: OnProgress | None = None
) -> NewLabelSet:
    """Copy photos into a new data set `datasets/NAME` without masks, all or nothing.

    Args:
        name: that of the data set; one that is taken raises `DataError`.
        photos: files, or uploads as (name, content); a name is only a name, whatever folders it speaks of.
        classes: those to label, at least one beside the background.
        on_progress: called after each photo with (done, total).

    Photos that cannot be read are skipped and named. If none can, raise `DataError`.
    """
    place, given, skipped = place_of(name), list(photos), []
    num_photos = 0
    with output_folder(place) as folder:
        for part in (*LAYOUTS[0], LISTS):
            (folder / part).mkdir(parents=True)
        taken: set[str] = set()
        for done, photo in enumerate(given, start=1):
            shown = photo.name if isinstance(photo, Path) else photo[0].replace("\\", "/").rpartition("/")[2]
            stem = free_name(PurePath(shown).stem or "photo", taken)
            try:
                _copy(photo, PurePath(shown).suffix.lower(), folder / LAYOUTS[0][0] / stem)
                num_photos += 1
            except DataError as error:
                reason = str(error).replace(str(folder / LAYOUTS[0][0] / stem), stem)
                skipped.append(f"{shown} was skipped. {reason}")
            if on_progress:
                on_progress(done, len(given))
        if not num_photos:
            raise DataError(skipped[0] if skipped else "There are no photos to label; choose at least one.")
        write_classes(folder, classes)
        for part in PARTS:  # empty, so that no draft counts as truth
            (folder / LISTS / f"{part}.txt").touch()
    return NewLabelSet(place.resolve(), num_photos, tuple(skipped))


def _copy(photo: Path | tuple[str, bytes], suffix: str, place: Path) -> None:
    """Write a photo to a place without suffix: its own bytes, or a JPEG where data sets hold no files of its suffix.

    One that cannot be read raises `DataError`, and nothing is written.
    """
    if isinstance(photo, Path):
        try:
            data = regular(photo).read_bytes()
        except OSError as error:
            raise DataError(f"{photo} cannot be read: {error.strerror}; check whose it is.") from error
    else:
        data = photo[1]
    file = place.with_name(f"{place.name}{suffix if suffix in PHOTO_SUFFIXES else '.jpg'}")
    file.write_bytes(data)
    try:
        upright = read_photo(file)
    except DataError:
        file.unlink()
        raise
    if suffix not in PHOTO_SUFFIXES:
        file.write_bytes(jpeg_bytes(upright, JPEG_QUALITY, subsampling=0))
