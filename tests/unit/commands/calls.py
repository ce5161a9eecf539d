"""How a command ended and which files it left, and calls of it in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.home import PROJECT_ROOT
from core.model.architectures import MOBILENET

MOBILE = ["--set", f"architecture={MOBILENET}", "--set", "output_stride=16", "--set", "image_size=32"]


class Ended:
    """How a command ended, and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def document(self) -> Any:
        """Return the one JSON document on stdout."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))

    def sentence(self) -> str:
        """Return the one line that a wrong input is answered with."""
        assert self.code == 1, self.out + self.err
        assert self.out == ""
        assert len(self.err.splitlines()) == 1, self.err
        assert "Traceback" not in self.err
        return self.err.strip()


Command = Callable[..., Ended]


def core_process(*arguments: object, cwd: Path = PROJECT_ROOT) -> Ended:
    """Run a command as a person does."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    ended = subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def files_under(folder: Path) -> set[Path]:
    """Return what lies below a folder, but for cache/content: hashes of files are stored once the files are 2 s old."""
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {path for path in found if path.parts[:2] != ("cache", "content")}
