"""The commands evaluate, compare, report and bench."""

import argparse
import json
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from core import api
from core.commands.checkpoints import NAMED, add_given, find_checkpoint, given_by
from core.commands.data import say_unnamed
from core.commands.document import Add, Document, add_job, floor_of
from core.data.dataset import Dataset, open_dataset
from core.errors import ConfigError, CoreError
from core.files import output_folder, refuse_existing, unused, write_new
from core.home import PROJECT_ROOT
from core.terminal import percent, progress_bar, reporting, say
from core.training.run.evaluations import BY_SIZE
from core.training.run.robustness import PHOTOS
from core.wording import count

LANGUAGES = ("en", "pt")
WITH_DATA = ("explain", "gpu", "label_errors", "labelling", "unlikeness")
WITH_FULL = ("label_errors", "labelling", "study_intervals")
"""The benchmarks that take --data, and those that take --full."""
BY_NAME = ("gpu",)
"""Those that run only if they are named: most machines have nothing to measure."""


def evaluate(arguments: argparse.Namespace) -> Document:
    """Score a checkpoint on a split: whole photos at the masks' own size; or on corrupted photos."""
    if arguments.photos is not None and not arguments.corruptions:
        raise ConfigError("--photos is a sample for --corruptions; leave --photos out, or add --corruptions.")
    if arguments.masks and arguments.corruptions:
        raise ConfigError("--masks is for photos as they are; leave --masks or --corruptions out.")
    with reporting("evaluating", "photo", arguments.job) as on_progress:
        dataset = open_dataset(arguments.data)
        find_checkpoint(arguments.checkpoint)  # shows the progress of a download
        evaluated = (
            partial(api.evaluate_corrupted, photos=arguments.photos)
            if arguments.corruptions
            else partial(api.evaluate, masks=arguments.masks)
        )
        document: Document = evaluated(
            arguments.checkpoint,
            dataset,
            arguments.split,
            given=given_by(arguments),
            on_progress=on_progress,
            on_note=say,
            by="page" if arguments.job else "command",
        )
    say_unnamed(dataset)
    return document


def compare(arguments: argparse.Namespace) -> Document:
    """Report whether checkpoint B is better than A on the same photos; evaluates them if necessary."""
    dataset = open_dataset(arguments.data)
    for checkpoint in (arguments.a, arguments.b):
        find_checkpoint(checkpoint)  # shows the progress of a download
    with progress_bar("evaluating", "photo") as on_progress:
        document = api.compare(
            arguments.a, arguments.b, dataset, arguments.split, on_progress=on_progress, on_note=say, by="command"
        )
    say_unnamed(dataset)
    return document


def report(arguments: argparse.Namespace) -> Document:
    """Report on runs, or checkpoints of runs, in one self-contained HTML file; evaluates them first if necessary."""
    from core.report import exports
    from core.report.content import evaluated, files_of, gather
    from core.report.html.page import Cover, file_name, render
    from core.report.verdicts import decide
    from core.training.run.folders import open_run

    runs = {path: open_run(path.parent if path.is_file() else path) for path in map(Path.resolve, arguments.runs)}
    chosen = [(run, each) for path, run in runs.items() for each in ([path] if path.is_file() else files_of(run))]
    first = chosen[0][0].path
    file = arguments.out or unused(first / file_name(first.name, arguments.language))
    refuse_existing(file)  # before minutes are spent on evaluations
    content = gather(evaluated(list(dict.fromkeys(chosen)), arguments.split, _evaluate), with_trust=arguments.trust)
    verdicts = decide(content)
    cover = Cover(arguments.title, arguments.author, arguments.course, arguments.date)
    page = render(content, arguments.language, cover=cover, verdicts=verdicts)
    with output_folder(arguments.tables) if arguments.tables else nullcontext() as folder:
        if folder:
            for name, text in exports.tables(content, verdicts, arguments.language).items():
                (folder / name).write_bytes(text)
        write_new(file, page.encode())
    return {"file": str(file)} | ({"tables": str(arguments.tables)} if arguments.tables else {})


