"""What a report is written from: run folders and the stored evaluations in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np

from core.classes import VOC_CLASSES, Classes
from core.data.dataset import LISTS, Dataset, fingerprint, open_dataset
from core.errors import DataError, RunError
from core.metrics.confusion import Counts
from core.metrics.scores import Scores, score
from core.training.run import evaluations
from core.training.run.evaluations import Evaluation
from core.training.run.folders import Run
from core.training.run.log import RunLog, read_log
from core.training.run.milestones import epoch_of
from core.training.run.records import Epoch, RunStarted
from core.voc import BACKGROUND
from core.windows import command_line

Evaluate = Callable[[Path, Dataset, str], object]
"""Scores a checkpoint on a split and stores it in the run's folder (`core.training.evaluation`)."""


@dataclass(frozen=True)
class Judged:
    """A checkpoint and what it scored."""

    run: Run
    file: Path
    evaluation: Evaluation

    @property
    def epoch(self) -> int | None:
        """The epoch after which it was saved."""
        epoch = epoch_of(self.file)
        return self.evaluation.epoch if epoch is None else epoch

    @property
    def step_in_epoch(self) -> int:
        """How many steps it was trained beyond `epoch`; 0 unless it was saved in mid-epoch."""
        return self.evaluation.step_in_epoch if epoch_of(self.file) is None else 0

    @property
    def scores(self) -> Scores:
        """Its scores over all images."""
        return self.evaluation.scores


@dataclass(frozen=True)
class Leg:
    """One continuous stretch of training: how it began, and the epochs of it that count."""

    started: RunStarted
    epochs: tuple[Epoch, ...]

    @property
    def began(self) -> datetime:
        """When it began, in local time."""
        return datetime.fromtimestamp(self.started.time_s).astimezone()

    @property
    def seconds(self) -> float:
        """How long its epochs took."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def seconds_per_epoch(self) -> float | None:
        """The median over its epochs."""
        return median(epoch.seconds for epoch in self.epochs) if self.epochs else None

    @property
    def images_per_second(self) -> float | None:
        """Training photos per second, the median over its epochs."""
        return median(epoch.images_per_second for epoch in self.epochs) if self.epochs else None


@dataclass(frozen=True)
class Trained:
    """A run, what it is called among the others of the report, and its log."""

    run: Run
    name: str
    log: RunLog

    @property
    def init(self) -> str:
        """The weights it started from: as logged, or as set where an old log does not say."""
        return next((leg.init for leg in self.log.legs if leg.init), self.run.config.init)

    @property
    def legs(self) -> list[Leg]:
        """Its legs in order; a leg has no epochs if none ended, or if the next leg repeated them."""
        ends = [leg.epochs_done for leg in self.log.legs[1:]] + [max((e.epoch for e in self.log.epochs), default=0)]
        return [
            Leg(started, tuple(e for e in self.log.epochs if started.epochs_done < e.epoch <= end))
            for started, end in zip(self.log.legs, ends, strict=True)
        ]


@dataclass(frozen=True)
class Content:
    """Everything a report is written from.

    `judged` are the checkpoints, A first, all on the same images; `counts_CNKK` are those of each, `floor_NKK` those of
    predicting background everywhere, on the images `names`. `data` is None where the photos are gone or have changed
    since.
    """

    trained: tuple[Trained, ...]
    judged: tuple[Judged, ...]
    names: tuple[str, ...]
    counts_CNKK: Counts
    floor_NKK: Counts
    floor: Scores
    data: Dataset | None
    classes: Classes

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation of A; what it says of the data is true of all."""
        return self.judged[0].evaluation

    @property
    def split(self) -> str:
        """The split that was scored."""
        return self.evaluation.split

    @property
    def has_lists(self) -> bool:
        """Whether the splits come from lists of names, and not from a seed."""
        return self.data is not None and any((self.data.root / LISTS).glob("*.txt"))

    @property
    def images_with(self) -> list[int]:
        """How many images have each class, by its id."""
        images_K: list[int] = (self.counts_CNKK[0].sum(axis=2) > 0).sum(axis=0).tolist()
        return images_K

    def run_name(self, run: Run) -> str:
        """Return what a run is called in this report."""
        return next(trained.name for trained in self.trained if trained.run.path == run.path)

    def of_run(self, trained: Trained) -> list[Judged]:
        """Return the judged checkpoints of a run."""
        return [judged for judged in self.judged if judged.run.path == trained.run.path]


