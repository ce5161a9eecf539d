"""Why a file of pickled objects stays closed, and the line with which whoever made it saves the weights alone."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.model.checkpoint.pickle_outline import Made, Pickled

WRAPPINGS = (
    "model", "state_dict", "model_state_dict", "model_state", "net", "network", "module", "weights", "params",
    "checkpoint",
)  # fmt: skip
AVERAGED = ("model_ema", "ema", "state_dict_ema", "ema_state_dict")
"""Names under which programs keep weights, and those for averages of weights."""

FAMILIAR = (
    "argparse.Namespace", "collections.defaultdict", "collections.deque", "numpy.dtype", "numpy.ndarray",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar", "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer",
    "pathlib.Path", "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath",
    "datetime.datetime", "datetime.timedelta", "builtins.int", "builtins.float", "builtins.list", "builtins.dict",
    "builtins.str", "builtins.bool", "builtins.slice", "builtins.range", "builtins.frozenset",
    "builtins.object", "copyreg._reconstructor",
)  # fmt: skip
"""What people keep beside their weights; to call these does no harm."""
LAYERS = ("torch.nn.modules.", "torch.nn.parallel.data_parallel.", "torchvision.models.", "torchvision.ops.")
OPTIMIZERS = ("torch.optim.",)
NAMESPACE = "argparse.Namespace"
TENSORS = "torch._utils._rebuild_"
MAX_DEPTH = 4
MAX_MEMBERS = 1_000


@dataclass(frozen=True)
class Way:
    """Where weights lie in what a file holds: the expression that follows it, and the class of a whole model there."""

    expression: str
    whole: str = ""
    is_mixed: bool = False


def pickled_sentence(path: Path, found: Pickled, opening: str) -> str:
    """Return why a file stays closed, and the line that saves its weights alone.

    Only where what it holds is known for harmless, and the file hence likely to be one's own, is that line one that
    opens it; else it is for the program that made the model.

    Args:
        path: the file.
        found: what its pickle names and holds.
        opening: the call with which PyTorch or pickle would open it, whatever it runs.
    """
    way = _way_to_weights(found.objects)
    told = ", ".join(_kinds(found, way))
    line = "torch.save(model.state_dict(), 'weights.pt')"
    if way and all(_is_familiar(name) for name in found.foreign):
        line = f"torch.save({_taken(opening, way)}, 'weights.pt')"
    return (
        f"{path} holds pickled Python objects{f' ({told})' if told else ''}, and opening those could run code: it "
        f"stays closed. Where it was made, and if you trust it, save the weights alone: {line}."
    )


def protocol_sentence(path: Path, protocol: str, found: Pickled, opening: str) -> str:
    """Return why a file of weights alone stays closed whose pickle PyTorch's safe reader does not know."""
    way = _way_to_weights(found.objects)
    line = f"torch.save({_taken(opening, way) if way else opening}, 'weights.pt')"
    return (
        f"{path} was saved with {protocol}, and only protocol 2, torch.save's default, opens without running what the "
        f"file says. Where it was made, and if you trust it, save it again with the default: {line}."
    )


def _taken(opening: str, way: Way) -> str:
    if way.is_mixed:
        return f"{{k: v for k, v in {opening}{way.expression}.items() if isinstance(v, torch.Tensor)}}"
    return f"{opening}{way.expression}"


# --- where the weights are ------------------------------------------------------------------------------------------


def _way_to_weights(objects: Any) -> Way | None:
    """Return the way to the weights: under a usual name before others, near before deep, many before few."""
    found = []
    for keys, value in _members(objects, ()):
        expression = "".join(f"[{key!r}]" for key in keys)
        if whole := _class_of_model(value):
            way, size = Way(f"{expression}.state_dict()", whole), MAX_MEMBERS
        elif size := _count_tensors(value):
            is_mixed = any(not _is_tensor(item) for item in _items(value).values())
            way = Way(expression, is_mixed=is_mixed)
        else:
            continue
        found.append((_rank(keys), len(keys), -size, way))
    return min(found, key=lambda each: each[:3])[3] if found else None


def _rank(keys: tuple[str | int, ...]) -> int:
    """Return how usual it is that weights are kept under a name; what lies open comes first."""
    names: tuple[Any, ...] = (*WRAPPINGS, *AVERAGED)
    return -1 if not keys else names.index(keys[-1]) if keys[-1] in names else len(names)


def _members(value: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Give a value and what lies in it, with the keys that lead there."""
    yield keys, value
    if len(keys) == MAX_DEPTH or _class_of_model(value):
        return
    inner: Any = enumerate(value) if isinstance(value, list) else _items(value).items()
    for _, (key, item) in zip(range(MAX_MEMBERS), inner, strict=False):
        if isinstance(key, str | int) and not _is_tensor(item) and isinstance(item, Made | dict | list):
            yield from _members(item, (*keys, key))


def _items(value: Any) -> dict[Any, Any]:
    return value.items if isinstance(value, Made) else value if isinstance(value, dict) else {}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Made) and value.name.startswith(TENSORS)


def _count_tensors(value: Any) -> int:
    """Return how many weights lie open in a dict of names; an optimizer's are under numbers."""
    return sum(_is_tensor(item) for key, item in _items(value).items() if isinstance(key, str))


def _class_of_model(value: Any) -> str:
    """Return the class of a whole model: an object whose state has what every `torch.nn.Module` has."""
    is_model = isinstance(value, Made) and isinstance(value.state, dict) and "_modules" in value.state
    return value.name if is_model else ""


# --- what is in the file --------------------------------------------------------------------------------------------


def _is_familiar(name: str) -> bool:
    """Whether to open what is called so is known to run nothing else: only classes, where they are defined."""
    if name in FAMILIAR:
        return True
    module, _, short = name.rpartition(".")
    known = vars(sys.modules[module]).get(short) if module in sys.modules else None
    is_class = isinstance(known, type) and known.__module__ == module
    return is_class and f"{module}.".startswith((*LAYERS, *OPTIMIZERS))


def _kinds(found: Pickled, way: Way | None) -> list[str]:
    """Return in words what a file holds besides weights, at most three names of which nothing is known."""
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
    """Return a text from a file fit for one line: no line breaks or control characters, not endless."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= length else f"{shown[:length]}…"
