"""Evaluations that the dashboard starts: a process of their own, its progress in a small file. No torch here.

eval/job-val-epoch_010/   lock (held by the living process)  progress.json  trainer.log
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import CoreError
from core.files import write_json
from core.training.runs import Run, hold, is_held, launch


def start_evaluation(run: Run, checkpoint: Path, split: str) -> None:
    """Score a checkpoint of a run on a split of its data in a process of its own, unless that is already going on."""
    folder = _folder(run, checkpoint, split)
    folder.mkdir(parents=True, exist_ok=True)
    if not is_held(folder):
        (folder / "progress.json").unlink(missing_ok=True)
        arguments = [str(checkpoint), "--data", run.data, "--split", split, "--job", str(folder)]
        launch(["evaluate", *arguments], folder)


def evaluation_progress(run: Run, checkpoint: Path, split: str) -> tuple[int, int] | None:
    """Return (photos done, photos in all) of an evaluation that is going on, else None."""
    folder = _folder(run, checkpoint, split)
    if not is_held(folder):
        return None
    progress = _read(folder)
    return progress.get("done", 0), progress.get("total", 0)


def evaluation_error(run: Run, checkpoint: Path, split: str) -> str | None:
    """Return the sentence with which the last evaluation failed, if it did."""
    folder = _folder(run, checkpoint, split)
    progress = _read(folder)
    if "error" in progress:
        return str(progress["error"])
    if not is_held(folder) and progress.get("done", 0) < progress.get("total", 0):
        return f"The evaluation ended without a word after {progress['done']} photos; see {folder / 'trainer.log'}."
    return None


@contextmanager
def running_job(folder: Path) -> Iterator[Callable[[int, int], None]]:
    """Hold the lock of a job and give a function that notes its progress; an error that ends it is noted too."""
    with hold(folder):
        try:
            yield lambda done, total: write_json(folder / "progress.json", {"done": done, "total": total})
        except CoreError as error:
            write_json(folder / "progress.json", {"error": str(error)})
            raise


def _folder(run: Run, checkpoint: Path, split: str) -> Path:
    return run.eval_dir / f"job-{split}-{checkpoint.stem}"


def _read(folder: Path) -> dict[str, Any]:
    try:
        progress: dict[str, Any] = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return progress
