"""Opens a photo to be segmented, from any file, and measures the classes in its mask. Imports no torch.

Files come from outside and are untrusted: only known picture formats are decoded, and what a file declares is checked
before its pixels are read: a file of a few kilobytes can declare more pixels than fit in memory.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from core.data.bit_depth import (
    DEEP_GREY,
    STRETCH,
    Refused,
    is_nearly_black,
    is_scalable,
    num_unused_bands,
    refuse_misread,
    refuse_unscaled,
    refused_tiff,
    stretched,
)
from core.data.images import PHOTO_FORMATS, register_heif
from core.data.srgb import has_broken_profile, to_srgb
from core.errors import PhotoError
from core.files import regular
from core.free_memory import free_bytes
from core.voc import VOID

SUFFIXES = ("jpg", "jpeg", "png", "webp", "avif", "heic", "heif", "tif", "tiff", "bmp", "gif")
"""Usual suffixes of `PHOTO_FORMATS`."""

NEARLY_BLACK = "It is nearly black: its values use little of 16 bits, as 12-bit cameras' do; stretch it to see more."
VOID_NAME = "void"
COUNTED_PIXELS = 1_000_000
"""Number of pixels that are counted at a time."""

MAX_PIXELS = 50_000_000
"""The largest photo, a 50-megapixel camera's; segmenting one takes about 1.5 GB of memory."""

MAX_FILE_BYTES = 300_000_000
"""The largest file: `MAX_PIXELS` of three colours and 16 bits, uncompressed."""

PIXEL_BYTES = 30
"""Most memory that a pixel takes, from decoding to overlay; measured in `dev/LOG.md`."""

SAVE, TAKE_OUT, EXPORT = "save it as JPEG, PNG or WebP", "take the photos out of it first", "export it as JPEG"

KINDS = (
    (0, b"%PDF", "a PDF document", "save its picture as JPEG, PNG or WebP"),
    (0, b"%!PS", "a PostScript drawing", SAVE),
    (0, b"PK\x03\x04", "a ZIP archive or an office document", TAKE_OUT),
    (0, b"Rar!", "an archive", TAKE_OUT),
    (0, b"7z\xbc\xaf", "an archive", TAKE_OUT),
    (0, b"\x1f\x8b", "an archive", TAKE_OUT),
    (4, b"ftypmp4", "a film", "save one of its pictures as JPEG or PNG"),
    (4, b"ftypisom", "a film", "save one of its pictures as JPEG or PNG"),
    (4, b"ftypqt", "a film", "save one of its pictures as JPEG or PNG"),
    (4, b"ftypcrx", "a camera's raw file", EXPORT),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file", EXPORT),
    (0, b"8BPS", "a Photoshop document", SAVE),
    (0, b"\0\0\0\x0cjP", "a JPEG 2000 picture", SAVE),
    (0, b"\xff\x0a", "a JPEG XL picture", SAVE),
)
"""Files that are not photos: offset and bytes of their signature, what they are, what to do."""

MARKUP = ((b"<svg", "a drawing (SVG)", "save it as PNG"), (b"<html", "a web page", "save the photo itself"))
"""Markup: a tag near the beginning, what the file is, what to do."""

MARKUP_BYTES = 4096

PHOTO_SIGNS = (
    (0, b"\xff\xd8\xff"), (0, b"\x89PNG"), (0, b"RIFF"), (0, b"GIF8"), (0, b"II*\0"), (0, b"MM\0*"), (4, b"ftyp"),
)  # fmt: skip
"""Signatures of photos: offset and bytes."""


@dataclass(frozen=True)
class ClassArea:
    """A class in a mask: its share of the pixels, and the mean probability of the best class there, both in [0, 1]."""

    id: int
    name: str
    share: float
    mean_confidence: float
    pixels: int


@dataclass(frozen=True)
class NotedPhoto:
    """A photo as upright RGB, and notes on its conversion, each a sentence."""

    photo: Image.Image
    notes: tuple[str, ...]


def open_photo(data: bytes, name: str, *, stretch: bool = False) -> Image.Image:
    """Return a photo as upright RGB from the bytes of its file; see `open_noted`."""
    return open_noted(data, name, stretch=stretch).photo


