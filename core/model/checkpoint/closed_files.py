"""Why a file of weights stays closed: it is of another kind, by its first bytes, or it holds pickled objects.

Of pickled objects the sentence gives the line that saves their weights alone.
"""

import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from core.model.checkpoint.pickle_outline import Outline, PickledObject

WRAPPINGS = (
    "model", "state_dict", "model_state_dict", "model_state", "net", "network", "module", "weights", "params",
    "checkpoint",
)  # fmt: skip
"""Keys under which programs store weights, the most usual first."""
AVERAGED = ("model_ema", "ema", "state_dict_ema", "ema_state_dict")
"""Keys under which they store a running average of the weights."""

FAMILIAR = (
    "argparse.Namespace", "collections.defaultdict", "collections.deque", "numpy.dtype", "numpy.ndarray",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar", "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer",
    "pathlib.Path", "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath",
    "datetime.datetime", "datetime.timedelta", "builtins.int", "builtins.float", "builtins.list", "builtins.dict",
    "builtins.str", "builtins.bool", "builtins.slice", "builtins.range", "builtins.frozenset",
    "builtins.object", "copyreg._reconstructor",
)  # fmt: skip
"""What people store beside their weights and what does no harm when it is called."""
LAYERS = ("torch.nn.modules.", "torch.nn.parallel.data_parallel.", "torchvision.models.", "torchvision.ops.")
OPTIMIZERS = ("torch.optim.",)
NAMESPACE = "argparse.Namespace"
TENSORS = "torch._utils._rebuild_"
MAX_DEPTH = 4
MAX_MEMBERS = 1_000


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


class Way(NamedTuple):
    """Where a file holds weights: the expression that leads there, and the class of the whole model there, if any.

    `is_mixed`: other values lie between the weights.
    """

    expression: str
    whole: str = ""
    is_mixed: bool = False


def pickled_sentence(path: Path, found: Outline, opening: str) -> str:
    """Return why a file stays closed, and the line that saves its weights alone.

    The line opens the file only if all that it names is known to be harmless, which a file of one's own is likely to
    be. Otherwise the line is for the program that made the model. `opening` is the call with which PyTorch or pickle
    opens the file and runs whatever it names.
    """
    way = _way_to_weights(found.objects)
    kinds = ", ".join(_kinds(found, way))
    line = "torch.save(model.state_dict(), 'weights.pt')"
    if way and all(_is_familiar(name) for name in found.foreign):
        line = _saving(opening, way)
    return (
        f"{path} holds pickled Python objects{f' ({kinds})' if kinds else ''}, and opening those could run code: it "
        f"stays closed. Where it was made, and if you trust it, save the weights alone: {line}."
    )


def protocol_sentence(path: Path, protocol: str, found: Outline, opening: str) -> str:
    """Return why a file of weights alone stays closed: PyTorch's safe reader does not know its pickle protocol."""
    return (
        f"{path} was saved with {protocol}, and only protocol 2, torch.save's default, opens without running what the "
        "file says. Where it was made, and if you trust it, save it again with the default: "
        f"{_saving(opening, _way_to_weights(found.objects) or Way(''))}."
    )


def _saving(opening: str, way: Way) -> str:
    weights = f"{opening}{way.expression}"
    if way.is_mixed:
        weights = f"{{k: v for k, v in {weights}.items() if isinstance(v, torch.Tensor)}}"
    return f"torch.save({weights}, 'weights.pt')"


def _way_to_weights(objects: Any) -> Way | None:
    """Return the way to the weights: under a usual key before others, near before deep, many before few."""
    found = []
    for keys, value in _members(objects, ()):
        expression = "".join(f"[{key!r}]" for key in keys)
        if whole := _class_of_model(value):
            way, size = Way(f"{expression}.state_dict()", whole), MAX_MEMBERS
        # Directly in a dict, under names; an optimizer's tensors are under numbers.
        elif size := sum(_is_tensor(item) for key, item in _items(value).items() if isinstance(key, str)):
            way = Way(expression, is_mixed=any(not _is_tensor(item) for item in _items(value).values()))
        else:
            continue
        found.append((_rank(keys), len(keys), -size, way))
    return min(found, key=lambda each: each[:3])[3] if found else None


