"""Checkpoints of a training: written beside, opened again, compared, and only then put in the place of those before."""

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from torchvision.models.segmentation import DeepLabV3

from core.errors import CheckpointError
from core.model.checkpoint.checkpoint_file import CheckpointMeta, open_checkpoint, save_checkpoint, verify_checkpoint
from core.training.run.milestones import milestone
from core.training.run.records import Checkpoint
from core.windows import move


class Trained(NamedTuple):
    """A model after an epoch, and what its checkpoint is to tell of it."""

    model: DeepLabV3
    meta: CheckpointMeta

    def copied(self) -> "Trained":
        """Return it as it is now, in the machine's memory: a GPU may be what fails."""
        return Trained(copy.deepcopy(self.model).cpu(), self.meta)


def write(path: Path, trained: Trained, training: dict[str, Any] | None = None) -> None:
    """Write a checkpoint and open it again; a difference, or a full disk, raises `CheckpointError`."""
    save_checkpoint(path, trained.model, trained.meta, training)
    verify_checkpoint(path, trained.model)


def keep_old_best(folder: Path) -> Path | None:
    """Make a run's best.pt, the best on other validation photos, the milestone of its epoch, and return that.

    A milestone that is there already is the same model. A best.pt that is missing or does not open stays: None.
    """
    best = folder / "best.pt"
    with suppress(CheckpointError):
        epoch = open_checkpoint(best).meta.epoch
        if epoch is not None:
            kept = milestone(folder, epoch)
            if kept.exists():
                best.unlink()
            else:
                best.rename(kept)
            return kept
    return None


def save(path: Path, trained: Trained, training: dict[str, Any] | None = None) -> Checkpoint:
    """Write a checkpoint that takes the place of `path` once it is verified; else it raises as `write` does."""
    written = path.with_name(f".{path.name}.part")
    try:
        write(written, trained, training)
        move(written, path)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(written), str(path))) from error
    finally:
        written.unlink(missing_ok=True)
    size, meta = path.stat().st_size, trained.meta
    return Checkpoint(
        file=path.name, epoch=meta.epoch or 0, verified=True, size_bytes=size, step_in_epoch=meta.step_in_epoch
    )