def judge(runs: Sequence[Run], split: str, evaluate: Evaluate | None = None) -> list[Judged]:
    """Return the milestones of each run, or else its best or last checkpoint, with their evaluations on a split.

    `evaluate` is called for a checkpoint that is not evaluated on the data as it is now; without `evaluate`, `RunError`
    gives the command to run. If the data is gone, the stored evaluation counts.
    """
    return [
        Judged(run, file, _stored(run, file, split) or _evaluated(run, file, split, evaluate))
        for run in runs
        for file in _files(run)
    ]


def _files(run: Run) -> list[Path]:
    files = run.checkpoints()
    milestones = [file for file in files if epoch_of(file) is not None]
    if not files:
        command = command_line(["python", "-m", "core", "train", run.path])
        raise RunError(f"{run.path.name} has no checkpoint yet; train it: {command}.")
    return milestones or files[:1]


def _stored(run: Run, file: Path, split: str) -> Evaluation | None:
    data = _data_of(run.data)
    wanted = fingerprint(data.split(split)) if data else None
    return evaluations.find(run.eval_dir, evaluations.file_hash(file), split, wanted)


def is_by_size(file: Path, split: str) -> bool:
    """Return whether a checkpoint's evaluation on a split dates from before photos were compared by content."""
    return evaluations.is_by_size(file.parent / "eval", evaluations.file_hash(file), split)


def _evaluated(run: Run, file: Path, split: str, evaluate: Evaluate | None) -> Evaluation:
    if evaluate is None:
        why = evaluations.BY_SIZE if is_by_size(file, split) else f"is not evaluated on {split} yet"
        command = command_line(["python", "-m", "core", "evaluate", file, "--data", run.data, "--split", split])
        raise RunError(f"{file} {why}; do so: {command}.")
    evaluate(file, open_dataset(run.data), split)
    return _stored(run, file, split) or _evaluated(run, file, split, None)


def gather(judged: Sequence[Judged]) -> Content:
    """Return what a report on these checkpoints is written from.

    Raises:
        RunError: there is no checkpoint.
        DataError: they were scored on different images, or on none.
    """
    if not judged:
        raise RunError("There is no checkpoint to report on; choose at least one that is evaluated.")
    _require_same_data(judged)
    evaluation = judged[0].evaluation
    names, counts = evaluation.counts()
    if not names:
        raise DataError(f"{evaluation.path} is of no image; evaluate {judged[0].file} on a split that has some.")
    runs = list({each.run.path: each.run for each in judged}.values())
    trained = tuple(Trained(run, _name(run, runs), read_log(run.log_path)) for run in runs)
    data = _unchanged(evaluation)
    logged = next((each.log.legs[-1].classes for each in trained if each.log.legs), VOC_CLASSES)
    floor_NKK = np.zeros_like(counts)
    floor_NKK[:, :, BACKGROUND] = counts.sum(axis=2)
    class_names = [entry.name for entry in evaluation.scores.classes]
    return Content(
        trained=trained,
        judged=tuple(judged),
        names=tuple(names),
        counts_CNKK=np.stack([counts, *(each.evaluation.counts()[1] for each in judged[1:])]),
        floor_NKK=floor_NKK,
        floor=score(floor_NKK, class_names),
        data=data,
        classes=data.classes if data else logged,
    )


def _require_same_data(judged: Sequence[Judged]) -> None:
    first = judged[0]
    for other in judged[1:]:
        if (other.evaluation.fingerprint, other.evaluation.split) != (
            first.evaluation.fingerprint,
            first.evaluation.split,
        ):
            by_size = [each for each in (first, other) if not each.evaluation.is_by_content]
            why = f", or nobody knows: {by_size[0].file.name} {evaluations.BY_SIZE}" if by_size else ""
            raise DataError(
                f"{first.file} and {other.file} were scored on different images{why}: their scores do not compare; "
                "evaluate both on the same data, or report on each alone."
            )


def _name(run: Run, runs: Sequence[Run]) -> str:
    """Return a run's name, or its folder's where several share the name."""
    return run.name if [other.name for other in runs].count(run.name) == 1 else run.path.name


def _data_of(path: str) -> Dataset | None:
    try:
        return open_dataset(path)
    except DataError:
        return None


def _unchanged(evaluation: Evaluation) -> Dataset | None:
    """Return the data of an evaluation if its images are those that were scored."""
    data = _data_of(evaluation.data)
    if data is None or not data.splits.get(evaluation.split):
        return None
    return data if fingerprint(data.split(evaluation.split)) == evaluation.fingerprint else None
