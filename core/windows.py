"""Differences between Windows and POSIX: detached processes, quoted commands, replaced files, locks.

Functions take the platform as an argument, so that tests cover both everywhere.
"""

import errno
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

IS_WINDOWS = sys.platform == "win32"

CREATE_NEW_PROCESS_GROUP = 0x00000200
"""Ctrl-C in this process's terminal does not reach the new one. `subprocess` has these names on Windows only."""

CREATE_NO_WINDOW = 0x08000000
"""Closing the terminal does not end the new process either: it has an invisible console of its own."""

OPEN_ELSEWHERE = (5, 32)
"""ERROR_ACCESS_DENIED, which Windows also reports for a target that is being read, and ERROR_SHARING_VIOLATION."""

PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5, *(1.0,) * 9)
"""10 s in total; reading a checkpoint takes one or two."""


def detached(*, is_windows: bool = IS_WINDOWS) -> dict[str, Any]:
    """Return the arguments of `Popen` for a process that survives Ctrl-C and the end of this terminal."""
    if is_windows:  # start_new_session does nothing there
        return {"creationflags": CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW}
    return {"start_new_session": True}


def command_line(words: Sequence[object], *, is_windows: bool = IS_WINDOWS) -> str:
    """Return a command quoted for this machine's shell."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if is_windows else shlex.join(texts)


def move(source: Path, target: Path, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Rename a file or folder, replacing the target.

    Windows refuses while another program has the target open: retry for 10 s, then raise `PermissionError`.
    """
    for pause_s in PAUSES_S:
        try:
            source.replace(target)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in OPEN_ELSEWHERE:
                raise
            pause(pause_s)
        else:
            return
    raise PermissionError(
        errno.EACCES, "another program has it open, or it is protected from being written", str(target)
    )


if sys.platform == "win32":

    def is_locked(file: IO[bytes]) -> bool:
        """Return whether a living process locks an open file."""
        with suppress(Timeout), FileLock(file.name, timeout=0.02):
            return False
        return True

else:
    import fcntl

    def is_locked(file: IO[bytes]) -> bool:
        """Return whether a living process locks an open file."""
        # A shared lock: two callers do not see each other, and it needs read access only (another user's run).
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
