"""What trains a study: in order, alone on the machine, resumable; the trainer is a stand-in that draws its results."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from core import jobs
from core.errors import CheckpointError, DataError, RunError
from core.home import checkpoints_dir
from core.study import work
from core.study.folder import Study, is_working
from core.study.work import Worker
from core.training.loop import trainer
from core.training.run import machine
from core.training.run.folders import Run
from core.training.run.log import LogWriter
from core.training.run.records import Record, RunEnded
from tests.app.stored import guess_half, store_milestone
from tests.small_data import replace_quietly, with_last_bit_flipped
from tests.unit.study.trained import begin, fail, finish, started, study_of
from tests.unit.ui.made_logs import epoch, step

Work = Callable[..., Worker]


class StandIn:
    """A trainer that writes what a real one does; it may fail, or be asked to stop, at runs of some names."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.fails: set[int] = set()
        self.damaged = Path()
        self.after_step: Callable[[Run], None] = lambda _: None

    def __call__(self, run: Run, *, was_ended: Callable[[], bool]) -> Iterator[Record]:
        if run.path == self.damaged:
            raise CheckpointError("last.pt cannot be opened.")
        self.trained.append(f"{run.config.epochs} epochs, seed {run.config.seed}")
        assert jobs.is_held(run.path)
        with pytest.raises(machine.BusyError):
            machine.refuse_if_held()
        with closing(LogWriter(run.log_path)) as writer:
            for record in self._records(run, was_ended):
                writer.write(record)
                yield record

    def _records(self, run: Run, was_ended: Callable[[], bool]) -> Iterator[Record]:
        yield started(run)
        if len(self.trained) in self.fails:
            raise DataError("a photo is damaged; restore it.")
        yield step(1, 0.0)
        self.after_step(run)
        if was_ended():
            yield _ended(run, "stopped", 0)
            return
        epochs = run.config.epochs
        for number in range(1, epochs + 1):
            yield epoch(number)
        store_milestone(run, epochs, guess_half)
        yield _ended(run, "finished", epochs)


def _ended(run: Run, outcome: Any, epochs: int) -> RunEnded:
    return RunEnded(outcome=outcome, reason="", epochs_done=epochs, best_epoch=None, best_miou=None)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setattr(machine, "ENDING_S", 0.05)
    made = StandIn()
    monkeypatch.setattr(trainer, "train", made)
    return made


@pytest.fixture
def study(tiny_voc: Path) -> Study:
    return study_of(tiny_voc, vary=["epochs=1,2"], seeds=2)


def worked(
    study: Study, *, on_note: Callable[[str], None] = lambda _: None, **options: Any
) -> tuple[Worker, list[str]]:
    """Work on a study to its end; return the worker and its notes."""
    notes: list[str] = []

    def note(sentence: str) -> None:
        notes.append(sentence)
        on_note(sentence)

    worker = Worker(study, options.pop("should_end", lambda: False), note, lambda *_: None, **options)
    worker.work()
    return worker, notes


def states_of(study: Study) -> list[str]:
    return [each.state for each in study.cells()]


ALL = ["1 epochs, seed 0", "2 epochs, seed 0", "1 epochs, seed 1", "2 epochs, seed 1"]


def test_every_training_is_done_once_in_order_and_a_second_call_trains_nothing(
    stand_in: StandIn, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "NOTE_EVERY_S", 0.0)
    shares = []
    stand_in.after_step = lambda _: shares.append(jobs.progress(study.path))
    _, notes = worked(study)
    assert stand_in.trained == ALL
    assert notes[:2] == ["Run 1 of 4: 1 epoch, seed 0", "Run 2 of 4: 2 epochs, seed 0"]
    assert states_of(study) == ["done"] * 4
    assert all(run.path.parent == study.path / "runs" for run in study.runs())
    begun = [each.share for each in shares]
    assert begun == sorted(begun)
    assert begun[0] < 0.2
    assert 0.2 < begun[1] < 0.45
    assert 0.7 < begun[3] < 1
    assert jobs.has_ended(study.path)
    worked(study)
    assert stand_in.trained == ALL


