"""The starter, the model that comes with Atrous, and the photos to try it on. Imports no torch.

    checkpoints/starter/model.safetensors           an exported checkpoint
    checkpoints/starter/model.safetensors.sha256    its SHA-256, as `sha256sum` writes it
    checkpoints/starter/trust.npz                   figures of held-out photos (`core.training.trust`)
    core/samples/                                   the photos, credits.json with their authors, and the starter's masks

The model lies beside the code, wherever `$ATROUS_HOME` is: it is part of the project and no run.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import CheckpointError
from core.home import PROJECT_ROOT
from core.voc import BACKGROUND, CLASS_NAMES

NAME = "starter"
FOLDER = PROJECT_ROOT / "checkpoints" / NAME
FILE_NAME = "model.safetensors"
HASH_SUFFIX = ".sha256"
SAMPLES = PROJECT_ROOT / "core" / "samples"

KNOWN = ("cat", "dog", "horse", "cow", "sheep", "person")
"""The classes it was trained on, the only ones of VOC's, which it all has, that it can find."""
KNOWN_TEXT = "cats, dogs, horses, cows, sheep and people"
RESTORE = "restore it (git checkout checkpoints/starter), or take another checkpoint"


def starter_path() -> Path:
    """Return the path of the starter's file."""
    return FOLDER / FILE_NAME


def trust_path() -> Path:
    """Return the path of the starter's figures of held-out photos."""
    return FOLDER / "trust.npz"


def is_there() -> bool:
    """Return whether the starter's file exists."""
    return starter_path().is_file()


def shipped_hash() -> str | None:
    """Return the SHA-256 beside the starter's file, with which it is compared before it is opened; None without one."""
    try:
        return "".join(starter_path().with_name(FILE_NAME + HASH_SUFFIX).read_text(encoding="ascii").split()[:1])
    except (OSError, UnicodeDecodeError):
        return None


def starter_file() -> Path:
    """Return the starter's file; if it is missing, or its hash is not the shipped one, raise `CheckpointError`."""
    file = starter_path()
    try:
        shipped = file.with_name(FILE_NAME + HASH_SUFFIX).read_text(encoding="ascii").split()[:1]
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "its hash is not text"
        raise CheckpointError(f"The starter model {file} cannot be read ({why}); {RESTORE}.") from error
    if [found] != shipped:
        raise CheckpointError(f"The starter model {file} is not the one that was shipped; {RESTORE}.")
    return file


def is_starter(name_or_path: str | Path) -> bool:
    """Return whether this is the starter's name, and no file of that name is in this folder."""
    return str(name_or_path) == NAME and not Path(name_or_path).is_file()


def unknown_classes(scored: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the classes in the masks that the starter was not trained on, from the `classes` of `evaluate --json`."""
    known = (CLASS_NAMES[BACKGROUND], *KNOWN)
    return [str(each["name"]) for each in scored if each["truth_pixels"] and each["name"] not in known]


@dataclass(frozen=True)
class SamplePhoto:
    """A photo that comes with Atrous: what it shows, its title, author, licence and source."""

    file: Path
    shows: str
    title: str
    author: str
    licence: str
    source: str

    @property
    def credit(self) -> str:
        """Title, author and licence on one line."""
        return f"{self.title}, by {self.author} ({self.licence})"

    @property
    def mask(self) -> Path:
        """The starter's mask of it, so that a page can show it before torch is loaded."""
        return self.file.with_name(f"{self.file.stem}_mask.png")


def sample_photos() -> list[SamplePhoto]:
    """Return the photos that come with Atrous."""
    credits_ = json.loads((SAMPLES / "credits.json").read_text(encoding="utf-8"))
    return [SamplePhoto(**each | {"file": SAMPLES / each["file"]}) for each in credits_]
