"""Writes what was planned as a VOC folder, all or nothing, one photo at a time."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from core.classes import Classes, write_classes
from core.data.dataset import LAYOUTS, LISTS, Sample
from core.data.images import JPEG_QUALITY, jpeg_bytes, png_bytes, upright_rgb, write_mask
from core.data.importers.masks import UNREADABLE
from core.data.importers.notes import Notes
from core.data.importers.plan import Drawing, Plan, Size
from core.data.importers.source_splits import choose_splits
from core.data.pair_names import JPEG_SUFFIXES, PHOTO_SUFFIXES
from core.errors import DataError
from core.files import output_folder
from core.jobs import OnProgress
from core.voc import VOID
from core.wording import numbered

PHOTOS, MASKS = LAYOUTS[0]
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}
MAX_NAME = 100
MAX_NAME_BYTES = 200
"""File systems take 255 bytes, suffixes and those of temporary files included."""


@dataclass(frozen=True)
class Imported:
    """A new data set: its folder, the number of photos, the classes, and in words what was skipped or decided."""

    root: Path
    images: int
    classes: Classes
    notes: tuple[str, ...]


@dataclass(frozen=True)
class OpenedPhoto:
    """A photo as it is in its file, and upright as it is going to be read."""

    data: bytes
    stored: Image.Image
    upright: Image.Image

    @property
    def is_turned(self) -> bool:
        """Tell whether reading turns or mirrors it."""
        orientation = self.stored.getexif().get(ExifTags.Base.Orientation)
        return isinstance(orientation, int) and 2 <= orientation <= 8


def write_dataset(plan: Plan, out: Path, notes: Notes, on_progress: OnProgress | None = None) -> Imported:
    """Draw a plan into a new folder in VOC's layout, with the splits of the source, or else 80/20 from a fixed seed.

    `on_progress(done, total)` is called after each photo. A folder that is not new, a photo that cannot be read, and
    an annotation of another size than its photo raise `DataError`, and nothing is left behind.
    """
    with _without_new_parents(out), output_folder(out) as folder:
        for part in (PHOTOS, MASKS, LISTS):
            (folder / part).mkdir(parents=True)
        samples: list[Sample] = []
        given: dict[str, str | None] = {}
        for done, (name, drawing) in enumerate(_named(plan.drawings, notes), start=1):
            samples += _write_pair(folder, name, drawing, plan.classes, notes)
            given[name] = drawing.split
            if on_progress:
                on_progress(done, len(plan.drawings))
        if not samples:
            raise DataError("Nothing is left to import: every photo was skipped; look at the annotations.")
        for split, members in choose_splits(samples, given, notes).items():
            text = "".join(f"{sample.name}\n" for sample in members)
            (folder / LISTS / f"{split}.txt").write_text(text, encoding="utf-8", newline="\n")
        write_classes(folder, plan.classes)
    return Imported(out.resolve(), len(samples), plan.classes, notes.sentences())


@contextmanager
def _without_new_parents(out: Path) -> Iterator[None]:
    """Remove those folders above `out` that a block created and, as it raised, left empty."""
    missing = [folder for folder in out.absolute().parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise


def _named(drawings: Sequence[Drawing], notes: Notes) -> Iterator[tuple[str, Drawing]]:
    """Give each drawing a short name of its own without spaces: in a split list the first word is the name."""
    taken: set[str] = set()
    for drawing in drawings:
        stem = _told(drawing.name)
        name = next(name for name in (_cut(stem, tail) for tail in numbered("")) if name.casefold() not in taken)
        taken.add(name.casefold())
        notes.count(f"Names shortened to {MAX_NAME} characters", drawing.file, _cut(stem, "") != stem)
        yield name, drawing


def _told(name: str) -> str:
    """Return a name that a data set tells: of signs that print, no spaces or slashes among them, and not hidden."""
    shown = "".join(sign if sign.isprintable() and sign not in " /\\" else "_" for sign in name)
    return f"_{shown}" if shown.startswith(".") else shown


def _cut(stem: str, tail: str) -> str:
    """Return a name with a tail that is at most 100 characters and 200 bytes long."""
    head = stem[: MAX_NAME - len(tail)].encode()[: MAX_NAME_BYTES - len(tail)]
    return head.decode(errors="ignore") + tail


def _write_pair(folder: Path, name: str, drawing: Drawing, classes: Classes, notes: Notes) -> list[Sample]:
    """Write a photo and its mask and return them; nothing where the mask is void all over."""
    photo = _open(drawing)
    if drawing.size:
        _check_size(photo, drawing.size, drawing)
    mask_HW = drawing.paint(drawing.size or photo.upright.size)
    height, width = mask_HW.shape
    _check_size(photo, (width, height), drawing)
    if np.all(mask_HW == VOID):
        notes.count("Photos left out because their masks are void all over", drawing.file)
        return []
    suffix = _suffix(drawing, photo)
    photo_file, mask_file = folder / PHOTOS / f"{name}{suffix}", folder / MASKS / f"{name}.png"
    photo_file.write_bytes(_photo_bytes(photo, (width, height), suffix, drawing, notes))
    write_mask(mask_file, mask_HW, classes.palette)
    return [Sample(name, photo_file, mask_file)]


def _open(drawing: Drawing) -> OpenedPhoto:
    try:
        data = drawing.read()
        with Image.open(io.BytesIO(data)) as stored:
            stored.load()
        return OpenedPhoto(data, stored, upright_rgb(stored))
    except UNREADABLE as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(
            f"The photo of {drawing.file} cannot be read ({reason}); replace it or take it out of the import."
        ) from error


def _check_size(photo: OpenedPhoto, size: Size, drawing: Drawing) -> None:
    if size not in (photo.upright.size, photo.stored.size):
        raise DataError(
            f"The annotation of {drawing.file} is {size[0]} x {size[1]} px, but the photo is {photo.upright.width} x "
            f"{photo.upright.height} px; bring the photo that was annotated, at its own size."
        )


def _suffix(drawing: Drawing, photo: OpenedPhoto) -> str:
    """Return the suffix to write: the file's own; that of the format where something else carries the photo."""
    own = drawing.file.suffix
    if own.lower() not in PHOTO_SUFFIXES:
        own = SUFFIXES.get(photo.stored.format or "", "")
    if not own:
        raise DataError(f"{drawing.file} carries a photo in the format {photo.stored.format}; save it as JPEG or PNG.")
    return own if not photo.is_turned or own.lower() in JPEG_SUFFIXES else ".png"


def _photo_bytes(photo: OpenedPhoto, mask_size: Size, suffix: str, drawing: Drawing, notes: Notes) -> bytes:
    """Return a photo whose pixels lie as those of its mask: the file itself, unless EXIF would turn it.

    Where the mask fits both ways, as on a square, it was drawn on the upright photo, the one that tools show.
    """
    if not photo.is_turned:
        return photo.data
    if mask_size == photo.upright.size:
        notes.count("Photos saved upright instead of turned by EXIF", drawing.file)
        return _encoded(photo.upright, suffix)
    notes.count("Photos saved without EXIF because their masks are drawn on the unturned photo", drawing.file)
    return _encoded(_unturned(photo.stored), suffix)


def _unturned(stored: Image.Image) -> Image.Image:
    plain = stored.copy()
    plain.info = {key: value for key, value in stored.info.items() if key == "transparency"}
    return upright_rgb(plain)


def _encoded(picture: Image.Image, suffix: str) -> bytes:
    """Return a picture as a new file without EXIF."""
    plain = Image.fromarray(np.asarray(picture))
    return png_bytes(plain) if suffix.lower() == ".png" else jpeg_bytes(plain, JPEG_QUALITY, subsampling=0)