def test_what_a_kill_left_is_resumed_in_its_own_run(stand_in: StandIn, study: Study) -> None:
    """A kill may leave a run in mid-training, and one of which there is no more than its settings."""
    cells = study.plan.cells()
    killed = work.new_run(study, cells[0])
    with closing(LogWriter(killed.log_path)) as writer:
        writer.write(started(killed))
    new = work.new_run(study, cells[1])
    finish(study, cells[2])
    with (study.path / "begun.jsonl").open("ab") as file:
        file.write(b'{"run": "2026')  # torn
    (study.runs_dir / "2026-11-28_0000_without_config").mkdir()
    assert states_of(study) == ["interrupted", "interrupted", "done", "missing"]
    worked(study)
    assert stand_in.trained == [ALL[0], ALL[1], ALL[3]]
    assert {killed.path, new.path} <= {run.path for run in study.runs()}
    assert (len(study.runs()), states_of(study)) == (4, ["done"] * 4)


@pytest.mark.parametrize("how", ["a request", "a signal"])
def test_it_stops_in_mid_run_and_goes_on_from_there(stand_in: StandIn, study: Study, how: str) -> None:
    came: list[str] = []

    def stop(run: Run) -> None:
        if len(stand_in.trained) == 2:
            jobs.request_stop(study.path) if how == "a request" else came.append(how)

    stand_in.after_step = stop
    worked(study, should_end=lambda: bool(came))
    assert states_of(study) == ["done", "interrupted", "missing", "missing"]
    assert not is_working(study)
    came.clear()
    worked(study, should_end=lambda: bool(came))
    assert stand_in.trained == [ALL[0], ALL[1], ALL[1], *ALL[2:]]


def test_a_run_begun_in_another_place_is_trained_anew_and_scored_here(
    stand_in: StandIn, tiny_voc: Path, tmp_path: Path
) -> None:
    """A moved home, or runs gathered from another machine: their photos lie at a path that is not here."""
    study = study_of(tiny_voc, seeds=1, folds=2)
    elsewhere = begin(study, study.plan.cells()[0])
    config = json.loads((elsewhere.path / "config.json").read_text())
    moved = str(tmp_path / "old" / "folds" / "fold-1-of-2")
    (elsewhere.path / "config.json").write_text(json.dumps(config | {"data": moved}))
    assert states_of(study) == ["interrupted", "missing"]
    worked(study)
    assert states_of(study) == ["done", "done"]
    here = {each.run.path for each in study.cells() if each.run}
    assert elsewhere.path not in here


def test_a_run_that_fails_does_not_end_the_others_and_is_tried_again_next_time(stand_in: StandIn, study: Study) -> None:
    stand_in.fails = {2}
    worker, notes = worked(study)
    assert worker.failures == ["2 epochs, seed 0: a photo is damaged; restore it."]
    assert worker.failures[0] in notes
    assert stand_in.trained == ALL
    worked(study)
    assert (stand_in.trained[4:], states_of(study)) == ([ALL[1]], ["done"] * 4)


def test_a_run_whose_last_pt_is_torn_is_trained_anew(stand_in: StandIn, study: Study) -> None:
    """It was resumed at every start, failed the same way each time, and its training was never done."""
    torn = fail(study, study.plan.cells()[0], "last.pt cannot be opened.")
    (torn.path / "last.pt").write_bytes(b"torn")
    stand_in.damaged = torn.path
    worker, notes = worked(study)
    assert (worker.failures, states_of(study)) == ([], ["done"] * 4)
    assert ["another run is trained in its place" in note for note in notes].count(True) == 1
    assert (torn.path / "last.pt").read_bytes() == b"torn"
    assert len(study.runs()) == 5


@pytest.mark.parametrize("is_there", [True, False])
def test_another_failure_of_a_checkpoint_begins_no_new_run(stand_in: StandIn, study: Study, is_there: bool) -> None:
    """A full disk, or a last.pt that cannot be read for a moment: every start began another run from epoch 0."""
    stand_in.damaged = fail(study, study.plan.cells()[0], "no space left").path
    if is_there:
        (stand_in.damaged / "last.pt").mkdir()  # cannot be read
    worker, _ = worked(study)
    assert [each.endswith(": last.pt cannot be opened.") for each in worker.failures] == [True]
    assert len(study.runs()) == 4


