"""Settings and numbers that programs keep beside their weights, opened as plain data: an argparse Namespace, NumPy's.

Nothing of a file becomes an object: `torch.load(weights_only=True)` meets stand-ins under these names, and what they
make is turned into JSON types.
"""

import argparse
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

MAX_DEPTH = 8
NUMBER_CODE = re.compile(r"[fiu][1248]|b1|U\d{1,4}")
"""NumPy's codes of plain numbers, truth values and short texts."""
_NUMBER_BYTES = 16_384


class _NumberType:
    """Stands for `numpy.dtype`: a code of a plain number, and the order of its bytes."""

    def __init__(self, code: str, *_flags: object) -> None:
        if not isinstance(code, str) or not NUMBER_CODE.fullmatch(code):
            raise ValueError("a NumPy type that is no number")
        self._code, self._order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError("a NumPy type of an unknown byte order")
        self._order = state[1]

    def read(self, data: bytes) -> Any:
        """Return the one number in these bytes."""
        (number,) = np.frombuffer(data, np.dtype(f"{self._order}{self._code}"))
        return number.item()


def _number(kind: _NumberType, data: bytes) -> Any:
    """Stand for `numpy.core.multiarray.scalar`: return the number as Python's own."""
    if not isinstance(kind, _NumberType) or not isinstance(data, bytes) or len(data) > _NUMBER_BYTES:
        raise TypeError("no NumPy number")
    return kind.read(data)


_STAND_INS: tuple[tuple[Any, str], ...] = (
    (argparse.Namespace, "argparse.Namespace"),
    (_NumberType, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
)
SAFE_NAMES = frozenset(name for _, name in _STAND_INS)
"""What a pickle may name besides weights and JSON types, and still be opened."""

_ONE_AT_A_TIME = threading.Lock()
"""PyTorch's list of allowed names is one for the process: who leaves first would close it for the others."""


def load_plain_data(path: Path, *, mmap: bool | None) -> Any:
    """Read a file whose pickle names nothing but `SAFE_NAMES` and weights; raises what `torch.load` does."""
    with _ONE_AT_A_TIME, torch.serialization.safe_globals(list(_STAND_INS)):
        document = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    return _with_plain_settings(document, MAX_DEPTH)


def _with_plain_settings(value: Any, depth: int) -> Any:
    """Return a document in which every Namespace is a dict of JSON types; weights stay where they are."""
    if isinstance(value, argparse.Namespace):
        return _as_json(value, depth)
    if depth and isinstance(value, dict):
        for key in value:
            value[key] = _with_plain_settings(value[key], depth - 1)
    if depth and isinstance(value, list | tuple):
        return type(value)(_with_plain_settings(item, depth - 1) for item in value)
    return value


def _as_json(value: Any, depth: int) -> Any:
    """Return settings as JSON types; what is none is called by its type."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth and isinstance(value, argparse.Namespace | dict):
        items = vars(value).items() if isinstance(value, argparse.Namespace) else value.items()
        return {key: _as_json(item, depth - 1) for key, item in items if isinstance(key, str)}
    if depth and isinstance(value, list | tuple):
        return [_as_json(item, depth - 1) for item in value]
    return "a tensor" if isinstance(value, Tensor) else f"of type {type(value).__name__}"
