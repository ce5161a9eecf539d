"""The checkpoints to choose from, with their scores in the run's log; no weights are opened."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from core.classes import VOC_CLASSES, Classes
from core.errors import DataError, RunError
from core.files import entries
from core.home import checkpoints_dir, home, studies_dir
from core.study.folder import open_study
from core.training import demo_run, trust
from core.training.run import evaluations
from core.training.run.evaluations import Evaluation
from core.training.run.folders import Run, list_runs, run_names
from core.training.run.learning import Advice, weakness
from core.training.run.log import RunLog
from core.training.run.milestones import CHOSEN, epoch_of, is_chosen
from core.training.trust import Trust
from ui import address, cached
from ui.words import percent, plain

LAST = "last.pt"
STUDIES, RUNS = "studies", "runs"
"""Parts of the address of a study, `studies/NAME`, and of its runs, `studies/NAME/runs/FOLDER`."""


@dataclass(frozen=True)
class Choice:
    """A checkpoint to choose; scores are fractions, None where the log has none.

    One that `is_unfinished` was saved in the middle of the epoch after `epoch`, so no score in the log is its own.
    """

    run: Run
    file: Path
    label: str
    epoch: int | None
    is_unfinished: bool
    miou: float | None
    floor: float | None
    classes: Classes

    @property
    def id(self) -> str:
        """Its name in the query string."""
        return f"{address_of(self.run)}/{self.file.name}"

    @property
    def scored_epoch(self) -> int | None:
        """The epoch in the log whose scores are its own; None if there is none."""
        return None if self.is_unfinished else self.epoch

    @property
    def is_milestone(self) -> bool:
        """Whether it was saved on purpose at an epoch."""
        return epoch_of(self.file) is not None


def address_of(run: Run) -> str:
    """Return the name of a run in the query string: its folder's, for a run of a study with the way to it from home."""
    if run.path.parent.name == RUNS and run.path.parent.parent.parent == studies_dir():
        return run.path.relative_to(home()).as_posix()
    return run.path.name


def asked_study_runs() -> list[Run]:
    """Return the runs of the studies whose runs or checkpoints the address names; they stand in no other list."""
    asked = (*st.query_params.get_all("run"), *st.query_params.get_all("checkpoint"))
    parts = [value.split("/") for value in asked if value.startswith(f"{STUDIES}/")]
    found = []
    for name in dict.fromkeys(part[1] for part in parts if part[2:3] == [RUNS]):
        with suppress(RunError):  # whoever shows the list says that it is missing
            found += open_study(name).runs()
    return found


def say_unknown(known: Collection[str], name: str = "checkpoint", instead: str = "Others are shown.") -> None:
    """Warn of checkpoints that the address holds as `name` and that do not exist, and take them off the address.

    The warning stays until something is chosen or the page is left.
    """
    asked = st.query_params.get_all(name)
    if unknown := [each for each in asked if each not in known]:
        said = f"There is no checkpoint {' and no '.join(unknown)} in {checkpoints_dir()}"
        said += f"; it may have been moved or deleted. {instead if known else ''}".rstrip()
        address.notes()[name] = said
        if address.is_in_use():  # whoever has scrolled down does not see the head of the page
            st.toast(plain(said), icon=":material/warning:", duration="long")
        address.show(**{name: [each for each in asked if each in known]})
    if said := address.notes().get(name, ""):
        st.warning(plain(said), icon=":material/warning:")


def list_choices(of: Sequence[Run] | None = None) -> list[Choice]:
    """Return the checkpoints of some runs: in each the milestones in order, then best and last.

    By default these are all runs, and those of the studies that the address names.
    """
    runs = [run for run in ([*list_runs(), *asked_study_runs()] if of is None else of) if run.checkpoints()]
    names = run_names(runs)
    return [
        _choice(run, file, cached.run_log(run.log_path), names[run.path] if len(runs) > 1 else "")
        for run in runs
        for file in run.checkpoints()
    ]


def _choice(run: Run, file: Path, log: RunLog, run_name: str) -> Choice:
    saved = None if epoch_of(file) is not None else log.saved(file.name)
    epoch, is_unfinished = (saved.epoch, saved.step_in_epoch > 0) if saved else (epoch_of(file), False)
    record = next((record for record in log.epochs if record.epoch == epoch and not is_unfinished), None)
    label = _label(file, epoch, is_unfinished=is_unfinished)
    return Choice(
        run=run,
        file=file,
        label=f"{run_name}, {label}" if run_name else label,
        epoch=epoch,
        is_unfinished=is_unfinished,
        miou=record.miou if record else None,
        floor=log.legs[-1].floor.get("miou") if log.legs else None,
        classes=log.legs[-1].classes if log.legs else VOC_CLASSES,
    )


def _label(file: Path, epoch: int | None, *, is_unfinished: bool) -> str:
    epochs = "" if epoch is None else f"{epoch} epoch{'s' if epoch != 1 else ''}"
    if epoch is not None and is_unfinished:
        epochs = f"in epoch {epoch + 1}"
    if epoch_of(file) is not None:
        return epochs
    return f"{file.stem} ({epochs})" if epochs else file.stem


