"""What a pickle would make, read from its opcodes without running any.

A pickle is a program: loading one runs what it names. Here its opcodes are followed on paper: lists and dicts are
built, and where it would call something, only the name and the arguments are noted.
"""

import io
import pickletools
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import torch

from core.model.checkpoint.plain_data import SAFE_NAMES

MAX_OPCODES = 2_000_000
MAX_NESTED = 5_000
"""Pickles inside a pickle: `pickle.dump` of a state dict has one for every tensor."""
NUM_PICKLES = 5
"""PyTorch's older format is a row of five: magic number, protocol, system, the objects, the names of their storages."""
OBJECTS = 3
"""Which of the five has the objects."""

HARMLESS = (
    "collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.set",
    "builtins.bytearray", "builtins.complex", "torch.nn.parameter.Parameter", "torch.serialization._get_layout",
    "torch._tensor._rebuild_from_type_v2", "torch.Size", "torch.device",
)  # fmt: skip
"""What `weights_only` calls besides the rebuilding of tensors, and storages and number formats."""
REBUILDING = "torch._utils._rebuild_"
STORAGE_MODULES = ("torch", "torch.storage", "torch.cuda")
NESTED = "torch.storage._load_from_bytes"
"""Opens a pickle inside the pickle, and runs what that names."""
RECONSTRUCTOR = "copyreg._reconstructor"
PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""How protocols up to 2 call modules."""
STORAGE_AS_TEXT = "storages of protocol 0, which PyTorch itself does not read again"


@dataclass(eq=False)
class Made:
    """An object that a pickle would make: by what, from what, what it is filled with. It is never made."""

    name: str
    arguments: Any = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pickled:
    """The functions and classes that a pickle names, in order, and an outline of the objects that it would make."""

    names: tuple[str, ...]
    objects: Any = None

    @property
    def foreign(self) -> tuple[str, ...]:
        """The names that weights alone do not need."""
        return tuple(name for name in self.names if not _is_harmless(name))

    @property
    def is_plain_data(self) -> bool:
        """Whether it holds nothing but weights, JSON types, settings in a Namespace and NumPy's numbers."""
        return all(name in SAFE_NAMES for name in self.foreign)


def _is_harmless(name: str) -> bool:
    if name in HARMLESS or name == NESTED or (name.startswith(REBUILDING) and name.count(".") == 2):
        return True
    module, _, short = name.rpartition(".")
    is_format = module == "torch" and isinstance(
        getattr(torch, short, None), torch.dtype | torch.layout | torch.qscheme
    )
    return is_format or (module in STORAGE_MODULES and short.endswith(("Storage", "Tensor")) and short.isidentifier())


def outline(file: IO[bytes], *, is_nested: bool = False) -> Pickled:
    """Return what the pickles in a file name and make, from where it stands to the first bytes that are none."""
    names: dict[str, None] = {}
    outlines = []
    for _ in range(NUM_PICKLES):
        machine = _Machine(names, is_nested=is_nested)
        try:
            for opcode, value, _position in islice(pickletools.genops(file), MAX_OPCODES):
                machine.step(opcode.name, value)
        except Exception:  # noqa: BLE001 - bytes from anywhere; what was read until then is the answer
            break
        outlines.append(machine.pop())
    objects = outlines[OBJECTS if len(outlines) > OBJECTS else 0] if outlines else None
    return Pickled(tuple(names), objects)


