"""What a person takes away of segmented photos: pictures, a table of shares, and a zip of them all."""

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
from core.model.photo.photo_file import ClassArea
from core.voc import BACKGROUND, VOID
from core.wording import csv_text

Member = tuple[str, bytes]
"""A file: its name, without any folder, and its content."""

CSV_COLUMNS = ("photo", "class", "id", "pixels", "share", "mean_confidence")

MAX_ZIP_BYTES = 2_000_000_000
PACKED_SUFFIXES = (".png",)
"""Files that deflating makes no smaller."""

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say: the same photos give the same bytes."""


def mask_and_overlay(
    stem: str,
    photo: Image.Image,
    mask_HW: NDArray[np.uint8],
    classes: Classes,
    *,
    shown: Classes | None = None,
    opacity: float = 0.6,
    outline_px: int = 0,
) -> Iterator[Member]:
    """Give the index mask, in the classes' own colours, and the overlay, in those of `shown` if that is given."""
    yield f"{stem}_mask.png", png_bytes(mask_image(mask_HW, classes.palette))
    laid_over = overlay(photo, mask_HW, (shown or classes).palette, opacity, outline_px)
    yield f"{stem}_overlay.png", png_bytes(laid_over)


def cutouts(stem: str, photo: Image.Image, mask_HW: NDArray[np.uint8], classes: Classes) -> Iterator[Member]:
    """Give each class of objects in a mask cut out of the photo, as PNG of the photo's size with an alpha channel."""
    for class_id in np.unique(mask_HW).tolist():
        if class_id not in (BACKGROUND, VOID):
            name = cutout_name(stem, class_id, classes.names[class_id])
            yield name, png_bytes(cutout(photo, mask_HW, class_id))


def areas_csv(areas_by_photo: Iterable[tuple[str, Sequence[ClassArea]]]) -> str:
    """Return a table with a line for each class in each photo; shares and confidences are fractions."""
    rows = [
        (name, area.name, str(area.id), str(area.pixels), f"{area.share:.6f}", f"{area.mean_confidence:.4f}")
        for name, areas in areas_by_photo
        for area in areas
    ]
    return csv_text(CSV_COLUMNS, rows)


def write_zip(file: IO[bytes], members: Iterable[Member], max_bytes: int = MAX_ZIP_BYTES) -> int:
    """Write files into a zip one after the other, never more than one in memory, and return how many there are.

    Args:
        file: opened for writing; it need not be seekable.
        members: may be made as they are asked for; no two of one name.
        max_bytes: of all contents together; more raises `PhotoError`.
    """
    written, names = 0, set()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            assert name not in names, name  # noqa: S101 - `file_names.file_stems` gives no name twice
            written += len(content)
            if written > max_bytes:
                raise PhotoError(f"The zip would hold over {max_bytes / 1e6:,.0f} MB; take fewer photos at a time.")
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED_SUFFIXES) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
            names.add(name)
    return len(names)
