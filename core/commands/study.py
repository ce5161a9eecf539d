"""The command study: trains and compares recipes over seeds, folds and shares of the photos."""

import argparse
from dataclasses import replace
from pathlib import Path

from core.commands.document import Add, Document, add_job
from core.commands.training import PRESET_OPTION, SET_OPTION, ending_signals, give_way
from core.errors import RunError
from core.jobs import is_held
from core.study import estimate
from core.study.document import document as document_of
from core.study.folder import DONE, CellState, Study, create_study, is_made, merged, open_study
from core.study.plan import Plan, make_plan
from core.study.work import AGAIN, Worker, waits_for
from core.terminal import TrainingProgress, percent, reporting, say
from core.training.estimate import stored_estimates
from core.training.run.folders import Run
from core.training.run.records import Record, RunEnded
from core.training.settings.presets import parse_settings, usual_preset
from core.wording import count, duration

MADE_WITH = ("preset", "set", "vary", "folds", "fractions")
"""Options of a new study, beside --data and --seeds."""


def study(arguments: argparse.Namespace) -> Document:
    """Train what is missing of a study, and compare its recipes; without --data go on with one that exists."""
    if arguments.estimate:
        return _estimate(arguments)
    found = _study_of(arguments)
    with ending_signals() as was_ended:
        shown = _Shown()
        number, parts = arguments.part
        worker = Worker(found, was_ended, say, shown.show, number, parts, beside=arguments.beside)
        if is_held(worker.folder):
            say(waits_for(found) or f"{found.name} is being trained by another process.")
            say("These are the results so far.")
        elif arguments.job or any(each.state != DONE for each in worker.states()):  # a job notes its end
            give_way()
            worker.work()
            shown.close()
    if worker.failures:
        failed = f"{count(len(worker.failures), 'run')} of {found.name} failed"
        raise RunError(f"{failed}, the first with: {worker.failures[0]} {AGAIN}")
    return document_of(found)


def _study_of(arguments: argparse.Namespace) -> Study:
    if arguments.data:
        return create_study(_plan(arguments))
    found = open_study(arguments.name)
    return create_study(_with_seeds(found.plan, arguments.seeds), found.path.parent) if arguments.seeds else found


def _with_seeds(plan: Plan, seeds: int) -> Plan:
    return replace(plan, seeds=tuple(range(seeds)))


def _plan(arguments: argparse.Namespace) -> Plan:
    from core.data.dataset import open_dataset

    return make_plan(
        arguments.name,
        open_dataset(arguments.data),
        preset_name=arguments.preset or usual_preset(arguments.data),
        changes=parse_settings(arguments.set),
        vary=arguments.vary,
        seeds=3 if arguments.seeds is None else arguments.seeds,
        folds=arguments.folds,
        fractions=arguments.fractions,
    )


def _estimate(arguments: argparse.Namespace) -> Document:
    """Time the recipes, and report how long the study would take and what would halve it; nothing is written."""
    plan, states = _planned(arguments)
    give_way()
    stored_estimates.refuse_if_training()
    with reporting("timing", "recipe", arguments.job) as on_progress:
        found = estimate.document(plan, states, estimate.measure(plan, on_progress))
        if arguments.job:
            stored_estimates.store(arguments.job, found, plan.data)
        return found


def _planned(arguments: argparse.Namespace) -> tuple[Plan, list[CellState]]:
    """Return the plan of a study, and the states of its trainings if it is made already."""
    asked = _plan(arguments) if arguments.data else None
    if asked and not is_made(asked):
        return asked, []
    there = open_study(arguments.name)
    if arguments.seeds and not asked:
        asked = _with_seeds(there.plan, arguments.seeds)
    there = replace(there, plan=merged(there.plan, asked or there.plan))
    return there.plan, there.cells()


class _Shown:
    """Shows the records of one run after the other."""

    def __init__(self) -> None:
        self._progress: TrainingProgress | None = None

    def show(self, run: Run, record: Record) -> None:
        self._progress = self._progress or TrainingProgress(run.path.name)
        self._progress.show(record)
        if isinstance(record, RunEnded):
            self.close()

    def close(self) -> None:
        if self._progress:
            self._progress.close()
        self._progress = None


