"""The folder of a study, and the state of each of its trainings. No torch.

    studies/NAME/
      study.json                      the plan
      folds/fold-1-of-5/split.json    the photos of a fold, a split view (`core.data.split_view`)
      runs/                           ordinary run folders
      lock, progress.json, stop       the job that trains them (`core.jobs`)

Which training a run is follows from its settings and its fold, not from the name of its folder: runs that were trained
elsewhere count as soon as their folders lie here, and one that was deleted is trained again.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.data.dataset import TEST, Dataset, fingerprint, open_dataset, pair_hashes
from core.data.seeding import fraction_of
from core.data.split_view import data_of, folds_of, read_view, write_view
from core.errors import ConfigError, CoreError, DataError, RunError
from core.files import entries, new_folder, regular, write_json
from core.home import studies_dir
from core.jobs import is_held
from core.study.plan import NAME, SAME_RESULT, Cell, Plan, photos_of, photos_to_fold, plan_from_dict
from core.training.run import evaluations
from core.training.run.evaluations import Evaluation
from core.training.run.folders import Run, list_runs, run_state
from core.training.run.log import RunLog, known_log
from core.training.run.milestones import milestone
from core.training.settings.config import TrainingConfig
from core.wording import count

FILE = "study.json"
DONE, TRAINING, INTERRUPTED, FAILED, UNSCORED, INVALID, MISSING = (
    "done", "training", "interrupted", "failed", "unscored", "invalid", "missing",
)  # fmt: skip
"""States of a training. Unscored: trained, but its evaluation was deleted. Invalid: the photos, or the number of
classes, have changed since."""

ORDER = (DONE, TRAINING, UNSCORED, INTERRUPTED, FAILED, INVALID, MISSING)
"""Of several runs of one cell, the first in this order counts."""

Key = tuple[tuple[tuple[str, Any], ...], int | None]


@dataclass(frozen=True)
class CellState:
    """A training of the plan, its state, its run if there is one, and its scores on val if it is done."""

    cell: Cell
    state: str
    run: Run | None = None
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class Study:
    """A study on the disk."""

    path: Path
    plan: Plan

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.name

    @property
    def runs_dir(self) -> Path:
        """The folder of its runs."""
        return self.path / "runs"

    def data(self, fold: int | None) -> Path:
        """Return the folder that the runs of a fold are trained on: the data set, or a split view of it."""
        return Path(self.plan.data) if fold is None else self.path / _fold_dir(fold, self.plan.folds)

    def runs(self) -> list[Run]:
        """Return every readable run in its folder, newest first."""
        return list_runs(self.runs_dir)

    def cells(self) -> list[CellState]:
        """Return the state of every training, in the order in which they are done; unusable data raise `DataError`."""
        found: dict[Key, list[Run]] = {}
        for run in self.runs():
            found.setdefault(_key(run.config, _fold_of(run, self.plan.folds)), []).append(run)
        expected = {fold: _Photos(open_dataset(self.data(fold))) for fold in self.plan.fold_numbers}
        self._refuse_test_photos()
        states = []
        for cell in self.plan.cells():
            runs = found.get(_key(self.plan.config(cell), cell.fold), [])
            looked = [_looked_at(cell, run, expected[cell.fold]) for run in runs]
            states.append(min(looked, key=lambda each: ORDER.index(each.state), default=CellState(cell, MISSING)))
        return states

    def _refuse_test_photos(self) -> None:
        """Raise `DataError` if folds hold photos that were set aside as a test split since they were made."""
        if not self.plan.folds:
            return
        test = {sample.name for sample in open_dataset(self.plan.data).splits.get(TEST, ())}
        folded = {name for names in read_view(self.data(1)).splits.values() for name in names}
        if taken := sorted(test & folded):
            raise DataError(
                f"The split test of {self.plan.data} now has {count(len(taken), 'photo')} of the folds of {self.name}, "
                f"such as {taken[0]}; make a new study, whose folds leave them out."
            )

    def changed_data(self, states: Collection[CellState]) -> str | None:
        """Return a sentence if the data are others than when the study was planned, or its runs trained, else None."""
        if fingerprint(photos_of(open_dataset(self.plan.data))) != self.plan.fingerprint:
            what = "photos or masks of train and val"
            return f"The {what} in {self.plan.data} have changed since {self.name} was planned."
        if any(each.state == INVALID for each in states):
            return f"The classes of {self.plan.data} have changed since runs of {self.name} were trained."
        return None


class _Photos:
    """The photos of a fold, whose files are looked at once for all runs."""

    def __init__(self, dataset: Dataset) -> None:
        self._train, self._val = dataset.split("train"), dataset.split("val")
        self._known = pair_hashes(list(dict.fromkeys((*self._train, *self._val))))
        self.val_fingerprint = fingerprint(self._val, self._known)
        self.num_classes = dataset.num_classes

    def fingerprint(self, config: TrainingConfig) -> str:
        """Return the fingerprint that a run with these settings logs."""
        train = fraction_of(self._train, config.train_fraction, config.seed)
        return fingerprint((*train, *self._val), self._known)


def _looked_at(cell: Cell, run: Run, photos: _Photos) -> CellState:
    log = known_log(run.log_path)
    expected = (photos.fingerprint(run.config), photos.num_classes)
    if any((leg.fingerprint, len(leg.classes)) != expected for leg in log.legs):
        return CellState(cell, INVALID, run)
    state = run_state(run, log)
    if state in ("running", "stalled"):
        return CellState(cell, TRAINING, run)
    file = milestone(run.path, run.config.epochs if state != "finished" else _last_epoch(run, log))
    scored = evaluations.latest_of(run.eval_dir, file.name, "val", photos.val_fingerprint)
    if scored:
        return CellState(cell, DONE, run, scored)
    if state == "finished":
        return CellState(cell, UNSCORED, run) if file.exists() else CellState(cell, MISSING)
    return CellState(cell, FAILED if state == "failed" else INTERRUPTED, run)


def _last_epoch(run: Run, log: RunLog) -> int:
    """Return the epoch that scores a run: its planned last, or an earlier one where patience ended it."""
    return min(run.config.epochs, log.epochs_done)


def _key(config: TrainingConfig, fold: int | None) -> Key:
    settings = {key: value for key, value in config.as_dict().items() if key not in SAME_RESULT}
    return tuple(sorted(settings.items())), fold


def _fold_of(run: Run, folds: int) -> int | None:
    """Return the fold that a run was trained on, from the end of its data's path: it may be another machine's."""
    data = Path(run.data.replace("\\", "/"))
    return next((fold for fold in range(1, folds + 1) if data.parts[-2:] == _fold_dir(fold, folds).parts), None)


def _fold_dir(fold: int, folds: int) -> Path:
    return Path("folds") / f"fold-{fold}-of-{folds}"


def create_study(plan: Plan, folder: Path | None = None) -> Study:
    """Make the folder of a study, whole or not at all, in `folder` (default: `studies/`), and return it.

    If there is one of this name already, return it, with the plan's seeds added if it has fewer; if it differs in
    anything else, raise `ConfigError`.
    """
    path = (folder or studies_dir()) / plan.name
    try:
        with new_folder(path) as draft:
            dataset = open_dataset(plan.data)
            names = [sample.name for sample in photos_to_fold(dataset)]
            for number, splits in enumerate(folds_of(names, plan.folds) if plan.folds else [], start=1):
                write_view(draft / _fold_dir(number, plan.folds), data_of(dataset.root), splits)
            (draft / "runs").mkdir()
            write_json(draft / FILE, plan.as_dict())
    except FileExistsError:
        return _going_on(open_study(path), plan)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; free it or choose another home.") from error
    return Study(path.resolve(), plan)


def is_made(plan: Plan) -> bool:
    """Return whether `studies/` has a study of the plan's name."""
    return (studies_dir() / plan.name / FILE).exists()


