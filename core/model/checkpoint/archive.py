"""Reads a file of weights, whichever program wrote it, without running anything in it.

PyTorch's zip files, its legacy row of pickles, and safetensors open. Other files are refused by their name: programs
(TorchScript, torch.export, ONNX), pickled models, archives of other libraries, damaged files. A file's size is checked
before it is read, and a zip file's checksums before PyTorch reads it.
"""

import pickle
import sys
import threading
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never

import torch

from core.errors import CheckpointError
from core.model.checkpoint.closed_files import HEAD_BYTES, other_kind, pickled_sentence, printable, protocol_sentence
from core.model.checkpoint.pickle_outline import BESIDE_WEIGHTS, Outline, outline

MAX_FILE_BYTES = 2 * 1024**3
"""The largest file that opens: twice the last.pt of a ResNet-101 with Adam's state and averaged weights."""
MAX_UNPACKED_BYTES = MAX_FILE_BYTES
MAX_PICKLE_BYTES = 64 * 1024**2
"""The largest pickle in a zip file; it describes the tensors, whose numbers lie beside it. Ours has 100 kB."""
MAX_HEADER_BYTES = 16 * 1024**2
CHUNK_BYTES = 1 << 20

ZIP, LEGACY, SAFETENSORS, PICKLE = "zip", "legacy", "safetensors", "pickle"
MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""PyTorch's magic number, with which its legacy files begin, pickled by protocol 2 or later."""
MAGIC_AS_TEXT = b"L119547037146038801333356L\n."
"""The same number pickled by protocol 0 or 1."""
LEGACY_BEGINNING = b"\x80\x02" + MAGIC
SAFE_PROTOCOLS = (2, 3)
"""torch.save's default, and 3, which writes bytes in another way; weights hold none."""

QUANTISED = b"_rebuild_qtensor"
"""What a pickle calls for a quantised tensor."""

PROGRAMS = (
    ("constants.pkl", "a TorchScript archive", "torch.jit.load({name!r}).state_dict()"),
    ("archive_format", "a program of torch.export", "torch.export.load({name!r}).state_dict"),
    ("serialized_exported_program.json", "a program of torch.export", "torch.export.load({name!r}).state_dict"),
)
"""An entry of a zip file, the program that has such an entry, and the expression for its weights."""

_SAFE_NAMES_LOCK = threading.Lock()
"""PyTorch keeps one list of allowed names for the process: a thread that leaves would take them from another."""


@dataclass(frozen=True)
class FileContent:
    """What a file holds: usually a dict; its container (zip, legacy, safetensors), and safetensors' own metadata."""

    document: Any
    container: str
    metadata: dict[str, str] = field(default_factory=dict)


class PlainData:
    """Stands for settings or a NumPy number beside the weights, and ignores all that a file would make it of."""

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


def read_weights_file(path: Path) -> FileContent:
    """Return what a file holds; one that is missing, too large, damaged or unsafe to open raises `CheckpointError`."""
    size, head = _look(path)
    if size > MAX_FILE_BYTES:
        raise CheckpointError(
            f"{path} has {size / 1e9:.1f} GB, more than the {MAX_FILE_BYTES / 1e9:.1f} GB that are opened; "
            "save the weights alone, without the optimizer."
        )
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return _read_safetensors(path, size, head)
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path)
    if not head.startswith(LEGACY_BEGINNING):
        _refuse_others(path, size, head)
    with path.open("rb") as file:
        _refuse_quantised(path, file.read(CHUNK_BYTES))
    return FileContent(_load(path, LEGACY), LEGACY)  # a file of no kind is damaged, and PyTorch says how


def _look(path: Path) -> tuple[int, bytes]:
    """Return the size of a file and its first bytes."""
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError(
                f"{path} is not a file; name a checkpoint in it." if path.is_dir() else f"{path} is not a file."
            )
        with path.open("rb") as file:
            return path.stat().st_size, file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); check its name and permissions.") from error


def _damaged(path: Path, why: str = "", kind: str = "PyTorch file or was cut short") -> CheckpointError:
    reason = f" ({printable(why, 200)})" if why else ""
    return CheckpointError(f"{path} is not a {kind}{reason}; copy or save it again.")


def _refuse_others(path: Path, size: int, head: bytes) -> None:
    """Refuse, by its name, a pickle of another protocol or program, or a file that is not a pickle."""
    if MAGIC in head[:40] or head.startswith(MAGIC_AS_TEXT):
        _refuse_pickle(path, LEGACY, head)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        if LEGACY_BEGINNING.startswith(head):
            raise _damaged(path)
        _refuse_pickle(path, PICKLE, head)  # written by pickle.dump
    kind = other_kind(path, size, head)
    if _outline_of(path, PICKLE).names and (kind is None or kind.startswith("text")):
        _refuse_pickle(path, PICKLE, head)  # protocol 0 is text
    if kind:
        raise CheckpointError(f"{path} is {kind}.")
    if path.suffix.lower() == ".safetensors":  # a damaged one
        _read_safetensors(path, size, head)


def _refuse_quantised(path: Path, described: bytes) -> None:
    """Refuse quantised weights before PyTorch reads them and warns of its own storages."""
    if QUANTISED in described:
        raise CheckpointError(
            f"{path} holds quantised weights (8-bit numbers with a scale), which cannot be trained further; open the "
            "checkpoint from before the quantisation."
        )


