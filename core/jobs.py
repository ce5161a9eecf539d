"""Work that goes on in a process of its own: a folder with a lock, held by whoever works there, and its progress.

lock            held by the living process: the kernel says whether it lives, never a process id
progress.json   how far it is, or the sentence with which it ended
trainer.log     what it printed
stop            a request to end (training only)
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import lock_descriptor, unlock_descriptor

from core.errors import CoreError, RunError
from core.files import locked_since, write_json
from core.home import PROJECT_ROOT
from core.windows import detached

START_TIMEOUT_S = 60.0
"""On a machine at five times its load 30 s were too few; whoever begins sooner is not waited for longer."""

HOLD_TIMEOUT_S = 2.0

OnProgress = Callable[[int, int], None]
"""What is told how far work is: (done, in all), in photos, files, bytes or what else is counted; called often."""

NOTE_EVERY_S = 0.3
"""How often a job notes its progress at most."""


# --- the lock: who works here ---------------------------------------------------------------------------------------

_locks: set[int] = set()
"""The open files of the locks that this process holds."""


def _forget_locks() -> None:
    """Close the locks in a process that was forked: a loader that outlives its trainer must not hold the run."""
    for lock in _locks:
        os.close(lock)
    _locks.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_locks)


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a folder as the one who works there for the length of a `with` block; a second holder gets `RunError`.

    A request to stop is for the holder of its moment: what was asked before is forgotten here, and nowhere later,
    since a request may come while the trainer still imports torch.
    """
    with ExitStack() as held:
        try:
            # Not `FileLock(path)`, which makes the folder anew when somebody deletes it at this moment.
            lock = held.enter_context((path / "lock").open("ab")).fileno()
            _take(lock, path)
            held.callback(unlock_descriptor, lock)
            _locks.add(lock)
            held.callback(_locks.discard, lock)
            if not os.path.samestat(os.fstat(lock), (path / "lock").stat()):
                raise FileNotFoundError(errno.ENOENT, "it was deleted")
            clear_stop(path)
            (path / "lock").touch()  # when it was taken: until the first record, nothing else tells
        except OSError as error:
            raise RunError(f"Cannot lock {path}: {error.strerror}; check that the folder can be written.") from error
        held.callback(clear_stop, path)
        yield


def _take(lock: int, path: Path) -> None:
    """Lock an open file. Somebody who only asks whether it is locked holds it for an instant: wait that out."""
    end_s = time.monotonic() + HOLD_TIMEOUT_S
    while not lock_descriptor(lock, blocking=False):
        if time.monotonic() > end_s:
            raise RunError(f"{path.name} is being worked on by another process; wait for it or stop it first.")
        time.sleep(0.01)  # `lock_descriptor` waits for ever or not at all


def is_held(path: Path) -> bool:
    """Tell whether a living process holds the folder; a lock that may not be opened raises `RunError`."""
    return held_since(path) is not None


def held_since(path: Path) -> float | None:
    """Return when the living holder of a folder took its lock, in seconds since 1970; None where nobody holds it.

    A lock that this user may not open raises `RunError`.
    """
    try:
        return locked_since(path / "lock")
    except OSError as error:
        raise RunError(f"{path / 'lock'} cannot be opened: {error.strerror}; see whose it is, or ask them.") from error


def request_stop(path: Path) -> None:
    """Ask the holder to save and leave; a folder that is gone has none. Another user's folder raises `RunError`."""
    try:
        (path / "stop").touch()
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"{path.name} cannot be asked to stop: {error.strerror}; check whose folder it is.") from error


def is_stop_requested(path: Path) -> bool:
    """Tell whether somebody asked the holder to stop."""
    return (path / "stop").exists()


def clear_stop(path: Path) -> None:
    """Forget an earlier request to stop."""
    (path / "stop").unlink(missing_ok=True)


@contextmanager
def ending_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and Ctrl-C into a request to save and leave; gives a function that tells whether one came."""
    came = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True

    before: dict[int, Any] = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- starting a process ---------------------------------------------------------------------------------------------


def launch(arguments: list[str], path: Path) -> None:
    """Run `python -m core ARGUMENTS` detached, its output in `trainer.log`, and wait until it holds the folder's lock.

    One that ends in failure before that raises `RunError` with what it printed.
    """
    output = path / "trainer.log"
    try:
        with output.open("ab") as file:
            begin = file.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "core", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=PROJECT_ROOT,
                **detached(),
            )
    except OSError as error:
        raise RunError(f"{output} cannot be written: {error.strerror}; check that its folder is there.") from error
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        status = process.poll()
        if status == 0 or (status is None and is_held(path)):
            return
        if status is not None:
            raise RunError(f"The process of {path.name} ended at once: {_text_from(output, begin) or f'exit {status}'}")
        time.sleep(0.05)  # neither a lock nor a process can be waited for together with the other
    process.kill()
    raise RunError(f"The process of {path.name} did not begin within {START_TIMEOUT_S:.0f} s; see {output}.")


def output_of(path: Path, *, max_bytes: int = 4000) -> str:
    """Return the end of what the process in this folder printed; nothing where that is gone or may not be read."""
    return _text_from(path / "trainer.log", -max_bytes)


def _text_from(path: Path, offset: int) -> str:
    """Return the text of a file from an offset on, one below 0 counted from its end."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(offset if offset >= 0 else max(0, size + offset))
            return file.read().decode("utf-8", errors="replace").strip()
    except OSError:
        return ""


