"""What is exported, photo by photo, and the formats by name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from core.classes import Classes
from core.data.exporters.cvat import write_cvat
from core.data.exporters.label_studio_tasks import labeling_config, write_label_studio
from core.data.exporters.labelled_photo import LabelledPhoto
from core.data.labelling import LabelSet, State, read_label
from core.data.labelling.proposals import proposal_note, read_proposal
from core.data.labelling.split_lists import listed
from core.data.splits import PARTS
from core.errors import DataError
from core.files import new_file
from core.jobs import OnProgress

DRAWN_BY_HAND = "drawn in Atrous"

EXPORTERS: dict[str, Callable[[IO[bytes], LabelSet, Iterator[LabelledPhoto]], None]] = {
    "cvat": write_cvat,
    "label-studio": write_label_studio,
}

NEXT_STEPS: dict[str, Callable[[Classes], str]] = {
    "cvat": lambda _: "In CVAT, import it as a data set of a project, or as annotations of a task of these photos.",
    "label-studio": lambda classes: (
        "In Label Studio, add a local storage that begins at the data set, give the project the labelling interface "
        f"{labeling_config(classes)}, and import the file."
    ),
}
"""What to do with the file in the other tool."""


@dataclass(frozen=True)
class Exported:
    """A new file for another tool, and the number of photos in it."""

    file: Path
    photos: int


def export_labels(
    label_set: LabelSet,
    format: str,  # noqa: A002  the word of the command line
    out: Path,
    *,
    proposals: bool = False,
    on_progress: OnProgress | None = None,
) -> Exported:
    """Write the masks that were drawn, or a model's proposals for the other photos, to a new file.

    `format` is one of `EXPORTERS`. One photo is in memory at a time. A mask that cannot be read, and a file that
    exists, raise `DataError`, and nothing is written.
    """
    if format not in EXPORTERS:
        raise DataError(f"There is no format '{format}' to export; choose one of {', '.join(EXPORTERS)}.")
    wanted = (State.PROPOSED,) if proposals else (State.STARTED, State.DONE)
    names = [name for name, state in label_set.states().items() if state in wanted]
    if not names:
        what = "has no proposals; let a model propose masks" if proposals else "has no masks yet; draw some"
        raise DataError(f"{label_set.root} {what} on the page Label first.")
    with new_file(out) as file:
        EXPORTERS[format](file, label_set, _photos(label_set, names, on_progress, proposals=proposals))
    return Exported(out.resolve(), len(names))


def _photos(
    label_set: LabelSet,
    names: list[str],
    on_progress: OnProgress | None,
    *,
    proposals: bool,
) -> Iterator[LabelledPhoto]:
    lists = {} if proposals else listed(label_set.root, label_set.photos)  # a proposal is not done
    split_of = {name: part for part in PARTS for name in lists.get(part, ())}
    for done, name in enumerate(names, start=1):
        mask_HW = _proposal(label_set, name) if proposals else read_label(label_set, name).mask_HW
        note = proposal_note(label_set, name) or {}
        source = str(note.get("checkpoint", "a model")) if proposals else DRAWN_BY_HAND
        yield LabelledPhoto(name, label_set.photos[name], mask_HW, split_of.get(name), source)
        if on_progress:
            on_progress(done, len(names))


def _proposal(label_set: LabelSet, name: str) -> NDArray[np.uint8]:
    mask_HW = read_proposal(label_set, name)
    if mask_HW is None:
        raise DataError(f"The proposal for '{name}' of {label_set.root} cannot be read; have it proposed again.")
    return mask_HW
