"""One training at a time on a machine: two would halve each other's speed, and may not fit in memory together.

Whoever trains holds a lock that is one for the machine and the person; the kernel says whether it is held, and the
file beside it only by which run. It lies in the machine's temporary folder, or in `$ATROUS_HOME` where that is set: a
home of its own trains beside others. Also a clock that counts the time in which the machine slept.
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
"""How long to wait for somebody who only looks whether the lock is free, or who is about to leave."""


def locks_dir() -> Path:
    """Return the folder of the locks, whether or not it exists."""
    if os.environ.get("ATROUS_HOME"):
        return home() / ".training"
    return Path(tempfile.gettempdir()) / f"atrous-{getpass.getuser()}"


@contextmanager
def alone(path: Path, *, beside: bool = False) -> Iterator[None]:
    """Hold the machine for the run in `path` for the length of a `with` block; a second gets `RunError`.

    One that is allowed to train `beside` others takes no part in this.
    """
    if beside:
        yield
        return
    with _held("training", ENDING_S, _busy_sentence):
        _tell(path)
        yield


def refuse_if_held() -> None:
    """Raise `RunError` if a run is being trained on this machine."""
    with _held("training", ENDING_S, _busy_sentence):
        pass


@contextmanager
def starting() -> Iterator[None]:
    """Keep others from starting a training meanwhile, so that of two starters the second sees the first one's run."""
    with _held("starting", 2 * START_TIMEOUT_S, lambda: "Another run is being started; try again in a minute."):
        yield


@contextmanager
def editing() -> Iterator[None]:
    """Keep others from making or editing a run in the block, so that nobody repeats or overwrites what was not seen."""
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
        raise RunError(refusal()) from None
    except OSError as error:
        raise RunError(f"Cannot lock {file}: {error.strerror}; check that its folder can be written.") from error
    try:
        yield
    finally:
        lock.release()


def _tell(path: Path) -> None:
    """Write down which run it is that holds the machine."""
    note = locks_dir() / "run.txt"
    try:
        with replacing(note) as file:
            file.write(str(path.resolve()).encode())
    except OSError as error:
        raise RunError(f"Cannot write {note}: {error.strerror}; make room in its folder.") from error


def _busy_sentence() -> str:
    try:
        holder = Path((locks_dir() / "run.txt").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return "Another run is being trained on this machine; wait for it, or let both train with --beside."
    return (
        f"{holder.name} (in {holder.parent}) is being trained on this machine; wait for it, stop it, or let both train "
        "with --beside."
    )


def seconds_with_sleep() -> float:
    """Return a count of seconds that goes on while the machine sleeps, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
