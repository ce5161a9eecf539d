"""Jobs: work in a process of its own, in a folder of its own.

lock            locked by the living process; the kernel says whether it lives, never a process id
progress.json   how far the job is, or the sentence with which it failed
trainer.log     stdout and stderr of the process
stop            a request to end
"""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import lock_descriptor, unlock_descriptor

from core.errors import CoreError, RunError
from core.files import write_json
from core.home import PROJECT_ROOT
from core.windows import detached, is_locked

PROGRAM = "core"
"""The module that a job runs; tests name one that builds smaller networks and then does the same."""

START_TIMEOUT_S = 60.0
"""Waiting ends as soon as the process holds its lock. 30 s were too few on a machine at five times its load."""

HOLD_TIMEOUT_S = 2.0
COUNTED = ("done", "total", "began_s", "began_done", "starting_s")

OnProgress = Callable[[int, int], None]
"""A callback for progress, called often: (done, total) in photos, files, bytes or another unit."""

NOTE_EVERY_S = 0.3
"""Least time between two writes of progress.json."""


_locks: set[int] = set()
"""File descriptors of the locks that this process holds."""


class StopRequestedError(RunError):
    """The job was asked to stop."""


def _forget_locks() -> None:
    """Close the locks in a forked process: a loader that outlives its trainer must not hold the run."""
    for lock in _locks:
        os.close(lock)
    _locks.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_locks)


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Lock a folder for the length of a `with` block; if another process holds it, raise `RunError`.

    Earlier requests to stop are deleted here, and not later: a new one may arrive while the trainer imports torch.
    """
    with ExitStack() as held:
        try:
            # `FileLock(path)` would create the folder again if it is deleted at this moment.
            lock = held.enter_context((path / "lock").open("ab")).fileno()
            _take(lock, path)
            held.callback(unlock_descriptor, lock)
            _locks.add(lock)
            held.callback(_locks.discard, lock)
            if not os.path.samestat(os.fstat(lock), (path / "lock").stat()):
                raise FileNotFoundError(errno.ENOENT, "it was deleted")
            (path / "stop").unlink(missing_ok=True)
            (path / "lock").touch()  # its mtime is the start time until the first record
        except OSError as error:
            raise RunError(f"Cannot lock {path}: {error.strerror}; check that the folder can be written.") from error
        held.callback((path / "stop").unlink, missing_ok=True)
        yield


def _take(lock: int, path: Path) -> None:
    """Lock an open file, and retry for a while: `is_locked` in another process locks it for an instant."""
    end_s = time.monotonic() + HOLD_TIMEOUT_S
    while not lock_descriptor(lock, blocking=False):
        if time.monotonic() > end_s:
            raise RunError(f"{path.name} is being worked on by another process; wait for it or stop it first.")
        time.sleep(0.01)  # `lock_descriptor` has no timeout


def is_held(path: Path) -> bool:
    """Return whether a living process holds the folder; a lock that cannot be opened raises `RunError`."""
    return held_since(path) is not None


def held_since(path: Path) -> float | None:
    """Return when the living holder of a folder locked it, in seconds since 1970; None if no process holds it."""
    try:
        with (path / "lock").open("rb") as lock:
            return os.fstat(lock.fileno()).st_mtime if is_locked(lock) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"{path / 'lock'} cannot be opened: {error.strerror}; see whose it is, or ask them.") from error


def request_stop(path: Path) -> None:
    """Ask the holder to save and exit; if the folder cannot be written, raise `RunError`."""
    try:
        (path / "stop").touch()
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"{path.name} cannot be asked to stop: {error.strerror}; check whose folder it is.") from error


def is_stop_requested(path: Path) -> bool:
    """Return whether the holder was asked to stop."""
    return (path / "stop").exists()


def launch(arguments: list[str], path: Path) -> None:
    """Run `python -m core ARGUMENTS` detached, its output in `trainer.log`, and wait until it holds the folder's lock.

    If it fails before that, raise `RunError` with its output.
    """
    output = path / "trainer.log"
    try:
        with output.open("ab") as file:
            begin = file.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, cwd=PROJECT_ROOT, **detached(),
            )  # fmt: skip
    except OSError as error:
        raise RunError(f"{output} cannot be written: {error.strerror}; check that its folder is there.") from error
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        status = process.poll()
        if status == 0 or (status is None and is_held(path)):
            return
        if status is not None:
            raise RunError(f"The process of {path.name} ended at once: {_text_from(output, begin) or f'exit {status}'}")
        time.sleep(0.05)  # no system call waits for a lock and a process at once
    process.kill()
    raise RunError(
        f"The process of {path.name} did not begin within {START_TIMEOUT_S:.0f} s: "
        f"{_text_from(output, begin) or 'it said nothing'}"
    )


def output_of(path: Path, *, max_bytes: int = 4000) -> str:
    """Return the last bytes of `trainer.log` as text, "" if it cannot be read."""
    return _text_from(path / "trainer.log", -max_bytes)


def _text_from(path: Path, offset: int) -> str:
    """Return the text of a file from an offset, counted from the end if negative; "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(offset if offset >= 0 else max(0, size + offset))
            return file.read().decode("utf-8", errors="replace").strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class JobProgress:
    """How far a job is: `done` of `total` (0 if unknown); at `began_s`, seconds since 1970, it was at `began_done`."""

    done: int
    total: int
    began_s: float
    began_done: int = 0

    @property
    def share(self) -> float:
        """The share done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def remaining_s(self, now_s: float) -> float | None:
        """Return the seconds left at the speed so far; None until something is done."""
        if not self.total or self.done <= self.began_done:
            return None
        return (now_s - self.began_s) * max(0, self.total - self.done) / (self.done - self.began_done)


def start(folder: Path, arguments: list[str]) -> None:
    """Run `python -m core ARGUMENTS --job FOLDER` in a process of its own, unless a job is running there already."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_held(folder):
            return
        write_json(folder / "progress.json", {"starting_s": time.time()})
    except OSError as error:
        raise RunError(f"The folder {folder} cannot be written: {error.strerror}; check whose folder it is.") from error
    try:
        launch([*arguments, "--job", str(folder)], folder)
    except RunError:
        if not is_held(folder):  # else another process has just started the same job
            raise


