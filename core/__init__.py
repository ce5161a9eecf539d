"""Everything Atrous does, without a dashboard.

__main__.py     reads the command line and calls a command
api.py          the same from Python, in five lines
terminal.py     progress bars and lines
commands/       the functions behind each command
report/         a run as a document
review/         what a model says about photos that nobody has labelled yet
study/          several trainings as one question: plan, queue, results
training/       settings, runs, the loop that trains, evaluation, estimates
explain/        why a pixel got its class
model/          architectures, weights, checkpoints, photo -> mask
data/           data sets: pairs, splits, what is wrong with them
download/       large files from the web
metrics/        integer counts -> scores
jobs.py         a job is a process of its own: its lock, start and progress
classes.py      names and colours of a data set's classes
palettes.py     colours for readers with any colour vision
voc.py          constants of VOC 2012 and of ImageNet preprocessing
files.py        files and folders that appear whole or not at all
uploads.py      files from the browser
home.py         where checkpoints/, studies/, datasets/ and exports/ are
errors.py       the tree of errors
wording.py      counts, sizes, times, free names, CSV
windows.py      differences between Windows and POSIX
free_memory.py  free main memory
"""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

# OpenMP reads this when torch is loaded. By default waiting threads spin; where a dashboard, a browser and a trainer
# share two cores they take the core from the thread they wait for: 3 to 5 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class _Later(ModuleType):
    """Stands for a module of TorchDynamo until something else is asked of it than what is written below.

    torchvision and the optimizers import TorchDynamo for the three functions below, which matter to `torch.compile`
    alone. That import took 1.4 of the 3.3 s of a trainer's imports and 140 of their 710 MB.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _load_dynamo()
        return getattr(import_module(self.__name__), name)


class _LaterPackage(_Later):
    @property
    def __path__(self) -> Any:  # type: ignore[override]
        """Asked for by an import of any other module of the package, which then finds the real one."""
        return _load_dynamo().__path__


def _load_dynamo() -> ModuleType:
    for name in ("torch._dynamo", "torch._dynamo.utils"):
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]
    return import_module("torch._dynamo")


def _leave_dynamo_for_later() -> None:
    package, utils = _LaterPackage("torch._dynamo"), _Later("torch._dynamo.utils")

    def disable(function: Any = None, *_: Any, **__: Any) -> Any:
        return function or (lambda each: each)

    def is_compile_supported(device: str) -> Any:
        return _load_dynamo().utils.is_compile_supported(device)

    vars(package).update(disable=disable, graph_break=lambda *_: None, utils=utils)
    vars(utils).update(is_compile_supported=is_compile_supported)
    sys.modules |= {package.__name__: package, utils.__name__: utils}


if "torch._dynamo" not in sys.modules:
    _leave_dynamo_for_later()
