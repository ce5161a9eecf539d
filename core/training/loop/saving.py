"""Saving a training's checkpoints: written beside the old file, reopened, compared, and only then moved over it."""

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


class Snapshot(NamedTuple):
    """A model, and the description that its checkpoint carries."""

    model: DeepLabV3
    meta: CheckpointMeta

    def copied(self) -> "Snapshot":
        """Return a copy in CPU memory, which survives a failing GPU."""
        return Snapshot(copy.deepcopy(self.model).cpu(), self.meta)


def write(path: Path, snapshot: Snapshot, training: dict[str, Any] | None = None) -> None:
    """Write a checkpoint and reopen it; a difference, or a full disk, raises `CheckpointError`."""
    save_checkpoint(path, snapshot.model, snapshot.meta, training)
    verify_checkpoint(path, snapshot.model)


def rename_old_best(folder: Path) -> Path | None:
    """Rename a run's best.pt, the best on other validation photos, to the milestone of its epoch; returns that file.

    An existing milestone is the same model. Returns None for a best.pt that is missing or does not open.
    """
    best = folder / "best.pt"
    with suppress(CheckpointError):
        epoch = open_checkpoint(best).meta.epoch
        if epoch is not None:
            renamed = milestone(folder, epoch)
            if renamed.exists():
                best.unlink()
            else:
                best.rename(renamed)
            return renamed
    return None


def save(path: Path, snapshot: Snapshot, training: dict[str, Any] | None = None) -> Checkpoint:
    """Write and verify a checkpoint beside `path`, then move it there; raises as `write` does."""
    written = path.with_name(f".{path.name}.part")
    try:
        write(written, snapshot, training)
        move(written, path)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(written), str(path))) from error
    finally:
        written.unlink(missing_ok=True)
    size, meta = path.stat().st_size, snapshot.meta

    return Checkpoint(
        file=path.name, epoch=meta.epoch or 0, verified=True, size_bytes=size, step_in_epoch=meta.step_in_epoch
    )
