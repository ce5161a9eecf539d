"""The command line: `python -m core COMMAND --help` shows a command with an example.

Exit code 0: done; 1: a `CoreError`, one line on stderr; 2: wrong usage; 130: interrupted. Progress goes to
stderr; with `--json` stdout holds exactly one JSON document.
"""

import argparse
import errno
import gc
import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.commands import checkpoints, data, evaluation, explaining, review, segmenting, study, training, trust
from core.commands.document import Document
from core.errors import CoreError, DataError
from core.terminal import closed_pipe_ignored, say

EMPTY = re.compile(r"(--[\w-]+=)?")
"""Refused as a mistake: an empty path would be the current folder, an empty name no name."""

NEW_OBJECTS = 10_000
"""New objects after which Python looks for garbage: by its own 700, imports took a fifth longer."""

FAMILIES = (training, study, data, evaluation, trust, checkpoints, segmenting, explaining, review)


def main() -> int:
    """Run one command and return the exit code."""
    gc.set_threshold(NEW_OBJECTS)
    parser = _parser()
    arguments = _parsed(parser)
    if problem := training.misuse(arguments) or study.misuse(arguments):
        parser.error(problem)
    try:
        _refuse_impossible_paths(arguments)
        document = arguments.act(arguments)
    except CoreError as error:
        say(" ".join(str(error).splitlines()))  # a file's name may have line breaks
        return 1
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
    result = json.dumps(document, allow_nan=False) if arguments.json else arguments.show(document)
    with closed_pipe_ignored(sys.stdout):
        print(result)
    return 0


def _refuse_impossible_paths(arguments: argparse.Namespace) -> None:
    """Raise `DataError` for a path that every system call refuses: too long, or a loop of links."""
    for value in vars(arguments).values():
        for path in value if isinstance(value, list) else [value]:
            try:
                if isinstance(path, Path):
                    path.stat()
            except OSError as error:
                if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                    raise DataError(f"{str(path)[:80]} cannot be a path: {error.strerror}; give another.") from error


def _parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    if any(EMPTY.fullmatch(word) for word in sys.argv[1:]):
        parser.error("an argument is empty; give it a value, or leave it out")
    try:
        return parser.parse_args()
    except SystemExit:  # after the help was printed
        with closed_pipe_ignored(sys.stdout):
            sys.stdout.flush()
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description="Atrous on the command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(act: Callable[[argparse.Namespace], Document], show: Callable[[Document], str], example: str) -> Any:
        command = commands.add_parser(
            act.__name__.rstrip("_").replace("_", "-"),  # `import_`: the word alone is Python's
            help=act.__doc__,
            description=act.__doc__,
            epilog=f"Example:\n  python -m core {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else")
        command.set_defaults(act=act, show=show)
        return command

    for family in FAMILIES:
        family.add_to(add)
    return parser


if __name__ == "__main__":
    # Pillow's warnings about photos are noise on stderr; the doctor reports bad photos by name.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    sys.exit(main())
