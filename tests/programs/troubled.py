"""The command line with thin networks, but a process has a trouble of its own in its third step, or in `STEP`.

    TROUBLE=signal python -m torch.distributed.run --nproc-per-node 2 -m tests.programs.troubled train ...
    TROUBLE=stop STEP=22 python -m tests.programs.troubled train RUN_DIR

Of several processes it is the second that has it.

signal      it alone is asked to end
stop        somebody asks in the folder of the run, RUN_DIR, for its end
memory      its memory runs out
death       it is killed
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from core import jobs
from core.training.loop.step import TrainingStep
from tests.programs.thin import run


def make_trouble(kind: str) -> None:
    """Do what the environment asks for, here and now."""
    if kind == "memory":
        raise MemoryError
    if kind == "stop":
        jobs.request_stop(Path(sys.argv[-1]))
    else:
        os.kill(os.getpid(), {"signal": signal.SIGTERM, "death": signal.SIGKILL}[kind])


def trouble_in_step(number: int) -> None:
    """Let trouble come in a step of the training itself; the first step of all is the preflight's."""
    add, calls = TrainingStep._add_gradients, []

    def troubled(step: TrainingStep, *arguments: Any) -> Tensor:
        calls.append(step)
        if len(calls) == 1 + number:
            make_trouble(os.environ["TROUBLE"])
        return add(step, *arguments)

    TrainingStep._add_gradients = troubled  # type: ignore[method-assign]


if __name__ == "__main__":
    if os.environ.get("RANK", "1") == "1":
        trouble_in_step(int(os.environ.get("STEP", "3")))
    sys.exit(run())
