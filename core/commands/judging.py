"""Commands that judge checkpoints: evaluate and compare."""

import argparse
from contextlib import nullcontext
from pathlib import Path

from core import terminal
from core.commands.checkpoints import NAMED, add_given, find_checkpoint, given_by
from core.commands.data import say_unnamed
from core.commands.document import Add, Document
from core.files import output_folder
from core.model.weights.starter import KNOWN_TEXT, is_starter, unknown_classes
from core.terminal import say, telling
from core.training.run import evaluations


def evaluate(arguments: argparse.Namespace) -> Document:
    """Score a checkpoint on a split: whole images at the masks' own size."""
    from core.data.dataset import open_dataset
    from core.training.evaluation import evaluate_checkpoint

    with (
        telling("evaluating", "photo", arguments.job) as on_progress,
        output_folder(arguments.masks) if arguments.masks else nullcontext() as masks,
    ):
        dataset = open_dataset(arguments.data)
        checkpoint = find_checkpoint(arguments.checkpoint)
        evaluated = evaluate_checkpoint(checkpoint, dataset, arguments.split, on_progress, given_by(arguments))
        if masks:
            for result in evaluated.results:
                (masks / f"{result.name}.png").write_bytes(result.mask_png)
    for repair in evaluated.repairs:
        say(f"{arguments.checkpoint.name}: {repair}.")
    say_unnamed(dataset)
    scores = evaluations.summarize(evaluated.results, dataset.class_names)
    document = {"checkpoint": str(arguments.checkpoint), "split": arguments.split} | scores.as_dict()
    _say_unknown(arguments.checkpoint, document)
    return document | evaluated.speed()


def compare(arguments: argparse.Namespace) -> Document:
    """Tell whether checkpoint B is better than A on the same images; evaluates what has not been."""
    from core.data.dataset import open_dataset
    from core.metrics import comparison
    from core.metrics.image_scores import losers, score_images, winners
    from core.metrics.verdict import sentence
    from core.training.evaluation import judge_checkpoint

    dataset = open_dataset(arguments.data)
    sides = []
    for path in (arguments.a, arguments.b):
        with telling(f"evaluating {path.name}", "photo", None) as on_progress:
            sides.append(judge_checkpoint(find_checkpoint(path), dataset, arguments.split, on_progress, say))
        for repair in sides[-1].repairs:
            say(f"{path.name}: {repair}.")
    say_unnamed(dataset)
    a, b = sides
    _say_unknown(arguments.a, a.document)
    _say_unknown(arguments.b, b.document)
    found = comparison.compare(a.counts_NKK, b.counts_NKK)
    images = score_images(a.names, a.counts_NKK, b.counts_NKK)
    return {
        "a": a.document,
        "b": b.document,
        "delta_miou": found.delta_miou,
        "interval": [found.low, found.high],
        "confidence": found.confidence,
        "resamples": found.resamples,
        "verdict": found.verdict,
        "sentence": sentence(found, *_labels(arguments.a, arguments.b)),
        "classes": found.as_dict()["classes"],
        "winners": [image.as_dict() for image in winners(images)],
        "losers": [image.as_dict() for image in losers(images)],
    }


def _say_unknown(checkpoint: Path, document: Document) -> None:
    """Say which classes of the masks the starter cannot know, where it is the one that is evaluated."""
    if is_starter(checkpoint) and (unknown := unknown_classes(document["classes"])):
        say(f"{checkpoint} knows {KNOWN_TEXT} alone; these masks also hold {', '.join(unknown)}, which it cannot find.")


def _labels(a: Path, b: Path) -> tuple[str, str]:
    """Return what tells two files apart: their names, their folders' too if those are the same."""
    if a.name != b.name:
        return a.name, b.name
    return str(a), str(b)


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(
        evaluate, terminal.show_evaluate, "evaluate checkpoints/RUN/epoch_010.pt --data datasets/demo --split val"
    )
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=NAMED)
    add_given(command)
    command.add_argument("--data", type=Path, metavar="DIR", required=True, help="data set")
    command.add_argument("--split", metavar="S", default="val", help="split to score on (default: val)")
    command.add_argument("--masks", type=Path, metavar="OUT", help="new folder for the predicted index masks")
    command.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # where the dashboard looks for progress

    command = add(
        compare,
        terminal.show_compare,
        "compare checkpoints/RUN/epoch_010.pt checkpoints/RUN/epoch_050.pt --data datasets/demo --split val",
    )
    command.add_argument("a", type=Path, metavar="A", help=f"compared against: {NAMED}")
    command.add_argument("b", type=Path, metavar="B", help=f"judged: {NAMED}")
    command.add_argument("--data", type=Path, metavar="DIR", required=True, help="data set")
    command.add_argument("--split", metavar="S", default="val", help="split to compare on (default: val)")