def _evaluate(checkpoint: Path, dataset: Dataset, split: str) -> None:
    """Evaluate a checkpoint, which stores the result in its run's folder, with a progress bar."""
    from core.report.content import is_by_size
    from core.training.evaluation import evaluate_checkpoint

    why = BY_SIZE if is_by_size(checkpoint, split) else f"is not evaluated on {split} yet"
    say(f"{checkpoint.name} {why}: evaluating.")
    with progress_bar(f"evaluating {checkpoint.name}", "photo") as on_progress:
        evaluate_checkpoint(checkpoint, dataset, split, on_progress, by="command")


def bench(arguments: argparse.Namespace) -> Document:
    """Run the benchmarks, or one of them."""
    programs = sorted(path.stem for path in (PROJECT_ROOT / "tests" / "bench").glob("[a-z]*.py"))
    if not programs:  # as in the container, which carries no tests
        raise ConfigError(f"{PROJECT_ROOT / 'tests' / 'bench'} has no benchmarks; run them from a clone.")
    if arguments.name and arguments.name not in programs:
        raise ConfigError(f"There is no benchmark '{arguments.name}'; choose one of {', '.join(programs)}.")
    usual = [name for name in programs if name not in BY_NAME]
    options = [
        *(["--data", str(arguments.data.resolve())] if arguments.data else []),
        *(["--full"] if arguments.full else []),
    ]
    for option, names in (("--data", WITH_DATA), ("--full", WITH_FULL)):
        if option in options and arguments.name not in names:
            raise ConfigError(f"{option} is for the benchmark {' or '.join(names)}; name it, or leave {option} out.")
    results = [_run_program(name, options) for name in ([arguments.name] if arguments.name else usual)]
    return {
        "name": arguments.name or "all",
        "device": results[0]["device"],
        "figures": {f"{result['name']}.{key}": value for result in results for key, value in result["figures"].items()},
        "ratios": {f"{result['name']}.{key}": value for result in results for key, value in result["ratios"].items()},
    }


def _run_program(name: str, options: list[str]) -> Document:
    """Run a benchmark in its own process; its last line is the result as JSON, the others are printed."""
    command = [sys.executable, "-m", f"tests.bench.{name}", *options]
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


def show_evaluate(document: Document) -> str:
    """Return a table of scores beside the floor, and a warning if they are implausible."""
    if "corruptions" in document:
        return _show_corrupted(document)
    from core.metrics.guard import suspicion
    from core.metrics.scores import Scores

    speed = f"{document['images_per_second']:.1f} a second"
    speed += ", in int8" if document.get("number_format") == "int8" else ""
    lines = [
        f"{count(document['images'], 'photo')} of {document['split']}, {speed}",
        f"{'mIoU':<16}{percent(document['miou']):>8}{floor_of(document)}",
        f"{'pixel accuracy':<16}{percent(document['pixel_accuracy']):>8}{floor_of(document, 'pixel_accuracy')}",
    ]
    names = ("precision", "recall", "f1", "fw_iou", "boundary_iou", "boundary_f")
    lines += [f"{name.replace('_', ' '):<16}{percent(document[name]):>8}" for name in names]
    lines += [f"  {c['name']:<14}{percent(c['iou']):>8}" for c in document["classes"] if c["iou"] is not None]
    if odd := suspicion(Scores.from_dict(document)):
        lines.append(f"Do not believe these scores yet: {odd.cause}.")
    return "\n".join(lines)


def _show_corrupted(document: Document) -> str:
    """Return mIoU by corruption and level, and which hurts most."""
    clean, rows, of = (
        document["clean"],
        document["corruptions"],
        f"the {document['split_images']:,} of {document['split']}",
    )
    lines = [
        f"{count(document['images'], 'photo')} of {of}; level 0: mIoU {percent(clean['miou'])}{floor_of(clean)}",
        f"{'level':<12}{'1':>8}{'2':>8}{'3':>8}{'4':>8}{'5':>8}{'mean':>8}",
    ]
    for row in rows:
        values = [*(level["miou"] for level in row["levels"]), row["mean_miou"]]
        lines.append(f"{row['name']:<12}" + "".join(f"{percent(value):>8}" for value in values))
    if known := [row for row in rows if row["mean_miou"] is not None]:
        lines.append(f"It loses most under {min(known, key=lambda row: row['mean_miou'])['name']}.")
    return "\n".join([*lines, document["stored_in"]])


