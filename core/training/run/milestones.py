"""File names with an epoch: a milestone, `epoch_010.pt`, and a folder of samples, `samples/epoch_010`."""

import re
from pathlib import Path

from core.files import by_number, entries

BEST = "best.pt"
CHOSEN = "chosen on val"
CHOSEN_ON_VAL = f"{BEST} was {CHOSEN}, so its score there is a little too high."
"""Said wherever the val score of a `best.pt` is shown, in full or as `CHOSEN`."""

NAME = re.compile(r"epoch_(\d+)(\.pt)?")


def epoch_name(epoch: int) -> str:
    """Return an epoch as it is written in file names: epoch_010."""
    return f"epoch_{epoch:03d}"


def milestone(folder: Path, epoch: int) -> Path:
    """Return the file of a run's milestone after an epoch, whether it exists or not."""
    return folder / f"{epoch_name(epoch)}.pt"


def epoch_of(path: Path) -> int | None:
    """Return the epoch in the name of a milestone or samples folder; None for other names."""
    named = NAME.fullmatch(path.name)
    return int(named[1]) if named else None


def milestones(folder: Path) -> list[Path]:
    """Return a run's milestones in the order of their epochs."""
    return sorted(entries(folder, "epoch_*.pt"), key=by_number)


def is_chosen(file: str | Path, split: str) -> bool:
    """Return whether a checkpoint was chosen by its score on this split."""
    return Path(file).name == BEST and split == "val"


def sample_folders(folder: Path) -> list[Path]:
    """Return a run's samples folders in the order of their epochs."""
    found = entries(folder / "samples", "epoch_*")
    return sorted((path for path in found if epoch_of(path) is not None), key=by_number)
