"""Which model predicts which photo of a data set without having trained on it.

A study's fold runs see every photo but those of their fold; a run sees the photos of its split train. Which those are
follows from the run's data as it lies there today, compared by the content of the photos, so that a copy of the data
set, or a photo under a second name, counts too. The split test stays closed: none of its photos is predicted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from core.data.dataset import Dataset, Sample, open_dataset
from core.data.hashing import hashes
from core.data.seeding import fraction_of
from core.errors import CoreError, DataError
from core.home import studies_dir
from core.model.weights.pretrained import open_named
from core.review.proposing import checkpoint_label
from core.training.run.folders import Run, list_runs, open_run
from core.training.run.milestones import milestones
from core.wording import count

CLOSED = "test"


@dataclass(frozen=True)
class Unseen:
    """A checkpoint and the photos that it predicts; `label` is its short name."""

    checkpoint: Path
    label: str
    samples: tuple[Sample, ...]


def unseen_by(data: Dataset, source: Path, on_note: Callable[[str], None]) -> list[Unseen]:
    """Return checkpoints, each with the photos of the data set that it has not trained on; a photo has one at most.

    Args:
        data: every photo of its splits counts, but for those of `test`.
        source: a study's folder or name, a run's folder, or a checkpoint: a file, or a name as of `open_named`.
        on_note: gets a sentence where photos are left out, or where it is not known what a model trained on.

    Raises:
        CoreError: there is no checkpoint, or every photo was trained on.
    """
    samples = {sample.name: sample for name, its in data.splits.items() if name != CLOSED for sample in its}
    closed = {sample.photo for sample in data.splits.get(CLOSED, ())}
    left = {photo: sample for sample in samples.values() if (photo := sample.photo) not in closed}
    digests = dict(zip(left, hashes(list(left)), strict=True))
    found = []
    for checkpoint, trained_on in _models(source, on_note):
        its = [photo for photo in left if digests[photo] not in trained_on]
        if its:
            found.append(Unseen(checkpoint, checkpoint_label(checkpoint), tuple(left.pop(photo) for photo in its)))
    if not found:
        raise DataError(
            f"{source} trained on every photo of {data.root}, and finds no errors in labels that it learned; give a "
            "study with folds, or a run on other photos."
        )
    if left:
        on_note(f"{count(len(left), 'photo')} left out, since every model given trained on them.")
    return found


def _models(source: Path, on_note: Callable[[str], None]) -> Iterable[tuple[Path, frozenset[str]]]:
    """Yield checkpoints with the hashes of the photos that they trained on; a study's, those of most photos first."""
    study = source if source.exists() else studies_dir() / source
    if (study / "study.json").is_file():
        runs = [(_last(run), _photos_of(run)) for run in list_runs(study / "runs")]
        usable = [(checkpoint, photos) for checkpoint, photos in runs if checkpoint and photos is not None]
        if not usable:
            raise DataError(f"No run of the study {source} has a checkpoint yet; let it train first.")
        return sorted(usable, key=lambda each: (-len(each[1]), each[0].parent.name))
    run_folder = source if (source / "config.json").is_file() else source.parent
    if (run_folder / "config.json").is_file():
        run = open_run(run_folder)
        checkpoint = _last(run) if source == run_folder else source
        if not checkpoint:
            raise DataError(f"The run {source} has no checkpoint yet; train it first.")
        trained_on = _photos_of(run)
    else:
        checkpoint, trained_on = source, None
        meta = open_named(source).meta
        if meta.config and meta.data:
            trained_on = _trained_on(Path(meta.data), meta.config)
    if trained_on is None:
        on_note(f"Which photos {checkpoint_label(checkpoint)} trained on is not known; in those it finds few errors.")
    return [(checkpoint, trained_on or frozenset())]


def _last(run: Run) -> Path | None:
    """Return the checkpoint after the most epochs: unlike best.pt, it was not chosen on val."""
    return next(iter([*reversed(milestones(run.path)), *reversed(run.checkpoints())]), None)


def _photos_of(run: Run) -> frozenset[str] | None:
    return _trained_on(Path(run.data), run.config.as_dict())


def _trained_on(data: Path, config: dict[str, object]) -> frozenset[str] | None:
    """Return the hashes of the photos of a run's data that it trains on; None if the data cannot be read."""
    try:
        train = open_dataset(data).split("train")
        some = fraction_of(train, float(str(config["train_fraction"])), int(str(config["seed"])))
        return frozenset(hashes([sample.photo for sample in some]))
    except (CoreError, KeyError, ValueError):
        return None
