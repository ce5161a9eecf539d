"""A checkpoint proposes masks for the photos of a label set that have none, one by one, and says what to label next.

Stopped or killed, it goes on where it was: a proposal's note says which checkpoint and mapping made it. One process at
a time works on a set: the folder of the proposals is the job's folder (`core.jobs`). Torch is imported when a
checkpoint is opened.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core import jobs
from core.classes import CLASSES_FILE
from core.data.images import read_photo
from core.data.labelling import LabelSet, State
from core.data.labelling import proposals as store
from core.errors import CheckpointError, ConfigError, DataError
from core.files import stamp
from core.jobs import OnProgress
from core.model.weights.pretrained import checkpoint_file, open_named
from core.model.weights.starter import KNOWN, is_starter
from core.review.class_mapping import ClassMapping, map_classes
from core.review.ranking import Descriptor, Look, Ranked, look, random_order, ranked
from core.training.run.evaluations import file_hash

if TYPE_CHECKING:
    from PIL import Image

    from core.model.checkpoint.checkpoint_file import OpenedCheckpoint

MAX_COMPARED = 300
"""The most labelled photos that photos are compared with, drawn by a hash of their names: reading them takes time."""
LOOKED_AT = 4
"""Uncertainty is measured at every 4th pixel of the model's square, along both sides."""

MOST_FIRST = 50
"""Photos that are named on the command line, which has a limit on Windows."""


class Proposer:
    """An opened checkpoint that proposes masks of a label set's classes, or, without a set, of its own."""

    def __init__(
        self,
        checkpoint: Path,
        label_set: LabelSet | None,
        *,
        object_class: str | None = None,
        chosen: Mapping[str, str] | None = None,
    ) -> None:
        from core.model.predict.predictor import open_predictor

        self.label = checkpoint_label(checkpoint)
        opened, self.hash = _open_whole(checkpoint)
        names = opened.meta.class_names
        self.class_names = label_set.classes.names if label_set else names
        self.mapping = ClassMapping(tuple(range(len(names))))
        if label_set:
            self.mapping = map_classes(
                names,
                self.class_names,
                can_find=KNOWN if is_starter(checkpoint) else None,
                has_same_numbers=Path(opened.meta.data or "") == label_set.root.resolve(),
                object_class=object_class,
                chosen=chosen,
            )
        self.pairs = [(name, self.class_names[to]) for name, to in zip(names, self.mapping.targets, strict=True)]
        said = json.dumps([self.hash, self.mapping.targets, self.class_names])
        self.key = hashlib.sha256(said.encode()).hexdigest()[:16]
        self._predictor, _ = open_predictor(opened)

    def propose(self, photo: "Image.Image") -> tuple[NDArray[np.uint8], Look]:
        """Return the mask that it proposes for an RGB photo, at the photo's own size, and how unsure it is.

        The probability of a class is the sum over the model's classes that become it.
        """
        import torch

        from core.model.predict.upsampling import resolve

        logits_Khw, descriptor_D = self._predictor.described(photo)
        groups = self.mapping.groups()
        merged_Ghw = torch.stack([logits_Khw[ids].logsumexp(dim=0) for ids in groups.values()])
        ids_G = np.array(list(groups), dtype=np.uint8)
        seen = look(merged_Ghw[:, ::LOOKED_AT, ::LOOKED_AT], descriptor_D, tuple(groups))
        return ids_G[resolve(merged_Ghw, (photo.height, photo.width)).mask_HW], seen


def checkpoint_of(given: Path) -> Path:
    """Return the checkpoint that is meant: the best one of a run's folder, else what was given."""
    return given / "best.pt" if (given / "config.json").is_file() else given


def checkpoint_label(checkpoint: Path) -> str:
    """Return a short name: a file with its folder, or the name of a model."""
    return "/".join(checkpoint.parts[-2:])


