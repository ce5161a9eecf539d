"""What Windows does otherwise than POSIX: letting a process go, quoting a command, replacing a file that is open.

Each function takes the platform as an argument, so that both ways are tested anywhere.
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
"""Ctrl-C in the terminal of this process does not reach the new one; Python has these names on Windows alone."""

CREATE_NO_WINDOW = 0x08000000
"""Nor does closing that terminal: the new process has one of its own, which nobody sees."""

OPEN_ELSEWHERE = (5, 32)
"""ERROR_ACCESS_DENIED, which is also said of a target that somebody reads, and ERROR_SHARING_VIOLATION."""

PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5, *(1.0,) * 9)
"""Together 10 s: a reader of a checkpoint takes one or two."""


def detached(*, is_windows: bool = IS_WINDOWS) -> dict[str, Any]:
    """Return the arguments of `Popen` for a process that neither Ctrl-C nor the end of this terminal reaches."""
    if is_windows:  # where start_new_session does nothing
        return {"creationflags": CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW}
    return {"start_new_session": True}


def command_line(words: Sequence[object], *, is_windows: bool = IS_WINDOWS) -> str:
    """Return a command as a person types it into the shell of this machine."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if is_windows else shlex.join(texts)


def move(source: Path, target: Path, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Rename a file or folder, taking the place of what has the new name.

    Windows refuses while another program has that open. It is tried again for 10 s; then `PermissionError` says so.
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
        """Whether a living process holds a lock on an open file."""
        with suppress(Timeout), FileLock(file.name, timeout=0.02):
            return False
        return True

else:
    import fcntl

    def is_locked(file: IO[bytes]) -> bool:
        """Whether a living process holds a lock on an open file."""
        # A shared one: two who ask do not see each other, and reading is enough, as of another user's run.
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
