"""The results for segmented photos: pictures, a table of shares, and a zip of all files."""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes
from core.data.images import mask_image, png_bytes
from core.errors import PhotoError
from core.model.output.file_names import cutout_name
from core.model.output.render import cutout, overlay
from core.model.photo import ClassArea
from core.voc import BACKGROUND, VOID
from core.wording import csv_text

Member = tuple[str, bytes]
"""A file: its name, without a folder, and its content."""

CSV_COLUMNS = ("photo", "class", "id", "pixels", "share", "mean_confidence")

MAX_ZIP_BYTES = 2_000_000_000
PACKED_SUFFIXES = (".png",)
"""Suffixes of files that are compressed already."""

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""A constant, the earliest of the format, so that the same photos give the same bytes."""


def mask_and_overlay(
    stem: str,
    photo: Image.Image,
    mask_HW: NDArray[np.uint8],
    classes: Classes,
    shown: Classes,
) -> Iterator[Member]:
    """Yield the index mask, in the classes' colours, and the overlay, in those of `shown`."""
    yield f"{stem}_mask.png", png_bytes(mask_image(mask_HW, classes.palette))
    yield f"{stem}_overlay.png", png_bytes(overlay(photo, mask_HW, shown.palette))


def cutouts(stem: str, photo: Image.Image, mask_HW: NDArray[np.uint8], classes: Classes) -> Iterator[Member]:
    """Yield each class of objects in a mask, cut out of the photo: PNG of the photo's size with an alpha channel."""
    for class_id in np.unique(mask_HW).tolist():
        if class_id not in (BACKGROUND, VOID):
            name = cutout_name(stem, class_id, classes.names[class_id])
            yield name, png_bytes(cutout(photo, mask_HW, class_id))


def areas_csv(areas_by_photo: Iterable[tuple[str, Sequence[ClassArea]]]) -> str:
    """Return CSV with a line for each class in each photo; shares and confidences are fractions."""
    rows = [
        (name, area.name, str(area.id), str(area.pixels), f"{area.share:.6f}", f"{area.mean_confidence:.4f}")
        for name, areas in areas_by_photo
        for area in areas
    ]
    return csv_text(CSV_COLUMNS, rows)


def write_zip(file: IO[bytes], members: Iterable[Member]) -> int:
    """Write files into a zip, with one of them in memory at a time, and return their number.

    `file` need not be seekable; no two members have one name. More than `MAX_ZIP_BYTES` raise `PhotoError`.
    """
    written, names = 0, set()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            assert name not in names, name  # noqa: S101 - `file_names.file_stems` gives no name twice
            written += len(content)
            if written > MAX_ZIP_BYTES:
                raise PhotoError(f"The zip would hold over {MAX_ZIP_BYTES / 1e6:,.0f} MB; take fewer photos at a time.")
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED_SUFFIXES) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
            names.add(name)
    return len(names)
