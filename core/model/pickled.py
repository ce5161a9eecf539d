"""What pickled objects a file holds, read from its opcodes without running any, and the safe way to its weights.

A pickle is a program: loading one runs what it names. Here it is only listed, as a disassembler does.
"""

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

MAX_OPCODES = 2_000_000
NUM_PICKLES = 5
"""PyTorch's older format is a row of five: magic number, protocol, system, the objects, the names of their storages."""

HARMLESS = ("collections.OrderedDict", "collections.Counter", "_codecs.encode", "__builtin__.set", "builtins.set")
HARMLESS_BEGINNINGS = ("torch._utils._rebuild_", "torch.storage.", "torch._tensor.", "torch.serialization.")
MODEL_BEGINNINGS = ("torch.nn.modules.", "torchvision.models.", "torchvision.ops.", "torch.fx.")
NAMESPACE = "argparse.Namespace"
NUMPY_BEGINNINGS = ("numpy.core.", "numpy._core.", "numpy.dtype", "numpy.ndarray")
FAMILIAR_BEGINNINGS = (*MODEL_BEGINNINGS, *NUMPY_BEGINNINGS, "torch.nn.", "torch.optim.", NAMESPACE)
"""What people keep beside their weights, or in place of them, without meaning harm."""


@dataclass(frozen=True)
class Pickled:
    """The functions and classes that a pickle names, in order, and the strings in it."""

    names: tuple[str, ...]
    strings: tuple[str, ...]

    @property
    def foreign(self) -> tuple[str, ...]:
        """The names that weights alone do not need."""
        return tuple(name for name in self.names if not _is_harmless(name))


def _is_harmless(name: str) -> bool:
    is_plain_torch = name.startswith("torch.") and name.count(".") == 1  # storages, types, Size, device
    return is_plain_torch or name in HARMLESS or name.startswith(HARMLESS_BEGINNINGS)


def list_names(file: IO[bytes]) -> Pickled:
    """List what the pickles in a file name, from where it stands to the first bytes that are none."""
    names: dict[str, None] = {}
    strings: list[str] = []
    for _ in range(NUM_PICKLES):
        try:
            for name in islice(_names(file, strings), MAX_OPCODES):
                if name:
                    names[name] = None
        except Exception:  # noqa: BLE001 - bytes from anywhere; what was read until then is the answer
            break
    return Pickled(tuple(names), tuple(strings))


def _names(file: IO[bytes], strings: list[str]) -> Iterator[str]:
    """Give for each opcode the name it looks up, or nothing; strings are noted, those that the memo recalls too."""
    memo: dict[Any, str] = {}
    for opcode, value, _position in pickletools.genops(file):
        looked_up = ""
        if opcode.name in ("GLOBAL", "INST"):
            looked_up = ".".join(str(value).split(" ", 1))
        elif opcode.name == "STACK_GLOBAL":
            looked_up = ".".join(strings[-2:])
        elif opcode.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
            memo[len(memo) if value is None else value] = strings[-1] if strings else ""
        elif opcode.name in ("BINGET", "LONG_BINGET", "GET") and memo.get(value):
            strings.append(memo[value])
        elif isinstance(value, str):
            strings.append(value)
        yield looked_up


def pickled_sentence(path: Path, found: Pickled, wrappings: tuple[str, ...]) -> str:
    """Return why a file stays closed, and the line that saves its weights alone.

    Only where what it holds is known for harmless, and the file hence likely to be one's own, is that line one that
    opens it; else it is for the program that made the model.
    """
    foreign = found.foreign
    told = f" ({', '.join(_kinds(foreign))})" if foreign else ""
    way = "torch.save(model.state_dict(), 'weights.pt')"
    whole = _whole_model(foreign)
    if foreign and all(_is_familiar(name) for name in foreign):
        opening = f"torch.load({path.name!r}, map_location='cpu', weights_only=False)"
        inside = next((name for name in wrappings if name in found.strings), None)
        if whole and found.names[0] == whole:
            way = f"torch.save({opening}.state_dict(), 'weights.pt')"
        elif inside:
            way = f"torch.save({opening}[{inside!r}], 'weights.pt')"
    return (
        f"{path} holds pickled Python objects{told}, and opening those could run code: it stays closed. Where it was "
        f"made, and if you trust it, save the weights alone: {way}."
    )


def _is_familiar(name: str) -> bool:
    return name.startswith(FAMILIAR_BEGINNINGS)


def _whole_model(names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name.startswith(MODEL_BEGINNINGS)), None)


def _kinds(names: tuple[str, ...]) -> list[str]:
    """Return in words what the names are, at most three of those that nothing is known of."""
    kinds = []
    if whole := _whole_model(names):
        kinds.append(f"a whole model, {whole}")
    if NAMESPACE in names:
        kinds.append(f"settings in an {NAMESPACE}")
    if any(name.startswith(NUMPY_BEGINNINGS) for name in names):
        kinds.append("NumPy arrays or numbers")
    others = [name for name in names if not _is_familiar(name)]
    kinds += [printable(name) for name in others[:3]]
    return kinds + ([f"{len(others) - 3} more"] if len(others) > 3 else [])


def printable(text: str, length: int = 100) -> str:
    """Return a text from a file fit for one line: no line breaks or control characters, not endless."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= length else f"{shown[:length]}…"
