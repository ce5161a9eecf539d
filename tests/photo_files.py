"""Photos, and files that are none, of every kind that somebody may bring: the table that opening a photo must pass.

Each entry is made when it is asked for, from one small picture that is not symmetrical in any direction.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms

ORIENTATION = 0x0112
WIDTH, HEIGHT = 48, 32

# Which transposition undoes each EXIF orientation: the inverse of the one that a reader applies (EXIF 2.32, 4.6.4).
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Return a smooth picture, RGB, with a red block on the left and a blue one at the bottom."""
    y_H1, x_1W = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    planes = [90 + 100 * x_1W + 0 * y_H1, 60 + 120 * y_H1 + 0 * x_1W, 200 - 90 * x_1W * y_H1]
    photo_HW3 = np.stack(planes, axis=-1).astype(np.uint8)
    photo_HW3[height // 4 : height // 2, : width // 3] = (210, 40, 40)
    photo_HW3[3 * height // 4 :, width // 2 :] = (40, 50, 210)
    return Image.fromarray(photo_HW3)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as a file in one of Pillow's formats."""
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def turned(orientation: int, kind: str, **options: Any) -> bytes:
    """Return the scene stored as a camera held in another way stores it, with the orientation that says so."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    transposition = STORED_AS[orientation]
    stored = scene() if transposition is None else scene().transpose(transposition)
    return encoded(stored, kind, exif=exif, **options)


def png(width: int, height: int, bits: int, color_type: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file from its raw rows, each with its filter byte: for kinds that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *(chunk(*each) for each in chunks), chunk(b"IDAT", zlib.compress(rows, 9))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def deep_png(channels: int, color_type: int) -> bytes:
    """Return the scene as a PNG of 16 bits per channel: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
    rgb_HW3 = np.asarray(scene(), dtype=np.uint16) * 257
    opaque_HW1 = np.full((HEIGHT, WIDTH, 1), 65535, dtype=np.uint16)
    planes = rgb_HW3[..., :1] if channels < 3 else rgb_HW3
    pixels = np.concatenate([planes, opaque_HW1], axis=-1) if channels in (2, 4) else planes
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(WIDTH, HEIGHT, 16, color_type, rows)


def deep_tiff() -> bytes:
    """Return the scene as an uncompressed TIFF of 16 bits for red, green and blue, which Pillow does not write."""
    pixels = (np.asarray(scene(), dtype=np.uint16) * 257).astype("<u2").tobytes()
    tags = [
        (256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, 3, 8 + 2 + 12 * 9 + 4), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 12 * 9 + 4 + 6), (277, 3, 1, 3), (278, 3, 1, HEIGHT), (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + directory + b"\0\0\0\0" + struct.pack("<HHH", 16, 16, 16) + pixels


def bands_tiff(
    pixels_HWC: NDArray[Any], photometric: int, *, extras: tuple[int, ...] = (), is_planar: bool = False
) -> bytes:
    """Return an uncompressed TIFF (revision 6) of any bands, most of which Pillow does not write."""
    height, width, bands = pixels_HWC.shape
    planes = np.moveaxis(pixels_HWC, 2, 0) if is_planar else pixels_HWC
    data, strips = planes.tobytes(), bands if is_planar else 1
    tags = {
        256: ("I", [width]), 257: ("I", [height]), 258: ("H", [8 * pixels_HWC.itemsize] * bands), 259: ("H", [1]),
        262: ("H", [photometric]), 273: ("I", [8 + k * len(data) // strips for k in range(strips)]),
        277: ("H", [bands]), 278: ("I", [height]), 279: ("I", [len(data) // strips] * strips),
        284: ("H", [2 if is_planar else 1]), 338: ("H", list(extras)),
        339: ("H", [{"u": 1, "i": 2, "f": 3}[pixels_HWC.dtype.kind]] * bands),
    }  # fmt: skip
    tags = {tag: entry for tag, entry in tags.items() if entry[1]}
    begin = 8 + len(data)
    directory, beyond, free = struct.pack("<H", len(tags)), b"", begin + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in tags.items():
        packed = struct.pack(f"<{len(values)}{kind}", *values)
        directory += struct.pack("<HHI", tag, {"H": 3, "I": 4}[kind], len(values))
        directory += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", free + len(beyond))
        beyond += packed if len(packed) > 4 else b""
    return struct.pack("<4sI", b"II*\0", begin) + data + directory + b"\0\0\0\0" + beyond


def values(bands: int, dtype: Any, top: int = 2**16) -> NDArray[Any]:
    """Return a picture of noise, (40, 48, bands)."""
    return np.random.default_rng(0).integers(0, top, (40, 48, bands)).astype(dtype)


MEASURED = {
    "32-bit whole numbers": bands_tiff(values(1, np.uint32), 1),
    "signed 16 bits": bands_tiff(values(1, np.int16, 2**15), 1),
    "floating point": bands_tiff(values(1, np.float32), 1),
}
"""TIFFs of measurements: nothing says which of their values is white."""

MISREAD = {
    "4 bands of 8 bits": bands_tiff(values(4, np.uint8, 256), 1, extras=(0, 0, 0)),
    "4 bands of 8 bits, in planes": bands_tiff(values(4, np.uint8, 256), 2, extras=(0,), is_planar=True),
    "4 bands of 16 bits": bands_tiff(values(4, np.uint16), 1, extras=(0, 0, 0)),
    "4 bands of 16 bits, in planes": bands_tiff(values(4, np.uint16), 2, extras=(0,), is_planar=True),
    "3 bands of 16 bits, in planes": bands_tiff(values(3, np.uint16), 2, is_planar=True),
    "3 bands of floating point": bands_tiff(values(3, np.float32), 2),
    "floating point of 64 bits": bands_tiff(values(1, np.float64), 1),
    "16 bits, white is 0": bands_tiff(values(1, np.uint16), 0),
}
"""TIFFs that Pillow does not open, or would decode into other colours."""


def profile(color_space: bytes, pcs: bytes, **tags: bytes) -> bytes:
    """Return a colour profile, version 2 (ICC.1:2001-04), of these tags."""
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name.encode() + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = bytearray(128)
    header[0:4] = struct.pack(">I", start + len(body))
    header[8:24] = b"\2\x40\0\0" + (b"prtr" if color_space == b"CMYK" else b"mntr") + color_space + pcs
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">iii", *(round(65536 * value) for value in (0.9642, 1.0, 0.8249)))
    return bytes(header) + struct.pack(">I", len(tags)) + table + body


WIDE_PRIMARIES = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
"""Red, green and blue of Display P3, X Y Z under D50."""
WIDE_GAMMA = 2.2


def wide_profile() -> bytes:
    """Return the profile of a wide gamut such as a phone's."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(256 * WIDE_GAMMA))
    colors = {
        f"{letter}XYZ": b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(65536 * value) for value in primary))
        for letter, primary in zip("rgb", WIDE_PRIMARIES, strict=True)
    }
    return profile(b"RGB ", b"XYZ ", **colors, rTRC=curve, gTRC=curve, bTRC=curve)


def ink_profile() -> bytes:
    """Return the profile of a printer whose inks are all grey: what it prints has tones and no colours."""
    ramp = bytes(range(256))
    nodes = b"".join(
        bytes([round(255 * (1 - k) * (1 - (c + m + y) / 6)), 128, 128])
        for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)
    )  # fmt: skip
    matrix = struct.pack(">9i", *(65536 * value for value in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + nodes + 3 * ramp
    return profile(b"CMYK", b"Lab ", A2B0=lut)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def with_transparency(mode: str) -> Image.Image:
    """Return the scene with its left quarter transparent."""
    rgba = scene().convert("RGBA")
    alpha = Image.new("L", rgba.size, 255)
    alpha.paste(0, (0, 0, WIDTH // 4, HEIGHT))
    rgba.putalpha(alpha)
    return rgba.convert(mode)


def noise(size: int = 96) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def moving(kind: str, **options: Any) -> bytes:
    frames = [scene(), Image.new("RGB", (WIDTH, HEIGHT), "blue"), Image.new("RGB", (WIDTH, HEIGHT), "green")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", encoded(scene(), "JPEG"))
    return buffer.getvalue()


def cut(kind: str, share: float) -> bytes:
    data = encoded(noise(), kind)
    return data[: int(share * len(data))]


def jpeg_of(width: int, height: int) -> bytes:
    """Return a JPEG whose header declares another size than its pixels have."""
    data = encoded(scene(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def gif_of(width: int, height: int) -> bytes:
    data = encoded(scene(), "GIF")
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def bmp_of(width: int, height: int) -> bytes:
    data = encoded(scene(), "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def tiff_of(width: int, height: int) -> bytes:
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 100)]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)


def with_tag(tag: int, value: int) -> bytes:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[tag] = value
    return encoded(scene(), "TIFF", tiffinfo=tags)


def exif_of(data: bytes) -> bytes:
    return encoded(scene(), "JPEG", exif=b"Exif\0\0" + data)


SIZE = (WIDTH, HEIGHT)

GOOD: dict[str, tuple[Callable[[], bytes], tuple[int, int]]] = {
    **{f"{kind}": (lambda kind=kind: encoded(scene(), kind), SIZE) for kind in
       ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF", "MPO")},
    **{f"PNG {mode}": (lambda mode=mode: encoded(scene().convert("L").convert(mode), "PNG"), SIZE)
       for mode in ("1", "L", "LA", "P", "I;16", "RGBA")},
    **{f"TIFF {mode}": (lambda mode=mode: encoded(scene().convert(mode), "TIFF"), SIZE)
       for mode in ("1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "LAB", "RGBX")},
    **{f"JPEG {mode}": (lambda mode=mode: encoded(scene().convert(mode), "JPEG"), SIZE) for mode in ("L", "CMYK")},
    **{f"{kind} orientation {turn}": (lambda kind=kind, turn=turn: turned(turn, kind), SIZE)
       for kind in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF") for turn in STORED_AS},
    **{f"{kind} transparent": (lambda kind=kind: encoded(with_transparency("RGBA"), kind), SIZE)
       for kind in ("PNG", "WEBP", "AVIF", "HEIF", "TIFF")},
    "PNG grey transparent": (lambda: encoded(with_transparency("LA"), "PNG"), SIZE),
    "PNG palette transparent": (lambda: encoded(scene().quantize(16), "PNG", transparency=3), SIZE),
    "PNG colour key": (lambda: encoded(scene(), "PNG", transparency=(210, 40, 40)), SIZE),
    "GIF transparent": (lambda: encoded(scene().quantize(16), "GIF", transparency=3), SIZE),
    "PNG 16 bits grey": (lambda: deep_png(1, 0), SIZE),
    "PNG 16 bits grey, alpha": (lambda: deep_png(2, 4), SIZE),
    "PNG 16 bits RGB": (lambda: deep_png(3, 2), SIZE),
    "PNG 16 bits RGBA": (lambda: deep_png(4, 6), SIZE),
    "TIFF 16 bits RGB": (deep_tiff, SIZE),
    "TIFF 16 bits grey": (lambda: encoded(Image.fromarray(np.asarray(scene().convert("L")) * np.uint16(257)), "TIFF"),
                          SIZE),
    "HEIF 16 bits grey": (lambda: encoded(scene().convert("L").convert("I;16"), "HEIF"), SIZE),
    **{f"TIFF {kind}": (lambda kind=kind: encoded(scene(), "TIFF", compression=kind), SIZE)
       for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")},
    "JPEG progressive": (lambda: encoded(scene(), "JPEG", progressive=True), SIZE),
    "JPEG with sRGB": (lambda: encoded(scene(), "JPEG", icc_profile=srgb_profile()), SIZE),
    "JPEG with a broken profile": (lambda: encoded(scene(), "JPEG", icc_profile=b"no profile" * 20), SIZE),
    "JPEG grey with a colour profile": (lambda: encoded(scene().convert("L"), "JPEG", icc_profile=srgb_profile()),
                                        SIZE),
    "CMYK with a colour profile": (lambda: encoded(scene().convert("CMYK"), "JPEG", icc_profile=srgb_profile()), SIZE),
    "JPEG of a wide gamut": (lambda: encoded(scene(), "JPEG", icc_profile=wide_profile()), SIZE),
    "PNG transparent, wide": (lambda: encoded(with_transparency("RGBA"), "PNG", icc_profile=wide_profile()), SIZE),
    "HEIF of a wide gamut": (lambda: encoded(scene(), "HEIF", icc_profile=wide_profile()), SIZE),
    "CMYK with its profile": (lambda: encoded(scene().convert("CMYK"), "JPEG", icc_profile=ink_profile()), SIZE),
    "TIFF of two pages": (lambda: moving("TIFF"), SIZE),
    "GIF moving": (lambda: moving("GIF"), SIZE),
    "WEBP moving": (lambda: moving("WEBP"), SIZE),
    "PNG moving": (lambda: moving("PNG"), SIZE),
    "AVIF moving": (lambda: moving("AVIF"), SIZE),
    "HEIF of three": (lambda: moving("HEIF"), SIZE),
    "MPO of a phone": (lambda: encoded(scene(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]), SIZE),
    "one pixel": (lambda: encoded(Image.new("RGB", (1, 1), "red"), "PNG"), (1, 1)),
    "one column": (lambda: encoded(Image.new("RGB", (1, 10_000), "red"), "PNG"), (1, 10_000)),
    "one row": (lambda: encoded(Image.new("RGB", (10_000, 1), "red"), "PNG"), (10_000, 1)),
    "EXIF of nonsense in a JPEG": (lambda: exif_of(b"\xff" * 64), SIZE),
    "EXIF orientation 99": (lambda: exif_of(b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x63\0\0\0\0\0\0"), SIZE),
    "bytes after the end": (lambda: encoded(scene(), "PNG") + b"PK\3\4" * 100, SIZE),
}  # fmt: skip
"""What opens: by what it is, the bytes of the file and the upright photo's (width, height)."""

BAD: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"hello, I am a text file\n",
    "zeros": lambda: bytes(999),
    "random bytes": lambda: np.random.default_rng(1).bytes(5000),
    "PDF": lambda: b"%PDF-1.7\n1 0 obj\n",
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "SVG of an editor": lambda: b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- made by hand -->\n<svg width="9"/>',
    "web page": lambda: b"\n<!DOCTYPE html><html><body>404</body></html>",
    "ZIP called jpg": zipped,
    "gzip": lambda: b"\x1f\x8b\x08" + bytes(99),
    "film": lambda: b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(99),
    "Photoshop": lambda: b"8BPS\0\1" + bytes(99),
    "JPEG 2000": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99),
    "raw file of a camera": lambda: with_tag(50706, 1),
    "TIFF that begins with a thumbnail": lambda: with_tag(254, 1),
    "measurements, float": lambda: encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"),
    "measurements, 32 bits": lambda: encoded(Image.fromarray(np.zeros((4, 4), np.int32)), "TIFF"),
    **{f"{kind} cut at {share:.0%}": (lambda kind=kind, share=share: cut(kind, share))
       for kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP") for share in (0.02, 0.5, 0.9)},
    "PNG with damaged EXIF": lambda: encoded(scene(), "PNG", exif=b"Exif\0\0MM\0*\0"),
    "WEBP of a header alone": lambda: b"RIFF\x24\0\0\0WEBPVP8 " + bytes(20),
    "PNG without pixels": lambda: png(4, 4, 8, 2, b""),
    "PNG of no width": lambda: png(0, 4, 8, 2, b""),
}  # fmt: skip
"""What is refused in one sentence."""

BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG of 100 megapixels": lambda: encoded(Image.new("1", (10_000, 10_000)), "PNG"),
    "PNG of 51 megapixels": lambda: encoded(Image.new("1", (8_500, 6_000)), "PNG"),
    "PNG of 4 gigapixels": lambda: png(65_000, 65_000, 8, 2, b""),
    "PNG with a text of 200 MB": lambda: png(
        4, 4, 8, 2, bytes(52), (b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000)))
    ),
    "PNG with a profile of 200 MB": lambda: png(
        4, 4, 8, 2, bytes(52), (b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000_000)))
    ),
    "JPEG of 4 gigapixels": lambda: jpeg_of(65_500, 65_500),
    "JPEG of 49 megapixels, no pixels": lambda: jpeg_of(7_000, 7_000)[:600],
    "GIF of 4 gigapixels": lambda: gif_of(65_535, 65_535),
    "BMP of 100 megapixels": lambda: bmp_of(10_000, 10_000),
    "TIFF of 4 gigapixels": lambda: tiff_of(65_000, 65_000),
}  # fmt: skip
"""Small files that would take much memory: each ends in one sentence before it has."""