def _going_on(there: Study, plan: Plan) -> Study:
    wanted = merged(there.plan, plan)
    if wanted == there.plan:
        return there
    write_json(there.path / FILE, wanted.as_dict())
    return replace(there, plan=wanted)


def merged(there: Plan, plan: Plan) -> Plan:
    """Return the plan of a study with the seeds of `plan`; if that differs in anything else, raise `ConfigError`."""
    wanted = replace(plan, created_s=there.created_s, fingerprint=there.fingerprint)
    others = [key for key, value in vars(wanted).items() if value != getattr(there, key) and key != "seeds"]
    if others or len(plan.seeds) < len(there.seeds):
        raise ConfigError(
            f"There is a study {plan.name} with other {', '.join(others or ['seeds'])}; name a new one, or give its "
            "name alone to go on with it."
        )
    return wanted


def open_study(path: Path | str) -> Study:
    """Open a study by its name, or by the path of its folder; any other folder raises `RunError`."""
    folder = Path(path) if Path(path).is_absolute() else studies_dir() / path
    if not (Path(path).is_absolute() or NAME.fullmatch(str(path))):
        raise RunError(f"'{path}' cannot name a study; give the name of a folder in {studies_dir()}.")
    try:
        plan = plan_from_dict(json.loads(regular(folder / FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        names = [each.name for each in list_studies(folder.parent)]
        there = f"; there is {', '.join(names[:5])}" if names else ""
        raise RunError(f"{folder.parent} has no study {folder.name}{there}; give --data to make it.") from None
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise RunError(f"{folder / FILE} cannot be read ({error}); restore it, or delete the study.") from error
    return Study(folder.resolve(), replace(plan, name=folder.resolve().name))  # a copy is a study of its own


def study_of(run: Path) -> Study | None:
    """Return the study that a run folder belongs to, None for any other run."""
    folder = run.resolve().parent.parent
    return open_study(folder) if (folder / FILE).is_file() and run.resolve().parent.name == "runs" else None


def list_studies(folder: Path | None = None) -> list[Study]:
    """Return every readable study, newest first."""
    found = list(_readable(folder or studies_dir()))
    return sorted(found, key=lambda study: study.plan.created_s, reverse=True)


def _readable(folder: Path) -> Iterator[Study]:
    for path in entries(folder, f"[!.]*/{FILE}"):
        with suppress(CoreError):
            yield open_study(path.parent.resolve())


def working_jobs(study: Study) -> list[Path]:
    """Return the folders of the living jobs that train the study's runs, or wait to: the study's own, and its parts'.

    Those of another user, whose lock cannot be opened, are among them.
    """
    return [job for job in (study.path, *sorted(entries(study.path / "parts", "*"))) if _is_held(job)]


def _is_held(job: Path) -> bool:
    with suppress(RunError):
        return is_held(job)
    return True


def is_working(study: Study) -> bool:
    """Return whether a living process trains the study's runs, or waits to."""
    return bool(working_jobs(study))
