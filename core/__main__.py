"""The command line: `python -m core COMMAND --help` shows each with an example.

Exit code 0: done; 1: a `CoreError`, one line on stderr; 2: wrong usage. Progress goes to stderr; with `--json` stdout
holds exactly one JSON document.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from core import terminal
from core.errors import ConfigError, CoreError, DataError, PhotoError
from core.home import PROJECT_ROOT
from core.terminal import TrainingProgress, progress_bar
from core.training import demo_run, evaluations, runs
from core.training.config import PRESET_HELP, SETTING_TYPES, parse_settings, preset, with_settings
from core.training.evaluation_jobs import running_job
from core.training.records import RunEnded, read_log
from core.training.runs import Run

Document = dict[str, Any]


def main() -> int:
    """Run one command and return the exit code."""
    parser = _parser()
    arguments = parser.parse_args()
    if problem := _misuse(arguments):
        parser.error(problem)
    try:
        document = arguments.act(arguments)
    except CoreError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
    print(json.dumps(document, allow_nan=False) if arguments.json else arguments.show(document))
    return 0


def say(line: str) -> None:
    """Tell a person something; stdout is for the result."""
    print(line, file=sys.stderr, flush=True)


# --- demo and train -------------------------------------------------------------------------------------------------


def demo(arguments: argparse.Namespace) -> Document:
    """Make the demo data if absent and train its run to 10, then to 50 epochs; run again, report what is there."""
    if arguments.background:
        run = demo_run.start_demo()
        state = "trains" if runs.is_held(run.path) else "is done"
        say(f"The demo {state} in {run.path}; Home shows it.")
    else:
        with progress_bar("drawing the demo data", "scene") as on_progress:
            run = demo_run.demo_run(on_progress)
        _train_demo(run)
    document = {"run": str(run.path), "data": run.data, "epochs": demo_run.epochs_done(run)}
    return document | {"scores": demo_run.scores(run)}


def _train_demo(run: Run) -> None:
    _give_way()
    with runs.hold(run.path):
        for epochs in demo_run.MILESTONES:
            if demo_run.epochs_done(run) < epochs and _train_leg(run, epochs).outcome != "finished":
                return


def train(arguments: argparse.Namespace) -> Document:
    """Train a new run, go on with one that was interrupted, or extend one to more epochs."""
    from core.data.dataset import fingerprint, open_dataset

    _give_way()
    run = _new_run(arguments) if arguments.new else runs.open_run(arguments.run)
    try:
        with runs.hold(run.path):
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


# --- looking and judging --------------------------------------------------------------------------------------------


def stats(arguments: argparse.Namespace) -> Document:
    """Count photos, sizes, classes and void of a split (or of all photos), and score doing nothing."""
    from core.data.dataset import open_dataset
    from core.data.stats import split_stats

    dataset = open_dataset(arguments.data)
    names = [arguments.split] if arguments.split else list(dataset.splits)
    samples = {sample.name: sample for name in names for sample in dataset.split(name)}
    with progress_bar("counting", "photo") as on_progress:
        return split_stats(list(samples.values()), dataset.class_names, on_progress).as_dict()


def doctor(arguments: argparse.Namespace) -> Document:
    """Find what is wrong with a data set: every photo and mask is read, nothing is changed."""
    from core.data.doctor import examine

    with progress_bar("examining", "photo") as on_progress:
        return examine(arguments.data, on_progress).as_dict()


def evaluate(arguments: argparse.Namespace) -> Document:
    """Score a checkpoint on a split: whole images at the masks' own size."""
    from core.data.dataset import open_dataset
    from core.training.evaluation import evaluate_checkpoint

    with ExitStack() as stack:
        show = stack.enter_context(progress_bar("evaluating", "photo"))
        note = stack.enter_context(running_job(arguments.job)) if arguments.job else _note_nothing
        masks = stack.enter_context(_output_folder(arguments.masks)) if arguments.masks else None

        def on_progress(done: int, total: int) -> None:
            show(done, total)
            note(done, total)

        dataset = open_dataset(arguments.data)
        evaluated = evaluate_checkpoint(arguments.checkpoint, dataset, arguments.split, on_progress)
        if masks:
            for result in evaluated.results:
                (masks / f"{result.name}.png").write_bytes(result.mask_png)
    for repair in evaluated.repairs:
        say(f"{arguments.checkpoint.name}: {repair}.")
    scores = evaluations.summarize(evaluated.results, dataset.class_names)
    about = {"checkpoint": str(arguments.checkpoint), "split": arguments.split}
    return about | scores.as_dict() | {"images_per_second": evaluated.images_per_second}


def _note_nothing(_done: int, _total: int) -> None:
    pass


@contextmanager
def _output_folder(path: Path) -> Iterator[Path]:
    from core.files import new_folder

    try:
        with new_folder(path) as folder:
            yield folder
    except FileExistsError:
        raise DataError(f"{path} holds files already; name a new folder, nothing is overwritten.") from None
    except OSError as error:
        raise DataError(f"The folder {path} cannot be written: {error.strerror}; choose another.") from error


def inspect(arguments: argparse.Namespace) -> Document:
    """Tell what a checkpoint file is, whether it opens here, and what had to be mended."""
    from core.model.checkpoint import open_checkpoint

    opened = open_checkpoint(arguments.checkpoint)
    opened.build()
    return {
        "format": opened.format,
        "architecture": opened.meta.architecture,
        "classes": list(opened.meta.class_names),
        "meta": opened.meta.as_dict(),
        "problems": list(opened.problems),
        "repairs": list(opened.repairs),
    }


