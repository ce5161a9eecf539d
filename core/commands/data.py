"""Commands about data sets: doctor and stats."""

import argparse
from pathlib import Path

from core import terminal
from core.commands.document import Add, Document
from core.terminal import progress_bar


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


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(doctor, terminal.show_doctor, "doctor datasets/demo")
    command.add_argument("data", type=Path, metavar="DIR", help="data set")

    command = add(stats, terminal.show_stats, "stats datasets/demo --split val")
    command.add_argument("data", type=Path, metavar="DIR", help="data set")
    command.add_argument("--split", metavar="S", help="count this split alone")
