"""Refuses files before a pixel is decoded: no photo, too many pixels, too little memory.

A file of a few kilobytes can declare more pixels than fit in memory. Everything checked here is in the first bytes and
the header.
"""

from PIL import Image

from core.data.bit_depth import Refused, refuse_misread, refuse_unscaled
from core.errors import PhotoError
from core.free_memory import free_bytes

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
