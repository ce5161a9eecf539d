"""A file of weights -> what it holds, whichever program wrote it, and without running anything in it.

PyTorch's zip files, its older row of pickles and safetensors open. What else people have is told apart and named:
programs (TorchScript, torch.export, ONNX), whole pickled models, archives of other libraries, damaged files. Nothing
is read before its size is known to be bounded, and a zip file's checksums are compared before PyTorch sees it.
"""

import pickle
import sys
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never

import torch

from core.errors import CheckpointError
from core.model.checkpoint.file_kinds import HEAD_BYTES, other_kind
from core.model.checkpoint.pickle_outline import Pickled, outline
from core.model.checkpoint.pickled import pickled_sentence, printable, protocol_sentence
from core.model.checkpoint.plain_data import load_plain_data

MAX_FILE_BYTES = 2 * 1024**3
"""The largest file that is opened: last.pt of a ResNet-101, with Adam's state and averaged weights, is half of it."""
MAX_UNPACKED_BYTES = MAX_FILE_BYTES
MAX_PICKLE_BYTES = 64 * 1024**2
"""The largest description of the weights, the tensors' numbers not counted; ours has 100 kB."""
MAX_HEADER_BYTES = 16 * 1024**2
CHUNK_BYTES = 1 << 20

ZIP, LEGACY, SAFETENSORS, PICKLE = "zip", "legacy", "safetensors", "pickle"
MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""PyTorch's magic number, pickled by protocol 2 or later, with which its older files begin."""
MAGIC_AS_TEXT = b"L119547037146038801333356L\n."
"""The same, pickled by protocol 0 or 1."""
LEGACY_BEGINNING = b"\x80\x02" + MAGIC
DEFAULT_PROTOCOL, NEAR_PROTOCOL = 2, 3
"""That of torch.save, and the one that differs in how bytes are written, which weights have none of."""

QUANTISED = b"_rebuild_qtensor"
"""What a pickle calls for a quantised tensor."""

PROGRAMS = (
    ("constants.pkl", "a TorchScript archive", "torch.jit.load({name!r}).state_dict()"),
    ("archive_format", "a program of torch.export", "torch.export.load({name!r}).state_dict"),
    ("serialized_exported_program.json", "a program of torch.export", "torch.export.load({name!r}).state_dict"),
)
"""An entry that tells what a zip file is, and how its maker gets the weights out."""


@dataclass(frozen=True)
class Content:
    """What a file holds: usually a dict; its container (zip, legacy, safetensors), and safetensors' own metadata."""

    document: Any
    container: str
    metadata: dict[str, str] = field(default_factory=dict)


def read_weights_file(path: Path) -> Content:
    """Read a file; one that is missing, too large, damaged, or cannot be opened safely raises `CheckpointError`."""
    size, head = _look(path)
    if size > MAX_FILE_BYTES:
        raise CheckpointError(
            f"{path} has {size / 1e9:.1f} GB, more than the {MAX_FILE_BYTES / 1e9:.1f} GB that are opened; "
            "save the weights alone, without the optimizer."
        )
    if _is_like_safetensors(size, head):
        return _read_safetensors(path, size, head)
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path)
    if head.startswith(LEGACY_BEGINNING):
        with path.open("rb") as file:
            _refuse_quantised(path, file.read(CHUNK_BYTES))
        return Content(_load(path, LEGACY, is_mapped=False), LEGACY)
    _refuse_others(path, size, head)
    return Content(_load(path, LEGACY, is_mapped=False), LEGACY)  # which says in what way it is damaged


def damaged_sentence(path: Path, why: str = "") -> str:
    """Return the sentence for what is no file of weights, or only a part of one."""
    told = f" ({printable(why, 200)})" if why else ""
    return f"{path} is no PyTorch file or was cut short{told}; copy or save it again."


def _look(path: Path) -> tuple[int, bytes]:
    """Return the size of a file and how it begins."""
    try:
        if path.exists() and not path.is_file():
            raise CheckpointError(
                f"{path} is no file; name a checkpoint in it." if path.is_dir() else f"{path} is no file."
            )
        with path.open("rb") as file:
            return path.stat().st_size, file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); check its name and whose it is.") from error


def _refuse_others(path: Path, size: int, head: bytes) -> None:
    """Refuse what is called by its name: pickles of other protocols and programs, and what is no pickle at all."""
    if MAGIC in head[:40] or head.startswith(MAGIC_AS_TEXT):
        _refuse_pickle(path, LEGACY, head)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        if LEGACY_BEGINNING.startswith(head):
            raise CheckpointError(damaged_sentence(path))
        _refuse_pickle(path, PICKLE, head)  # pickle.dump: torch.save begins otherwise
    kind = other_kind(path, size, head)
    if _pickled_in(path, PICKLE).names and (kind is None or kind.startswith("text")):
        _refuse_pickle(path, PICKLE, head)  # protocol 0 is text
    if kind:
        raise CheckpointError(f"{path} is {kind}.")
    if path.suffix.lower() == ".safetensors":  # a damaged one
        _read_safetensors(path, size, head)


