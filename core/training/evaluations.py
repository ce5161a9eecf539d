"""Stored evaluations: what a checkpoint scored on a split, image by image, in the run's `eval/` folder.

    eval/val-3f1c90ab12de-77aa01b2c3d4/     split, hash of the checkpoint file, hash of the data
        scores.json     the scores and what they are of
        counts.npz      the images' names and everything that was counted on each (`ImageResult`)
        masks/NAME.png  the predicted masks

Neither torch nor streamlit is imported here.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from core import jobs
from core.data.content import BY_CONTENT, is_by_content
from core.errors import RunError
from core.files import new_folder, write_json
from core.metrics.boundary import boundary_counts, contour_counts, fill_void
from core.metrics.calibration import Bins
from core.metrics.confusion import Counts, Ids, confusion_counts, void_pixels
from core.metrics.errors import error_counts
from core.metrics.scores import Scores, score

SCHEMA = 3
"""Version of the format and of the scores' rules: raise it when either changes.

1: without contours, kinds of errors and calibration.
2: contours were lost in VOC's void borders and found along the image border; what was predicted in void changed them.

Both are scored anew from their confusion counts as they are opened. What they lack or counted by another rule is None,
until somebody evaluates again.
"""

HASH_LENGTH = 12

BY_SIZE = "was evaluated before photos were compared by content"
"""What is said of an evaluation whose fingerprint counted photos by their size: its photos may have been others."""

UNREADABLE = ""
"""Stands for the fingerprint of an evaluation that is damaged."""

ABOUT = ("checkpoint", "checkpoint_hash", "epoch", "split", "data", "fingerprint", "images_per_second")


@dataclass(frozen=True)
class ImageResult:
    """What a checkpoint did on one image: its predicted mask as a PNG file's bytes, its loss and its counts.

    `counts_KK`, `boundary_3K`, `contour_4K` and `errors_4` are int64, of the mask at its own size (`core.metrics`);
    `bins_3B` (`calibration_bins`) is of the pixels of the size the model works at, as the loss is.
    """

    name: str
    loss: float
    mask_png: bytes
    void_pixels: int
    counts_KK: Counts
    boundary_3K: Counts
    contour_4K: Counts
    errors_4: Counts
    bins_3B: Bins


def judge(
    name: str, truth_HW: Ids, predicted_HW: Ids, num_classes: int, *, loss: float, mask_png: bytes, bins_3B: Bins
) -> ImageResult:
    """Count everything there is to count on the masks of one image."""
    filled = fill_void(truth_HW, predicted_HW, num_classes)
    return ImageResult(
        name=name,
        loss=loss,
        mask_png=mask_png,
        void_pixels=void_pixels(truth_HW, num_classes),
        counts_KK=confusion_counts(truth_HW, predicted_HW, num_classes),
        boundary_3K=boundary_counts(truth_HW, predicted_HW, num_classes, filled=filled),
        contour_4K=contour_counts(truth_HW, predicted_HW, num_classes, filled=filled),
        errors_4=error_counts(truth_HW, predicted_HW, num_classes),
        bins_3B=bins_3B,
    )


@dataclass(frozen=True)
class Details:
    """What helps to see why, image by image: wrong pixels by kind (`core.metrics.errors`) and calibration."""

    errors_N4: Counts
    bins_N3B: Bins


@dataclass(frozen=True)
class Evaluation:
    """A stored evaluation of a checkpoint that was written after `epoch` epochs and `step_in_epoch` steps of the next.

    `number_format` is the model's, fp32 or bf16, and None where it was not kept yet; `schema` is the version it was
    written by.
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
        """Whether it lacks what is counted today (`SCHEMA`), so that it is worth evaluating again."""
        return self.schema < SCHEMA

    @property
    def is_by_content(self) -> bool:
        """Whether its fingerprint counted the content of the photos; else see `BY_SIZE`."""
        return is_by_content(self.fingerprint)

    def as_dict(self) -> dict[str, Any]:
        """Return the document that `evaluate --json` prints."""
        about = {"checkpoint": self.checkpoint, "split": self.split, "images_per_second": self.images_per_second}
        return about | {"number_format": self.number_format} | self.scores.as_dict()

    def mask_path(self, name: str) -> Path:
        """Return the file of an image's predicted mask."""
        return self.path / "masks" / f"{name}.png"

    def counts(self) -> tuple[list[str], Counts]:
        """Return the names of the images and their counts_NKK."""
        with np.load(self.path / "counts.npz", allow_pickle=False) as stored:
            return [str(name) for name in stored["names"]], stored["counts_NKK"]

    def details(self) -> Details | None:
        """Return what else was counted; None if it was evaluated before that was done."""
        with np.load(self.path / "counts.npz", allow_pickle=False) as stored:
            return Details(stored["errors_N4"], stored["bins_N3B"]) if "errors_N4" in stored else None


