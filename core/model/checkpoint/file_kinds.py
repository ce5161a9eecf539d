"""What a file is if it is not PyTorch's weights: read from its first bytes, whatever its name says."""

import tarfile
from pathlib import Path

from core.model.checkpoint.pickled import printable

HEAD_BYTES = 1024
UNPACK = "unpack it, and open the file of weights in it"
AGAIN = "download the file itself again"
LFS = "a Git LFS pointer, which only names the weights; fetch them with `git lfs pull`, or download the file itself"
ONNX = "an ONNX program, which cannot be trained further; open the checkpoint it was exported from"

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


def other_kind(path: Path, size: int, head: bytes) -> str | None:
    """Return in words what a file is and what to do, if it surely holds no weights of PyTorch; else None.

    Args:
        path: the file.
        size: its size in bytes.
        head: its first `HEAD_BYTES`.
    """
    if not head.strip(b"\0"):
        what = "full of zeros, as an interrupted download leaves it" if size else "empty"
        return f"{what}; copy it again, or {AGAIN}"
    known = next((what for beginning, what in BEGINNINGS if head.startswith(beginning)), None)
    if known or head[4:8] == b"TFL3":
        return known or "a TensorFlow Lite model, not the weights of a PyTorch model"
    if _is_tar(size, head):
        return f"a tar archive; {UNPACK}"
    if path.suffix.lower() == ".onnx" or _is_onnx(head):
        return ONNX
    return _kind_of_text(head)


def _kind_of_text(head: bytes) -> str | None:
    text = head
    for bom in TEXT_BOMS:
        text = text.removeprefix(bom)
    text = text.replace(b"\0", b"") if text is not head else text  # UTF-16 has a zero in every second place
    start = text.lstrip().lower()
    if start.startswith(WEB_PAGES):
        return f"a web page, which a server sends instead of a file it refuses or asks about; {AGAIN}"
    if any(byte < 32 and byte not in b"\t\n\f\r" for byte in text) or not start:
        return None
    if start.startswith((b"{", b"[")):
        return "JSON: settings or an index, no weights; name the file of weights that belongs to it"
    first = text.decode("utf-8", "replace").strip().split("\n", 1)[0].strip()
    return f'text, no weights (it begins "{printable(first, 60)}"); {AGAIN}, or name the file of weights'


def _is_tar(size: int, head: bytes) -> bool:
    """Return whether a file is a tar, by its magic or, before POSIX, by the checksum of its first entry."""
    if head[257:262] == b"ustar":
        return True
    if len(head) < tarfile.BLOCKSIZE or size % tarfile.BLOCKSIZE or head[:1] in (b"\x80", b"P"):
        return False
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _is_onnx(head: bytes) -> bool:
    """Return whether a file begins as ONNX's ModelProto: its `ir_version` (onnx.proto), then a name or the graph."""
    return head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] in (b"\x12", b"\x3a", b"\x42")