def show_compare(document: Document) -> str:
    """Return the verdict, both scores beside the floor, and the photos that gained and lost most."""
    lines = [f"{document['sentence']}."]
    lines += [f"  {side.upper()}  {percent(document[side]['miou']):>8}{floor_of(document[side])}" for side in "ab"]
    for kind in ("winners", "losers"):
        lines.append(f"{kind}:" if document[kind] else f"no {kind}")
        lines += [f"  {image['image']}  {percent(image['a'])} -> {percent(image['b'])}" for image in document[kind][:5]]
    return "\n".join(lines)


def show_report(document: Document) -> str:
    """Return the files of the report."""
    return "\n".join(document[key] for key in ("file", "tables") if key in document)


def show_bench(document: Document) -> str:
    """Return the ratios of the benchmarks; the last line is the JSON document."""
    ratios = [f"{name:<32}{ratio:6.2f} x" for name, ratio in document["ratios"].items()]
    return "\n".join([f"against the report's loop, on {document['device']}", *ratios, json.dumps(document)])


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(evaluate, show_evaluate, "evaluate checkpoints/RUN/epoch_010.pt --data datasets/demo --split val")
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=NAMED)
    add_given(command)
    command.add_argument("--data", type=Path, metavar="DIR", required=True, help="data set")
    command.add_argument("--split", metavar="S", default="val", help="split to score on (default: val)")
    command.add_argument("--masks", type=Path, metavar="OUT", help="new folder for the predicted index masks")
    command.add_argument(
        "--corruptions", action="store_true",
        help="score it on photos with blur, noise, JPEG, brightness, contrast, rotation and scale, at five levels each",
    )  # fmt: skip
    command.add_argument(
        "--photos", type=int, metavar="N",
        help=f"with --corruptions: a seeded sample of N photos of the split (default: {PHOTOS})",
    )  # fmt: skip
    add_job(command)

    command = add(
        compare,
        show_compare,
        "compare checkpoints/RUN/epoch_010.pt checkpoints/RUN/epoch_050.pt --data datasets/demo --split val",
    )
    command.add_argument("a", type=Path, metavar="A", help=f"the reference: {NAMED}")
    command.add_argument("b", type=Path, metavar="B", help=f"compared with A: {NAMED}")
    command.add_argument("--data", type=Path, metavar="DIR", required=True, help="data set")
    command.add_argument("--split", metavar="S", default="val", help="split to compare on (default: val)")

    command = add(report, show_report, "report checkpoints/RUN --out report.html --language pt")
    command.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="run folder, of which all milestones are shown, or a checkpoint in one; several are shown side by side",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE.html",
        help="new file (default: RUN-report-LANGUAGE.html in the first run's folder)",
    )
    command.add_argument("--language", choices=LANGUAGES, default="en", help="English or Portuguese (default: en)")
    command.add_argument("--split", metavar="S", default="val", help="split to report on (default: val)")
    command.add_argument("--title", metavar="T", default="", help="title (default: the names of the runs)")
    command.add_argument("--author", metavar="A", default="", help="who hands it in")
    command.add_argument("--course", metavar="C", default="", help="course, university or occasion")
    command.add_argument("--date", metavar="D", default="", help="date below the title, as it shall be written")
    command.add_argument(
        "--trust", action="store_true", help="with a section on robustness and trust, from what is stored"
    )
    command.add_argument("--tables", type=Path, metavar="OUT", help="new folder for the tables as CSV, JSON and LaTeX")

    command = add(bench, show_bench, "bench training --json")
    command.add_argument("name", nargs="?", metavar="NAME", help="one benchmark; all if left out")
    command.add_argument(
        "--data", type=Path, metavar="DIR", help=f"{' and '.join(WITH_DATA)}: a data set; drawn scenes if left out"
    )
    command.add_argument(
        "--full", action="store_true", help=f"{' and '.join(WITH_FULL)}: at full size, 20 minutes or more"
    )
