"""What a file is that people take for weights: told by how it begins, whatever its name says."""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from core.model.checkpoint.pickled import printable

HEAD_BYTES = 1024
UNPACK = "unpack it, and open the file of weights in it"
AGAIN = "download the file itself again"
LFS = "a Git LFS pointer, which only names the weights; fetch them with `git lfs pull`, or download the file itself"

BEGINNINGS = (
    (b"version https://git-lfs.github.com/spec/", LFS),
    (b"version https://hawser.github.com/spec/", LFS),
    (b"\x1f\x8b", f"a gzip archive; {UNPACK}"),
    (b"\xfd7zXZ\x00", f"an xz archive; {UNPACK}"),
    (b"BZh", f"a bzip2 archive; {UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a zstd archive; {UNPACK}"),
    (b"\x04\x22\x4d\x18", f"an lz4 archive; {UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {UNPACK}"),
    (b"Rar!\x1a\x07", f"a rar archive; {UNPACK}"),
    (b"\x89HDF", "weights of Keras or another HDF5 file, not those of a PyTorch model"),
    (b"GGUF", "a GGUF file of a language model, not the weights of a PyTorch model"),
    (b"\x93NUMPY", "a NumPy array, not the weights of a PyTorch model"),
    (b"\x89PNG", "a PNG picture; name a checkpoint"),
    (b"\xff\xd8\xff", "a JPEG picture; name a checkpoint"),
    (b"%PDF", "a PDF document; name a checkpoint"),
)  # fmt: skip
WEB_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<?xml", b"<!--", b"<error", b"<svg")
TEXT_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""The fields of ONNX's ModelProto and how each is written: 0 a number, 2 a length and so many bytes (onnx.proto)."""
ONNX_GRAPH = 7


def other_kind(path: Path, size: int, head: bytes) -> str | None:
    """Return in words what a file is, and what to do, where it is surely no weights of PyTorch; else None.

    Args:
        path: the file.
        size: how many bytes it has.
        head: the first `HEAD_BYTES` of them.
    """
    if not head.strip(b"\0"):
        what = "full of zeros, as a download that was cut off leaves it" if size else "empty"
        return f"{what}; copy it again, or {AGAIN}"
    known = next((what for beginning, what in BEGINNINGS if head.startswith(beginning)), None)
    if known or head[4:8] == b"TFL3":
        return known or "a TensorFlow Lite model, not the weights of a PyTorch model"
    if _is_tar(path, head):
        return f"a tar archive; {UNPACK}"
    if path.suffix.lower() == ".onnx" or _is_onnx(path, size):
        return "an ONNX program, from which no training goes on; open the checkpoint behind it"
    return _kind_of_text(head)


def _kind_of_text(head: bytes) -> str | None:
    text = head
    for bom in TEXT_BOMS:
        text = text.removeprefix(bom)
    text = text.replace(b"\0", b"") if text is not head else text  # UTF-16 has a zero in every second place
    start = text.lstrip().lower()
    if start.startswith(WEB_PAGES):
        return f"a web page, as a download leaves it that was refused or asked to confirm; {AGAIN}"
    if any(byte < 32 and byte not in b"\t\n\f\r" for byte in text) or not start:
        return None
    if start.startswith((b"{", b"[")):
        return "JSON: settings or an index, no weights; name the file of weights that belongs to it"
    first = text.decode("utf-8", "replace").strip().split("\n", 1)[0].strip()
    return f'text, no weights (it begins "{printable(first, 60)}"); {AGAIN}, or name the file of weights'


def _is_tar(path: Path, head: bytes) -> bool:
    """Tell a tar by its sign, or where it is too old for one by the checksum of its first entry."""
    if head[257:262] == b"ustar":
        return True
    if len(head) < tarfile.BLOCKSIZE or head[:1] in (b"\x80", b"P"):
        return False
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return path.stat().st_size % tarfile.BLOCKSIZE == 0


def _is_onnx(path: Path, size: int) -> bool:
    """Tell whether a file is protobuf with nothing but the fields of an ONNX model, and its graph among them."""
    with path.open("rb") as file:
        found = list(_fields(file, size))
    return ONNX_GRAPH in found and all(field in ONNX_FIELDS for field in found)


def _fields(file: IO[bytes], size: int) -> Iterator[int]:
    """Give the number of each field of protobuf at the top, -1 for the first that ONNX does not have."""
    while file.tell() < size:
        tag = _varint(file)
        number, kind = tag >> 3, tag & 7
        if ONNX_FIELDS.get(number) != kind:
            yield -1
            return
        value = _varint(file)
        if kind == 2:  # the length of what follows
            if value > size - file.tell():
                yield -1
                return
            file.seek(value, 1)
        yield number


def _varint(file: IO[bytes]) -> int:
    """Read a number of protobuf: seven bits a byte, the lowest first; at most ten bytes."""
    value = 0
    for shift in range(0, 70, 7):
        byte = (file.read(1) or b"\0")[0]
        value |= (byte & 127) << shift
        if byte < 128:
            break
    return value
