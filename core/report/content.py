"""The content of a report: run folders and the evaluations stored in them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np

from core.classes import VOC_CLASSES, Classes
from core.data.dataset import LISTS, TEST, Dataset, fingerprint, open_dataset
from core.data.split_view import data_of, is_view
from core.errors import DataError, RunError
from core.metrics.confusion import Counts
from core.metrics.scores import Scores, score
from core.report.trust_content import TrustContent, trust_content
from core.study.findings import Findings, find
from core.study.folder import study_of
from core.training.run import evaluations
from core.training.run.evaluations import Evaluation
from core.training.run.folders import Run, run_names
from core.training.run.log import RunLog, read_log
from core.training.run.milestones import epoch_of
from core.training.run.openings import Opening, openings, openings_of
from core.training.run.records import Epoch, RunStarted
from core.training.run.trained_on import num_test_photos
from core.voc import BACKGROUND
from core.windows import command_line

Evaluate = Callable[[Path, Dataset, str], object]
"""Scores a checkpoint on a split and stores it in the run's folder (`core.training.evaluation`)."""


@dataclass(frozen=True)
class ReportedCheckpoint:
    """A checkpoint of a run and its evaluation."""

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
        """The number of training steps after `epoch`; 0 unless it was saved in mid-epoch."""
        return self.evaluation.step_in_epoch if epoch_of(self.file) is None else 0

    @property
    def scores(self) -> Scores:
        """Its scores over all photos."""
        return self.evaluation.scores


@dataclass(frozen=True)
class ReportedLeg:
    """One continuous stretch of training: its first record, and its epochs that no later leg repeated."""

    started: RunStarted
    epochs: tuple[Epoch, ...]

    @property
    def began(self) -> datetime:
        """Its beginning in local time."""
        return datetime.fromtimestamp(self.started.time_s).astimezone()

    @property
    def seconds(self) -> float:
        """The time of its epochs, in s."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def seconds_per_epoch(self) -> float | None:
        """The median over its epochs; None without one."""
        return median(epoch.seconds for epoch in self.epochs) if self.epochs else None

    @property
    def images_per_second(self) -> float | None:
        """Training photos per second, the median over its epochs."""
        return median(epoch.images_per_second for epoch in self.epochs) if self.epochs else None


@dataclass(frozen=True)
class ReportedRun:
    """A run, its name in the report, and its log."""

    run: Run
    name: str
    log: RunLog

    @property
    def init(self) -> str:
        """The weights it started from: as logged, or as set if an old log does not say."""
        return next((leg.init for leg in self.log.legs if leg.init), self.run.config.init)

    @property
    def legs(self) -> list[ReportedLeg]:
        """Its legs in order; a leg without epochs finished none, or the next leg repeated them."""
        ends = [leg.epochs_done for leg in self.log.legs[1:]] + [max((e.epoch for e in self.log.epochs), default=0)]
        return [
            ReportedLeg(started, tuple(e for e in self.log.epochs if started.epochs_done < e.epoch <= end))
            for started, end in zip(self.log.legs, ends, strict=True)
        ]


@dataclass(frozen=True)
class Content:
    """Everything a report is written from.

    runs          the runs of the checkpoints, each once
    checkpoints   the checkpoints, A first, all evaluated on the same photos
    names         names of the photos
    counts_CNKK   confusion counts of every checkpoint on every photo
    floor_NKK     those of predicting background everywhere
    data          None if the photos are gone or have changed since the evaluation
    openings      those of the data's test split; None without one
    study         the results of the study that the runs belong to; None without one
    trust         robustness and trust; None unless asked for
    gone_study    its name, where its data can no longer be read; else ""
    test_photos   on the split test, by the name of a run how many of its photos it trained on, None if not known
    """

    runs: tuple[ReportedRun, ...]
    checkpoints: tuple[ReportedCheckpoint, ...]
    names: tuple[str, ...]
    counts_CNKK: Counts
    floor_NKK: Counts
    floor: Scores
    data: Dataset | None
    classes: Classes
    openings: tuple[Opening, ...] | None
    study: Findings | None = None
    trust: TrustContent | None = None
    gone_study: str = ""
    test_photos: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation of A; all are on the same data."""
        return self.checkpoints[0].evaluation

    @property
    def split(self) -> str:
        """The split that was scored."""
        return self.evaluation.split

    @property
    def has_lists(self) -> bool:
        """Whether the splits come from lists of names, not from a seed."""
        return self.data is not None and (is_view(self.data.root) or any((self.data.root / LISTS).glob("*.txt")))

    @property
    def images_with(self) -> list[int]:
        """The number of photos with each class, by its id."""
        images_K: list[int] = (self.counts_CNKK[0].sum(axis=2) > 0).sum(axis=0).tolist()
        return images_K

    def run_name(self, run: Run) -> str:
        """Return a run's name in this report."""
        return next(reported.name for reported in self.runs if reported.run.path == run.path)

    def of_run(self, reported: ReportedRun) -> list[ReportedCheckpoint]:
        """Return the checkpoints of a run."""
        return [each for each in self.checkpoints if each.run.path == reported.run.path]


def evaluated_checkpoints(
    runs: Sequence[Run], split: str, evaluate: Evaluate | None = None
) -> list[ReportedCheckpoint]:
    """Return the milestones of each run, or else its best or last checkpoint, with their evaluations (`evaluated`)."""
    return evaluated([(run, file) for run in runs for file in files_of(run)], split, evaluate)