def show_study(document: Document) -> str:
    """Return the recipes with the points of their runs, the verdicts, and the learning curve; or the estimate."""
    if "halve" in document:
        return _show_estimate(document)
    lines = [f"{document['done']} of {count(document['trainings'], 'run')} done: {document['study']}"]
    lines += [
        f"  {name:<32}{percent(recipe['miou']):>8}{_interval(recipe)}   by seed: {_points(recipe)}"
        for name, recipe in zip(_names(document), document["recipes"], strict=True)
    ]
    if document["floor"] is not None:
        lines.append(f"  {'background everywhere':<32}{percent(document['floor']):>8}")
    sentences = [each["sentence"] for each in (*document["verdicts"], *(document["learning_curve"] or ()))]
    return "\n".join([*lines, *(f"{sentence}." for sentence in sentences), *document["notes"]])


def _interval(recipe: Document) -> str:
    return f" ({' to '.join(map(percent, recipe['interval']))})" if recipe["interval"] else ""


def _show_estimate(document: Document) -> str:
    left = document["trainings"] - document["done"]
    lines = [f"{duration(document['seconds'])} for {count(left, 'run')}"]
    lines += [
        f"  {name:<32}{count(recipe['runs_left'], 'run')} of {duration(recipe['seconds_per_run'])}"
        for name, recipe in zip(_names(document), document["recipes"], strict=True)
    ]
    lines += [
        f"Half of it: {each['change']} ({duration(each['seconds'])}); gives up {each['gives_up']}."
        for each in document["halve"]
    ]
    return "\n".join(lines)


def _names(document: Document) -> list[str]:
    """Return the settings of each recipe as text, with the share of the photos where that differs."""
    recipes = document["recipes"]
    shares = [f"{100 * recipe['fraction']:g} % of the photos" for recipe in recipes]
    settings = [", ".join(f"{key}={value}" for key, value in recipe["settings"].items()) for recipe in recipes]
    with_share = len(set(shares)) > 1
    return [
        ", ".join(part for part in (text, share if with_share else "") if part) or "the preset"
        for text, share in zip(settings, shares, strict=True)
    ]


def _points(recipe: Document) -> str:
    return "  ".join(percent(seed["miou"]) for seed in recipe["seeds"]) or "none yet"


def _fractions(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of shares such as 0.25,0.5,1") from None


def _part(text: str) -> tuple[int, int]:
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise argparse.ArgumentTypeError(f"'{text}' is not a part such as 1/4, the first of four")
    return int(number), int(parts)


def add_to(add: Add) -> None:
    """Declare the arguments."""
    example = "study stride --data datasets/demo --preset demo --vary output_stride=8,16 --seeds 3"
    command = add(study, show_study, example)
    command.add_argument("name", metavar="NAME", help="name of the study, a folder in studies/")
    command.add_argument("--data", type=Path, metavar="DIR", help="data set of a new study")
    command.add_argument("--preset", metavar="P", help=PRESET_OPTION)
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=SET_OPTION)
    command.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="KEY=A,B",
        help="a setting and the values to compare; repeatable",
    )
    command.add_argument("--seeds", type=int, metavar="N", help="runs of each recipe, seeds 0 to N - 1 (default: 3)")
    command.add_argument(
        "--folds", type=int, default=0, metavar="K", help="split train and val into K folds, each validated once"
    )
    command.add_argument(
        "--fractions", type=_fractions, default=[], metavar="F,...", help="shares of the training photos to train on"
    )
    command.add_argument(
        "--part", type=_part, default=(1, 1), metavar="I/N", help="train only part I of N, for several machines"
    )
    command.add_argument("--estimate", action="store_true", help="say how long it would take, and train nothing")
    command.add_argument("--beside", action="store_true", help="train even while another run is being trained here")
    add_job(command)


def misuse(arguments: argparse.Namespace) -> str | None:
    """Return a sentence about options that need another one, or None."""
    if arguments.act is not study or arguments.data:
        return None
    given = [f"--{option}" for option in MADE_WITH if getattr(arguments, option)]
    return f"{given[0]} is for a new study (--data DIR)" if given else None
