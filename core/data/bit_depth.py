"""Photos of more than 8 bits per channel and TIFFs with extra bands: which are read, and how to scale them.

White is 65535 in 16 bits. Integers of 32 bits and floats are measurements without a defined white, so they are refused,
as is every photo that Pillow would decode wrongly. `stretched` scales photos that are refused for their scale only, or
that come out nearly black.
"""

import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

DEEP_GREY = "I;16"
"""Prefix of Pillow's 16-bit grey modes; the rest is the byte order."""

UNSCALED_MODES = ("I", "F")
"""Modes of measurements: no value is defined as white."""

STRETCH_PERCENT = (1.0, 99.0)
"""The percentiles of its values that become black and white in a stretched photo."""
STRETCH = f"black and white at {STRETCH_PERCENT[0]:.0f} and {STRETCH_PERCENT[1]:.0f} % of its values"

SCALE_IT = "save it with 8 bits per channel, or have it scaled (`doctor --repair` in data, else `segment --stretch`)"

DARK_PERCENT, DARK_LEVEL = 99.8, 16
"""A photo is nearly black if this percentage of its pixels is below this level of 255, as with 12 bits stored in 16."""

BITS, PHOTOMETRIC, BANDS, PLANES, KIND = 258, 262, 277, 284, 339
DNG_VERSION, SUBFILE_TYPE = 50706, 254
"""TIFF tags; a camera's raw file has a DNG version, or a subfile type that marks a thumbnail."""
SEVERAL_PLANES, WHITE_IS_ZERO, FLOATING_POINT = 2, 0, 3
DAMAGED = (struct.error, TypeError, IndexError, EOFError, KeyError, OSError, SyntaxError, ValueError)
"""What Pillow raises where a picture after the first in a file is damaged."""
TIFF_SIGNS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Refused(Exception):  # noqa: N818  the end of a sentence that names the file
    """A photo that would be decoded wrongly; the message says what it is, and what to do."""


def refuse_misread(picture: Image.Image) -> None:
    """Raise `Refused` for an opened picture that Pillow would decode into wrong colours."""
    tags = getattr(picture, "tag_v2", {})
    if DNG_VERSION in tags or tags.get(SUBFILE_TYPE, 0) == 1:
        raise Refused("is a camera's raw file, or begins with a thumbnail; export it as JPEG")
    is_deep = max(_all(tags.get(BITS, 8))) > 8
    if is_deep and _one(tags.get(PLANES, 1)) == SEVERAL_PLANES and _one(tags.get(BANDS, 1)) > 1:
        raise _odd_bands(tags)
    if is_deep and _one(tags.get(PHOTOMETRIC, 1)) == WHITE_IS_ZERO:
        raise Refused("is a TIFF of more than 8 bits in which white is 0; save it with 8 bits per channel")


def refuse_stack(picture: Image.Image) -> None:
    """Raise `Refused` for an opened mask that is one of several in its file, as those of the classes in a stack."""
    if (number := num_alike(picture)) > 1:
        raise Refused(f"holds {number} pictures, and only the first would be read; save each as a file of its own")


def num_alike(picture: Image.Image) -> int:
    """Return the number of pictures in an opened file.

    It is 1 where those behind the first are previews of another size, or damaged: the first can be read all the same.
    """
    size = picture.size
    try:
        number = int(getattr(picture, "n_frames", 1))
        if number == 1:
            return 1
        picture.seek(1)
        is_preview = picture.size != size
    except DAMAGED:
        is_preview = True
    picture.seek(0)
    return 1 if is_preview else number


def refuse_unscaled(picture: Image.Image) -> None:
    """Raise `Refused` for a picture of measurements."""
    if picture.mode in UNSCALED_MODES:
        raise Refused(f"holds measurements (mode {picture.mode}), not colours; {SCALE_IT}")


def refused_tiff(file: IO[bytes]) -> Refused | None:
    """Return the reason why Pillow cannot read a file, if it is a TIFF with unsupported bands, else None."""
    header = file.read(8)
    if header[:4] not in TIFF_SIGNS[:2]:
        return None
    try:
        tags = ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        return _odd_bands(tags)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError):  # damaged
        return None


def _odd_bands(tags: Mapping[int, Any]) -> Refused:
    bits, bands = max(_all(tags[BITS])), _one(tags.get(BANDS, 1))
    kind = " (numbers with a point)" if FLOATING_POINT in _all(tags.get(KIND, 1)) else ""
    what = f"is a TIFF of {bands} band{'s' if bands > 1 else ''} of {bits} bits{kind}, which is not read as a photo"
    return Refused(f"{what}; save it as RGB with 8 bits per channel")


def num_unused_bands(picture: Image.Image) -> int:
    """Return the number of bands of a TIFF that are neither colour nor alpha."""
    tags = getattr(picture, "tag_v2", {})
    return max(0, _one(tags.get(BANDS, 1)) - len(picture.getbands()))


def _all(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (int(value),)  # type: ignore[call-overload]


def _one(value: object) -> int:
    return _all(value)[0]


def is_scalable(picture: Image.Image) -> bool:
    """Return whether a picture has more than 8 bits of grey, so that `stretched` can help."""
    return picture.mode in UNSCALED_MODES or picture.mode.startswith(DEEP_GREY)


def is_nearly_black(rgb: Image.Image) -> bool:
    """Return whether an RGB photo is almost entirely dark."""
    counts_256 = np.array(rgb.convert("L").histogram())
    return bool(counts_256[:DARK_LEVEL].sum() >= DARK_PERCENT / 100 * counts_256.sum())


def stretched(picture: Image.Image) -> Image.Image:
    """Return a grey picture of more than 8 bits as mode L, black and white at `STRETCH_PERCENT` of its values.

    NaN, infinity and pictures of a single value become black.
    """
    value_HW: NDArray[np.float64] = np.asarray(picture).astype(np.float64)
    is_number_HW = np.isfinite(value_HW)
    low, high = np.percentile(value_HW[is_number_HW], STRETCH_PERCENT) if is_number_HW.any() else (0.0, 1.0)
    share_HW = (np.where(is_number_HW, value_HW, low) - low) / (high - low if high > low else 1.0)
    return Image.fromarray((255 * share_HW.clip(0, 1)).round().astype(np.uint8))