def test_a_run_whose_evaluation_was_deleted_is_evaluated_and_not_trained(
    stand_in: StandIn, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training import evaluation

    for cell in study.plan.cells():
        run = finish(study, cell)
    shutil.rmtree(run.eval_dir)
    seen: list[tuple[Path, str]] = []
    monkeypatch.setattr(evaluation, "evaluate_checkpoint", lambda file, _, split: seen.append((file, split)))
    worked(study)
    assert (seen, stand_in.trained) == ([(run.path / "epoch_002.pt", "val")], [])
    (run.path / "epoch_002.pt").unlink()
    assert states_of(study)[-1] == "missing", "neither scores nor weights are left"


def test_it_waits_while_another_run_is_trained_on_the_machine_and_says_so(stand_in: StandIn, study: Study) -> None:
    other = checkpoints_dir() / "2026-11-28_0100_other"
    other.mkdir(parents=True)
    said: list[str | None] = []
    with ExitStack() as busy:
        busy.enter_context(machine.alone(other))
        busy.enter_context(jobs.hold(other))

        def note(sentence: str) -> None:
            if "waits" in sentence:
                said.append(work.waits_for(study))
                busy.close()

        _, notes = worked(study, on_note=note)
    assert notes[0] == "first waits: 2026-11-28_0100_other is being trained on this machine."
    assert said == [notes[0]]
    assert work.waits_for(study) is None
    assert stand_in.trained == ALL


def test_a_study_that_waits_can_be_stopped(stand_in: StandIn, study: Study) -> None:
    with machine.alone(checkpoints_dir() / "other"):
        worked(study, on_note=lambda _: jobs.request_stop(study.path))
    assert stand_in.trained == []


def test_two_processes_do_not_work_on_one_study(
    stand_in: StandIn, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HOLD_TIMEOUT_S", 0.05)
    with jobs.hold(study.path), pytest.raises(RunError, match="first is being worked on by another process"):
        worked(study)
    assert stand_in.trained == []


def test_parts_are_jobs_of_their_own_and_together_the_study(
    stand_in: StandIn, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    with jobs.hold(study.path):  # which would be another machine's
        first, notes = worked(study, number=1, parts=2)
        assert is_working(study)
    assert notes == ["Run 1 of 2: 1 epoch, seed 0", "Run 2 of 2: 1 epoch, seed 1"]
    assert first.folder == study.path / "parts" / "1-of-2"
    assert states_of(study) == ["done", "missing", "done", "missing"]
    worked(study, number=2, parts=2)
    assert states_of(study) == ["done"] * 4


def test_a_run_deleted_by_hand_is_said_and_trained_again(stand_in: StandIn, study: Study) -> None:
    worked(study)
    gone = next(each.run for each in study.cells() if each.cell.label == "2 epochs, seed 0")
    assert gone
    shutil.rmtree(gone.path)
    _, notes = worked(study)
    assert notes[0] == f"The run {gone.path.name} (2 epochs, seed 0) was deleted; it is trained again."
    assert '"cell": "epochs=2, seed 0"' in (study.path / "begun.jsonl").read_text(), "as studies of old have it"
    assert stand_in.trained == [*ALL, ALL[1]]
    assert worked(study)[1] == []


def test_after_the_data_changed_it_says_which_runs_are_valid_and_trains_the_others(
    stand_in: StandIn, tiny_voc: Path
) -> None:
    study = study_of(tiny_voc, seeds=3, fractions=[0.5])
    worked(study)
    changed = tiny_voc / "SegmentationClass" / "photo_0.png"
    replace_quietly(changed, with_last_bit_flipped(changed))
    states = {each.cell.label: each for each in study.cells()}
    valid = [each.run.path.name for each in states.values() if each.run and each.state == "done"]
    assert 0 < len(valid) < 3
    _, notes = worked(study)
    invalid = 3 - len(valid)
    assert notes[0].startswith(
        f"The photos or masks of train and val in {tiny_voc} have changed since first was planned."
    )
    assert f"Still valid: {', '.join(valid)}; {invalid} run" in notes[0]
    assert (len(stand_in.trained), states_of(study)) == (3 + invalid, ["done"] * 3)


def test_the_failure_of_an_earlier_call_is_resumed(stand_in: StandIn, study: Study) -> None:
    fail(study, study.plan.cells()[3], "no memory")
    worked(study)
    assert (stand_in.trained, states_of(study)) == (ALL, ["done"] * 4)
