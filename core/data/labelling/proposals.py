"""Proposals: a model's masks for photos that nobody has labelled yet, in `labelling/proposals/` of a data set.

    NAME.png      the mask, an index PNG as in SegmentationClass, with a note in its text chunk `atrous`
    about.json    which checkpoint made them, when, and which of its classes became which
    ranking.json  which photos to label next, with score and reason

Nothing reads them as truth. The note (which checkpoint, how unsure it is) lies in the PNG itself, so that mask and note
are of one moment. A file of another size or encoding, or damaged, counts as no proposal: it is made again.
"""

import functools
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.classes import Classes
from core.data.dataset import LABELLING
from core.data.images import mask_image, photo_size, read_mask
from core.errors import DataError
from core.files import Stamp, replacing, stamp, write_json

SCHEMA = 1
NOTE = "atrous"
ABOUT, RANKING = "about.json", "ranking.json"


class ProposedFor(Protocol):
    """A label set, as far as proposals need it."""

    @property
    def root(self) -> Path:
        """Its folder."""

    @property
    def classes(self) -> Classes:
        """Its classes."""

    @property
    def photos(self) -> Mapping[str, Path]:
        """Its photos by name."""


class RankedPhoto(NamedTuple):
    """A score, larger first, and the reason in words."""

    score: float
    reason: str


def proposals_folder(root: Path) -> Path:
    """Return the folder of the proposals of a data set, there or not."""
    return root / LABELLING / "proposals"


def proposal_file(label_set: ProposedFor, name: str) -> Path:
    """Return the file of a photo's proposal, there or not."""
    return proposals_folder(label_set.root) / f"{name}.png"


def make_folder(label_set: ProposedFor) -> None:
    """Make the folder of the proposals; if it cannot be made, raise `DataError`."""
    folder = proposals_folder(label_set.root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror}; check whose folder it is.") from error


def write_proposal(label_set: ProposedFor, name: str, mask_HW: NDArray[np.uint8], note: dict[str, Any]) -> None:
    """Write a photo's proposal, whole or not at all; a folder that cannot be written raises `DataError`."""
    text = PngInfo()
    text.add_text(NOTE, json.dumps({"schema": SCHEMA} | note, allow_nan=False))
    file = proposal_file(label_set, name)
    make_folder(label_set)
    try:
        with replacing(file) as target:
            mask_image(mask_HW, label_set.classes.palette).save(target, format="PNG", pnginfo=text)
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror}; check whose folder it is.") from error


def read_proposal(label_set: ProposedFor, name: str) -> NDArray[np.uint8] | None:
    """Return the class ids that a model proposes for a photo, (H, W); None without one of its size that can be read."""
    with suppress(DataError):
        mask_HW = read_mask(proposal_file(label_set, name), len(label_set.classes))
        return mask_HW if mask_HW.shape[::-1] == photo_size(label_set.photos[name]) else None
    return None


def is_background_alone(label_set: ProposedFor, name: str) -> bool:
    """Return whether a photo's proposal holds no object; False without one that can be read."""
    return _is_background_alone(stamp(proposal_file(label_set, name)), len(label_set.classes))


@functools.lru_cache(maxsize=4096)
def _is_background_alone(file: Stamp, num_classes: int) -> bool:
    with suppress(DataError):
        return not read_mask(Path(file.path), num_classes).any()
    return False


def proposal_note(label_set: ProposedFor, name: str) -> dict[str, Any] | None:
    """Return the note on a proposal without decoding its mask; None if there is none that can be read."""
    with suppress(OSError, SyntaxError, ValueError, KeyError), Image.open(proposal_file(label_set, name)) as image:
        note = json.loads(image.info[NOTE])
        return dict(note) if note["schema"] == SCHEMA else None
    return None


def delete_proposal(label_set: ProposedFor, name: str) -> None:
    """Delete a photo's proposal; one that is already gone is deleted."""
    proposal_file(label_set, name).unlink(missing_ok=True)


def write_about(label_set: ProposedFor, about: dict[str, Any]) -> None:
    """Write which checkpoint makes the proposals; the folder must exist."""
    write_json(proposals_folder(label_set.root) / ABOUT, {"schema": SCHEMA} | about)


def proposals_about(label_set: ProposedFor) -> dict[str, Any] | None:
    """Return what about.json says; None without one, or if it cannot be read.

    checkpoint, hash, made_s (seconds since 1970), mapping ([{"model", "class"}]), notes (sentences).
    """
    return _read(proposals_folder(label_set.root) / ABOUT)


def write_ranking(label_set: ProposedFor, checkpoint_hash: str, photos: list[dict[str, Any]]) -> None:
    """Write which photos to label next, [{file, score, reason}], the first one first; the folder must exist."""
    write_json(
        proposals_folder(label_set.root) / RANKING, {"schema": SCHEMA, "hash": checkpoint_hash, "photos": photos}
    )


def read_ranking(label_set: ProposedFor) -> dict[str, RankedPhoto]:
    """Return score and reason by name, in the order of the queue; empty without a ranking that can be read."""
    found = _read(proposals_folder(label_set.root) / RANKING) or {"photos": []}
    with suppress(KeyError, TypeError, ValueError):
        return {str(each["name"]): RankedPhoto(float(each["score"]), str(each["reason"])) for each in found["photos"]}
    return {}


def _read(file: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads(file.read_text(encoding="utf-8"))
        return dict(document) if document["schema"] == SCHEMA else None
    return None
