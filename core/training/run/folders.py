"""Run folders: creating, listing, starting and extending them, and the state of a run.

A run is a folder; the trainer writes it; everything else reads it. A trainer lives if the kernel holds the lock on the
file `lock`, whatever its process id. `about.json` holds the run's name and note. The trainer never writes it.
"""

import itertools
import json
import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import ConfigError, RunError
from core.files import by_number, entries, regular, write_json
from core.home import checkpoints_dir
from core.jobs import held_since, is_held, launch
from core.training.run import machine
from core.training.run.log import RECENT, RunLog, read_log
from core.training.run.milestones import milestones
from core.training.run.records import Preparing, Record, RunEnded, seconds_between
from core.training.settings.config import TrainingConfig, from_dict
from core.training.settings.presets import PRESETS, present_name, preset
from core.windows import command_line
from core.wording import count, numbered

SCHEMA = 1
"""Version of `config.json` and of `about.json`."""

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,59}")

DELETING = ".deleting-"
"""Prefix of a run's folder while it is deleted."""

LIVE_STATES = ("running", "stalled")


@dataclass(frozen=True)
class Run:
    """A run: its settings, data, current name and note, and `made_as`, its first name. Its progress is in the log."""

    path: Path
    name: str
    data: str
    preset: str
    created_s: float
    config: TrainingConfig
    made_as: str
    note: str = ""

    @property
    def log_path(self) -> Path:
        """The file of its records."""
        return self.path / "log.jsonl"

    @property
    def eval_dir(self) -> Path:
        """The folder of its stored evaluations."""
        return self.path / "eval"

    def checkpoints(self) -> list[Path]:
        """Return its checkpoint files: milestones in order, then best and last."""
        return milestones(self.path) + [file for name in ("best.pt", "last.pt") if (file := self.path / name).exists()]


def create_run(name: str, data: Path, preset: str, config: TrainingConfig, *, folder: Path | None = None) -> Run:
    """Make the folder of a new run, named after the time and `name`, with its `config.json`.

    `folder` is the parent (default: `checkpoints/`). A bad name raises `RunError`; an existing folder is
    never reused.
    """
    check_name(name)
    created = datetime.now().astimezone()
    stem = f"{created:%Y-%m-%d_%H%M}_{name.replace(' ', '_')}"
    path = _make_new_folder(folder or checkpoints_dir(), stem)
    settings = config.as_dict()
    about = {
        "schema": SCHEMA,
        "name": name,
        "data": str(Path(data).resolve()),
        "preset": preset,
        "created_s": created.timestamp(),
        "settings": settings,
    }
    write_json(path / "config.json", about)
    return _run_of(path, about, name)  # not read again: another process may delete the run now


def check_name(name: str) -> None:
    """Raise `RunError` if a run cannot have this name."""
    if not NAME_PATTERN.fullmatch(name):
        raise RunError(
            f"'{name}' cannot name a run; use up to 60 letters, digits, spaces and . _ + -, a letter or digit first."
        )


def _make_new_folder(parent: Path, stem: str) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for name in itertools.islice(numbered(stem, "_"), 999):
            path = parent / name
            with suppress(FileExistsError):
                path.mkdir()
                return path
    except OSError as error:
        raise RunError(f"Cannot make a run folder in {parent}: {error.strerror}; free it or choose another.") from error
    raise RunError(f"{parent} already holds 999 runs called {stem}; choose another name.")


