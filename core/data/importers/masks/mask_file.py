"""Reading masks of other tools: pictures in any mode, and Label Studio's packed brush strokes.

A packed stroke is run lengths in bits, the most significant bit first. 32 bits are the number of values, 5 the bits of
a value less one, four times 4 the widths of lengths less one. Then follow pieces: 1 bit that says whether it is a run,
2 bits that choose one of the four widths, the length less one in that width, and one value for the whole run, or else
as many values as the length. The values are the bytes of an RGBA picture, row by row; where alpha is not 0 is painted.
"""

import io
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.bit_depth import Refused, refuse_stack
from core.data.importers.plan import Size
from core.errors import DataError
from core.files import regular
from core.voc import VOID

UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for pictures that are damaged, or none."""

VALUE_BITS = 8
CUT = 128
MIN_LEVELS = 12
"""Masks of fewer different values are not smoothed ones: the levels may be classes."""
MIDDLE = range(CUT - 64, CUT + 64)
MIN_IN_MIDDLE = 6
"""Different values around the middle of 255 that smoothed masks have at least; ids of classes are lower."""
MAX_BETWEEN = 0.2
"""Share of pixels between black and white up to which a mask is a smoothed one."""

MAX_VALUES = 64
"""More values than that nobody names by hand; a photo in grey has more."""

Counts = dict[int, int]
"""How many pixels have a value."""


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
            picture.verify()  # the checksums of a PNG, which `load` ignores: a flipped bit may be another class
        with Image.open(io.BytesIO(data)) as picture:
            refuse_stack(picture)
            picture.load()
            return picture
    except Refused as refused:
        raise DataError(f"{what} {refused}.") from refused
    except UNREADABLE as error:
        raise DataError(f"{what} cannot be read ({error}); export it again.") from error


def is_smoothed(counts: Mapping[int, int], *, is_lossy: bool) -> bool:
    """Return whether values are black and white but for edges: smoothed, or blended by JPEG (`is_lossy`)."""
    has_levels = len(counts) >= MIN_LEVELS and len(set(MIDDLE).intersection(counts)) >= MIN_IN_MIDDLE
    if not (is_lossy or has_levels) or min(counts) < 0 or max(counts) > VOID or max(counts) < CUT:
        return False
    margin = VOID // 8 if is_lossy else 0
    between = sum(number for value, number in counts.items() if margin < value < VOID - margin)
    return between <= MAX_BETWEEN * sum(counts.values()) and any(value >= VOID - margin for value in counts)


def is_white_first(picture: Image.Image) -> bool:
    """Return whether the palette of a picture is black and white alone, and its first colour is white."""
    palette = picture.getpalette("RGB") or []
    colors = {tuple(palette[at : at + 3]) for at in range(0, len(palette), 3)}
    return palette[:3] == [VOID] * 3 and colors <= {(0, 0, 0), (VOID, VOID, VOID)}


def holds_few_values(file: Path) -> bool:
    """Return whether a picture can be a mask: one number per pixel, of few values or black and white but for edges."""
    try:
        picture = read_mask_file(file)
    except DataError:
        return False
    if picture.mode not in ("1", "L", "P") and not picture.mode.startswith("I"):
        return False
    found = np.unique(np.asarray(picture), return_counts=True)
    counts = dict(zip(*(part.tolist() for part in found), strict=True))
    return len(counts) <= MAX_VALUES or is_smoothed(counts, is_lossy=False)


def any_color(picture: Image.Image) -> NDArray[np.bool_]:
    """Return where a picture is neither black nor transparent, shape (H, W); greys deeper than 8 bits count too."""
    if picture.mode.startswith(("I", "F")):
        return np.asarray(np.asarray(picture) != 0, dtype=np.bool_)
    rgba_HW4 = np.asarray(picture.convert("RGBA"))
    return np.asarray(rgba_HW4[:, :, :3].any(axis=2) & (rgba_HW4[:, :, 3] > 0), dtype=np.bool_)


class Bits:
    """Bytes that are read bit by bit; reading past their end raises `ValueError`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, width: int) -> int:
        """Read a whole number of this many bits."""
        first, offset = divmod(self._at, 8)
        self._advance(width)
        size = (offset + width + 7) // 8
        window = int.from_bytes(self._data[first : first + size], "big")
        return window >> (8 * size - offset - width) & ((1 << width) - 1)

    def bytes(self, count: int) -> NDArray[np.uint8]:
        """Read this many numbers of 8 bits."""
        first, offset = divmod(self._at, 8)
        self._advance(8 * count)
        window = np.frombuffer(self._data, dtype=np.uint8, offset=first, count=count + (offset > 0))
        return np.packbits(np.unpackbits(window)[offset : offset + 8 * count])

    def _advance(self, width: int) -> None:
        self._at += width
        if self._at > 8 * len(self._data):
            raise ValueError("it ends in the middle")


def decode_brush(data: bytes, size: Size) -> NDArray[np.bool_]:
    """Return what is painted, shape (H, W); data that is damaged or of another size raises `ValueError`."""
    width, height = size
    length = 4 * width * height
    bits = Bits(data)
    if (found := bits.number(32)) != length:
        raise ValueError(f"it holds {found} values instead of {length}")
    if bits.number(5) + 1 != VALUE_BITS:
        raise ValueError("its values are not bytes")
    widths = [bits.number(4) + 1 for _ in range(4)]
    values = np.empty(length, dtype=np.uint8)
    done = 0
    while done < length:
        is_run = bits.number(1)
        stop = done + 1 + bits.number(widths[bits.number(2)])
        if stop > length:
            raise ValueError("it holds more than its frame")
        values[done:stop] = bits.number(VALUE_BITS) if is_run else bits.bytes(stop - done)
        done = stop
    return np.asarray(values.reshape(height, width, 4)[:, :, 3] > 0, dtype=np.bool_)
