"""Stored evaluations: what a checkpoint scored on a split, image by image, in the run's `eval/` folder.

    eval/val-3f1c90ab12de-77aa01b2c3d4/     split, hash of the checkpoint file, hash of the data
        scores.json     the scores and what they are of
        counts.npz      names, counts_NKK and boundary_N3K of the images, int64
        masks/NAME.png  the predicted masks

Neither torch nor streamlit is imported here.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from core import jobs
from core.errors import RunError
from core.files import new_folder, write_json
from core.metrics.confusion import Counts
from core.metrics.scores import Scores, score

SCHEMA = 1
"""Version of the format and of the scores' rules: raise it when either changes, and old scores are not compared."""

HASH_LENGTH = 12


@dataclass(frozen=True)
class ImageResult:
    """What a checkpoint did on one image: its predicted mask as a PNG file's bytes, its loss and its counts."""

    name: str
    loss: float
    mask_png: bytes
    counts_KK: Counts
    boundary_3K: Counts
    void_pixels: int


@dataclass(frozen=True)
class Evaluation:
    """A stored evaluation."""

    path: Path
    checkpoint: str
    checkpoint_hash: str
    epoch: int | None
    split: str
    data: str
    fingerprint: str
    images_per_second: float | None
    scores: Scores

    def as_dict(self) -> dict[str, Any]:
        """Return the document that `evaluate --json` prints."""
        about = {"checkpoint": self.checkpoint, "split": self.split, "images_per_second": self.images_per_second}
        return about | self.scores.as_dict()

    def mask_path(self, name: str) -> Path:
        """Return the file of an image's predicted mask."""
        return self.path / "masks" / f"{name}.png"

    def counts(self) -> tuple[list[str], Counts]:
        """Return the names of the images and their counts_NKK."""
        with np.load(self.path / "counts.npz", allow_pickle=False) as stored:
            return [str(name) for name in stored["names"]], stored["counts_NKK"]


def summarize(results: Sequence[ImageResult], class_names: Sequence[str]) -> Scores:
    """Return the scores over all images."""
    num_classes = len(class_names)
    counts_NKK = np.array([result.counts_KK for result in results], dtype=np.int64)
    boundary_N3K = np.array([result.boundary_3K for result in results], dtype=np.int64)
    return score(
        counts_NKK.reshape(-1, num_classes, num_classes),
        class_names,
        void_pixels=sum(result.void_pixels for result in results),
        boundary_N3K=boundary_N3K.reshape(-1, 3, num_classes),
    )


def store(  # noqa: PLR0913 - all of it is what the evaluation is of
    eval_dir: Path, *, checkpoint: str, checkpoint_hash: str, epoch: int | None,
    split: str, data: str, fingerprint: str, results: Sequence[ImageResult],
    class_names: Sequence[str], images_per_second: float | None = None,
) -> Evaluation:  # fmt: skip
    """Write an evaluation whole, replacing an earlier one of the same checkpoint and data; gives it back."""
    about = {
        "schema": SCHEMA,
        "checkpoint": checkpoint,
        "checkpoint_hash": checkpoint_hash,
        "epoch": epoch,
        "split": split,
        "data": data,
        "fingerprint": fingerprint,
        "images_per_second": images_per_second,
        "scores": summarize(results, class_names).as_dict(),
    }
    final = eval_dir / key(split, checkpoint_hash, fingerprint)
    if final.exists():
        shutil.rmtree(final)
    with new_folder(final) as folder:
        (folder / "masks").mkdir()
        for result in results:
            (folder / "masks" / f"{result.name}.png").write_bytes(result.mask_png)
        np.savez_compressed(
            folder / "counts.npz",
            names=np.array([result.name for result in results]),
            counts_NKK=np.array([result.counts_KK for result in results]),
            boundary_N3K=np.array([result.boundary_3K for result in results]),
        )
        write_json(folder / "scores.json", about)
    return load(final)


def key(split: str, checkpoint_hash: str, fingerprint: str) -> str:
    """Return the name of an evaluation's folder."""
    return f"{split}-{checkpoint_hash[:HASH_LENGTH]}-{fingerprint[:HASH_LENGTH]}"


def load(path: Path) -> Evaluation:
    """Read a stored evaluation; one that is damaged raises `RunError`."""
    try:
        about: dict[str, Any] = json.loads((path / "scores.json").read_text(encoding="utf-8"))
        if about["schema"] != SCHEMA:
            raise ValueError(f"it was scored by the rules of version {about['schema']}, not {SCHEMA}")
        values = {field.name: about[field.name] for field in fields(Evaluation) if field.name not in ("path", "scores")}
        return Evaluation(path=path, scores=Scores.from_dict(about["scores"]), **values)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"The stored evaluation {path} cannot be read ({error}); delete it and evaluate again."
        ) from error


def stored(eval_dir: Path) -> list[Path]:
    """Return the folders of the stored evaluations of a run."""
    return sorted(file.parent for file in eval_dir.glob("*/scores.json"))


def find(eval_dir: Path, checkpoint_hash: str, split: str, fingerprint: str | None) -> Evaluation | None:
    """Return the evaluation of a checkpoint on a split of that fingerprint; without one, the newest on any data."""
    wanted = key(split, checkpoint_hash, fingerprint or "")
    folders = [path for path in stored(eval_dir) if path.name.startswith(wanted)]
    return load(max(folders, key=lambda path: (path / "scores.json").stat().st_mtime)) if folders else None


def scores_of(eval_dir: Path, checkpoint: Path, split: str, fingerprint: str) -> dict[str, Any] | None:
    """Return the stored scores of a checkpoint file on that data as `evaluate --json` prints them, or None."""
    found = find(eval_dir, file_hash(checkpoint), split, fingerprint) if checkpoint.exists() else None
    return found.as_dict() if found else None


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def job_folder(eval_dir: Path, checkpoint: Path, split: str) -> Path:
    """Return the folder of the job (`core.jobs`) that evaluates a checkpoint on a split for the dashboard."""
    return eval_dir / f"job-{split}-{checkpoint.stem}"


def start(eval_dir: Path, checkpoint: Path, data: str, split: str) -> None:
    """Score a checkpoint of a run on a split of its data in a process of its own, unless that is already going on."""
    arguments = ["evaluate", str(checkpoint), "--data", data, "--split", split]
    jobs.start(job_folder(eval_dir, checkpoint, split), arguments)
