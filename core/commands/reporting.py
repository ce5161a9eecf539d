"""The command that hands over a report: one HTML file, and the tables behind it."""

import argparse
from contextlib import nullcontext
from pathlib import Path

from core import terminal
from core.commands.document import Add, Document
from core.data.dataset import Dataset
from core.files import output_folder, refuse_existing, unused, write_new
from core.terminal import progress_bar, say
from core.training.run.evaluations import BY_SIZE

LANGUAGES = ("en", "pt")


def report(arguments: argparse.Namespace) -> Document:
    """Report on runs in one HTML file that needs nothing else; what is not evaluated yet is evaluated first."""
    from core.report import exports
    from core.report.content import gather, judge
    from core.report.page import render
    from core.report.verdicts import decide
    from core.training.run.folders import open_run

    runs = [open_run(path) for path in dict.fromkeys(path.resolve() for path in arguments.runs)]
    file = arguments.out or unused(runs[0].path / "report.html")
    refuse_existing(file)  # before minutes are spent on evaluations
    content = gather(judge(runs, arguments.split, _evaluate))
    verdicts = decide(content)
    page = render(content, arguments.language, verdicts=verdicts)
    with output_folder(arguments.tables) if arguments.tables else nullcontext() as folder:
        if folder:
            for name, text in exports.tables(content, verdicts, arguments.language).items():
                (folder / name).write_bytes(text)
        write_new(file, page.encode())
    return {"file": str(file)} | ({"tables": str(arguments.tables)} if arguments.tables else {})


def _evaluate(checkpoint: Path, dataset: Dataset, split: str) -> None:
    """Score a checkpoint, which keeps the result in its run's folder, and tell how far that is."""
    from core.report.content import is_by_size
    from core.training.evaluation import evaluate_checkpoint

    why = BY_SIZE if is_by_size(checkpoint, split) else f"is not evaluated on {split} yet"
    say(f"{checkpoint.name} {why}: evaluating.")
    with progress_bar(f"evaluating {checkpoint.name}", "photo") as on_progress:
        evaluate_checkpoint(checkpoint, dataset, split, on_progress)


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(report, terminal.show_report, "report checkpoints/RUN --out report.html --language pt")
    command.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folder; several are shown side by side")
    command.add_argument(
        "--out", type=Path, metavar="FILE.html", help="new file (default: report.html in the first run's folder)"
    )
    command.add_argument("--language", choices=LANGUAGES, default="en", help="English or Portuguese (default: en)")
    command.add_argument("--split", metavar="S", default="val", help="split to report on (default: val)")
    command.add_argument("--tables", type=Path, metavar="OUT", help="new folder for the tables as CSV, JSON and LaTeX")
