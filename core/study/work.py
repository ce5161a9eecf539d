"""Trains what is missing of a study, one run after the other, with the ordinary trainer.

The process may be killed at any point: a run that was begun is resumed from its last.pt, and what is done stays done.
Each run holds the machine as any training does, so a study waits while another run is trained, and two studies take
turns. Torch is imported when the first run begins.
"""

import json
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from core import jobs
from core.data.dataset import open_dataset
from core.errors import CheckpointError, CoreError
from core.study.estimate import expected_seconds
from core.study.folder import DONE, INVALID, MISSING, TRAINING, UNSCORED, CellState, Study, is_working
from core.study.plan import Cell, part
from core.training.run import machine
from core.training.run.folders import Run, create_run
from core.training.run.log import read_log
from core.training.run.milestones import milestone
from core.training.run.records import Record, RunStarted, Step
from core.wording import count

BEGUN = "begun.jsonl"
"""The runs that were ever begun, a line each: what is missing of them was deleted by hand."""

AGAIN = "Start the study again to try them again, or delete a run's folder first to train it from the start."

PARTS = 1000
"""Progress counts thousandths of the expected time."""


@dataclass
class Worker:
    """Trains the missing runs of a study, or of part `number` of `parts` of it.

    should_end  returns whether to save and end
    on_note     gets sentences
    on_record   gets the records of each run as they are written
    beside      train even while another run is being trained on this machine
    """

    study: Study
    should_end: Callable[[], bool]
    on_note: Callable[[str], None]
    on_record: Callable[[Run, Record], None]
    number: int = 1
    parts: int = 1
    beside: bool = False
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tried: set[Cell] = set()
        self._cells = part(self.study.plan.cells(), self.number, self.parts)

    @property
    def folder(self) -> Path:
        """The folder of the job: the study's own, or one for each part, which may be trained at the same time."""
        return job_folder(self.study, self.number, self.parts)

    def states(self) -> list[CellState]:
        """Return the states of the trainings of this part."""
        return part(self.study.cells(), self.number, self.parts)

    def work(self) -> None:
        """Train until everything is done, failed or asked to end; the reasons of failures are in `failures`.

        If another process works on it already, or the data cannot be used, raise `CoreError`.
        """
        with jobs.running(self.folder) as on_progress:
            self._say_what_changed()
            while (states := self._left()) and not self._is_ending():
                self._tried.add(states[0].cell)
                try:
                    self._train_or_anew(states[0], on_progress)
                except CoreError as error:
                    self.failures.append(f"{states[0].cell.label}: {error}")
                    self.on_note(f"{self.failures[-1]}")

    def _left(self) -> list[CellState]:
        return [each for each in self.states() if each.state != DONE and each.cell not in self._tried]

    def _is_ending(self) -> bool:
        return self.should_end() or jobs.is_stop_requested(self.folder)

    def _say_what_changed(self) -> None:
        states = self.states()
        if changed := self.study.changed_data(states):
            self.on_note(f"{changed} {_validity(states)}")
        missing = {each.cell.key: each.cell.label for each in states if each.state == MISSING}
        for name, key in _begun(self.study).items():
            if not (self.study.runs_dir / name).exists() and key in missing:
                self.on_note(f"The run {name} ({missing[key]}) was deleted; it is trained again.")

    def _train_or_anew(self, state: CellState, on_progress: jobs.OnProgress) -> None:
        """Train a run; if its last.pt cannot be resumed from, say so and train a new one in its place."""
        try:
            self._train(state.cell, on_progress)
        except CheckpointError as error:
            if state.state == UNSCORED or not state.run or not _is_torn(state.run.path / "last.pt"):
                raise
            self.on_note(f"{state.cell.label}: {error} Its folder stays, and another run is trained in its place.")
            new_run(self.study, state.cell)
            self._train(state.cell, on_progress)

    def _train(self, cell: Cell, on_progress: jobs.OnProgress) -> None:
        run = self._run_of(cell)
        with ExitStack() as held:
            if not self._enter_machine(held, run):
                return
            state = self._state_of(cell)  # it may have been trained elsewhere while this process waited
            if state.state in (DONE, TRAINING):
                return
            held.enter_context(jobs.hold(run.path))
            if state.state == UNSCORED:
                _evaluate(run, self.study.data(cell.fold))
                return
            self.on_note(f"{self._place(cell)}: {cell.label}")
            self._follow(run, cell, on_progress)

    def _run_of(self, cell: Cell) -> Run:
        """Return the run of a cell that goes on, or a new one.

        A run that was begun in another place has its photos there, and cannot go on here.
        """
        state = self._state_of(cell)
        if state.run is not None and state.state != INVALID:
            is_here = Path(state.run.data) == self.study.data(cell.fold).resolve()
            if is_here or state.state in (DONE, TRAINING, UNSCORED):
                return state.run
        return new_run(self.study, cell)

    def _state_of(self, cell: Cell) -> CellState:
        return next(each for each in self.states() if each.cell == cell)

    def _place(self, cell: Cell) -> str:
        return f"Run {1 + self._cells.index(cell)} of {len(self._cells)}"

    def _enter_machine(self, held: ExitStack, run: Run) -> bool:
        """Wait for the machine, and return False if asked to end meanwhile."""
        said = ""
        while not self._is_ending():
            try:
                held.enter_context(machine.alone(run.path, beside=self.beside))
            except machine.BusyError:  # after a second
                if (why := _queue_sentence(self.study)) != said:
                    said = why
                    self.on_note(why)
            else:
                return True
        return False

    def _follow(self, run: Run, cell: Cell, on_progress: jobs.OnProgress) -> None:
        """Train a run, and report how far all of this part is, by expected time."""
        from core.training.loop.trainer import train

        states = self.study.cells()
        expected = expected_seconds(self.study.plan, states)
        total_s = sum(expected[each] for each in self._cells)
        done_s = sum(expected[each.cell] for each in states if each.state == DONE and each.cell in self._cells)
        steps = 1
        for record in train(run, was_ended=self._is_ending):
            self.on_record(run, record)
            if isinstance(record, RunStarted):
                steps = record.steps_per_epoch * run.config.epochs
            elif isinstance(record, Step):
                with suppress(jobs.StopRequestedError):  # the trainer sees the request itself, and saves
                    share = (done_s + expected[cell] * min(1.0, record.step / steps)) / total_s
                    on_progress(round(PARTS * share), PARTS)