# --- jobs: work with a beginning, an end and a share done in between ------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` (0 until it is known), since `began_s`, seconds since 1970."""

    done: int
    total: int
    began_s: float

    @property
    def share(self) -> float:
        """Share done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def remaining_s(self, now_s: float) -> float | None:
        """Return the seconds left if it goes on as fast as until now; None until something is done."""
        return (now_s - self.began_s) * (1 - self.share) / self.share if self.share else None


def start(folder: Path, arguments: list[str]) -> None:
    """Run `python -m core ARGUMENTS --job FOLDER` in a process of its own, unless a job is going on there already.

    Of two who start it at once, the second finds the first one's job, which is as good.
    """
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
        if not is_held(folder):
            raise


@contextmanager
def running(folder: Path) -> Iterator[OnProgress]:
    """Hold the lock of a job and give a function of (done, total) that notes its progress; what ends it is noted too.

    The folder is made if it is not there. Once somebody asked for an end, that function raises `RunError`.
    """
    with suppress(OSError):  # where it cannot be made, `hold` says why
        folder.mkdir(parents=True, exist_ok=True)
    with hold(folder):
        began_s, noted_s = time.time(), 0.0
        _note(folder, asdict(Progress(0, 0, began_s)))

        def note(done: int, total: int) -> None:
            nonlocal noted_s
            if is_stop_requested(folder):
                raise RunError(
                    f"It was stopped on request after {100 * done // max(1, total)} %; start it again to go on."
                )
            if done >= total or time.monotonic() - noted_s >= NOTE_EVERY_S:
                noted_s = time.monotonic()
                _note(folder, asdict(Progress(done, total, began_s)))

        try:
            yield note
            _note(folder, {"is_over": True})
        except BaseException as error:
            with suppress(OSError):  # on a full disk; what happened is raised all the same
                _note(folder, {"error": _sentence(error, folder)})
            raise


def _note(folder: Path, document: dict[str, Any]) -> None:
    with suppress(FileNotFoundError):  # a cache may be deleted at any time; the work goes on
        write_json(folder / "progress.json", document)


def _sentence(error: BaseException, folder: Path) -> str:
    """Return what ended a job, for whoever waits for it."""
    if isinstance(error, CoreError):
        return str(error)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "It was interrupted; start it again."
    if isinstance(error, MemoryError):
        return "There was not enough memory; end other programs and start it again."
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"It failed ({said}); this is a mistake of Atrous, and {folder / 'trainer.log'} says where."


def progress(folder: Path) -> Progress | None:
    """Return how far the job in this folder is, None if none is going on."""
    if not is_held(folder):
        return None
    noted = _noted(folder)
    return Progress(noted.get("done", 0), noted.get("total", 0), noted.get("began_s", time.time()))


def has_ended(folder: Path) -> bool:
    """Tell whether the last job in this folder did all it was to do, or left no trace at all."""
    is_free = not is_held(folder)
    noted = _noted(folder)
    return is_free and bool(noted.get("is_over", not noted))


def error(folder: Path) -> str | None:
    """Return the sentence with which the last job in this folder failed, if it did."""
    is_over = not is_held(folder)  # asked before: what is read now was written before the job let go
    noted = _noted(folder)
    if "error" in noted:
        return str(noted["error"])
    if not is_over or not noted or noted.get("is_over"):
        return None
    if 0 <= time.time() - noted.get("starting_s", 0.0) < START_TIMEOUT_S:
        return None  # whoever started it still waits for its process
    done, total = noted.get("done", 0), noted.get("total", 0)
    return (
        f"Its process was killed after {done} of {total}, by somebody or for want of memory; start it again, and "
        f"if that happens again see {folder / 'trainer.log'}."
    )


def _noted(folder: Path) -> dict[str, Any]:
    """Return what the job noted last, nothing if there was no job; of what cannot be read, that it began."""
    try:
        noted = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        if all(isinstance(noted.get(name, 0), int | float) for name in ("done", "total", "began_s", "starting_s")):
            return dict(noted)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, AttributeError):
        pass
    return {"done": 0, "total": 0}