def open_photo_file(path: Path, *, stretch: bool = False) -> NotedPhoto:
    """Open a photo from its file; see `open_noted`. A file that cannot be read raises `PhotoError` too."""
    try:
        check_file_size(regular(path).stat().st_size, str(path))
        return open_noted(path.read_bytes(), str(path), stretch=stretch)
    except OSError as error:
        raise PhotoError(f"The photo {path} cannot be read: {error.strerror}; check its name.") from error


def open_noted(data: bytes, name: str, *, stretch: bool = False) -> NotedPhoto:
    """Open a photo as training does: upright, in sRGB, transparency on white, the first picture of several.

    Args:
        data: the bytes of the file; its name's suffix does not matter.
        name: the file's name in messages.
        stretch: whether greys of more than 8 bits are scaled by their own values (`bit_depth.stretched`).

    Raises:
        PhotoError: it is not a photo, is cut short, has more than `MAX_PIXELS`, or does not fit in memory.
    """
    name = _on_one_line(name)
    check_file(data, name)
    stored, notes = _decoded(data, name, is_stretched=stretch)
    if stretch and is_scalable(stored):
        return NotedPhoto(to_srgb(stretched(stored)), (*notes, f"It is scaled: {STRETCH}."))
    photo = to_srgb(stored)
    notes += _notes(stored)
    if is_scalable(stored) and is_nearly_black(photo):
        notes.append(NEARLY_BLACK)
    return NotedPhoto(photo, tuple(notes))


def has_deep_greys(data: bytes) -> bool:
    """Return whether a file's photo has greys of more than 8 bits, which `stretch` is for, without decoding it."""
    register_heif()
    try:
        with Image.open(io.BytesIO(data), formats=PHOTO_FORMATS) as photo:
            return is_scalable(photo)
    except Exception:  # noqa: BLE001 - any damage; opening it says which
        return False


def _decoded(data: bytes, name: str, *, is_stretched: bool) -> tuple[Image.Image, list[str]]:
    """Return the first picture of a file, upright, in its stored mode, and notes on the parts that are not used."""
    register_heif()
    try:
        with Image.open(io.BytesIO(data), formats=PHOTO_FORMATS) as photo:
            check_header(photo, name, is_stretched=is_stretched)
            stored, notes = ImageOps.exif_transpose(photo), []
            if _has_more(photo):
                notes.append("Only the first of its pictures is used.")
            if unused := num_unused_bands(photo):
                notes.append(f"Of its bands {unused} {'is' if unused == 1 else 'are'} no colour and not used.")
            return stored, notes
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoError(f"{name} {too_large()}") from None
    except MemoryError:
        raise PhotoError(f"{name} does not fit in memory; make it smaller, or end other programs.") from None
    except Exception as error:  # decoders raise anything for damaged bytes
        if isinstance(error, UnidentifiedImageError) and (odd := refused_tiff(io.BytesIO(data))):
            raise PhotoError(f"{name} {odd}.") from odd
        if isinstance(error, UnidentifiedImageError) and not begins_as_photo(data):
            raise PhotoError(f"{name} is not a photo that can be read; save it as JPEG, PNG or WebP.") from None
        raise PhotoError(f"{name} is damaged or was cut short{_reason(error)}; copy or save it again.") from error


def _reason(error: Exception) -> str:
    """Return a decoder's message in brackets; "" for Pillow's, which says nothing, on a file of no known kind."""
    said = _on_one_line(str(error)).strip(" .")
    return "" if isinstance(error, UnidentifiedImageError) or not said else f" ({said})"


def _has_more(photo: Image.Image) -> bool:
    """Return whether a file holds further pictures, besides those that a phone adds to its JPEG."""
    try:
        return photo.format != "MPO" and bool(getattr(photo, "is_animated", False))
    except Exception:  # noqa: BLE001 - any damage after the first picture
        return True


