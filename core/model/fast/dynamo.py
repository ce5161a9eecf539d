"""Leaves the import of TorchDynamo, PyTorch's compiler, to what compiles.

torchvision and the optimizers import `torch._dynamo` for three functions that matter to `torch.compile` alone. That
import took 1.4 of the 3.3 s of a trainer's imports and 140 of their 710 MB. So two modules stand for it that hold
these functions; whatever else is asked of them, or imported from the package, is answered by the real ones, which then
take their place. With `ATROUS_PRIVATE_OPERATIONS=0` every process imports it. This module is called before anything
else of this project, and may not import torch.
"""

import copy
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any

SWITCH = "ATROUS_PRIVATE_OPERATIONS"

PACKAGE, UTILS = "torch._dynamo", "torch._dynamo.utils"

_not_disabled: list[Any] = []
"""Functions that were excluded from compiling before TorchDynamo was loaded, which has to be told of them."""


def leave_for_later() -> None:
    """Let two modules stand for TorchDynamo until it is loaded; where it is already, or switched so, do nothing."""
    if os.environ.get(SWITCH) == "0" or PACKAGE in sys.modules:
        return
    package, utils = _Later(PACKAGE), _Later(UTILS)
    vars(package).update(disable=_disable, graph_break=lambda *_: None, utils=utils)
    vars(utils).update(is_compile_supported=_is_compile_supported)
    sys.modules |= {PACKAGE: package, UTILS: utils}
    sys.meta_path.insert(0, _FINDER)


def load() -> Any:
    """Return the real TorchDynamo; to be called before anything is compiled."""
    for name in (PACKAGE, UTILS):
        if isinstance(sys.modules.get(name), _Later):
            sys.modules.pop(name, None)
    package = import_module(PACKAGE)
    while _not_disabled:  # `torch._disable_dynamo` keeps here what `_disable` gave it, and asks again without
        vars(_not_disabled.pop()).pop("__dynamo_disable", None)
    return package


def _disable(function: Any = None, *recursive: bool, **options: Any) -> Any:
    """Return a function that TorchDynamo is told of when it is first called after the import.

    `torch._disable_dynamo` asks so, without `wrapping`, when its function is first called; for others it is asked.
    """
    if not isinstance(function, FunctionType) or not options.keys() <= {"wrapping", "reason"}:
        return load().disable(function, *recursive, **options)
    if options.get("wrapping", True):
        return import_module("torch")._disable_dynamo(function, *recursive)
    _not_disabled.append(function)
    return function


def _is_compile_supported(device: str) -> Any:
    return load().utils.is_compile_supported(device)


class _Later(ModuleType):
    """Stands for a module until something else is asked of it than what was put into it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        del self.__spec__  # found when it is asked for

    def __getattr__(self, name: str) -> Any:
        if name == "__spec__":
            self.__spec__ = _spec_of(self.__name__)
            return self.__spec__
        if name == "__path__" and self.__name__ == PACKAGE:
            return self.__spec__.submodule_search_locations if self.__spec__ else load().__path__
        if name.startswith("__"):
            raise AttributeError(name)
        load()
        return getattr(import_module(self.__name__), name)


def _spec_of(name: str) -> ModuleSpec | None:
    """Return where a module is, without importing anything."""
    parent = name.rpartition(".")[0]
    if not parent:
        return PathFinder.find_spec(name)
    found = _spec_of(parent)
    return PathFinder.find_spec(name, found.submodule_search_locations) if found else None


class _RealFirst(MetaPathFinder):
    """Loads the real package first when another of its modules is imported; that loads most of them."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        """Return a module that is loaded by then, and would otherwise be loaded a second time."""
        if not name.startswith(f"{PACKAGE}.") or not isinstance(sys.modules.get(PACKAGE), _Later):
            return None
        load()
        module = import_module(name)
        spec = copy.copy(module.__spec__)
        if spec:
            spec.loader = _Loaded(module)
            module.__spec__ = spec  # the import takes this one; with the module's own it would run the module again
        return spec


class _Loaded(Loader):
    """Gives a module that is already loaded, as it was."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Give it back its own spec, which the import has replaced."""
        module.__spec__ = self._spec


_FINDER = _RealFirst()
