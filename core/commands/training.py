"""The commands demo, train and estimate."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from core import api, jobs
from core.commands.data import say_unnamed
from core.commands.document import Add, Document, add_job, floor_of
from core.errors import CoreError
from core.files import write_json
from core.terminal import TrainingProgress, percent, progress_bar, reporting, say
from core.training import demo_run
from core.training.estimate import stored_estimates
from core.training.run import evaluations, folders, machine
from core.training.run.folders import Run
from core.training.run.health import health
from core.training.run.log import RunLog, read_log
from core.training.run.milestones import milestone
from core.training.run.records import Epoch, RunEnded, RunStarted
from core.training.settings.config import SETTING_TYPES, with_settings
from core.training.settings.presets import PRESET_HELP, parse_settings, preset, usual_preset
from core.wording import count, duration

if TYPE_CHECKING:
    from core.training.distributed import World

NICENESS = 5

PRESET_OPTION = (
    f"where the settings of a new run start ({' '.join(f'{name}: {text}' for name, text in PRESET_HELP.items())}); "
    "if left out, demo for its data, else own-photos"
)
SET_OPTION = f"change a setting of the preset; settings: {', '.join(SETTING_TYPES)}"

NOTABLE_SHARE = 0.1
"""Share of the processors that other programs take, from which on a timing mentions it."""


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
    for file in demo_run.milestones_by_size(run):
        say(f"{file.name} {evaluations.BY_SIZE}; evaluate it again: python -m core evaluate {file} --data {run.data}.")
    document = {"run": str(run.path), "data": run.data, "epochs": demo_run.epochs_done(run)}
    return document | {"scores": demo_run.scores(run)}


def _train_demo(run: Run) -> None:
    if demo_run.epochs_done(run) >= demo_run.MILESTONES[-1]:
        return
    give_way()
    with _trainer_of(run) as was_ended:
        for epochs in demo_run.MILESTONES:
            if demo_run.epochs_done(run) < epochs and _train_leg(run, epochs, was_ended).outcome != "finished":
                return


@contextmanager
def _trainer_of(run: Run, *, beside: bool = False) -> Iterator[Callable[[], bool]]:
    """Hold the run, and unless `beside` others the machine; yields a function that returns whether to end.

    Runs before torch is imported, which takes seconds: the starter waits for the lock, and a signal may arrive.
    """
    with ending_signals() as was_ended, machine.alone(run.path, beside=beside), jobs.hold(run.path):
        yield was_ended


def train(arguments: argparse.Namespace) -> Document:
    """Train a new run, resume one that was interrupted, or extend one to more epochs."""
    give_way()
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return _train(arguments)
    from core.training.distributed import World, joined

    with joined(World.from_environment(os.environ)) as world:
        if world.is_rank_0:
            return _train(arguments, world)
        _follow(world)
    sys.exit(0)  # rank 0 reports the outcome


def _follow(world: "World") -> None:
    """Train as another rank than 0; rank 0 reports why, if the training fails."""
    import torch

    from core.training.loop.other_ranks import follow_rank_0

    with ending_signals() as was_ended:
        try:
            follow_rank_0(world, was_ended)
        except CoreError:
            if torch.cuda.is_available():  # on GPUs rank 0 may wait in its step for ever, and report nothing
                raise
            sys.exit(1)


@contextmanager
def ending_signals() -> Iterator[Callable[[], bool]]:
    """Catch SIGTERM and Ctrl-C in the block; yield a function that returns whether one arrived."""
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


def _train(arguments: argparse.Namespace, world: "World | None" = None) -> Document:
    from core.data.dataset import fingerprint, open_dataset

    if arguments.new:
        say_unnamed(open_dataset(arguments.data))
        run = api.new_run(arguments.new, arguments.data, preset=arguments.preset, **parse_settings(arguments.set))
    else:
        run = folders.open_run(arguments.run)
    with (
        api.deleted_unless_begun(run) if arguments.new else nullcontext(),
        _trainer_of(run, beside=arguments.beside) as was_ended,
    ):
        ended = _train_leg(run, arguments.extend, was_ended, world)
    return {
        "run": str(run.path),
        "epochs_done": ended.epochs_done,
        "outcome": ended.outcome,
        "scores": evaluations.scores_of(
            run.eval_dir,
            milestone(run.path, ended.epochs_done),
            "val",
            fingerprint(open_dataset(run.data).split("val")),
        ),
    }


def give_way() -> None:
    """Lower the priority, so that a dashboard on the same machine stays quick."""
    if not hasattr(os, "nice"):
        return
    os.nice(NICENESS)
    # Linux first shares the processors among sessions (sched(7), "The autogroup feature"). A page starts a trainer in a
    # session of its own, whose niceness must be set too.
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICENESS))


def _train_leg(
    run: Run, extend_to: int | None, was_ended: Callable[[], bool], world: "World | None" = None
) -> RunEnded:
    """Train one leg within `_trainer_of` the run, and show its records and the advice on its health."""
    from core.training.loop.trainer import train as train_leg

    with closing(TrainingProgress(run.path.name)) as progress:
        ended, has_begun = None, False
        log, said = read_log(run.log_path), dict[str, str]()
        try:
            for record in train_leg(run, extend_to=extend_to, was_ended=was_ended, world=world):
                progress.show(record)
                ended, has_begun = record, has_begun or isinstance(record, RunStarted)
                if isinstance(record, RunStarted | Epoch):
                    _say_health(run, log, progress, said)
        finally:
            if has_begun:
                _say_health(run, log, progress, said)
    if not isinstance(ended, RunEnded):
        raise TypeError(f"a leg ended with {ended}")
    return ended


def _say_health(run: Run, log: RunLog, progress: TrainingProgress, said: dict[str, str]) -> None:
    """Print new advice on the run's health: each kind once, and at the end each sentence that has changed.

    `said` holds the printed sentences by kind.
    """
    log.read_new()
    is_over = isinstance(log.last, RunEnded)
    for advice in health(log, state="running", is_drawn=demo_run.is_drawn(run)):
        if advice.kind not in said or (is_over and said[advice.kind] != advice.sentence):
            said[advice.kind] = advice.sentence
            progress.advise(advice.sentence)


def estimate(arguments: argparse.Namespace) -> Document:
    """Time a few real batches, and report how long the training and faster settings would take."""
    from core.data.dataset import open_dataset

    give_way()  # as the trainer will
    with reporting("timing", "setting", arguments.job) as on_progress:
        stored_estimates.refuse_if_training()
        name = arguments.preset or usual_preset(arguments.data)
        config = with_settings(preset(name), parse_settings(arguments.set))
        from core.training.estimate.training_time import estimate as measure  # torch, once the job's lock is held

        found = measure(open_dataset(arguments.data), config, on_progress).as_dict()
        if arguments.job:
            write_json(arguments.job / stored_estimates.FILE, found)
    return found


def show_demo(document: Document) -> str:
    """Return the demo's run, data and scores."""
    lines = [f"Run   {document['run']}", f"Data  {document['data']}", f"{count(document['epochs'], 'epoch')} done"]
    for epochs, scores in document["scores"].items():
        lines.append(f"  after {count(int(epochs), 'epoch')}: mIoU {percent(scores['miou'])}{floor_of(scores)}")
    return "\n".join(lines)