def _on_one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _notes(stored: Image.Image) -> list[str]:
    notes = []
    if stored.mode.startswith(DEEP_GREY):
        notes.append("Its 16-bit greys are scaled to 8 bits.")
    if stored.has_transparency_data:
        notes.append("What is transparent in it is laid on white.")
    if has_broken_profile(stored):
        notes.append("Its colour profile cannot be used and is ignored.")
    return notes


def check_file(data: bytes, name: str) -> None:
    """Raise `PhotoError` for a file that is empty, too large, or of a known other kind."""
    if not data:
        raise PhotoError(f"{name} is empty; copy or save it again.")
    check_file_size(len(data), name)
    for offset, sign, what, remedy in KINDS:
        if data[offset : offset + len(sign)] == sign:
            raise PhotoError(f"{name} is {what}, not a photo; {remedy}.")
    start = data[:MARKUP_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for sign, what, remedy in MARKUP:
        if start.startswith(b"<") and sign in start:
            raise PhotoError(f"{name} is {what}, not a photo; {remedy}.")


def begins_as_photo(data: bytes) -> bool:
    """Return whether the first bytes are those of a photo."""
    return any(data[offset : offset + len(sign)] == sign for offset, sign in PHOTO_SIGNS)


def check_file_size(size: int, name: str) -> None:
    """Raise `PhotoError` for a file of more than `MAX_FILE_BYTES`."""
    if size > MAX_FILE_BYTES:
        raise PhotoError(
            f"{name} has {size / 1e6:,.0f} MB, more than {MAX_FILE_BYTES // 1_000_000} MB; save it smaller, as JPEG."
        )


def check_header(photo: Image.Image, name: str, *, is_stretched: bool = False) -> None:
    """Raise `PhotoError` for an undecoded photo that is too large, or that holds measurements unless `is_stretched`."""
    if photo.width * photo.height > MAX_PIXELS:
        raise PhotoError(f"{name} is {photo.width} x {photo.height} px and {too_large()}")
    needed, free = PIXEL_BYTES * photo.width * photo.height, free_bytes()
    if needed > free:
        raise PhotoError(
            f"{name} is {photo.width} x {photo.height} px and needs about {needed / 1e6:,.0f} MB of memory, where "
            f"{free / 1e6:,.0f} MB are free; make it smaller, or end other programs."
        )
    try:
        refuse_misread(photo)
        if not is_stretched:
            refuse_unscaled(photo)
    except Refused as refused:
        raise PhotoError(f"{name} {refused}.") from refused


def too_large() -> str:
    """Return the end of the sentence about a photo of too many pixels."""
    return f"has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller first."


def class_areas(
    mask_HW: NDArray[np.uint8], confidence_HW: NDArray[np.float32], class_names: Sequence[str]
) -> tuple[ClassArea, ...]:
    """Return the classes in a mask, and void (`abstain`) if it has any, the largest first.

    `confidence_HW` is the probability of the best class at each pixel, in [0, 1].
    """
    pixels_256, confidence_256 = np.zeros(256, np.int64), np.zeros(256)
    rows = max(1, COUNTED_PIXELS // mask_HW.shape[1])
    for top in range(0, mask_HW.shape[0], rows):  # `bincount` makes 8 bytes of each pixel
        ids, confidence = mask_HW[top : top + rows].ravel(), confidence_HW[top : top + rows].ravel()
        pixels_256 += np.bincount(ids, minlength=256)
        confidence_256 += np.bincount(ids, weights=confidence, minlength=256)
    order = sorted(np.flatnonzero(pixels_256).tolist(), key=lambda class_id: -pixels_256[class_id])
    return tuple(
        ClassArea(
            class_id,
            VOID_NAME if class_id == VOID else class_names[class_id],
            share=float(pixels_256[class_id] / mask_HW.size),
            mean_confidence=min(1.0, float(confidence_256[class_id] / pixels_256[class_id])),
            pixels=int(pixels_256[class_id]),
        )
        for class_id in order
    )


def abstain(mask_HW: NDArray[np.uint8], confidence_HW: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Return a mask that is void where the confidence is below a threshold in [0, 1]."""
    return np.where(confidence_HW >= threshold, mask_HW, np.uint8(VOID))
