"""The command line, but one process of several has a trouble of its own in its third step.

    TROUBLE=signal python -m torch.distributed.run --nproc-per-node 2 -m tests.programs.troubled train ...

signal      it alone is asked to end
memory      its memory runs out
death       it is killed
"""

import os
import signal
import sys
from typing import Any

from core.__main__ import main
from core.training.step import TrainingStep


def make_trouble(kind: str) -> None:
    """Do what the environment asks for, here and now."""
    if kind == "memory":
        raise MemoryError
    os.kill(os.getpid(), {"signal": signal.SIGTERM, "death": signal.SIGKILL}[kind])


def trouble_in_step(number: int) -> None:
    """Let trouble come in a step of the training itself; the first step of all is the preflight's."""
    add, calls = TrainingStep._add_gradients, []

    def troubled(step: TrainingStep, *arguments: Any) -> float:
        calls.append(step)
        if len(calls) == 1 + number:
            make_trouble(os.environ["TROUBLE"])
        return add(step, *arguments)

    TrainingStep._add_gradients = troubled  # type: ignore[method-assign]


if __name__ == "__main__":
    if os.environ["RANK"] == "1":
        trouble_in_step(3)
    sys.exit(main())
