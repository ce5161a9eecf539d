"""Stored scores on corrupted photos (`core.data.corruptions`), cell by cell, in `eval/`. No torch.

eval/robustness-val-3f1c90ab12de-77aa01b2c3d4-50/   split, hashes of checkpoint and data, number of photos
about.json     checkpoint, split, data, and the names of the photos
blur-3.npz     blur at level 3: counts_NKK, and the predicted masks of the first `MAX_MASKS` photos as PNG files
clean-0.npz    the photos as they are

A cell is written whole as soon as it is counted, so what was stopped goes on where it was.
"""

import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core import jobs
from core.data.corruptions import CELLS, CLEAN, CORRUPTIONS, LEVELS, LONGEST_PX
from core.data.dataset import TEST
from core.errors import CheckpointError, RunError
from core.files import by_last_use, delete_folder, entries, replacing, write_json
from core.home import home
from core.metrics.confusion import Counts, iou, mean
from core.metrics.scores import floor
from core.training.run import evaluations, openings

SCHEMA = 1
"""Version of the format and of the corruptions: raise it when either changes. Other versions are evaluated again."""

ABOUT = "about.json"
PHOTOS = 50
"""Photos of the split that are used unless another number is asked for: a seeded sample."""

STORED = 20
"""Evaluations that a run keeps, and that the cache keeps of checkpoints outside run folders: up to 4 MB each."""

MAX_MASKS = 50
"""Photos whose masks are stored, for the page: about 2 kB each, in each of 36 cells."""


@dataclass(frozen=True)
class Robustness:
    """What is stored about a checkpoint on a sample of a split."""

    path: Path
    checkpoint: str
    checkpoint_hash: str
    epoch: int | None
    split: str
    data: str
    fingerprint: str
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    split_images: int

    @property
    def done(self) -> list[tuple[str, int]]:
        """The stored cells: corruption and level, in the order of `CELLS`."""
        return [cell for cell in CELLS if self._file(*cell).is_file()]

    @property
    def is_complete(self) -> bool:
        """Whether every cell is stored."""
        return len(self.done) == len(CELLS)

    def counts(self, corruption: str, level: int) -> Counts:
        """Return counts_NKK of a cell; one that is missing or damaged raises `RunError`."""
        counts_NKK: Counts = self._read(corruption, level, lambda cell: cell["counts_NKK"])
        return counts_NKK

    def mask(self, corruption: str, level: int, index: int) -> NDArray[np.uint8]:
        """Return the predicted ids of photo number `index`, below `MAX_MASKS`, at the size of the corrupted photo."""

        def decode(cell: Any) -> NDArray[np.uint8]:
            begin, end = (0, *cell["mask_ends"])[index : index + 2]
            with Image.open(io.BytesIO(cell["masks_B"][begin:end].tobytes())) as mask:
                return np.asarray(mask)

        mask_HW: NDArray[np.uint8] = self._read(corruption, level, decode)
        return mask_HW

    def counts_of(self, corruption: str) -> Counts:
        """Return counts_LNKK of a corruption: level 0, the photos as they are, then level by level."""
        return np.stack([self.counts(corruption if level else CLEAN, level) for level in range(LEVELS + 1)])

    def store(self, corruption: str, level: int, counts_NKK: Counts, masks: list[bytes]) -> None:
        """Write a cell; if that fails, as on a full disk or in a deleted run, raises `RunError`."""
        try:
            with replacing(self._file(corruption, level)) as file:
                np.savez_compressed(
                    file,
                    counts_NKK=counts_NKK,
                    masks_B=np.frombuffer(b"".join(masks), dtype=np.uint8),
                    mask_ends=np.cumsum([len(each) for each in masks], dtype=np.int64),
                )
        except OSError as error:
            raise RunError(
                f"{self._file(corruption, level)} cannot be written: {error.strerror}; make room, see that the run is "
                "there, and start again: the finished cells stay."
            ) from error

    def discard_damaged(self) -> None:
        """Delete the cells that cannot be read, so that they are counted again."""
        for corruption, level in self.done:
            try:
                self.counts(corruption, level)
            except RunError:
                self._file(corruption, level).unlink(missing_ok=True)

    def as_dict(self) -> dict[str, Any]:
        """Return the document that `evaluate --corruptions --json` prints; every cell must be stored."""
        return {
            "checkpoint": self.checkpoint,
            "split": self.split,
            "images": len(self.names),
            "split_images": self.split_images,
            "longest_px": LONGEST_PX,
            "clean": _scores(self.counts(CLEAN, 0)),
            "corruptions": [self._corruption(name) for name in CORRUPTIONS],
            "stored_in": str(self.path),
        }

    def _corruption(self, name: str) -> dict[str, Any]:
        corruption = CORRUPTIONS[name]
        levels = [_scores(counts_NKK) for counts_NKK in self.counts_of(name)[1:]]
        scores = [each["miou"] for each in levels if each["miou"] is not None]
        return {
            "name": name,
            "source": "Hendrycks and Dietterich 2019" if corruption.is_published else "Atrous",
            "mean_miou": sum(scores) / LEVELS if len(scores) == LEVELS else None,
            "levels": [
                {"level": level, "strength": corruption.strength(level)} | each for level, each in enumerate(levels, 1)
            ],
        }

    def _file(self, corruption: str, level: int) -> Path:
        return self.path / f"{corruption}-{level}.npz"

    def _read(self, corruption: str, level: int, read: Any) -> Any:
        file = self._file(corruption, level)
        try:
            with np.load(file, allow_pickle=False) as cell:
                return read(cell)
        except (OSError, KeyError, ValueError, EOFError, BadZipFile, UnidentifiedImageError) as error:
            raise RunError(
                f"{file} cannot be read ({error}); delete it and evaluate with --corruptions again."
            ) from error