@contextmanager
def running(folder: Path) -> Iterator[OnProgress]:
    """Hold a job's lock for a `with` block, and yield a callback that writes its progress; its end is written too.

    The folder is created if missing. The callback raises `RunError` after a request to stop.
    """
    with suppress(OSError):  # `hold` raises and says why
        folder.mkdir(parents=True, exist_ok=True)
    with hold(folder):
        began_s, began_done, noted_s = time.time(), 0, 0.0
        _note(folder, asdict(JobProgress(0, 0, began_s)))

        def note(done: int, total: int) -> None:
            nonlocal began_s, began_done, noted_s
            if not noted_s:
                began_s, began_done = time.time(), done  # what came before, as planning, says nothing about the speed
            if is_stop_requested(folder):
                share = f"{100 * done // max(1, total)} %"
                raise StopRequestedError(f"It was stopped on request after {share}; start it again to go on.")
            if done >= total or time.monotonic() - noted_s >= NOTE_EVERY_S:
                noted_s = time.monotonic()
                _note(folder, asdict(JobProgress(done, total, began_s, began_done)))

        try:
            yield note
            _note(folder, {"is_over": True})
        except BaseException as error:
            with suppress(OSError):  # on a full disk; the error itself is raised below
                _note(folder, {"error": _sentence(error, folder)})
            raise


def _note(folder: Path, document: dict[str, Any]) -> None:
    with suppress(FileNotFoundError):  # the cache may be deleted at any time; the job goes on
        write_json(folder / "progress.json", document)


def _sentence(error: BaseException, folder: Path) -> str:
    """Return one sentence for the user about the error that ended a job."""
    if isinstance(error, CoreError):
        return str(error)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "It was interrupted; start it again."
    if isinstance(error, MemoryError):
        return "There was not enough memory; close other programs and start it again."
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"It failed ({said}); this is a bug in Atrous, and {folder / 'trainer.log'} says where."


def progress(folder: Path) -> JobProgress | None:
    """Return how far the job in this folder is, None if none is running."""
    if not is_held(folder):
        return None
    get = _noted(folder).get
    return JobProgress(get("done", 0), get("total", 0), get("began_s", time.time()), get("began_done", 0))


def has_ended(folder: Path) -> bool:
    """Return whether the last job in this folder finished, or no job ever ran there."""
    is_free, noted = not is_held(folder), _noted(folder)  # in this order: the end is written before the release
    return is_free and bool(noted.get("is_over", not noted))


def error(folder: Path) -> str | None:
    """Return the sentence with which the last job in this folder failed, None if it did not."""
    is_over, noted = not is_held(folder), _noted(folder)  # in this order too
    if "error" in noted:
        return str(noted["error"])
    if not is_over or not noted or noted.get("is_over"):
        return None
    if 0 <= time.time() - noted.get("starting_s", 0.0) < START_TIMEOUT_S:
        return None  # `launch` still waits for the process
    done, total = noted.get("done", 0), noted.get("total", 0)
    return (
        f"Its process was killed after {done} of {total}, by a user or for lack of memory; start it again, and if that "
        f"happens again see {folder / 'trainer.log'}."
    )


def _noted(folder: Path) -> dict[str, Any]:
    """Return progress.json, {} if there was no job; one that cannot be read counts as just started."""
    try:
        noted = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        if all(isinstance(noted.get(name, 0), int | float) for name in COUNTED):
            return dict(noted)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, AttributeError):
        pass
    return {"done": 0, "total": 0}
