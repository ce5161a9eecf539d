"""The document that a command returns, and how a command is declared."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.terminal import percent

Document = dict[str, Any]
"""The JSON document that `--json` prints."""

Add = Callable[..., Any]
"""(the function that acts, the function that shows its document, an example) -> the command's parser."""


def add_job(command: argparse.ArgumentParser) -> None:
    """Declare the hidden option for the job folder (`core.jobs`), in which the dashboard looks for progress."""
    command.add_argument("--job", type=Path, help=argparse.SUPPRESS)


def floor_of(scores: Document, name: str = "miou") -> str:
    """Return the floor of a score, in brackets."""
    return f" (background everywhere: {percent(scores['floor'][name])})"