def _is_torn(last: Path) -> bool:
    """Return whether the content of a last.pt is damaged; not for one that is missing, or cannot be read just now."""
    from core.model.checkpoint.checkpoint_file import open_checkpoint

    try:
        with last.open("rb"):
            return not open_checkpoint(last).training
    except OSError:
        return False
    except CheckpointError as error:
        return not isinstance(error.__cause__, OSError)


def new_run(study: Study, cell: Cell) -> Run:
    """Make the run of a cell."""
    plan, fold = study.plan, "" if cell.fold is None else f"_fold{cell.fold}"
    name = f"{study.name}_{cell.seed}{fold}"
    run = create_run(name, study.data(cell.fold), plan.preset, plan.config(cell), folder=study.runs_dir)
    with (study.path / BEGUN).open("ab") as file:
        file.write(json.dumps({"run": run.path.name, "cell": cell.key}).encode() + b"\n")
    return run


def _evaluate(run: Run, data: Path) -> None:
    """Evaluate the last milestone of a run again, whose stored evaluation is gone."""
    from core.training.evaluation import evaluate_checkpoint

    last = milestone(run.path, min(run.config.epochs, read_log(run.log_path).epochs_done))
    evaluate_checkpoint(last, open_dataset(data), "val")


def _labels(states: Collection[CellState], *wanted: str) -> list[str]:
    return [each.cell.label for each in states if each.state in wanted]


def _validity(states: Collection[CellState]) -> str:
    """Return which runs still count after the data changed."""
    valid = [each.run.path.name for each in states if each.run and each.state != INVALID]
    others = count(sum(each.state == INVALID for each in states), "run")
    if not valid:
        return f"No run is valid any longer: {others} will be trained again."
    return f"Still valid: {', '.join(valid)}; {others} will be trained again."


def _begun(study: Study) -> dict[str, str]:
    """Return the key of the cell of every run that was ever begun, by the name of its folder."""
    found = {}
    with suppress(FileNotFoundError):
        for line in (study.path / BEGUN).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):  # torn by a kill
                entry = json.loads(line)
                found[str(entry["run"])] = str(entry["cell"])
    return found


def _queue_sentence(study: Study) -> str:
    run = machine.holder()
    what = f"{run.name} is" if run else "another run is"
    return f"{study.name} waits: {what} being trained on this machine."


def job_folder(study: Study, number: int = 1, parts: int = 1) -> Path:
    """Return the folder of the job that trains a study, or a part of it."""
    return study.path if parts == 1 else study.path / "parts" / f"{number}-of-{parts}"


def waits_for(study: Study) -> str | None:
    """Return a sentence if a study waits for another training on this machine, else None."""
    run = machine.holder()
    is_waiting = is_working(study) and run is not None and run.parent != study.runs_dir and jobs.is_held(run)
    return _queue_sentence(study) if is_waiting else None


def start(study: Study) -> None:
    """Train what is missing of a study in a process of its own, unless one does already."""
    jobs.start(study.path, ["study", str(study.path)])