def segment(arguments: argparse.Namespace) -> Document:
    """Write the mask and the overlay of photos, each at the photo's own size."""
    from core.training.evaluation import open_predictor

    targets = _targets(arguments.photos, arguments.out)
    for path in arguments.photos:
        _read_photo(
            path
        )  # all are read before any is written, but not all kept: a hundred large photos fill the memory
    predictor, meta, repairs = open_predictor(arguments.checkpoint)
    _make_folder(arguments.out)
    for repair in repairs:
        say(f"{arguments.checkpoint.name}: {repair}.")
    with progress_bar("segmenting", "photo") as on_progress:
        documents = []
        for path, (mask, overlay) in zip(arguments.photos, targets, strict=True):
            began_s = time.perf_counter()
            photo = _read_photo(path)
            classes = _segment_photo(predictor, photo, meta.class_names, mask, overlay)
            about = {"file": str(path), "size": list(photo.size), "mask": str(mask), "overlay": str(overlay)}
            documents.append(about | {"classes": classes, "seconds": time.perf_counter() - began_s})
            on_progress(len(documents), len(arguments.photos))
    return {"photos": documents}


def _read_photo(path: Path) -> Any:
    from core.model.photo import open_photo

    try:
        return open_photo(path.read_bytes(), str(path))
    except OSError as error:
        raise PhotoError(f"The photo {path} cannot be read: {error.strerror}; check its name.") from error


def _targets(photos: list[Path], folder: Path) -> list[tuple[Path, Path]]:
    """Name the files to write after the photos; nothing that exists is overwritten."""
    stems: list[str] = []
    for path in photos:
        names = itertools.chain([path.stem], (f"{path.stem}-{number}" for number in itertools.count(2)))
        stems.append(next(name for name in names if name not in stems))
    targets = [(folder / f"{stem}_mask.png", folder / f"{stem}_overlay.png") for stem in stems]
    for file in (file for pair in targets for file in pair):
        if file.exists():
            raise PhotoError(f"{file} exists already; choose another --out, nothing is overwritten.")
    return targets


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PhotoError(f"The folder {folder} cannot be made: {error.strerror}; choose another --out.") from error


def _segment_photo(predictor: Any, photo: Any, class_names: tuple[str, ...], mask: Path, overlay: Path) -> Any:
    from core.data.images import png_bytes, write_mask
    from core.files import replacing
    from core.model.photo import class_areas
    from core.model.render import overlay as lay_over

    prediction = predictor.predict(photo, with_confidence=True)
    write_mask(mask, prediction.mask_HW)
    with replacing(overlay) as file:
        file.write(png_bytes(lay_over(photo, prediction.mask_HW)))
    return [vars(area) for area in class_areas(prediction.mask_HW, prediction.confidence_HW, class_names)]


def bench(arguments: argparse.Namespace) -> Document:
    """Run the benchmarks, or one of them."""
    programs = sorted(path.stem for path in (PROJECT_ROOT / "tests" / "bench").glob("[a-z]*.py"))
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


# --- arguments ------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description="Atrous on the command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(act: Callable[[argparse.Namespace], Document], show: Callable[[Document], str], example: str) -> Any:
        command = commands.add_parser(
            act.__name__,
            help=act.__doc__,
            description=act.__doc__,
            epilog=f"Example:\n  python -m core {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else")
        command.set_defaults(act=act, show=show)
        return command

    _add_demo_and_train(add)
    _add_judging(add)
    command = add(bench, terminal.show_bench, "bench training --json")
    command.add_argument("name", nargs="?", metavar="NAME", help="one benchmark; all if left out")
    return parser


def _misuse(arguments: argparse.Namespace) -> str | None:
    """Return what is wrong with options that do not go together."""
    if arguments.act is not train:
        return None
    if arguments.new is None:
        is_asked_anew = arguments.data or arguments.preset or arguments.set
        return "--data, --preset and --set are for a new run (--new NAME)" if is_asked_anew else None
    if arguments.extend is not None:
        return "--extend is for a run that exists"
    return None if arguments.data else "--new needs --data DIR"


def _add_demo_and_train(add: Callable[..., Any]) -> None:
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


def _add_judging(add: Callable[..., Any]) -> None:
    command = add(doctor, terminal.show_doctor, "doctor datasets/demo")
    command.add_argument("data", type=Path, metavar="DIR", help="data set")

    command = add(stats, terminal.show_stats, "stats datasets/demo --split val")
    command.add_argument("data", type=Path, metavar="DIR", help="data set")
    command.add_argument("--split", metavar="S", help="count this split alone")

    command = add(
        evaluate, terminal.show_evaluate, "evaluate checkpoints/RUN/epoch_010.pt --data datasets/demo --split val"
    )
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    command.add_argument("--data", type=Path, metavar="DIR", required=True, help="data set")
    command.add_argument("--split", metavar="S", default="val", help="split to score on (default: val)")
    command.add_argument("--masks", type=Path, metavar="OUT", help="new folder for the predicted index masks")
    command.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # where the dashboard looks for progress

    command = add(inspect, terminal.show_inspect, "inspect checkpoints/RUN/best.pt")
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")

    command = add(segment, terminal.show_segment, "segment photo.jpg --checkpoint checkpoints/RUN/best.pt --out masks")
    command.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    command.add_argument("--checkpoint", type=Path, metavar="C", required=True)
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for masks and overlays")


if __name__ == "__main__":
    sys.exit(main())