def summarize(results: Sequence[ImageResult], class_names: Sequence[str]) -> Scores:
    """Return the scores over all images."""
    num_classes = len(class_names)
    return score(
        _stacked([result.counts_KK for result in results], num_classes, num_classes),
        class_names,
        void_pixels=sum(result.void_pixels for result in results),
        boundary_N3K=_stacked([result.boundary_3K for result in results], 3, num_classes),
        contour_N4K=_stacked([result.contour_4K for result in results], 4, num_classes),
    )


def _stacked(counts: Sequence[Counts], *shape: int) -> Counts:
    """Return the counts of all images, also of none, with the images on the first axis."""
    return np.array(counts, dtype=np.int64).reshape(-1, *shape)


def store(  # noqa: PLR0913 - all of it is what the evaluation is of
    eval_dir: Path, *, checkpoint: str, checkpoint_hash: str, epoch: int | None,
    split: str, data: str, fingerprint: str, results: Sequence[ImageResult],
    class_names: Sequence[str], images_per_second: float | None = None, number_format: str | None = None,
    step_in_epoch: int = 0,
) -> Evaluation:  # fmt: skip
    """Write an evaluation whole, replacing an earlier one of the same checkpoint and data; gives it back."""
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
            contour_N4K=np.array([result.contour_4K for result in results]),
            errors_N4=np.array([result.errors_4 for result in results]),
            bins_N3B=np.array([result.bins_3B for result in results]),
        )
        write_json(folder / "scores.json", about)
    return load(final)


def key(split: str, checkpoint_hash: str, fingerprint: str) -> str:
    """Return the name of an evaluation's folder."""
    return f"{split}-{checkpoint_hash[:HASH_LENGTH]}-{fingerprint.removeprefix(BY_CONTENT)[:HASH_LENGTH]}"


def load(path: Path) -> Evaluation:
    """Read a stored evaluation; one that is damaged raises `RunError`."""
    try:
        about: dict[str, Any] = json.loads((path / "scores.json").read_text(encoding="utf-8"))
        if about["schema"] not in range(1, SCHEMA + 1):
            raise ValueError(f"it was scored by the rules of version {about['schema']}, not {SCHEMA}")
        values = {name: about[name] for name in (*ABOUT, "schema")} | {"number_format": about.get("number_format")}
        values["step_in_epoch"] = about.get("step_in_epoch", 0)
        scores = Scores.from_dict(about["scores"]) if about["schema"] == SCHEMA else _rescored(path, about["scores"])
        return Evaluation(path=path, scores=scores, **values)
    except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise RunError(
            f"The stored evaluation {path} cannot be read ({error}); delete it and evaluate again."
        ) from error


def _rescored(path: Path, old: dict[str, Any]) -> Scores:
    """Return the scores of an older evaluation by the rules of today, from its confusion counts; none of contours."""
    with np.load(path / "counts.npz", allow_pickle=False) as counts:
        counts_NKK = counts["counts_NKK"]
    share, num_counted = old["void_share"] or 0.0, int(counts_NKK.sum())
    num_void = round(share / (1 - share) * num_counted) if share < 1 else 1
    names = [entry["name"] for entry in old["classes"]]
    return score(counts_NKK, names, void_pixels=num_void)


def stored(eval_dir: Path) -> list[Path]:
    """Return the folders of the stored evaluations of a run."""
    return sorted(file.parent for file in eval_dir.glob("*/scores.json"))


def find(eval_dir: Path, checkpoint_hash: str, split: str, fingerprint: str | None) -> Evaluation | None:
    """Return the evaluation of a checkpoint on a split of that fingerprint; without one, the newest on any data.

    The newest is one whose fingerprint is by content, where there is any.
    """
    of = _fingerprints(eval_dir, key(split, checkpoint_hash, fingerprint or ""))
    folders = [path for path, found in of.items() if not fingerprint or found in (fingerprint, UNREADABLE)]
    if not folders:
        return None
    return load(max(folders, key=lambda path: (is_by_content(of[path]), (path / "scores.json").stat().st_mtime)))


def is_by_size(eval_dir: Path, checkpoint_hash: str, split: str) -> bool:
    """Tell whether a checkpoint has evaluations on a split, all from before photos were compared by content."""
    found = set(_fingerprints(eval_dir, key(split, checkpoint_hash, "")).values()) - {UNREADABLE}
    return bool(found) and not any(map(is_by_content, found))


def _fingerprints(eval_dir: Path, beginning: str) -> dict[Path, str]:
    """Return the fingerprint of each stored evaluation whose folder's name begins so."""
    return {path: _fingerprint_in(path) for path in stored(eval_dir) if path.name.startswith(beginning)}


def _fingerprint_in(path: Path) -> str:
    try:
        return str(json.loads((path / "scores.json").read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return UNREADABLE  # `load` says why


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