def show_train(document: Document) -> str:
    """Return how a training ended."""
    scores = document["scores"]
    result = f", mIoU {percent(scores['miou'])}{floor_of(scores)}" if scores else ""
    return f"{document['outcome']} after {count(document['epochs_done'], 'epoch')}{result}\n{document['run']}"


def show_estimate(document: Document) -> str:
    """Return how long a training would take, and the alternatives with their drawbacks."""
    step = f"{document['seconds_per_step']:.2f} s a step of {count(document['batch_size'], 'photo')}"
    extrapolated = " (extrapolated from smaller batches)" if document["is_extrapolated"] else ""
    photos = f"{document['num_train_images']:,} training and {count(document['num_val_images'], 'validation photo')}"
    epochs = f"{count(document['epochs'], 'epoch')} of {duration(document['seconds_per_epoch'])}"
    lines = [
        f"{duration(document['total_seconds'])} for {epochs}: {photos}",
        f"{step}{extrapolated}, {document['precision']} on {document['device']}",
    ]
    width = max((len(a["label"]) for a in document["alternatives"]), default=0)
    if document["alternatives"]:
        lines.append(f"{'instead':<{width}}{'in all':>14}{'ratio':>8}  what it gives up")
    lines += [
        f"{a['label']:<{width}}{duration(a['total_seconds']):>14}{a['ratio']:>8.2f}  {a['gives_up']}"
        for a in document["alternatives"]
    ]
    if document["not_faster"]:
        lines.append(f"not faster here: {', '.join(document['not_faster'])}")
    if document["left_out"]:
        lines.append(f"not timed: {', '.join(document['left_out'])}")
    if document["others_share"] > NOTABLE_SHARE:
        lines.append(f"Other programs took {percent(document['others_share'])} of the processors meanwhile.")
    return "\n".join(lines)


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(demo, show_demo, "demo --json")
    command.add_argument("--background", action="store_true", help="train in a process of its own and return")

    command = add(train, show_train, "train --new first --data datasets/demo --preset demo --set epochs=5")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("run", nargs="?", type=Path, metavar="RUN_DIR", help="resume this run")
    which.add_argument("--new", metavar="NAME", help="make a new run of this name")
    command.add_argument("--data", type=Path, metavar="DIR", help="data set of a new run")
    _add_settings(command)
    command.add_argument("--extend", type=int, metavar="EPOCHS", help="train to this many epochs in all")
    command.add_argument("--beside", action="store_true", help="train even while another run is being trained here")

    command = add(estimate, show_estimate, "estimate --data datasets/demo --preset demo --set image_size=128")
    command.add_argument("--data", type=Path, metavar="DIR", required=True, help="data set")
    _add_settings(command)
    add_job(command)


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--preset", metavar="P", help=PRESET_OPTION)
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=SET_OPTION)


def misuse(arguments: argparse.Namespace) -> str | None:
    """Return a sentence about options that exclude each other, or None."""
    if arguments.act is not train:
        return None
    if arguments.new is None:
        has_settings = arguments.data or arguments.preset or arguments.set
        return "--data, --preset and --set are for a new run (--new NAME)" if has_settings else None
    if arguments.extend is not None:
        return "--extend is for a run that exists"
    return None if arguments.data else "--new needs --data DIR"