def _rank(keys: tuple[str | int, ...]) -> int:
    """Return the place of a key among those for weights; weights at the top of a file come before all."""
    names: tuple[Any, ...] = (*WRAPPINGS, *AVERAGED)
    return -1 if not keys else names.index(keys[-1]) if keys[-1] in names else len(names)


def _members(value: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield a value and the objects, dicts and lists in it, each after the keys that lead there."""
    yield keys, value
    if len(keys) == MAX_DEPTH or _class_of_model(value):
        return
    inner: Any = enumerate(value) if isinstance(value, list) else _items(value).items()
    for _, (key, item) in zip(range(MAX_MEMBERS), inner, strict=False):
        if isinstance(key, str | int) and not _is_tensor(item) and isinstance(item, PickledObject | dict | list):
            yield from _members(item, (*keys, key))


def _items(value: Any) -> dict[Any, Any]:
    return value.items if isinstance(value, PickledObject) else value if isinstance(value, dict) else {}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, PickledObject) and value.name.startswith(TENSORS)


def _class_of_model(value: Any) -> str:
    """Return the class of a whole model, an object with the state of a `torch.nn.Module`; "" for anything else."""
    is_model = isinstance(value, PickledObject) and isinstance(value.state, dict) and "_modules" in value.state
    return value.name if is_model else ""


def _is_familiar(name: str) -> bool:
    """Return whether calling a name is known to run nothing else: a familiar one, or a class of PyTorch's own.

    A name that only begins as PyTorch's layers do may be a function that runs anything (`torch.nn.modules.os.system`).
    """
    if name in FAMILIAR:
        return True
    module, _, short = name.rpartition(".")
    known = vars(sys.modules[module]).get(short) if module in sys.modules else None
    is_class = isinstance(known, type) and known.__module__ == module
    return is_class and f"{module}.".startswith((*LAYERS, *OPTIMIZERS))


def _kinds(found: Outline, way: Way | None) -> list[str]:
    """Return in words what a file holds besides weights, with at most three names of which nothing is known."""
    foreign, kinds = found.foreign, []
    if whole := (way.whole if way else "") or next((name for name in foreign if name.startswith(LAYERS)), ""):
        kinds.append(f"a whole model, {printable(whole)}")
    if NAMESPACE in foreign:
        kinds.append(f"settings in an {NAMESPACE}")
    if any(name.startswith("numpy.") and _is_familiar(name) for name in foreign):
        kinds.append("NumPy arrays or numbers")
    others = [name for name in foreign if name != whole and (not kinds or not _is_familiar(name))]
    kinds += [printable(name) for name in others[:3]]
    return kinds + ([f"{len(others) - 3} more"] if len(others) > 3 else [])


def printable(text: str, length: int = 100) -> str:
    """Return a file's text for one line: without line breaks and control characters, cut at `length`."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= length else f"{shown[:length]}…"


def other_kind(path: Path, size: int, head: bytes) -> str | None:
    """Return in words what a file is and what to do, if it surely holds no weights of PyTorch; else None.

    `size` is in bytes, `head` its first `HEAD_BYTES`.
    """
    if not head.strip(b"\0"):
        what = "full of zeros, as an interrupted download leaves it" if size else "empty"
        return f"{what}; copy it again, or {AGAIN}"
    known = next((what for beginning, what in BEGINNINGS if head.startswith(beginning)), None)
    if known or head[4:8] == b"TFL3":
        return known or "a TensorFlow Lite model, not the weights of a PyTorch model"
    if _is_tar(size, head):
        return f"a tar archive; {UNPACK}"
    # ONNX's ModelProto begins with its `ir_version` (onnx.proto), then a name or the graph.
    is_onnx = head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] in (b"\x12", b"\x3a", b"\x42")
    if path.suffix.lower() == ".onnx" or is_onnx:
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
