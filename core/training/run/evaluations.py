"""Stored evaluations: the scores of a checkpoint on a split, by image, in the run's `eval/` folder. No torch.

eval/val-3f1c90ab12de-77aa01b2c3d4/     split, hash of the checkpoint file, hash of the data
scores.json     the scores, with checkpoint, split and data
counts.npz      the images' names and counts (`ImageResult`)
masks/NAME.png  the predicted masks
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from core import jobs
from core.data.dataset import TEST
from core.data.hashing import BY_CONTENT, is_by_content
from core.errors import CheckpointError, RunError
from core.files import REPLACED, entries, read_folder, regular, replacing_folder, write_json
from core.metrics.calibration import Bins
from core.metrics.confusion import Counts
from core.metrics.image_scores import ImageResult, summarize
from core.metrics.scores import Scores, score
from core.training.run import openings

SCHEMA = 3
"""Version of the format and of the scores' rules: raise it when either changes.

1: without contours, kinds of errors and calibration.
2: contours were lost in VOC's void borders and found along the image border; predictions in void changed them.

Both are scored again from their confusion counts when they are opened. Scores that they lack, or that followed another
rule, are None until the checkpoint is evaluated again.
"""

HASH_LENGTH = 12

BY_SIZE = "was evaluated before photos were compared by content"
"""Part of a sentence about an evaluation whose fingerprint is of the photos' sizes: the photos may have changed."""

UNREADABLE = ""
"""The fingerprint of a damaged evaluation."""


@dataclass(frozen=True)
class Details:
    """Reasons for the scores, by image: wrong pixels by kind (`core.metrics.errors`) and calibration."""

    errors_N4: Counts
    bins_N3B: Bins


@dataclass(frozen=True)
class Evaluation:
    """A stored evaluation of a checkpoint after `epoch` epochs and `step_in_epoch` steps of the next.

    `number_format` is fp32 or bf16, None in old files; `schema` is the version in the file.
    """

    path: Path
    checkpoint: str
    checkpoint_hash: str
    epoch: int | None
    split: str
    data: str
    fingerprint: str
    images_per_second: float | None
    scores: Scores
    number_format: str | None = None
    schema: int = SCHEMA
    step_in_epoch: int = 0

    @property
    def is_old(self) -> bool:
        """Whether it lacks scores of the present `SCHEMA`; evaluating again adds them."""
        return self.schema < SCHEMA

    @property
    def is_by_content(self) -> bool:
        """Whether its fingerprint is of the photos' content; else see `BY_SIZE`."""
        return is_by_content(self.fingerprint)

    def as_dict(self) -> dict[str, Any]:
        """Return the document that `evaluate --json` prints."""
        about = {"checkpoint": self.checkpoint, "split": self.split, "images_per_second": self.images_per_second}
        return about | {"number_format": self.number_format} | self.scores.as_dict()

    def mask_path(self, name: str) -> Path:
        """Return the file of an image's predicted mask."""
        return self.path / "masks" / f"{name}.png"

    def counts(self) -> tuple[list[str], Counts]:
        """Return the images' names and their counts_NKK; a deleted or damaged file raises `RunError`."""
        stored = self._arrays("names", "counts_NKK")
        return [str(name) for name in stored["names"]], stored["counts_NKK"]

    def details(self) -> Details | None:
        """Return the details; None in an evaluation of schema 1."""
        stored = self._arrays("errors_N4", "bins_N3B")
        return Details(stored["errors_N4"], stored["bins_N3B"]) if "errors_N4" in stored else None

    def _arrays(self, *names: str) -> dict[str, Any]:
        def read(place: Path) -> dict[str, Any]:
            with np.load(place / "counts.npz", allow_pickle=False) as stored:
                return {name: stored[name] for name in names if name in stored}

        with _in_words(self.path):
            return read_folder(self.path, read)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turn errors from reading a stored evaluation into a `RunError`."""
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError, EOFError, BadZipFile) as error:
        raise RunError(
            f"The stored evaluation {path} cannot be read ({error}); delete it and evaluate again."
        ) from error


def store(  # noqa: PLR0913 - all of it is what the evaluation is of
    eval_dir: Path, *, checkpoint: str, checkpoint_hash: str, epoch: int | None,
    split: str, data: str, fingerprint: str, results: Sequence[ImageResult],
    class_names: Sequence[str], images_per_second: float | None = None, number_format: str | None = None,
    step_in_epoch: int = 0,
) -> Evaluation:  # fmt: skip
    """Write an evaluation atomically, in place of an earlier one of the same checkpoint and data, and return it.

    If several processes store it at once, the last one wins. If the run was deleted meanwhile, raises `RunError`.
    """
    about = {
        "schema": SCHEMA,
        "checkpoint": checkpoint,
        "checkpoint_hash": checkpoint_hash,
        "epoch": epoch,
        "step_in_epoch": step_in_epoch,
        "split": split,
        "data": data,
        "fingerprint": fingerprint,
        "images_per_second": images_per_second,
        "number_format": number_format,
        "scores": summarize(results, class_names).as_dict(),
    }
    final = eval_dir / key(split, checkpoint_hash, fingerprint)
    try:
        with replacing_folder(final) as folder:
            _write(folder, results, about)
    except FileNotFoundError as error:
        raise RunError(f"{eval_dir.parent} was deleted while it was evaluated; the result is not stored.") from error
    return load(final)


def _write(folder: Path, results: Sequence[ImageResult], about: dict[str, Any]) -> None:
    (folder / "masks").mkdir()
    for result in results:
        (folder / "masks" / f"{result.name}.png").write_bytes(result.mask_png)
    np.savez_compressed(
        folder / "counts.npz",
        names=np.array([result.name for result in results]),
        counts_NKK=np.array([result.counts_KK for result in results]),
        boundary_N3K=np.array([result.boundary_3K for result in results]),
        contour_N4K=np.array([result.contour_4K for result in results]),
        errors_N4=np.array([result.errors_4 for result in results]),
        bins_N3B=np.array([result.bins_3B for result in results]),
    )
    write_json(folder / "scores.json", about)


def key(split: str, checkpoint_hash: str, fingerprint: str) -> str:
    """Return the name of an evaluation's folder."""
    return f"{split}-{checkpoint_hash[:HASH_LENGTH]}-{fingerprint.removeprefix(BY_CONTENT)[:HASH_LENGTH]}"


