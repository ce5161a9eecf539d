"""Writes what was planned as a VOC folder, all or nothing, one photo at a time."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from core.classes import Classes, write_classes
from core.data.bit_depth import num_alike
from core.data.dataset import LAYOUTS, LISTS, Sample
from core.data.images import JPEG_QUALITY, SIDEWAYS, jpeg_bytes, pixels_of, png_bytes, upright_rgb, write_mask
from core.data.importers.masks.mask_file import UNREADABLE
from core.data.importers.notes import Notes
from core.data.importers.plan import Drawing, Plan, Size
from core.data.importers.source_splits import choose_splits
from core.data.pair_names import JPEG_SUFFIXES, PHOTO_SUFFIXES
from core.errors import DataError
from core.files import output_folder
from core.jobs import OnProgress
from core.voc import BACKGROUND, VOID
from core.wording import numbered

PHOTOS, MASKS = LAYOUTS[0]
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}
MAX_NAME = 100
MAX_NAME_BYTES = 200
"""File systems take 255 bytes, suffixes and those of temporary files included."""


@dataclass(frozen=True)
class Imported:
    """A new data set: its folder, the number of photos, the classes, and in words what was skipped or decided.

    `pixels` are those of each class, `splits` the number of photos in each.
    """

    root: Path
    images: int
    classes: Classes
    notes: tuple[str, ...]
    pixels: tuple[int, ...]
    splits: dict[str, int]
    format: str = ""


@dataclass(frozen=True)
class OpenedPhoto:
    """A photo as it is in its file, the EXIF orientation by which reading turns or mirrors it, 1 to 8.

    `is_stack` says whether the file holds further pictures of the same size.
    """

    data: bytes
    stored: Image.Image
    orientation: int
    is_stack: bool

    @property
    def is_turned(self) -> bool:
        """Return whether reading turns or mirrors it."""
        return self.orientation > 1

    @property
    def size(self) -> Size:
        """Return the size of the upright photo."""
        return self.stored.size[::-1] if self.orientation in SIDEWAYS else self.stored.size

    @cached_property
    def upright(self) -> Image.Image:
        """Return the photo as it is going to be read."""
        return upright_rgb(self.stored)

    def lying_as(self, size: Size) -> Image.Image:
        """Return the photo as a mask of a size lies: upright, unless the mask fits only the unturned photo."""
        return self.upright if size == self.size or not self.is_turned else _unturned(self.stored)


def write_dataset(plan: Plan, out: Path, notes: Notes, on_progress: OnProgress | None = None) -> Imported:
    """Draw a plan into a new folder in VOC's layout, with the splits of the source, or else 80/20 from a fixed seed.

    `on_progress(done, total)` is called after each photo. A folder that is not new, a photo that cannot be read, and
    an annotation of another size than its photo raise `DataError`, and nothing is left behind.
    """
    with output_folder(out) as folder:
        for part in (PHOTOS, MASKS, LISTS):
            (folder / part).mkdir(parents=True)
        samples: list[Sample] = []
        pixels_256 = np.zeros(VOID + 1, dtype=np.int64)
        given: dict[str, str | None] = {}
        for done, (name, drawing) in enumerate(_named(plan.drawings, notes), start=1):
            samples += _write_pair(folder, name, drawing, plan, pixels_256, notes)
            given[name] = drawing.split
            if on_progress:
                on_progress(done, len(plan.drawings))
        if not samples:
            raise DataError("Nothing is left to import: every photo was skipped; look at the annotations.")
        if not pixels_256[BACKGROUND + 1 : VOID].any():
            raise DataError(
                "Nothing was drawn: no photo has a pixel of any class, so there is nothing to learn; export the "
                "outlines or masks of the objects, or choose the right format."
            )
        splits = choose_splits(samples, given, notes)
        for split, members in splits.items():
            text = "".join(f"{sample.name}\n" for sample in members)
            (folder / LISTS / f"{split}.txt").write_text(text, encoding="utf-8", newline="\n")
        if plan.has_named_classes:
            write_classes(folder, plan.classes)
    sizes = {split: len(members) for split, members in splits.items()}
    pixels = tuple(pixels_256[: len(plan.classes)].tolist())
    return Imported(out.resolve(), len(samples), plan.classes, notes.sentences(), pixels, sizes)


def _named(drawings: Sequence[Drawing], notes: Notes) -> Iterator[tuple[str, Drawing]]:
    taken: set[str] = set()
    for drawing in drawings:
        is_cut = (stem := _shown(drawing.name)) != _cut(stem, "")
        notes.count(f"Names shortened to {MAX_NAME} characters", drawing.file, is_cut)
        yield free_name(drawing.name, taken), drawing


def free_name(name: str, taken: set[str]) -> str:
    """Return a short name without spaces that is not taken, and take it: in a list the first word is the name."""
    stem = _shown(name)
    free = next(each for each in (_cut(stem, tail) for tail in numbered("")) if each.casefold() not in taken)
    taken.add(free.casefold())
    return free


def _shown(name: str) -> str:
    """Return a name that a data set can show: of signs that print, no spaces or slashes among them, and not hidden."""
    shown = "".join(sign if sign.isprintable() and sign not in " /\\" else "_" for sign in name)
    return f"_{shown}" if shown.startswith(".") else shown


def _cut(stem: str, tail: str) -> str:
    """Return a name with a tail that is at most 100 characters and 200 bytes long."""
    head = stem[: MAX_NAME - len(tail)].encode()[: MAX_NAME_BYTES - len(tail)]
    return head.decode(errors="ignore") + tail


def _write_pair(
    folder: Path, name: str, drawing: Drawing, plan: Plan, pixels_256: NDArray[np.int64], notes: Notes
) -> list[Sample]:
    """Write a photo and its mask, count its pixels and return both; nothing where the mask is void all over."""
    photo, mask_HW = drawn(drawing)
    height, width = mask_HW.shape
    counts_256 = pixels_of(mask_HW)
    if counts_256[VOID] == mask_HW.size:
        notes.count("Photos left out because their masks are void all over", drawing.file)
        return []
    notes.count("Photos of several pictures, of which the first is shown with the mask", drawing.file, photo.is_stack)
    suffix = _suffix(drawing, photo)
    photo_file, mask_file = folder / PHOTOS / f"{name}{suffix}", folder / MASKS / f"{name}.png"
    photo_file.write_bytes(_photo_bytes(photo, (width, height), suffix, drawing, notes))
    write_mask(mask_file, mask_HW, plan.classes.palette)
    pixels_256 += counts_256
    return [Sample(name, photo_file, mask_file)]


def drawn(drawing: Drawing) -> tuple[OpenedPhoto, NDArray[np.uint8]]:
    """Read a photo and draw its mask, ids of shape (H, W); a photo that does not fit its mask raises `DataError`."""
    photo = _open(drawing)
    if drawing.size:
        _check_size(photo, drawing.size, drawing)
    mask_HW = drawing.paint(drawing.size or photo.size)
    height, width = mask_HW.shape
    _check_size(photo, (width, height), drawing)
    return photo, mask_HW


def _open(drawing: Drawing) -> OpenedPhoto:
    try:
        data = drawing.read()
        with Image.open(io.BytesIO(data)) as stored:
            is_stack = stored.format != "MPO" and num_alike(stored) > 1  # a phone's JPEG has previews
            stored.load()
        orientation = stored.getexif().get(ExifTags.Base.Orientation)
        if stored.mode not in ("RGB", "L"):
            upright_rgb(stored)  # which raises for what has no colours
        usual = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
        return OpenedPhoto(data, stored, usual, is_stack)
    except UNREADABLE as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(
            f"The photo of {drawing.file} cannot be read ({reason}); replace it or take it out of the import."
        ) from error


def _check_size(photo: OpenedPhoto, size: Size, drawing: Drawing) -> None:
    if size not in (photo.size, photo.stored.size):
        raise DataError(
            f"The annotation of {drawing.file} is {size[0]} x {size[1]} px, but the photo is {photo.size[0]} x "
            f"{photo.size[1]} px; bring the photo that was annotated, at its own size."
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
    is_upright = mask_size == photo.size
    notes.count("Photos saved upright instead of turned by EXIF", drawing.file, is_upright)
    fits_both = mask_size == photo.size == photo.stored.size
    both = "Photos turned by EXIF whose masks fit both ways: check that they are drawn on the upright photo"
    notes.count(both, drawing.file, fits_both)
    reason = "Photos saved without EXIF because their masks are drawn on the unturned photo"
    notes.count(reason, drawing.file, not is_upright)
    plain = Image.fromarray(np.asarray(photo.lying_as(mask_size)))  # without EXIF
    return png_bytes(plain) if suffix.lower() == ".png" else jpeg_bytes(plain, JPEG_QUALITY, subsampling=0)


def _unturned(stored: Image.Image) -> Image.Image:
    plain = stored.copy()
    plain.info = {key: value for key, value in stored.info.items() if key == "transparency"}
    return upright_rgb(plain)