def _scores(counts_NKK: Counts) -> dict[str, Any]:
    return {"miou": mean(iou(counts_NKK.sum(axis=0))), "floor": asdict(floor(counts_NKK))}


def cache() -> Path:
    """Return the folder for checkpoints outside run folders."""
    return home() / "cache" / "robustness"


def open_store(eval_dir: Path, about: Robustness) -> Robustness:
    """Make the folder of an evaluation of robustness, or go on with the one there; of another version it is replaced.

    `about.path` is ignored. A folder that cannot be written raises `RunError`.
    """
    place = eval_dir / _key(about.split, about.checkpoint_hash, about.fingerprint, len(about.names))
    wanted = replace(about, path=place)
    # The name of the file and the place of the data may differ: the key has the hashes of their content.
    found = _load(place)
    if found and _counted(found) == _counted(wanted):
        found.discard_damaged()
        return wanted
    try:
        delete_folder(place)
        place.mkdir(parents=eval_dir.parent.is_dir() or eval_dir == cache(), exist_ok=True)
        write_json(place / ABOUT, {"schema": SCHEMA} | asdict(wanted) | {"path": None})
    except OSError as error:
        raise RunError(
            f"The folder {place} cannot be written: {error.strerror}; check that its run is there."
        ) from error
    return wanted


def forget_others(kept: Robustness) -> None:
    """Delete all but `STORED` evaluations, and never this one: those of replaced checkpoints first, then the oldest.

    Outside run folders it is not known which checkpoints were replaced.
    """
    stored = by_last_use(entries(kept.path.parent, "robustness-*"))
    if len(stored) <= STORED:
        return
    present = set()
    for file in entries(kept.path.parent.parent, "*.pt"):
        with suppress(CheckpointError):
            present.add(evaluations.file_hash(file))
    of = {path: about.checkpoint_hash for path in stored if (about := _load(path))}
    for old in sorted(stored, key=lambda path: of.get(path) in present)[:-STORED]:  # equal ones stay by age
        if old != kept.path:
            delete_folder(old)


def _counted(about: Robustness) -> tuple[object, ...]:
    """Return what the counts are of."""
    return about.checkpoint_hash, about.split, about.fingerprint, about.class_names, about.names


def find(eval_dir: Path, checkpoint_hash: str, split: str, fingerprint: str) -> list[Robustness]:
    """Return what is stored about a checkpoint on this data, the one on most photos first; nothing damaged.

    On a test split only if its opening is recorded.
    """
    beginning = _key(split, checkpoint_hash, fingerprint, "")
    found = [each for path in entries(eval_dir, f"{beginning}*") if (each := _load(path))]
    wanted = (checkpoint_hash, fingerprint)
    same = [each for each in found if (each.checkpoint_hash, each.fingerprint) == wanted]
    is_open = split != TEST or openings.is_recorded(fingerprint, checkpoint_hash)
    return sorted(same, key=lambda each: -len(each.names)) if is_open else []


def on_same_photos(stored: Sequence[Sequence[Robustness]]) -> list[Robustness]:
    """Return a whole one of each checkpoint, all on the same photos and as many as possible; none if there is none."""
    whole = [{each.names: each for each in of_one if each.is_complete} for of_one in stored]
    shared = set.intersection(*map(set, whole)) if whole else set()
    names = max(shared, key=len, default=None)
    return [by_names[names] for by_names in whole] if names else []


def load(path: Path) -> Robustness:
    """Read what is stored in a folder that `find` returned; if it is gone or damaged since, raises `RunError`."""
    if found := _load(path):
        return found
    raise RunError(f"{path} cannot be read any more; evaluate with --corruptions again.")


def _key(split: str, checkpoint_hash: str, fingerprint: str, num_photos: int | str) -> str:
    return f"robustness-{evaluations.key(split, checkpoint_hash, fingerprint)}-{num_photos}"


def _load(path: Path) -> Robustness | None:
    try:
        about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        if about["schema"] != SCHEMA:
            return None
        values: dict[str, Any] = {each.name: about[each.name] for each in fields(Robustness)} | {"path": path}
        values |= {name: tuple(values[name]) for name in ("class_names", "names")}
        return Robustness(**values)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def seconds(predictions: int, images_per_second: float | None) -> float | None:
    """Return how long predictions take, at least, by the speed of an evaluation; None if that is not known."""
    return predictions / images_per_second if images_per_second else None


def job_folder(eval_dir: Path, checkpoint: Path, split: str) -> Path:
    """Return the folder of the dashboard's job that evaluates a checkpoint on corrupted photos of a split."""
    return eval_dir / f"job-robustness-{split}-{checkpoint.stem}"


def start(eval_dir: Path, checkpoint: Path, data: str, split: str, photos: int) -> None:
    """Evaluate a run's checkpoint on corrupted photos in a process of its own, unless one is already running."""
    evaluations.refuse_deleted(checkpoint)
    arguments = ["evaluate", str(checkpoint), "--data", data, "--split", split, "--corruptions"]
    jobs.start(job_folder(eval_dir, checkpoint, split), [*arguments, "--photos", str(photos)])