def _refuse_quantised(path: Path, described: bytes) -> None:
    """Refuse quantised weights before PyTorch reads them, which warns of its own storages while it does."""
    if QUANTISED in described:
        raise CheckpointError(
            f"{path} holds quantised weights (8-bit numbers with a scale), which no training goes on from; open the "
            "checkpoint from before the quantisation."
        )


def _refuse_pickle(path: Path, container: str, head: bytes) -> Never:
    """Say why a pickle stays closed, and the line that saves what is in it so that it opens."""
    found = _pickled_in(path, container)
    load = f"torch.load({path.name!r}, map_location='cpu', weights_only=False)"
    opening = f"pickle.load(open({path.name!r}, 'rb'))" if container == PICKLE else load
    if found.foreign or container == PICKLE:
        raise CheckpointError(pickled_sentence(path, found, opening))
    protocol = f"pickle protocol {head[1]}" if head[:1] == b"\x80" else "pickle protocol 0 or 1"
    raise CheckpointError(protocol_sentence(path, protocol, found, opening))


def _load(path: Path, container: str, *, is_mapped: bool) -> Any:
    """Let PyTorch read weights and JSON types, a Namespace and NumPy's numbers as such, and nothing else.

    Bytes from anywhere make its unpickler raise almost anything: IndexError, struct.error, UnicodeDecodeError.
    """
    mmap = is_mapped or None
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # noqa: BLE001 - as the docstring says
        cause = error
    found = _pickled_in(path, container)
    if found.foreign:
        if not found.is_plain_data:
            _refuse_pickle(path, container, LEGACY_BEGINNING)
        try:
            return load_plain_data(path, mmap=mmap)
        except Exception as error:  # noqa: BLE001 - as above
            cause = error
    why = "" if isinstance(cause, pickle.UnpicklingError) else str(cause).split("\n", 1)[0]
    raise CheckpointError(damaged_sentence(path, why)) from cause


def _pickled_in(path: Path, container: str) -> Pickled:
    if container != ZIP:
        with path.open("rb") as file:
            return outline(file)
    with zipfile.ZipFile(path) as archive, archive.open(_description(archive)) as file:
        return outline(file)


def _description(archive: zipfile.ZipFile) -> str:
    """Return the name of the entry that holds the pickle."""
    return next(name for name in archive.namelist() if name.endswith("data.pkl"))


# --- zip files ------------------------------------------------------------------------------------------------------


def _read_zip(path: Path) -> Content:
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
    except Exception as error:  # as above: what Python's zipfile makes of any bytes
        raise CheckpointError(damaged_sentence(path, str(error))) from error
    head = described[:2]
    _refuse_quantised(path, described)
    if head[:1] != b"\x80" or head[1] not in (DEFAULT_PROTOCOL, NEAR_PROTOCOL):
        _refuse_pickle(path, ZIP, head)
    # A zip file is mapped, so that its weights are in memory once; one that was packed again, compressed, cannot be.
    # Windows cannot replace a file that is mapped, and last.pt is replaced while its run goes on.
    is_stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    is_mapped = is_stored and sys.platform != "win32"
    if head[1] == DEFAULT_PROTOCOL:
        return Content(_load(path, ZIP, is_mapped=is_mapped), ZIP)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected pickle protocol")
        return Content(_load(path, ZIP, is_mapped=is_mapped), ZIP)


def _refuse_bomb(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse a zip file that would unpack to more than is ever needed; the sizes are those it declares."""
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
                f"{path} is {what}: code and weights in one, and the code stays closed. Where it was made, and if you "
                f"trust it, save the weights alone: torch.save({weights.format(name=path.name)}, 'weights.pt')."
            )
    if "data.pkl" not in ends:
        arrays = " of NumPy arrays" if any(end.endswith(".npy") for end in ends) else ""
        shown = ", ".join(printable(name) for name in names[:3]) or "nothing"
        raise CheckpointError(
            f"{path} is a zip archive{arrays}, but no PyTorch file or was cut short (it holds {shown}); unpack it, or "
            "save the weights with torch.save."
        )


def _compare_checksums(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Read all of it once: an entry that is damaged raises. Forty milliseconds for a ResNet-50."""
    for entry in entries:
        with archive.open(entry) as file:
            while file.read(CHUNK_BYTES):
                pass


# --- safetensors ----------------------------------------------------------------------------------------------------


def _is_like_safetensors(size: int, head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def _read_safetensors(path: Path, size: int, head: bytes) -> Content:
    from safetensors import safe_open

    header_bytes = int.from_bytes(head[:8], "little")
    if size < 9 or header_bytes > min(size - 8, MAX_HEADER_BYTES):
        why = f"its header claims {header_bytes:,} bytes of {size:,}"
        raise CheckpointError(_safetensors_sentence(path, why))
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            # Copies: a file that somebody overwrites while it is mapped would end the process.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
            return Content(tensors, SAFETENSORS, dict(file.metadata() or {}))
    except Exception as error:  # what the library makes of any bytes
        raise CheckpointError(_safetensors_sentence(path, str(error))) from error


def _safetensors_sentence(path: Path, why: str) -> str:
    return f"{path} is no whole safetensors file ({printable(why, 200)}); copy or save it again."
