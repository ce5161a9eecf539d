"""The command line with networks of few layers: `python -m tests.programs.thin train RUN_DIR`, or any other command.

A leg of it takes a third of the time; what it reads, writes and answers to is what the whole one does.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from operator import setitem
from pathlib import Path
from types import SimpleNamespace

from core import jobs
from core.__main__ import main


def build_thin() -> None:
    """Build thin networks from here on; imports torch."""
    from tests.thin_networks import make_networks_thin

    make_networks_thin(SimpleNamespace(setattr=setattr, setitem=setitem))


hold = jobs.hold


@contextmanager
def held_before_torch(path: Path) -> Iterator[None]:
    """Hold a run before torch is imported, as a trainer does: what arrives in that moment must be heard."""
    with hold(path):
        build_thin()
        yield


def run() -> int:
    """Run a command."""
    jobs.PROGRAM = "tests.programs.thin"
    if sys.argv[1] == "train" and "RANK" not in os.environ:  # of several processes only the first holds the run
        jobs.hold = held_before_torch
    else:
        build_thin()
    return main()


if __name__ == "__main__":
    sys.exit(run())