def without_run(choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices labelled without their run's name, if all are of one run."""
    if len({choice.run.path for choice in choices}) > 1:
        return list(choices)
    return [
        replace(choice, label=_label(choice.file, choice.epoch, is_unfinished=choice.is_unfinished))
        for choice in choices
    ]


def best_first(choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices by validation mIoU, highest first; those without one last."""
    return sorted(choices, key=lambda choice: -1.0 if choice.miou is None else choice.miou, reverse=True)


def scored_label(choice: Choice) -> str:
    """Return a label with the validation mIoU; a checkpoint saved in mid-epoch has none."""
    if choice.is_unfinished:
        return f"{choice.label}, not evaluated"
    if choice.miou is None:
        return choice.label
    chosen = f", {CHOSEN}" if is_chosen(choice.file, "val") else ""
    return f"{choice.label} · mIoU {percent(choice.miou)}{chosen}"


def default_pair(choices: Sequence[Choice]) -> list[Choice]:
    """Return the first and last milestone of the newest run that has two; without one, the runner-up and the best.

    These two are of different runs on the newest one's data, if there are; of a single run, they are its first and last
    checkpoint, or one alone if both are of one epoch. `last.pt` is chosen only if there are no two others: it changes
    while a run lives, and repeats the last milestone of a finished one.
    """
    for run_path in dict.fromkeys(choice.run.path for choice in choices):
        milestones = [choice for choice in choices if choice.run.path == run_path and choice.is_milestone]
        if len(milestones) > 1:
            return [milestones[0], milestones[-1]]
    staying = [each for each in choices if each.file.name != LAST]
    there = staying if len(staying) > 1 else choices
    comparable = [each for each in there if each.run.data == there[0].run.data]
    best = {each.run.path: each for each in reversed(best_first(comparable))}
    if len(best) > 1:
        return best_first(list(best.values()))[1::-1]
    ends = comparable if len(comparable) > 1 else there
    pair = [ends[0], ends[-1]] if len(ends) > 1 else list(ends)
    weights = {(each.run.path, each.id if each.scored_epoch is None else each.scored_epoch) for each in pair}
    return pair[: len(weights)]


def weakness_of(choice: Choice, miou: float | None = None, floor: float | None = None) -> Advice | None:
    """Return what every page says of a checkpoint whose score is near the floor; None for one without a score.

    `miou` and `floor` are of an evaluation, by default of the run's own validation.
    """
    if (miou := choice.miou if miou is None else miou) is None:
        return None
    log = cached.run_log(choice.run.log_path)
    log.epochs = [epoch for epoch in log.epochs if epoch.epoch <= (choice.epoch or 0)]
    return weakness(log, miou, floor=floor, is_drawn=demo_run.is_drawn(choice.run))


def splits_of(chosen: Sequence[Choice]) -> list[str]:
    """Return the splits of the first run's data, val first; val alone if the data is gone."""
    try:
        names = list(cached.dataset(chosen[0].run.data).splits) if chosen else []
    except DataError:
        names = []
    return ["val", *(name for name in names if name != "val")]


def fingerprint_of(data: str, split: str) -> str | None:
    """Return the fingerprint of a split as it is now, None if the data is gone."""
    try:
        return cached.fingerprint(cached.dataset(data), split)
    except DataError:
        return None


def is_by_size(choice: Choice, split: str) -> bool:
    """Return whether a checkpoint is evaluated on a split, but with photos compared by size."""
    return evaluations.is_by_size(choice.run.eval_dir, cached.file_hash(choice.file), split)


def evaluation_of(choice: Choice, split: str, data: str | None) -> Evaluation | None:
    """Return the stored evaluation of a checkpoint on data of a fingerprint; on any data if `data` is None."""
    return evaluations.find(choice.run.eval_dir, cached.file_hash(choice.file), split, data)


def evaluated_before(choice: Choice, split: str, data: str | None) -> tuple[Choice, Evaluation] | None:
    """Return the newest evaluation of an earlier content of a checkpoint file, and the choice labelled with its epoch.

    None if there is none on data of that fingerprint. Milestones never change.
    """
    if choice.is_milestone or data is None:
        return None
    found = evaluations.latest_of(choice.run.eval_dir, choice.file.name, split, data)
    if found is None:
        return None
    now, then = (_label(choice.file, each.epoch, is_unfinished=is_unfinished) for each, is_unfinished in
                 ((choice, choice.is_unfinished), (found, found.step_in_epoch > 0)))  # fmt: skip
    label = choice.label.removesuffix(now) + then
    return replace(choice, label=label, epoch=found.epoch, is_unfinished=found.step_in_epoch > 0, miou=None), found


def has_figures(choice: Choice) -> bool:
    """Return whether figures for trust are stored of any checkpoint of a run, on whatever data."""
    return bool(entries(choice.run.eval_dir, "trust-*"))


def trust_of(choice: Choice, split: str, data: str | None) -> Trust | None:
    """Return the stored figures for trust of a checkpoint on data of a fingerprint, None if there are none."""
    if data is None or not has_figures(choice):
        return None
    digest = cached.file_hash(choice.file)
    return cached.trust(trust.place(choice.run.eval_dir, digest, split, data), digest)
