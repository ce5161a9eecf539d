"""Which model predicts which photo of a data set without having trained on it.

A study's fold runs see every photo but those of their fold; a run sees the photos of its split train, if its log
confirms that they are still those (`trained_on`). Photos are compared by content, so that a copy of the data set, or a
photo under a second name, counts too. The split test stays closed: none of its photos is predicted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.data.dataset import TEST, Dataset, Sample
from core.data.hashing import hashes
from core.errors import DataError
from core.home import studies_dir
from core.model.weights import starter
from core.model.weights.pretrained import open_named
from core.review.proposing import checkpoint_label
from core.training.run.folders import Run, list_runs, open_run, run_state
from core.training.run.log import read_log
from core.training.run.milestones import milestones
from core.training.run.trained_on import began_from_starter, photos_of, trained_on
from core.wording import count


@dataclass(frozen=True)
class Unseen:
    """A checkpoint and the photos that it predicts; `label` is its short name."""

    checkpoint: Path
    label: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class _Model:
    """A checkpoint, the hashes of the photos that its run trained on (None: not known), and how it came about."""

    checkpoint: Path
    trained_on: frozenset[str] | None
    is_finished: bool = True
    is_from_starter: bool = False

    def notes(self) -> list[str]:
        """Return what to know about its predictions, as sentences."""
        label, notes = checkpoint_label(self.checkpoint), []
        if self.trained_on is None:
            notes.append(f"Which photos {label} trained on is not known; in those it finds few errors.")
        if not self.is_finished:
            notes.append(f"The run of {label} is not finished; it doubts more labels that are right.")
        if self.is_from_starter:
            notes.append(
                f"{label} began from the starter model: the weights it started from may have seen these photos, and in "
                "those it finds few errors."
            )
        return notes


def unseen_by(data: Dataset, source: Path, on_note: Callable[[str], None]) -> list[Unseen]:
    """Return checkpoints, each with the photos of the data set that it has not trained on; a photo has one at most.

    Args:
        data: every photo of its splits counts, but for those of `test`.
        source: a study's folder or name, a run's folder, or a checkpoint: a file, or a name as of `open_named`.
        on_note: gets a sentence where photos are left out, and where a model may have seen them or is not finished.

    Raises:
        CoreError: there is no checkpoint, or every photo was trained on.
    """
    samples = {sample.name: sample for name, its in data.splits.items() if name != TEST for sample in its}
    closed = {sample.photo for sample in data.splits.get(TEST, ())}
    left = {photo: sample for sample in samples.values() if (photo := sample.photo) not in closed}
    digests = dict(zip(left, hashes(list(left)), strict=True))
    found = []
    for model in _models(source):
        its = [photo for photo in left if digests[photo] not in (model.trained_on or ())]
        if its:
            label = checkpoint_label(model.checkpoint)
            found.append(Unseen(model.checkpoint, label, tuple(left.pop(photo) for photo in its)))
            for note in model.notes():
                on_note(note)
    if not found:
        raise DataError(
            f"{source} trained on every photo of {data.root}, and finds no errors in labels that it learned; give a "
            "study with folds, or a run on other photos."
        )
    if left:
        on_note(f"{count(len(left), 'photo')} left out, since every model given trained on them.")
    return found


def _models(source: Path) -> list[_Model]:
    """Return the models of a source; of a study the finished runs first, among them those of most photos."""
    study = source if source.exists() else studies_dir() / source
    if (study / "study.json").is_file():
        models = [model for run in list_runs(study / "runs") if (model := _model_of(run, _last(run)))]
        usable = [(model, len(model.trained_on)) for model in models if model.trained_on is not None]
        if not usable:
            raise DataError(
                f"No run of the study {source} has a checkpoint, and data as it trained on them; let it train first."
            )
        usable.sort(key=lambda each: (not each[0].is_finished, -each[1], each[0].checkpoint.parent.name))
        return [model for model, _ in usable]
    run_folder = source if (source / "config.json").is_file() else source.parent
    if (run_folder / "config.json").is_file():
        run = open_run(run_folder)
        model = _model_of(run, _last(run) if source == run_folder else source)
        if not model:
            raise DataError(f"The run {source} has no checkpoint yet; train it first.")
        return [model]
    meta = open_named(source).meta
    photos = photos_of(Path(meta.data), meta.config, meta.fingerprint) if meta.data else None
    return [_Model(source, photos, is_from_starter=f"{starter.NAME} weights" in meta.lineage)]


def _model_of(run: Run, checkpoint: Path | None) -> _Model | None:
    if not checkpoint:
        return None
    is_finished = run_state(run, read_log(run.log_path)) == "finished"
    return _Model(checkpoint, trained_on(run), is_finished, began_from_starter(run))


def _last(run: Run) -> Path | None:
    """Return the checkpoint after the most epochs: unlike best.pt, it was not chosen on val."""
    return next(iter([*reversed(milestones(run.path)), *reversed(run.checkpoints())]), None)