class _Machine:
    """Follows the opcodes of one pickle on paper; a stack that runs dry gives None, since nothing depends on it."""

    def __init__(self, names: dict[str, None], *, is_nested: bool) -> None:
        self._names, self._is_nested, self._num_nested = names, is_nested, 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[Any, Any] = {}

    def pop(self) -> Any:
        """Take off what is on top."""
        return self._stack.pop() if self._stack else None

    def _top(self) -> Any:
        return self._stack[-1] if self._stack else None

    def _pop_mark(self) -> list[Any]:
        start = self._marks.pop() if self._marks else 0
        items, self._stack[start:] = self._stack[start:], []
        return items

    def step(self, opcode: str, value: Any) -> None:  # noqa: C901, PLR0912 - a table of opcodes
        """Follow one opcode."""
        stack = self._stack
        match opcode:
            case "PROTO" | "FRAME" | "STOP" | "NEXT_BUFFER" | "READONLY_BUFFER":
                pass
            case "MARK":
                self._marks.append(len(stack))
            case "POP":
                self.pop()
            case "POP_MARK":
                self._pop_mark()
            case "DUP":
                stack.append(self._top())
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo.get(value))
            case "MEMOIZE" | "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[len(self._memo) if value is None else value] = self._top()
            case "APPEND":
                self._extend([self.pop()])
            case "APPENDS" | "ADDITEMS":
                self._extend(self._pop_mark())
            case "SETITEM":
                second, first = self.pop(), self.pop()
                self._set([first, second])
            case "SETITEMS":
                self._set(self._pop_mark())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [self.pop() for _ in range(int(opcode[-1]))]
                stack.append(items[::-1])
            case "EMPTY_LIST" | "EMPTY_TUPLE" | "EMPTY_SET":
                stack.append([])
            case "LIST" | "TUPLE" | "FROZENSET":
                stack.append(self._pop_mark())
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                items = self._pop_mark()
                stack.append({})
                self._set(items)
            case _:
                self._make(opcode, value)

    def _make(self, opcode: str, value: Any) -> None:  # noqa: C901 - as above
        """Follow an opcode that looks something up or calls it; what is left are numbers and texts."""
        stack = self._stack
        match opcode:
            case "GLOBAL":
                stack.append(self._named(".".join(str(value).split(" ", 1))))
            case "STACK_GLOBAL":
                short, module = self.pop(), self.pop()
                stack.append(self._named(f"{module}.{short}"))
            case "INST":
                made = self._named(".".join(str(value).split(" ", 1)))
                stack.append(Made(made.name, self._pop_mark()))
            case "OBJ":
                first, *arguments = self._pop_mark() or [None]
                stack.append(self._called(first, arguments))
            case "REDUCE" | "NEWOBJ":
                arguments = self.pop()
                stack.append(self._called(self.pop(), arguments))
            case "NEWOBJ_EX":
                _keywords, arguments = self.pop(), self.pop()
                stack.append(self._called(self.pop(), arguments))
            case "BUILD":
                state = self.pop()
                if isinstance(made := self._top(), Made):
                    made.state = state
            case "PERSID" | "BINPERSID":
                stack.append(self._persistent(self.pop() if opcode == "BINPERSID" else None))
            case "EXT1" | "EXT2" | "EXT4":
                stack.append(self._named(f"extension {value}"))
            case _:
                stack.append(value)

    def _named(self, name: str) -> Made:
        module, _, short = name.partition(".")
        name = f"{PYTHON_2.get(module, module)}.{short}"
        self._names[name] = None
        return Made(name)

    def _persistent(self, identifier: Any) -> Made:
        """Return what stands outside the pickle: a storage, or in older files the class of a model."""
        match identifier:
            case ["module", Made() as found, *_]:
                return found
            case None:
                self._names[STORAGE_AS_TEXT] = None
        return Made("storage")

    def _called(self, function: Any, arguments: Any) -> Made:
        name = function.name if isinstance(function, Made) else "?"
        arguments = arguments if isinstance(arguments, list) else [arguments]
        if name == RECONSTRUCTOR and arguments and isinstance(arguments[0], Made):
            name = arguments[0].name  # protocols 0 and 1 make every object through it
        if name == NESTED:
            self._look_into(arguments)
        return Made(name, arguments)

    def _look_into(self, arguments: list[Any]) -> None:
        """Note what a pickle inside the pickle names; what cannot be looked into may be anything."""
        inner = arguments[0] if arguments else None
        if isinstance(inner, Made) and inner.name == "_codecs.encode" and inner.arguments:
            inner = str(inner.arguments[0]).encode("latin1", "replace")
        self._num_nested += 1
        if not isinstance(inner, bytes) or self._is_nested or self._num_nested > MAX_NESTED:
            self._names["a pickle within the pickle"] = None
            return
        self._names.update(dict.fromkeys(outline(io.BytesIO(inner), is_nested=True).names))

    def _extend(self, items: list[Any]) -> None:
        if isinstance(top := self._top(), list):
            top += items

    def _set(self, items: list[Any]) -> None:
        top = self._top()
        target = top.items if isinstance(top, Made) else top
        if isinstance(target, dict):
            keys = (key if isinstance(key, str) else object() for key in items[::2])  # a list cannot be a key
            target.update(zip(keys, items[1::2], strict=False))