def _refuse_pickle(path: Path, container: str, head: bytes) -> Never:
    """Say why a pickle stays closed, and the line that saves its weights so that they open."""
    found = _outline_of(path, container)
    opening = f"torch.load({path.name!r}, map_location='cpu', weights_only=False)"
    if container == PICKLE:
        opening = f"pickle.load(open({path.name!r}, 'rb'))"
    if found.foreign or container == PICKLE:
        raise CheckpointError(pickled_sentence(path, found, opening))
    protocol = f"pickle protocol {head[1]}" if head[:1] == b"\x80" else "pickle protocol 0 or 1"
    raise CheckpointError(protocol_sentence(path, protocol, found, opening))


def _load(path: Path, container: str, *, is_mapped: bool = False) -> Any:
    """Return what PyTorch reads of weights and JSON types alone; settings and NumPy's numbers become `PlainData`."""
    names: list[Any] = [(PlainData, name) for name in sorted(BESIDE_WEIGHTS)]
    try:
        with _SAFE_NAMES_LOCK, torch.serialization.safe_globals(names), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # of protocol 3
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped or None)
    except Exception as error:  # noqa: BLE001 - damaged bytes raise IndexError, struct.error and others there
        cause = error
    if not BESIDE_WEIGHTS.issuperset(_outline_of(path, container).foreign):
        _refuse_pickle(path, container, LEGACY_BEGINNING)
    why = "" if isinstance(cause, pickle.UnpicklingError) else str(cause).split("\n", 1)[0]
    raise _damaged(path, why) from cause


def _outline_of(path: Path, container: str) -> Outline:
    if container != ZIP:
        with path.open("rb") as file:
            return outline(file)
    with zipfile.ZipFile(path) as archive, archive.open(_description(archive)) as file:
        return outline(file)


def _description(archive: zipfile.ZipFile) -> str:
    """Return the name of the entry that holds the pickle."""
    return next(name for name in archive.namelist() if name.endswith("data.pkl"))


def _read_zip(path: Path) -> FileContent:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _refuse_bomb(path, entries)
            _refuse_programs(path, [entry.filename for entry in entries])
            _compare_checksums(archive, entries)
            with archive.open(_description(archive)) as file:
                described = file.read()
    except CheckpointError:
        raise
    except Exception as error:  # damaged bytes raise anything in Python's zipfile too
        raise _damaged(path, str(error)) from error
    _refuse_quantised(path, described)
    if described[:1] != b"\x80" or described[1] not in SAFE_PROTOCOLS:
        _refuse_pickle(path, ZIP, described[:2])
    # Mapped, the weights are in memory once. A compressed file cannot be mapped, and on Windows a mapped file cannot be
    # replaced, as last.pt is while its run goes on.
    is_stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    return FileContent(_load(path, ZIP, is_mapped=is_stored and sys.platform != "win32"), ZIP)


def _refuse_bomb(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse a zip file that declares more unpacked bytes than weights take."""
    unpacked = sum(entry.file_size for entry in entries)
    described = sum(entry.file_size for entry in entries if entry.filename.endswith(".pkl"))
    if unpacked > MAX_UNPACKED_BYTES or described > MAX_PICKLE_BYTES:
        raise CheckpointError(
            f"{path} would unpack to {unpacked / 1e9:.1f} GB, more than weights of a DeepLabV3 take: it stays closed; "
            "save the weights alone."
        )


def _refuse_programs(path: Path, names: list[str]) -> None:
    ends = {name.rpartition("/")[2] for name in names}
    for end, what, weights in PROGRAMS:
        if end in ends:
            raise CheckpointError(
                f"{path} is {what}: code and weights in one, and the code stays closed; open the checkpoint it was "
                "exported from or, where it was made and if you trust it, save the weights alone: "
                f"torch.save({weights.format(name=path.name)}, 'weights.pt')."
            )
    if "data.pkl" not in ends:
        arrays = " of NumPy arrays" if any(end.endswith(".npy") for end in ends) else ""
        shown = ", ".join(printable(name) for name in names[:3]) or "nothing"
        raise CheckpointError(
            f"{path} is a zip archive{arrays}, but no PyTorch file or was cut short (it holds {shown}); unpack it, or "
            "save the weights with torch.save."
        )


def _compare_checksums(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Read every entry once: a damaged one raises. Takes 40 ms for a ResNet-50."""
    for entry in entries:
        with archive.open(entry) as file:
            while file.read(CHUNK_BYTES):
                pass


def _read_safetensors(path: Path, size: int, head: bytes) -> FileContent:
    from safetensors import safe_open

    kind, header_bytes = "whole safetensors file", int.from_bytes(head[:8], "little")
    if size < 9 or header_bytes > min(size - 8, MAX_HEADER_BYTES):
        raise _damaged(path, f"its header claims {header_bytes:,} bytes of {size:,}", kind)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            # Copies: a mapped file that somebody overwrites would end the process.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
            return FileContent(tensors, SAFETENSORS, dict(file.metadata() or {}))
    except Exception as error:  # the library raises anything for damaged bytes
        raise _damaged(path, str(error), kind) from error
