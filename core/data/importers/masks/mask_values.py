"""The number of each pixel of a mask: grey levels, places in a palette, arrays; and how often each is there."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import are_greys_out_of_order, palette_in
from core.data.importers.masks.mask_file import Counts, is_white_first, read_mask_file
from core.data.importers.notes import Notes
from core.data.pair_names import JPEG_SUFFIXES
from core.errors import DataError
from core.files import regular
from core.voc import VOID

MAX_COUNTED = 65_535


def read_values(mask: Path, notes: Notes | None = None) -> NDArray[np.int64]:
    """Return the number of each pixel of a mask, shape (H, W); a mask in colours raises `DataError`."""
    if mask.suffix.lower() == ".npy":
        return _of_array(mask)
    picture = read_mask_file(mask)
    if picture.mode == "P" and mask.suffix.lower() == ".gif":  # whose palette is only how it is stored
        picture = picture.convert("RGB")
    if picture.mode == "P":
        return _of_palette(picture, mask, notes or Notes())
    if picture.mode in ("L", "1") or picture.mode.startswith("I"):
        return np.asarray(picture).astype(np.int64)
    if picture.mode == "F":
        return _whole(np.asarray(picture), mask)
    if mask.suffix.lower() in JPEG_SUFFIXES and picture.mode == "RGB":
        return np.asarray(picture.convert("L")).astype(np.int64)
    return _of_bands(picture, mask)


def _of_palette(picture: Image.Image, mask: Path, notes: Notes) -> NDArray[np.int64]:
    """Return places in a palette, which are ids; where it holds black, white or grey out of order, the colours are."""
    greys_HW = np.asarray(picture.convert("L")).astype(np.int64)
    if is_white_first(picture):
        notes.count("Masks whose palette begins with white, which is taken for 1 and black for 0", mask)
        return (greys_HW > 0).astype(np.int64)
    palette_N3 = np.array(picture.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    if are_greys_out_of_order(palette_N3, np.unique(np.asarray(picture)).tolist()):
        notes.count("Masks whose palette holds greys out of order, which are taken for the values", mask)
        return greys_HW
    return np.asarray(picture).astype(np.int64)


def _of_bands(picture: Image.Image, mask: Path) -> NDArray[np.int64]:
    bands_HWC = np.asarray(picture.convert("RGBA") if picture.has_transparency_data else picture.convert("RGB"))
    if np.any(bands_HWC[:, :, 0] != bands_HWC[:, :, 1]) or np.any(bands_HWC[:, :, 0] != bands_HWC[:, :, 2]):
        raise DataError(
            f"{mask} is a picture in colours, not one number per pixel; import it as color-table, with a table of them."
        )
    if np.any(bands_HWC[:, :, 3:] < VOID):
        raise DataError(f"{mask} is transparent in places, so its values are not certain; save it without alpha.")
    return bands_HWC[:, :, 0].astype(np.int64)


def _of_array(mask: Path) -> NDArray[np.int64]:
    try:
        with regular(mask).open("rb") as file:  # NumPy reserves what is stated before it reads
            is_first = np.lib.format.read_magic(file) == (1, 0)
            read_header = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
            shape, _, dtype = read_header(file)
            if math.prod(shape) * dtype.itemsize > mask.stat().st_size - file.tell():
                raise ValueError(f"it states the shape {shape}, which is more than it holds")
        values = np.squeeze(np.load(regular(mask), allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"The mask {mask} cannot be read ({error}); export it again.") from error
    if values.ndim != len("HW") or not values.size or values.dtype.kind not in "biuf":
        raise DataError(
            f"{mask} holds an array {values.shape} of {values.dtype}, not one number per pixel; export it again."
        )
    return _whole(values, mask)


def _whole(values: NDArray[np.generic], mask: Path) -> NDArray[np.int64]:
    whole = values.astype(np.int64) if values.dtype.kind != "f" or np.isfinite(values).all() else None
    if whole is None or np.any(whole != values):
        raise DataError(f"{mask} holds numbers with a point, which are not ids of classes; export whole numbers.")
    return whole


def counted(masks: Iterable[Path], notes: Notes, *, checks_colors: bool = False) -> Counts:
    """Return how many pixels have a value; `checks_colors` refuses palettes that give one value several colours."""
    counts: Counts = {}
    colors: dict[int, tuple[tuple[int, ...], Path]] = {}
    for mask in masks:
        read_HW = read_values(mask, notes)
        if read_HW.min() >= 0 and read_HW.max() <= MAX_COUNTED:  # a tenth of the time that sorting takes
            numbers_N = np.bincount(read_HW.ravel())
            values_N = np.flatnonzero(numbers_N)
            numbers_N = numbers_N[values_N]
        else:
            values_N, numbers_N = np.unique(read_HW, return_counts=True)
        for value, number in zip(values_N.tolist(), numbers_N.tolist(), strict=True):
            counts[value] = counts.get(value, 0) + number
        if checks_colors:
            _refuse_other_colors(mask, values_N.tolist(), colors)
    return counts


def _refuse_other_colors(mask: Path, values: Sequence[int], colors: dict[int, tuple[tuple[int, ...], Path]]) -> None:
    """Raise `DataError` for a mask whose palette shows a value in another colour than one before.

    Then the classes are colours: programs that choose a palette for each picture number its colours anew.
    Palettes of greys say nothing.
    """
    palette_N3 = palette_in(mask) if mask.suffix.lower() not in (".gif", ".npy") else None
    if palette_N3 is None or (palette_N3 == palette_N3[:, :1]).all():
        return
    for value in values:
        if 0 <= value < min(VOID, len(palette_N3)):
            color = tuple(palette_N3[value].tolist())
            first, first_mask = colors.setdefault(value, (color, mask))
            if first != color:
                shown = ["#{:02x}{:02x}{:02x}".format(*each) for each in (first, color)]
                raise DataError(
                    f"The palettes of {first_mask} and {mask} show {value} as {shown[0]} and {shown[1]}, so classes "
                    "may be colours, not numbers: import as color-table, with a table of them, or say what the numbers "
                    f"are with --classes {value}=NAME."
                )
