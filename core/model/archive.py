"""A file of weights -> what it holds, whichever program wrote it, and without running anything in it.

PyTorch's zip files, its older row of pickles and safetensors open. What else people have is told apart and named:
programs (TorchScript, torch.export, ONNX), whole pickled models, archives of other libraries, damaged files. Nothing
is read before its size is known to be bounded, and a zip file's checksums are compared before PyTorch sees it.
"""

import pickle
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from core.errors import CheckpointError
from core.model.pickled import Pickled, list_names, pickled_sentence, printable

MAX_FILE_BYTES = 2 * 1024**3
"""The largest file that is opened: last.pt of a ResNet-101, with Adam's state and averaged weights, is half of it."""
MAX_UNPACKED_BYTES = MAX_FILE_BYTES
MAX_PICKLE_BYTES = 64 * 1024**2
"""The largest description of the weights, the tensors' numbers not counted; ours has 100 kB."""
MAX_HEADER_BYTES = 16 * 1024**2
CHUNK_BYTES = 1 << 20

WRAPPINGS = (
    "model", "state_dict", "model_state_dict", "model_state", "net", "network", "module", "weights", "params",
    "checkpoint",
)  # fmt: skip
AVERAGED = ("model_ema", "ema", "state_dict_ema", "ema_state_dict")
"""Names under which programs keep weights, and those for averages of weights."""

ZIP, LEGACY, SAFETENSORS = "zip", "legacy", "safetensors"
LEGACY_BEGINNING = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""PyTorch's magic number, pickled."""

OTHER_BEGINNINGS = (
    (b"\x89HDF", "weights of Keras or another HDF5 file"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"GGUF", "a GGUF file of a language model"),
    (b"\x93NUMPY", "a NumPy array"),
)
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
    if _is_safetensors(path, size, head):
        return _read_safetensors(path, size, head)
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path)
    _refuse_others(path, head)
    return Content(_load(path, LEGACY, is_mapped=False), LEGACY)


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
            return path.stat().st_size, file.read(len(LEGACY_BEGINNING))
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); check its name and whose it is.") from error


def _refuse_others(path: Path, head: bytes) -> None:
    for beginning, what in OTHER_BEGINNINGS:
        if head.startswith(beginning):
            raise CheckpointError(f"{path} is {what}, not the weights of a PyTorch model.")
    if path.suffix.lower() == ".onnx":
        raise CheckpointError(
            f"{path} is an ONNX program, from which no training goes on; open the checkpoint behind it."
        )
    if head[:1] == b"\x80" and not head.startswith(LEGACY_BEGINNING) and head[1:2] in b"\x02\x03\x04\x05":
        if len(head) < len(LEGACY_BEGINNING) and LEGACY_BEGINNING.startswith(head):
            raise CheckpointError(damaged_sentence(path))
        with path.open("rb") as file:  # pickle.dump: torch.save begins otherwise
            raise CheckpointError(pickled_sentence(path, list_names(file), ()))


def _load(path: Path, container: str, *, is_mapped: bool) -> Any:
    """Let PyTorch read weights and JSON types, and nothing else.

    Bytes from anywhere make its unpickler raise almost anything: IndexError, struct.error, UnicodeDecodeError.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped or None)
    except Exception as error:  # as the docstring says
        found = _pickled_in(path, container)
        is_newer = "Unsupported operand" in str(error) and container == ZIP  # than torch.save's protocol
        if found.foreign or is_newer:
            raise CheckpointError(pickled_sentence(path, found, (*WRAPPINGS, *AVERAGED))) from error
        why = "" if isinstance(error, pickle.UnpicklingError) else str(error).split("\n", 1)[0]
        raise CheckpointError(damaged_sentence(path, why)) from error


def _pickled_in(path: Path, container: str) -> Pickled:
    if container == LEGACY:
        with path.open("rb") as file:
            return list_names(file)
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as file:
            return list_names(file)


# --- zip files ------------------------------------------------------------------------------------------------------


def _read_zip(path: Path) -> Content:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _refuse_bomb(path, entries)
            _refuse_programs(path, [entry.filename for entry in entries])
            _compare_checksums(archive, entries)
    except CheckpointError:
        raise
    except Exception as error:  # as above: what Python's zipfile makes of any bytes
        raise CheckpointError(damaged_sentence(path, str(error))) from error
    # A zip file is mapped, so that its weights are in memory once; one that was packed again, compressed, cannot be.
    # Windows cannot replace a file that is mapped, and last.pt is replaced while its run goes on.
    is_stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    return Content(_load(path, ZIP, is_mapped=is_stored and sys.platform != "win32"), ZIP)


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


def _is_safetensors(path: Path, size: int, head: bytes) -> bool:
    """Tell by the content; by the name only where a damaged file should be called by what it was."""
    is_like_one = head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8
    return is_like_one or (path.suffix.lower() == ".safetensors" and not head.startswith((b"PK", b"\x80")))


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
