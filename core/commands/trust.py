"""The command trust."""

import argparse
import math
from pathlib import Path

from core.commands.checkpoints import NAMED, find_checkpoint
from core.commands.document import Add, Document, add_job
from core.data.dataset import open_dataset
from core.errors import RunError
from core.files import refuse_existing
from core.terminal import reporting, say
from core.training.run.milestones import CHOSEN_ON_VAL, is_chosen
from core.wording import count


def trust(arguments: argparse.Namespace) -> Document:
    """Report the confidence above which promised shares of the pixels are right, from held-out photos."""
    from core.training.held_out import trust_checkpoint
    from core.training.trust import write

    if arguments.out:
        refuse_existing(arguments.out)
        if not arguments.out.resolve().parent.is_dir():
            raise RunError(f"The folder of {arguments.out} does not exist; make it, or choose another place.")
    with reporting("counting", "photo", arguments.job) as on_progress:
        dataset = open_dataset(arguments.data)
        find_checkpoint(arguments.checkpoint)  # shows the progress of a download
        found = trust_checkpoint(
            arguments.checkpoint, dataset, arguments.split, arguments.trained_on, on_progress=on_progress, on_note=say
        )
    if arguments.out:
        write(arguments.out, found)
    if is_chosen(arguments.checkpoint, arguments.split):
        say(CHOSEN_ON_VAL)
    say(f"Unlikeness is measured from {count(found.about.num_trained_on, 'photo')} that it trained on.")
    return found.as_dict()


def show_trust(document: Document) -> str:
    """Return what is promised at which confidence, and calibration before and after temperature scaling."""
    lines = [
        f"{count(document['photos'], 'photo')} of {document['split']}, held out",
        *map(_line, document["promises"]),
    ]
    if missing := document["no_promise_for"]:
        lines.append(f"No promise, since no held-out photo shows them: {', '.join(missing)}")
    if found := document["calibration"]:
        lines.append(
            f"Calibration error {found['ece_before']:.1%}, {found['ece_after']:.1%} at temperature "
            f"{found['temperature']:.2f}"
        )
    return "\n".join(lines)


def _line(each: Document) -> str:
    if each["right"] is None:
        return f"{each['aim']:.0%} right: at no confidence"
    empty = f", {count(each['num_empty'], 'photo')} keeping nothing" if each["num_empty"] else ""
    if each["threshold"] == 0:
        return (
            f"{each['aim']:.0%} right: {each['promise']:.1%} is promised of all pixels, {each['right']:.1%} of which "
            "are right: the model alone keeps it, and nothing is abstained from"
        )
    return (
        f"{each['aim']:.0%} right: {each['promise']:.1%} is promised from a confidence of "
        f"{math.ceil(1e4 * each['confidence']) / 1e4:.4f} on, which keeps {each['kept']:.1%} of a held-out photo, "
        f"{each['right']:.1%} of it right{empty}"
    )


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(trust, show_trust, "trust checkpoints/RUN/epoch_050.pt --data datasets/demo")
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=NAMED)
    command.add_argument("--data", type=Path, metavar="DIR", required=True, help="data set")
    command.add_argument("--split", metavar="S", default="val", help="split of held-out photos (default: val)")
    command.add_argument(
        "--trained-on", type=Path, nargs="+", default=[], metavar="DIR",
        help="data sets that the model trained on, outside val and test (default: what its run trained on)",
    )  # fmt: skip
    command.add_argument("--out", type=Path, metavar="FILE.npz", help="new file for the figures, as well")
    add_job(command)
