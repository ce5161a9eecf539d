"""A checkpoint that somebody dropped on a page: opened as any other file, and kept nowhere."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO

from core.errors import CheckpointError
from core.model.archive import MAX_FILE_BYTES
from core.model.checkpoint import OpenedCheckpoint, open_checkpoint
from core.model.fitting import MisfitError
from core.model.pickled import printable


def open_dropped(data: IO[bytes], name: str) -> OpenedCheckpoint:
    """Open a file by its content; every sentence calls it by its own name, which may be any text.

    It lies in a temporary folder while it is read. Errors are those of `open_checkpoint`.
    """
    shown = printable(name)
    size = data.seek(0, 2)
    data.seek(0)
    if size > MAX_FILE_BYTES:
        raise CheckpointError(f"{shown} has {size / 1e9:.1f} GB; save the weights alone, without the optimizer.")
    with tempfile.TemporaryDirectory(prefix="atrous-") as folder:
        file = Path(folder) / f"dropped{Path(name).suffix[:20]}"
        try:
            with file.open("wb") as copy:
                shutil.copyfileobj(data, copy, 1 << 20)
            opened = open_checkpoint(file)
            # What is mapped would go with the folder where a system does not keep deleted files.
            state = {key: value.clone() for key, value in opened.state.items()}
        except MisfitError as error:
            raise MisfitError(_renamed(error, file, shown), error.keys) from error
        except CheckpointError as error:
            raise CheckpointError(_renamed(error, file, shown)) from error
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{shown} cannot be read ({error}); make room on the disk, or rename it.") from error
    return replace(opened, path=Path(shown), state=state)


def _renamed(error: CheckpointError, file: Path, name: str) -> str:
    return str(error).replace(str(file), name).replace(file.name, name)
