"""One training at a time on a machine: two would halve each other's speed, and may not fit in memory together.

A trainer holds a lock, one for each user of the machine. The kernel knows whether it is held; the file `run.txt` beside
it names the run. Both are in the machine's temporary folder, or in `$ATROUS_HOME` if set: separate homes train side by
side. Also here: a clock that counts the machine's sleep.
"""

import getpass
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import RunError
from core.files import replacing
from core.home import home
from core.jobs import START_TIMEOUT_S

ENDING_S = 1.0
"""How long to wait for a process that only tests the lock, or is about to end."""


class BusyError(RunError):
    """Another process holds the lock."""


def locks_dir() -> Path:
    """Return the folder of the locks, whether or not it exists."""
    if os.environ.get("ATROUS_HOME"):
        return home() / ".training"
    return Path(tempfile.gettempdir()) / f"atrous-{getpass.getuser()}"


@contextmanager
def alone(path: Path, *, beside: bool = False) -> Iterator[None]:
    """Hold the machine for the run in `path` in a `with` block; a second run gets `RunError`.

    A run that may train `beside` others neither holds nor checks the lock.
    """
    if beside:
        yield
        return
    with _held("training", ENDING_S, _busy_sentence):
        _write_holder(path)
        yield


def refuse_if_held() -> None:
    """Raise `RunError` if a run is being trained on this machine."""
    with _held("training", ENDING_S, _busy_sentence):
        pass


@contextmanager
def starting() -> Iterator[None]:
    """Keep other processes from starting a training in the block: the second of two starters sees the first's run."""
    with _held("starting", 2 * START_TIMEOUT_S, lambda: "Another run is being started; try again in a minute."):
        yield


@contextmanager
def editing() -> Iterator[None]:
    """Keep other processes from making or editing a run in the block, so no edit is repeated or overwritten."""
    with _held("editing", START_TIMEOUT_S, lambda: "Another run is being edited; try again in a minute."):
        yield


@contextmanager
def _held(name: str, wait_s: float, refusal: Callable[[], str]) -> Iterator[None]:
    file = locks_dir() / f"{name}.lock"
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait_s, poll_interval=0.005)
    except Timeout:
        raise BusyError(refusal()) from None
    except OSError as error:
        raise RunError(f"Cannot lock {file}: {error.strerror}; check that its folder can be written.") from error
    try:
        yield
    finally:
        lock.release()


def _write_holder(path: Path) -> None:
    """Write which run holds the machine."""
    note = locks_dir() / "run.txt"
    try:
        with replacing(note) as file:
            file.write(str(path.resolve()).encode())
    except OSError as error:
        raise RunError(f"Cannot write {note}: {error.strerror}; make room in its folder.") from error


def holder() -> Path | None:
    """Return the run that was trained on this machine last, which is the one that holds it now if one does."""
    try:
        return Path((locks_dir() / "run.txt").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def _busy_sentence() -> str:
    run = holder()
    if run is None:
        return "Another run is being trained on this machine; wait for it, or let both train with --beside."
    return (
        f"{run.name} (in {run.parent}) is being trained on this machine; wait for it, stop it, or let both train "
        "with --beside."
    )


def seconds_with_sleep() -> float:
    """Return a clock in seconds that also counts the machine's sleep, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
