"""The commands propose and rank: what a model says about photos that nobody has labelled yet."""

import argparse
from pathlib import Path

from core.commands.checkpoints import NAMED, find_checkpoint
from core.commands.document import Add, Document, add_job
from core.data.labelling import open_label_set
from core.data.labelling.proposals import make_folder, proposals_folder
from core.review import proposing
from core.terminal import progress_bar, reporting, say
from core.wording import count

SHOWN = 10


def propose(arguments: argparse.Namespace) -> Document:
    """Propose a mask for each photo that has none, and say which to label next; called again, it goes on."""
    label_set = open_label_set(arguments.data)
    make_folder(label_set)
    folder = arguments.job or proposals_folder(label_set.root)
    with reporting("proposing", "photo", folder) as on_progress:
        checkpoint = proposing.checkpoint_of(arguments.checkpoint)
        find_checkpoint(checkpoint)  # shows the progress of a download
        return proposing.propose(
            label_set,
            checkpoint,
            object_class=arguments.object_class,
            chosen=dict(arguments.map),
            first=arguments.first,
            on_progress=on_progress,
            on_note=say,
        )


def rank(arguments: argparse.Namespace) -> Document:
    """Say which photos without a mask to label next: where the model is unsure, and unlike what is labelled."""
    label_set = open_label_set(arguments.data, is_to_write=False)
    checkpoint = proposing.checkpoint_of(arguments.checkpoint)
    find_checkpoint(checkpoint)
    with progress_bar("ranking", "photo") as on_progress:
        return proposing.rank(label_set, checkpoint, on_progress=on_progress, on_note=say)


def show_propose(document: Document) -> str:
    """Return how many proposals there are, the mapping's notes and the photos to label next."""
    made = f"{count(document['made'], 'proposal')} made, {document['kept']:,} kept"
    skipped = [f"{count(len(document['skipped']), 'photo')} skipped"] if document["skipped"] else []
    return "\n".join([", ".join([made, *skipped]), *document["notes"], show_rank(document)])


def show_rank(document: Document) -> str:
    """Return the photos to label next, each with its reason."""
    photos = document["photos"]
    lines = [f"{each['score']:6.3f}  {each['file']}  {each['reason']}" for each in photos[:SHOWN]]
    lines += [f"and {count(len(photos) - SHOWN, 'more photo')}" if len(photos) > SHOWN else ""]
    return "\n".join(line for line in lines if line) or "Every photo is labelled."


def _pair(text: str) -> tuple[str, str]:
    name, equals, to = (part.strip() for part in text.rpartition("="))
    if not (name and equals and to):
        raise argparse.ArgumentTypeError(f"'{text}' is not MODEL=CLASS, as in cat=pet")
    return name, to


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(propose, show_propose, "propose datasets/mine --checkpoint starter --class pet")
    _add_set(command)
    command.add_argument(
        "--class", dest="object_class", metavar="NAME", help="class of the set that every object of the model becomes"
    )
    command.add_argument(
        "--map", action="append", type=_pair, default=[], metavar="MODEL=CLASS",
        help="class of the set that a class of the model becomes; those of one name need none",
    )  # fmt: skip
    command.add_argument(
        "--first", action="extend", nargs="+", default=[], metavar="NAME", help="photos to begin with, without suffix"
    )
    add_job(command)
    _add_set(add(rank, show_rank, "rank datasets/mine --checkpoint checkpoints/RUN --json"))


def _add_set(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", type=Path, metavar="DIR", help="data set, its photos labelled or not")
    command.add_argument(
        "--checkpoint", type=Path, metavar="C", required=True, help=f"{NAMED}, or a run's folder (its best.pt)"
    )