def evaluated(
    files: Sequence[tuple[Run, Path]], split: str, evaluate: Evaluate | None = None
) -> list[ReportedCheckpoint]:
    """Return checkpoints of runs with their evaluations on a split.

    Where no evaluation of the data as it is now is stored, `evaluate` is called; without `evaluate`, `RunError` gives
    the command to run. Where the data is gone, a stored evaluation is used as it is.
    """
    return [
        ReportedCheckpoint(run, file, _stored(run, file, split) or _evaluated(run, file, split, evaluate))
        for run, file in files
    ]


def files_of(run: Run) -> list[Path]:
    """Return the checkpoints that a report on a run shows; a run without one raises `RunError`."""
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
    """Return whether a checkpoint's evaluation on a split is from a version that compared photos by size."""
    return evaluations.is_by_size(file.parent / "eval", evaluations.file_hash(file), split)


def _evaluated(run: Run, file: Path, split: str, evaluate: Evaluate | None) -> Evaluation:
    if evaluate is None:
        why = evaluations.BY_SIZE if is_by_size(file, split) else f"is not evaluated on {split} yet"
        command = command_line(["python", "-m", "core", "evaluate", file, "--data", run.data, "--split", split])
        raise RunError(f"{file} {why}; do so: {command}.")
    evaluate(file, open_dataset(run.data), split)
    return _stored(run, file, split) or _evaluated(run, file, split, None)


def gather(checkpoints: Sequence[ReportedCheckpoint], *, with_trust: bool = False) -> Content:
    """Return the content of a report on these checkpoints; `with_trust` adds what is stored of robustness and trust.

    Raises:
        RunError: `checkpoints` is empty.
        DataError: they were evaluated on different photos, or on none.
    """
    if not checkpoints:
        raise RunError("There is no checkpoint to report on; choose at least one that is evaluated.")
    require_same_data([(str(each.file), each.evaluation) for each in checkpoints])
    evaluation = checkpoints[0].evaluation
    names, counts = evaluation.counts()
    if not names:
        raise DataError(f"{evaluation.path} holds no photo; evaluate {checkpoints[0].file} on a split that has some.")
    runs = list({each.run.path: each.run for each in checkpoints}.values())
    reported = tuple(
        ReportedRun(run, name, read_log(run.log_path)) for run, name in zip(runs, run_names(runs).values(), strict=True)
    )
    data = _unchanged(evaluation)
    logged = next((each.log.legs[-1].classes for each in reported if each.log.legs), VOC_CLASSES)
    floor_NKK = np.zeros_like(counts)
    floor_NKK[:, :, BACKGROUND] = counts.sum(axis=2)
    opened = _opened(data)
    if opened is None and evaluation.split == TEST:  # its data have changed or are gone
        opened = openings(evaluation.fingerprint)
    study, found = study_of(runs[0].path), None
    with suppress(DataError):  # said in the report
        found = find(study) if study else None
    class_names = [entry.name for entry in evaluation.scores.classes]
    return Content(
        runs=reported,
        checkpoints=tuple(checkpoints),
        names=tuple(names),
        counts_CNKK=np.stack([counts, *(each.evaluation.counts()[1] for each in checkpoints[1:])]),
        floor_NKK=floor_NKK,
        floor=score(floor_NKK, class_names),
        data=data,
        classes=data.classes if data else logged,
        openings=None if opened is None else tuple(opened),
        study=found,
        trust=trust_content(checkpoints) if with_trust else None,
        gone_study=study.name if study and not found else "",
        test_photos={
            each.name: num_test_photos(each.run, data) for each in reported if data and evaluation.split == TEST
        },
    )


def _opened(data: Dataset | None) -> list[Opening] | None:
    """Return the openings of the test split of the data, of the whole data set for a fold of it."""
    if data is not None and is_view(data.root):
        data = _data_of(str(data_of(data.root)))
    return openings_of(data) if data else None


def require_same_data(scored: Sequence[tuple[str, Evaluation]]) -> None:
    """Raise `DataError` unless all evaluations, each with its label, are of the same photos, masks and split."""
    (first_label, first), *others = scored
    for label, other in others:
        if (other.fingerprint, other.split) != (first.fingerprint, first.split):
            places = [f"{each.split} of {each.data}" for each in (first, other)]
            where = " and ".join(places) if places[0] != places[1] else f"{places[0]}, which has changed"
            by_size = [name for name, each in ((first_label, first), (label, other)) if not each.is_by_content]
            why = f"; {by_size[0]} {evaluations.BY_SIZE}" if by_size else ""
            raise DataError(
                f"{first_label} and {label} were scored on different data ({where}{why}): their scores cannot be "
                "compared. Choose checkpoints that were scored on the same photos, or evaluate them again."
            )


def _data_of(path: str) -> Dataset | None:
    try:
        return open_dataset(path)
    except DataError:
        return None


def _unchanged(evaluation: Evaluation) -> Dataset | None:
    """Return the data of an evaluation if its photos are those that were scored; else None."""
    data = _data_of(evaluation.data)
    if data is None or not data.splits.get(evaluation.split):
        return None
    return data if fingerprint(data.split(evaluation.split)) == evaluation.fingerprint else None
