"""Watching trainers that are processes of their own, and waiting for what they do."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from core import jobs
from core.training.run.folders import Run, run_state
from core.training.run.log import read_log
from core.training.run.records import Record

DEADLINE_S = 240.0
SETTINGS: dict[str, Any] = {
    "architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32, "batch_size": 2,
    "precision": "fp32", "checkpoint_seconds": 0.0,
}  # fmt: skip


def trainers(folder: Path) -> list[psutil.Process]:
    """Return the living trainers of runs below a folder, whoever started them."""
    below = f"{folder}{os.sep}"
    return [each for each in psutil.process_iter() if any(part.startswith(below) for part in _command_line(each))]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does, and fail with what was awaited."""
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:.0f} s for {what}"
        pause.wait(0.02)


def until_state(run: Run, state: str) -> None:
    """Wait until a run is in a state; a state from which it cannot come there fails at once."""

    def is_there() -> bool:
        now = run_state(run, read_log(run.log_path))
        assert now in (state, "running"), f"{now}: {jobs.output_of(run.path)}"
        return now == state

    until(is_there, f"{run.path.name} to be {state}")


def until_record(run: Run, kind: type[Record], count: int = 1) -> None:
    """Wait until the current leg has written so many records of a kind."""

    def is_written() -> bool:
        lines = run.log_path.read_text().splitlines() if run.log_path.exists() else []
        assert run_state(run, read_log(run.log_path)) in ("running", "finished"), jobs.output_of(run.path)
        return sum(f'"kind":"{kind.kind}"' in line for line in lines) >= count

    until(is_written, f"{count} {kind.kind} of {run.path.name}")


def finish_here(run: Run, extend_to: int | None = None) -> None:
    """Train a leg to its end in this process, which has torch already, and check that the run is finished."""
    from core.training.loop.trainer import train

    with jobs.hold(run.path):
        for _ in train(run, extend_to=extend_to):
            pass
    assert run_state(run, read_log(run.log_path)) == "finished"


def epochs_told(run: Run) -> list[int]:
    """Return the epochs of a run's log in order."""
    return [record.epoch for record in read_log(run.log_path).epochs]
