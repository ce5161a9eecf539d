"""Commands that train: demo and train."""

import argparse
import os
import shutil
from pathlib import Path

from core import jobs, terminal
from core.commands.document import Add, Document
from core.errors import CoreError
from core.terminal import TrainingProgress, progress_bar, say
from core.training import demo_run, evaluations, runs
from core.training.config import PRESET_HELP, SETTING_TYPES, parse_settings, preset, with_settings
from core.training.records import RunEnded, read_log
from core.training.runs import Run


def demo(arguments: argparse.Namespace) -> Document:
    """Make the demo data if absent and train its run to 10, then to 50 epochs; run again, report what is there."""
    if arguments.background:
        run = demo_run.start_demo()
        state = "trains" if jobs.is_held(run.path) else "is done"
        say(f"The demo {state} in {run.path}; Home shows it.")
    else:
        with progress_bar("drawing the demo data", "scene") as on_progress:
            run = demo_run.demo_run(on_progress)
        _train_demo(run)
    document = {"run": str(run.path), "data": run.data, "epochs": demo_run.epochs_done(run)}
    return document | {"scores": demo_run.scores(run)}


def _train_demo(run: Run) -> None:
    _give_way()
    with jobs.hold(run.path):
        for epochs in demo_run.MILESTONES:
            if demo_run.epochs_done(run) < epochs and _train_leg(run, epochs).outcome != "finished":
                return


def train(arguments: argparse.Namespace) -> Document:
    """Train a new run, go on with one that was interrupted, or extend one to more epochs."""
    from core.data.dataset import fingerprint, open_dataset

    _give_way()
    run = _new_run(arguments) if arguments.new else runs.open_run(arguments.run)
    try:
        with jobs.hold(run.path):
            ended = _train_leg(run, arguments.extend)
    except CoreError:
        if arguments.new and not read_log(run.log_path).legs:
            shutil.rmtree(run.path)  # it never began: what cannot work leaves nothing behind
        raise
    milestone = run.path / f"epoch_{ended.epochs_done:03d}.pt"
    return {
        "run": str(run.path),
        "epochs_done": ended.epochs_done,
        "outcome": ended.outcome,
        "scores": evaluations.scores_of(
            run.eval_dir, milestone, "val", fingerprint(open_dataset(run.data).split("val"))
        ),
    }


def _new_run(arguments: argparse.Namespace) -> Run:
    from core.data.dataset import open_dataset

    name = arguments.preset or "report"
    config = with_settings(preset(name), parse_settings(arguments.set))
    dataset = open_dataset(arguments.data)
    for split in ("train", "val"):
        dataset.split(split)
    return runs.create_run(arguments.new, arguments.data, name, config)


def _give_way() -> None:
    """Train at a lower priority, so that a dashboard on the same machine stays quick."""
    if hasattr(os, "nice"):
        os.nice(5)


def _train_leg(run: Run, extend_to: int | None) -> RunEnded:
    """Train while the caller holds the lock; torch takes seconds to import, and whoever started this is waiting."""
    from core.training.trainer import train as train_leg

    with TrainingProgress(run.path.name) as progress:
        ended = None
        for record in train_leg(run, extend_to=extend_to):
            progress.show(record)
            ended = record
    if not isinstance(ended, RunEnded):
        raise TypeError(f"a leg ended with {ended}")
    return ended


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(demo, terminal.show_demo, "demo --json")
    command.add_argument("--background", action="store_true", help="train in a process of its own and return")

    command = add(train, terminal.show_train, "train --new first --data datasets/demo --preset demo --set epochs=5")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("run", nargs="?", type=Path, metavar="RUN_DIR", help="go on with this run")
    which.add_argument("--new", metavar="NAME", help="make a new run of this name")
    command.add_argument("--data", type=Path, metavar="DIR", help="data set of a new run")
    presets = " ".join(f"{name}: {text}" for name, text in PRESET_HELP.items())
    command.add_argument("--preset", metavar="P", help=f"where the settings of a new run start ({presets})")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"change a setting of the preset; settings: {', '.join(SETTING_TYPES)}",
    )
    command.add_argument("--extend", type=int, metavar="EPOCHS", help="go on to this many epochs in all")


def misuse(arguments: argparse.Namespace) -> str | None:
    """Return what is wrong with options that do not go together."""
    if arguments.act is not train:
        return None
    if arguments.new is None:
        is_asked_anew = arguments.data or arguments.preset or arguments.set
        return "--data, --preset and --set are for a new run (--new NAME)" if is_asked_anew else None
    if arguments.extend is not None:
        return "--extend is for a run that exists"
    return None if arguments.data else "--new needs --data DIR"
