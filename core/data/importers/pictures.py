"""Reading pictures that are no photos: masks of other tools, in any mode."""

import io
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import DataError
from core.files import regular

UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for pictures that are damaged, or none."""


def read_mask_file(file: Path) -> Image.Image:
    """Read a mask file as it is; one that cannot be read raises `DataError`."""
    try:
        data = regular(file).read_bytes()
    except OSError as error:
        raise DataError(f"The mask {file} cannot be read: {error.strerror}; export it again.") from error
    return read_picture(data, f"The mask {file}")


def read_picture(data: bytes, what: str) -> Image.Image:
    """Read a picture as it is; `what` names it in the `DataError` where that is impossible."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            return picture
    except UNREADABLE as error:
        raise DataError(f"{what} cannot be read ({error}); export it again.") from error


def any_color(picture: Image.Image) -> NDArray[np.bool_]:
    """Return where a picture is neither black nor transparent, shape (H, W); greys deeper than 8 bits count too."""
    if picture.mode.startswith(("I", "F")):
        return np.asarray(np.asarray(picture) != 0, dtype=np.bool_)
    rgba_HW4 = np.asarray(picture.convert("RGBA"))
    return np.asarray(rgba_HW4[:, :, :3].any(axis=2) & (rgba_HW4[:, :, 3] > 0), dtype=np.bool_)