def open_run(path: Path) -> Run:
    """Read the `config.json` of a run folder; any other folder raises `RunError`."""
    path = Path(path)
    try:
        about = json.loads(regular(path / "config.json").read_text(encoding="utf-8"))
        if about["schema"] > SCHEMA:
            raise RunError(f"{path} was made by a newer version (config schema {about['schema']}); update this one.")
        if not NAME_PATTERN.fullmatch(about["name"]):
            raise ValueError("its name is not a valid run name")
        name, note = _about(path, about["name"])
        return _run_of(path, about, name, note)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path} is not a run folder: it has no config.json; make one with `train --new`.") from None
    except (OSError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise RunError(f"{path / 'config.json'} cannot be read ({error}); restore it or delete the run.") from error


def _run_of(path: Path, about: dict[str, Any], name: str, note: str = "") -> Run:
    return Run(
        path=path.resolve(), name=name, data=about["data"], preset=about["preset"],
        created_s=float(about["created_s"]), config=from_dict(about["settings"]), made_as=about["name"], note=note,
    )  # fmt: skip


def _about(path: Path, first_name: str) -> tuple[str, str]:
    """Return the name and the note in about.json; if it cannot be read, the first name and no note."""
    try:
        about = json.loads((path / "about.json").read_text(encoding="utf-8"))
        return about["name"] if NAME_PATTERN.fullmatch(about["name"]) else first_name, str(about["note"])
    except (OSError, KeyError, TypeError, ValueError):
        return first_name, ""


def list_runs(folder: Path | None = None) -> list[Run]:
    """Return every readable run, newest first; other folders are skipped."""
    return read_runs(folder)[0]


def read_runs(folder: Path | None = None) -> tuple[list[Run], list[str]]:
    """Return `list_runs`, and one sentence for each unreadable run; finishes interrupted deletions."""
    folder = folder or checkpoints_dir()
    for half_deleted in entries(folder, f"{DELETING}*"):
        shutil.rmtree(half_deleted, ignore_errors=True)
    runs, sentences = [], []
    for path in filter(_is_run, sorted(entries(folder, "[!.]*"), key=by_number)):
        try:
            runs.append(open_run(path))
        except RunError as error:
            if _is_run(path):  # else it was deleted meanwhile
                sentences.append(str(error))
    return sorted(runs, key=lambda run: run.created_s, reverse=True), sentences


def run_names(runs: Sequence[Run]) -> dict[Path, str]:
    """Return the name of each run, or its folder's name where several runs share one."""
    names = [run.name for run in runs]
    return {run.path: run.name if names.count(run.name) == 1 else run.path.name for run in runs}


def _is_run(path: Path) -> bool:
    """Return whether a folder looks like a run, also if another user's permissions hide its content."""
    try:
        return (path / "config.json").stat() is not None
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)


def run_state(run: Run, log: RunLog, *, now_s: float | None = None, uptime_s: float | None = None) -> str:
    """Return new, running, stalled, finished, stopped, failed, crashed or unknown.

    A run with a held lock is running, or stalled if its last record is far older than usual. The state is unknown if
    another user's lock or log cannot be opened. `now_s` and `uptime_s` are as in a record (default: now).
    """
    try:
        began_s = held_since(run.path)
    except RunError:
        return "unknown"
    if began_s is not None:
        now = Record(time_s=now_s or time.time(), uptime_s=uptime_s or time.monotonic())
        return "stalled" if _is_stalled(log, began_s, now) else "running"
    if not log.is_readable:
        return "unknown"
    # A trainer writes its end before it releases the lock; both may have happened since this log was read.
    last = log.last if isinstance(log.last, RunEnded) else log.newest()
    if isinstance(last, RunEnded):
        return last.outcome
    return "crashed" if last or (run.path / "lock").exists() else "new"


def _is_stalled(log: RunLog, began_s: float, now: Record) -> bool:
    """Return whether a trainer that took the lock at `began_s` has written no record for too long.

    Within the leg, neither a changed clock nor the machine's sleep counts (`seconds_between`).
    """
    if log.last is None or isinstance(log.last, RunEnded):
        return False
    if isinstance(log.last, Preparing) and log.last.epochs:
        return False  # the first record of a leg; a download of weights, without records, may follow
    steps = [step for step in log.steps[-RECENT:] if step.time_s >= began_s]
    usual_s = max((seconds_between(*pair) for pair in itertools.pairwise(steps)), default=30.0)
    is_of_this_leg = log.last.time_s >= began_s
    silent_s = seconds_between(log.last, now) if is_of_this_leg else now.time_s - began_s
    return silent_s > max(120.0, 10 * usual_s)