def load(path: Path) -> Evaluation:
    """Read a stored evaluation; one that is damaged raises `RunError`."""
    with _in_words(path):
        return read_folder(path, lambda place: _load(path, place))


def _load(path: Path, place: Path) -> Evaluation:
    about: dict[str, Any] = json.loads((place / "scores.json").read_text(encoding="utf-8"))
    if about["schema"] not in range(1, SCHEMA + 1):
        raise ValueError(f"it was scored by the rules of version {about['schema']}, not {SCHEMA}")
    values = {each.name: about[each.name] for each in fields(Evaluation) if each.name in about}
    scores = Scores.from_dict(about["scores"]) if about["schema"] == SCHEMA else _rescored(place, about["scores"])
    return Evaluation(**values | {"path": path, "scores": scores})


def _rescored(path: Path, old: dict[str, Any]) -> Scores:
    """Return the scores of an older evaluation by the present rules, from its confusion counts, without contours."""
    with np.load(path / "counts.npz", allow_pickle=False) as counts:
        counts_NKK = counts["counts_NKK"]
    share, num_counted = old["void_share"] or 0.0, int(counts_NKK.sum())
    num_void = round(share / (1 - share) * num_counted) if share < 1 else 1
    names = [entry["name"] for entry in old["classes"]]
    return score(counts_NKK, names, void_pixels=num_void)


def stored(eval_dir: Path) -> list[Path]:
    """Return the folders of a run's stored evaluations; one that is being replaced appears once."""
    names = {path.name.partition(REPLACED)[0] for path in entries(eval_dir, "[!.]*")}
    return [path for path in sorted(eval_dir / name for name in names) if _stored_s(path)]


