"""The outline of a pickle, read from its opcodes without running any of them.

A pickle is a program: loading one calls what it names. This module follows the opcodes with lists and dicts alone, and
where the pickle would call something it notes the name and the arguments.
"""

import io
import pickletools
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import torch

MAX_OPCODES = 2_000_000
MAX_NESTED = 5_000
"""Pickles inside a pickle: `pickle.dump` of a state dict writes one for every tensor."""
NUM_PICKLES = 5
"""PyTorch's legacy files are a row of five: magic number, protocol, system, objects, names of their storages."""
OBJECTS = 3
"""Index of the objects among the five."""

HARMLESS = (
    "collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.set",
    "builtins.bytearray", "builtins.complex", "torch.nn.parameter.Parameter", "torch.serialization._get_layout",
    "torch._tensor._rebuild_from_type_v2", "torch.Size", "torch.device",
)  # fmt: skip
"""What `weights_only` calls besides rebuilding tensors, storages and number formats."""
BESIDE_WEIGHTS = frozenset(
    ("argparse.Namespace", "numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
)
"""Settings and NumPy's numbers: they are dropped, and the weights beside them open."""
REBUILDING = "torch._utils._rebuild_"
STORAGE_MODULES = ("torch", "torch.storage", "torch.cuda")
NESTED = "torch.storage._load_from_bytes"
"""Opens a pickle inside the pickle and runs what that one names."""
RECONSTRUCTOR = "copyreg._reconstructor"
PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Python 2's names of modules, which protocols up to 2 use."""
STORAGE_AS_TEXT = "storages of protocol 0, which PyTorch itself does not read again"


@dataclass(eq=False)
class PickledObject:
    """An object that a pickle would make: the function or class it calls, the arguments, and what it is filled with."""

    name: str
    arguments: Any = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outline:
    """The functions and classes that a pickle names, in order, and its objects as lists, dicts and `PickledObject`s."""

    names: tuple[str, ...]
    objects: Any = None

    @property
    def foreign(self) -> tuple[str, ...]:
        """The names that weights alone do not need."""
        return tuple(name for name in self.names if not _is_harmless(name))


def _is_harmless(name: str) -> bool:
    if name in (*HARMLESS, NESTED) or (name.startswith(REBUILDING) and name.count(".") == 2):
        return True
    module, _, short = name.rpartition(".")
    number_format = getattr(torch, short, None) if module == "torch" else None
    is_storage = module in STORAGE_MODULES and short.endswith(("Storage", "Tensor")) and short.isidentifier()
    return is_storage or isinstance(number_format, torch.dtype | torch.layout | torch.qscheme)


def outline(file: IO[bytes], *, is_nested: bool = False) -> Outline:
    """Return the outline of the pickles in an open file, up to the first bytes that are none."""
    names: dict[str, None] = {}
    outlines = []
    for _ in range(NUM_PICKLES):
        machine = _Machine(names, is_nested=is_nested)
        try:
            for opcode, value, _position in islice(pickletools.genops(file), MAX_OPCODES):
                machine.step(opcode, value)
        except Exception:  # noqa: BLE001 - any bytes may follow; what was read before them is the answer
            break
        outlines.append(machine.result)
    objects = outlines[OBJECTS if len(outlines) > OBJECTS else 0] if outlines else None
    return Outline(tuple(names), objects)


class _Machine:
    """Follows the opcodes of one pickle. An empty stack gives None, so damaged pickles have an outline too."""

    def __init__(self, names: dict[str, None], *, is_nested: bool) -> None:
        self.result: Any = None
        self._names, self._is_nested, self._num_nested = names, is_nested, 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[Any, Any] = {}

    def step(self, opcode: pickletools.OpcodeInfo, value: Any) -> None:
        """Follow one opcode: take from the stack what it takes, and push what it makes of that."""
        if opcode.name == "MARK":
            self._marks.append(len(self._stack))
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[value] = self._stack[-1] if self._stack else None
        else:
            made = self._made(opcode.name, value, self._taken(opcode.stack_before))
            self._stack += [made] * len(opcode.stack_after)

    def _taken(self, stack_before: list[pickletools.StackObject]) -> list[Any]:
        """Take off the stack what an opcode takes: so many objects, or all above the last mark and some below it."""
        if pickletools.markobject in stack_before:
            mark = self._marks.pop() if self._marks else 0
            start = mark - stack_before.index(pickletools.markobject)
        else:
            start = len(self._stack) - len(stack_before)
        absent, start = max(0, -start), max(0, start)
        taken = [None] * absent + self._stack[start:]
        del self._stack[start:]
        return taken

    def _made(self, opcode: str, value: Any, taken: list[Any]) -> Any:  # noqa: C901, PLR0911, PLR0912 - a table of opcodes
        """Return what an opcode pushes; of numbers and texts the value, of tuples and sets a list."""
        match opcode, taken:
            case "STOP", [top]:
                self.result = top
            case "MEMOIZE", [top]:
                self._memo[len(self._memo)] = top
                return top
            case (("DUP" | "READONLY_BUFFER"), [top]):
                return top
            case (("GET" | "BINGET" | "LONG_BINGET"), _):
                return self._memo.get(value)
            case (("EMPTY_LIST" | "EMPTY_TUPLE" | "EMPTY_SET" | "LIST" | "FROZENSET"), _):
                return taken
            case (("TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3"), _):
                return taken
            case (("EMPTY_DICT" | "DICT"), _):
                return _filled({}, taken)
            case (("APPEND" | "APPENDS" | "ADDITEMS"), [target, *items]):
                if isinstance(target, list):
                    target += items
                return target
            case (("SETITEM" | "SETITEMS"), [target, *items]):
                return _filled(target, items)
            case "BUILD", [target, state]:
                if isinstance(target, PickledObject):
                    target.state = state
                return target
            case "GLOBAL", _:
                return self._named(*str(value).split(" ", 1))
            case "STACK_GLOBAL", [module, short]:
                return self._named(str(module), str(short))
            case "INST", _:
                return PickledObject(self._named(*str(value).split(" ", 1)).name, taken)
            case (("EXT1" | "EXT2" | "EXT4"), _):
                return self._named(f"extension {value}")
            case "OBJ", [function, *arguments]:
                return self._called(function, arguments)
            case (("REDUCE" | "NEWOBJ" | "NEWOBJ_EX"), [function, arguments, *_]):
                return self._called(function, arguments)
            case (("PERSID" | "BINPERSID"), _):
                return self._persistent(taken[0] if taken else None)
            case _:
                return value
        return None

    def _named(self, module: str, *short: str) -> PickledObject:
        name = ".".join([PYTHON_2.get(module, module), *short])
        self._names[name] = None
        return PickledObject(name)

    def _persistent(self, identifier: Any) -> PickledObject:
        """Return what lies outside the pickle: a storage, or in older files the class of a model."""
        match identifier:
            case ["module", PickledObject() as found, *_]:
                return found
            case None:
                self._names[STORAGE_AS_TEXT] = None
        return PickledObject("storage")

    def _called(self, function: Any, arguments: Any) -> PickledObject:
        name = function.name if isinstance(function, PickledObject) else "?"
        arguments = arguments if isinstance(arguments, list) else [arguments]
        if name == RECONSTRUCTOR and arguments and isinstance(arguments[0], PickledObject):
            name = arguments[0].name  # protocols 0 and 1 make every object through it
        if name == NESTED:
            self._look_into(arguments)
        return PickledObject(name, arguments)

    def _look_into(self, arguments: list[Any]) -> None:
        """Note what a pickle inside the pickle names; one that cannot be read may run anything."""
        inner = arguments[0] if arguments else None
        if isinstance(inner, PickledObject) and inner.name == "_codecs.encode" and inner.arguments:
            inner = str(inner.arguments[0]).encode("latin1", "replace")
        self._num_nested += 1
        if not isinstance(inner, bytes) or self._is_nested or self._num_nested > MAX_NESTED:
            self._names["a pickle within the pickle"] = None
            return
        self._names.update(dict.fromkeys(outline(io.BytesIO(inner), is_nested=True).names))


def _filled(target: Any, items: list[Any]) -> Any:
    """Put keys and values in turn into a dict or an object; a key that is not text gets a place of its own."""
    place = target.items if isinstance(target, PickledObject) else target
    if isinstance(place, dict):
        keys = (key if isinstance(key, str) else object() for key in items[::2])  # a list cannot be a key
        place.update(zip(keys, items[1::2], strict=False))
    return target