def target_epochs(run: Run, log: RunLog) -> int:
    """Return the run's target epochs: those of its latest leg, else of its config."""
    return log.asked_epochs or run.config.epochs


def next_target(run: Run, log: RunLog, extend_to: int | None) -> int:
    """Return the next leg's target epochs; a run that already has them, or cannot be resumed, raises `RunError`."""
    target = extend_to if extend_to is not None else target_epochs(run, log)
    is_over = isinstance(log.last, RunEnded) and log.last.outcome == "finished"
    if target < log.epochs_done or (is_over and target == log.epochs_done):
        raise RunError(f"{run.path.name} already has {count(log.epochs_done, 'epoch')}; extend it to more than that.")
    if lost := lost_state(run, log):
        raise RunError(lost)  # starting again would overwrite the milestones
    return target


def lost_state(run: Run, log: RunLog) -> str | None:
    """Return a sentence if last.pt is lost, without which a run cannot be resumed; else None."""
    last = run.path / "last.pt"
    if last.exists() or all(saved.file != last.name for saved in log.checkpoints):
        return None
    left = ", ".join(file.name for file in run.checkpoints())
    usable = f"; {left} can be compared and used as before" if left else ""
    return f"{last} is gone, and only from it can the run go on: put a copy of it back or start a new run{usable}."


def live_runs(folder: Path | None = None) -> list[Run]:
    """Return the runs that are being trained now, without those whose lock cannot be opened."""
    live = []
    for run in list_runs(folder):
        with suppress(RunError):  # another user's lock hides no other run
            live += [run] if is_held(run.path) else []
    return live


def start(run: Run, *, extend_to: int | None = None) -> None:
    """Start (or resume, or extend) a run's trainer in its own process, and return once it holds the lock.

    One run trains on a machine at a time. A trainer that ends before it holds the lock raises `RunError` with its
    output.
    """
    next_target(run, read_log(run.log_path), extend_to)
    launch_trainer(run, ["train", str(run.path), *(["--extend", str(extend_to)] if extend_to is not None else [])])


def launch_trainer(run: Run, arguments: list[str]) -> None:
    """Run a command that trains this run in its own process; of two starters at once, one gets `RunError`."""
    with machine.starting():
        refuse_if_busy(run)
        launch(arguments, run.path)


def refuse_if_busy(run: Run) -> None:
    """Raise `RunError` if this run, or another one on this machine, is being trained."""
    for busy in [run] if is_held(run.path) else live_runs(run.path.parent):
        raise RunError(f"{busy.path.name} is being trained; wait for it or stop it first.")
    machine.refuse_if_held()


def commands(run: Run, log: RunLog, folder: str = "checkpoints/RUN") -> list[str]:
    """Return the command lines that make this run again, in `folder`, and train and extend it as far as it went."""
    targets = {int(leg.config.get("epochs", 0)) for leg in log.legs}  # logs from elsewhere may lack it
    later = sorted(target for target in targets if target > run.config.epochs)
    return [command(run), *(f"python -m core train {folder} --extend {target}" for target in later)]


def command(run: Run) -> str:
    """Return the command line that makes this run again and trains it to the epochs that it was made for."""
    name = present_name(run.preset) if present_name(run.preset) in PRESETS else "report"
    default = preset(name).as_dict()
    changed = {name: value for name, value in run.config.as_dict().items() if value != default[name]}
    settings = []
    for setting, value in changed.items():
        settings += ["--set", f"{setting}={str(value).lower() if isinstance(value, bool) else value}"]
    words = ["python", "-m", "core", "train", "--new", run.name, "--data", run.data, "--preset", name, *settings]
    return command_line(words)