def _open_whole(checkpoint: Path) -> tuple["OpenedCheckpoint", str]:
    """Open a checkpoint, and return it with the hash of this very content: a trainer may replace the file."""
    file = checkpoint_file(checkpoint)
    checkpoint_hash = file_hash(file)
    opened = open_named(checkpoint)
    if file_hash(file) != checkpoint_hash:
        raise CheckpointError(f"{checkpoint} was replaced while it was opened; start again.")
    return opened, checkpoint_hash


# --- proposals --------------------------------------------------------------------------------------------------------


def start(
    label_set: LabelSet,
    checkpoint: Path | str,
    *,
    object_class: str | None = None,
    chosen: Mapping[str, str] | None = None,
    first: Iterable[str] = (),
) -> None:
    """Propose in a process of its own, unless one is at it; its progress is in `store.proposals_folder`."""
    arguments = ["propose", str(label_set.root), "--checkpoint", str(checkpoint)]
    arguments += [f"--class={object_class}"] if object_class else []
    arguments += [f"--map={name}={to}" for name, to in (chosen or {}).items()]
    jobs.start(
        store.proposals_folder(label_set.root), [*arguments, *(f"--first={name}" for name in list(first)[:MOST_FIRST])]
    )


def propose(
    label_set: LabelSet,
    checkpoint: Path,
    *,
    object_class: str | None = None,
    chosen: Mapping[str, str] | None = None,
    first: Sequence[str] = (),
    on_progress: OnProgress | None = None,
    on_note: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write a proposal for each photo without a mask, then which to label next; return what `propose --json` prints.

    Args:
        label_set: its photos `first` come first, then those of the last ranking, then the others as they lie.
        checkpoint: a file, `starter`, or the name of a model on offer.
        object_class: see `map_classes`.
        chosen: see `map_classes`.
        first: names of photos.
        on_progress: called with the photos done and all; what it raises ends the job, and nothing is lost.
        on_note: gets what was decided about the classes, and which photos cannot be read, a sentence each.

    Raises:
        CoreError: the checkpoint cannot be opened, the classes do not fit, or the folder cannot be written.
    """
    waiting = _waiting(label_set, first)
    proposer = Proposer(checkpoint, label_set, object_class=object_class, chosen=chosen)
    document = {
        "checkpoint": proposer.label,
        "hash": proposer.hash,
        "mapping": [{"model": name, "class": to} for name, to in proposer.pairs],
        "notes": list(proposer.mapping.notes),
    }
    for note in proposer.mapping.notes:
        on_note(note)
    store.make_folder(label_set)
    store.write_about(label_set, {**document, "made_s": time.time()})
    kept = {name for name in waiting if _current_note(label_set, name, proposer.key)}
    compared = _compared(label_set)
    reading = _Reading(len(waiting) + len(compared), len(kept), on_progress, on_note)
    classes_file = stamp(label_set.root / CLASSES_FILE)
    for name, photo in reading.photos(label_set, [name for name in waiting if name not in kept]):
        mask_HW, seen = proposer.propose(photo)
        if stamp(label_set.root / CLASSES_FILE) != classes_file:
            raise DataError(f"The classes of {label_set.root} were changed meanwhile; propose again.")
        store.write_proposal(label_set, name, mask_HW, _as_note(label_set.photos[name], proposer, seen))
    descriptors = [proposer.propose(photo)[1].descriptor_D for _, photo in reading.photos(label_set, compared)]
    looks = {name: noted for name in waiting if (noted := _noted(label_set, name, proposer.key))}
    photos = _as_list(label_set, ranked(looks, descriptors, proposer.class_names))
    store.write_ranking(label_set, proposer.hash, photos)
    made = {"made": len(looks) - len(kept & looks.keys()), "kept": len(kept), "skipped": reading.skipped}
    return {"data": str(label_set.root), **document, **made, "photos": photos}


def rank(
    label_set: LabelSet,
    checkpoint: Path,
    *,
    on_progress: OnProgress | None = None,
    on_note: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return which photos without a mask to label next, as `rank --json` prints it; write nothing.

    The arguments are those of `propose`; uncertainty is between the model's own classes.
    """
    waiting, compared = _waiting(label_set, ()), _compared(label_set)
    proposer = Proposer(checkpoint, None)
    reading = _Reading(len(waiting) + len(compared), 0, on_progress, on_note)
    looks = {name: proposer.propose(photo)[1] for name, photo in reading.photos(label_set, waiting)}
    descriptors = [proposer.propose(photo)[1].descriptor_D for _, photo in reading.photos(label_set, compared)]
    return {
        "data": str(label_set.root),
        "checkpoint": proposer.label,
        "hash": proposer.hash,
        "skipped": reading.skipped,
        "photos": _as_list(label_set, ranked(looks, descriptors, proposer.class_names)),
    }


class _Reading:
    """Reads photos one by one, counts them, and collects what cannot be read."""

    def __init__(self, total: int, done: int, on_progress: OnProgress | None, on_note: Callable[[str], None]) -> None:
        self._total, self._done, self._on_progress, self._on_note = total, done, on_progress, on_note
        self.skipped: list[dict[str, str]] = []
        self._report()

    def photos(self, label_set: LabelSet, names: Iterable[str]) -> Iterator[tuple[str, "Image.Image"]]:
        """Yield each photo that can be read, by name; a photo counts as done when the next one is asked for."""
        for name in names:
            try:
                yield name, read_photo(label_set.photos[name])
            except DataError as error:
                self.skipped.append({"file": label_set.photos[name].name, "why": str(error)})
                self._on_note(str(error))
            self._done += 1
            self._report()

    def _report(self) -> None:
        if self._on_progress:
            self._on_progress(self._done, self._total)


def _waiting(label_set: LabelSet, first: Sequence[str]) -> list[str]:
    """Return the names of the photos without a mask, in the order in which they are looked at."""
    if unknown := [name for name in first if name not in label_set.photos]:
        raise ConfigError(f"There is no photo {unknown[0]} in {label_set.root}; name photos without their suffix.")
    states = label_set.states()
    order = dict.fromkeys([*first, *store.read_ranking(label_set), *label_set.photos])
    return [name for name in order if states.get(name) in (State.UNLABELLED, State.PROPOSED)]


def _compared(label_set: LabelSet) -> list[str]:
    """Return the names of labelled photos that the others are compared with."""
    labelled = [name for name, state in label_set.states().items() if state in (State.STARTED, State.DONE)]
    return random_order(labelled)[:MAX_COMPARED]


def _as_note(photo: Path, proposer: Proposer, seen: Look) -> dict[str, Any]:
    descriptor = base64.b64encode(seen.descriptor_D.astype("<f2").tobytes()).decode()
    of_photo = {"uncertainty": seen.uncertainty, "unsure_share": seen.unsure_share, "between": seen.between}
    about = {"key": proposer.key, "checkpoint": proposer.label, "photo": _identity(photo)}
    return {**about, **of_photo, "descriptor": descriptor}


def _identity(photo: Path) -> list[int]:
    """Return size and time of a photo's file: a photo that was replaced needs another proposal."""
    return list(stamp(photo)[1:3])


def _current_note(label_set: LabelSet, name: str, key: str) -> dict[str, Any] | None:
    """Return the note on a proposal if it is of this checkpoint, mapping and photo."""
    note = store.proposal_note(label_set, name) or {}
    is_current = note.get("key") == key and note.get("photo") == _identity(label_set.photos[name])
    return note if is_current else None


def _noted(label_set: LabelSet, name: str, key: str) -> Look | None:
    """Return what the note on a current proposal says."""
    note = _current_note(label_set, name, key)
    if not note:
        return None
    descriptor_D: Descriptor = np.frombuffer(base64.b64decode(note["descriptor"]), dtype="<f2").astype(np.float32)
    return Look(note["uncertainty"], note["unsure_share"], tuple(note["between"]), descriptor_D)


def _as_list(label_set: LabelSet, photos: Collection[Ranked]) -> list[dict[str, Any]]:
    return [
        {"file": label_set.photos[each.name].name, "name": each.name, "score": each.score, "reason": each.reason}
        for each in photos
    ]