def find(eval_dir: Path, checkpoint_hash: str, split: str, fingerprint: str | None) -> Evaluation | None:
    """Return the evaluation of a checkpoint on a split with this fingerprint, or None.

    Without a fingerprint, return the newest on any data, preferring fingerprints of the photos' content. One on a test
    split is returned only if its opening is recorded.
    """
    of = _fingerprints(eval_dir, key(split, checkpoint_hash, fingerprint or ""))
    folders = [path for path, found in of.items() if not fingerprint or found in (fingerprint, UNREADABLE)]
    newest = max(folders, key=lambda path: (is_by_content(of[path]), _stored_s(path)), default=None)
    try:
        found = load(newest) if newest else None
        return found if found and _is_open(found) else None
    except RunError as error:
        if isinstance(error.__cause__, FileNotFoundError):  # deleted meanwhile
            return None
        raise


def latest_of(eval_dir: Path, checkpoint: str, split: str, fingerprint: str) -> Evaluation | None:
    """Return the newest evaluation of a file named `checkpoint` on data with this fingerprint, or None.

    Training replaces `last.pt` and `best.pt`, so it may be of an earlier file; its `epoch` says of which.
    """
    found = []
    for path in stored(eval_dir):
        with suppress(RunError):  # skip damaged ones
            found.append(load(path))
    wanted = (checkpoint, split, fingerprint)
    of_file = [each for each in found if (each.checkpoint, each.split, each.fingerprint) == wanted and _is_open(each)]
    return max(of_file, key=lambda each: (each.path / "scores.json").stat().st_mtime, default=None)


def _is_open(found: Evaluation) -> bool:
    return found.split != TEST or openings.is_recorded(found.fingerprint, found.checkpoint_hash)


def is_by_size(eval_dir: Path, checkpoint_hash: str, split: str) -> bool:
    """Return whether a checkpoint has evaluations on a split, all with fingerprints of the photos' sizes."""
    found = set(_fingerprints(eval_dir, key(split, checkpoint_hash, "")).values()) - {UNREADABLE}
    return bool(found) and not any(map(is_by_content, found))


def _fingerprints(eval_dir: Path, beginning: str) -> dict[Path, str]:
    """Return the fingerprint of each stored evaluation whose folder's name begins with `beginning`."""
    return {path: _fingerprint_in(path) for path in stored(eval_dir) if path.name.startswith(beginning)}


def _fingerprint_in(path: Path) -> str:
    try:
        text = read_folder(path, lambda place: (place / "scores.json").read_text(encoding="utf-8"))
        return str(json.loads(text)["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return UNREADABLE  # `load` says why


def _stored_s(path: Path) -> float:
    """Return when an evaluation was stored, in seconds since 1970; 0 if it was deleted."""
    try:
        return read_folder(path, lambda place: (place / "scores.json").stat().st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return 0.0


def scores_of(eval_dir: Path, checkpoint: Path, split: str, fingerprint: str) -> dict[str, Any] | None:
    """Return the stored scores of a checkpoint file on this data as `evaluate --json` prints them, or None."""
    if not checkpoint.exists():
        return None
    found = find(eval_dir, file_hash(checkpoint), split, fingerprint)
    return found.as_dict() if found else None


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a checkpoint file; an unreadable or deleted file raises `CheckpointError`."""
    try:
        with regular(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error.strerror}; check its name.") from error


def job_folder(eval_dir: Path, checkpoint: Path, split: str) -> Path:
    """Return the folder of the dashboard's job (`core.jobs`) that evaluates a checkpoint on a split."""
    return eval_dir / f"job-{split}-{checkpoint.stem}"


def start(eval_dir: Path, checkpoint: Path, data: str, split: str) -> None:
    """Evaluate a run's checkpoint on a split in a process of its own, unless one is already running."""
    refuse_deleted(checkpoint)
    arguments = ["evaluate", str(checkpoint), "--data", data, "--split", split]
    jobs.start(job_folder(eval_dir, checkpoint, split), arguments)


def refuse_deleted(checkpoint: Path) -> None:
    """Raise `CheckpointError` if the file is gone; its run's folder must not be created again."""
    if not checkpoint.is_file():
        raise CheckpointError(f"{checkpoint} was deleted; choose another checkpoint.")
