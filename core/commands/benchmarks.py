"""The command that runs the benchmarks."""

import argparse
import json
import subprocess
import sys

from core import terminal
from core.commands.document import Add, Document
from core.errors import ConfigError, CoreError
from core.home import PROJECT_ROOT
from core.terminal import say


def bench(arguments: argparse.Namespace) -> Document:
    """Run the benchmarks, or one of them."""
    programs = sorted(path.stem for path in (PROJECT_ROOT / "tests" / "bench").glob("[a-z]*.py"))
    if not programs:  # as in the container, which carries no tests
        raise ConfigError(f"There are no benchmarks in {PROJECT_ROOT / 'tests' / 'bench'}; run them from a clone.")
    if arguments.name and arguments.name not in programs:
        raise ConfigError(f"There is no benchmark '{arguments.name}'; there are {', '.join(programs)}.")
    results = [_run_program(name) for name in ([arguments.name] if arguments.name else programs)]
    return {
        "name": arguments.name or "all",
        "device": results[0]["device"],
        "figures": {f"{result['name']}.{key}": value for result in results for key, value in result["figures"].items()},
        "ratios": {f"{result['name']}.{key}": value for result in results for key, value in result["ratios"].items()},
    }


def _run_program(name: str) -> Document:
    """Run one benchmark in a process of its own; its last line is its result, the others are for people."""
    command = [sys.executable, "-m", f"tests.bench.{name}"]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as process:
        lines: list[str] = []
        for line in process.stdout or ():
            if lines:
                say(lines[-1])
            lines.append(line.rstrip())
    if process.returncode:
        raise CoreError(f"The benchmark {name} ended with exit code {process.returncode}; see what it printed.")
    document: Document = json.loads(lines[-1])
    return document


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(bench, terminal.show_bench, "bench training --json")
    command.add_argument("name", nargs="?", metavar="NAME", help="one benchmark; all if left out")
