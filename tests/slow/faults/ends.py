"""How a run that nobody watched ended, and that it goes on."""

from pathlib import Path

from core import jobs
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training.run.folders import Run
from core.training.run.log import read_log
from core.training.run.records import RunEnded
from tests.processes import epochs_told, finish_here, until_state


def reason(run: Run) -> str:
    last = read_log(run.log_path).last
    assert isinstance(last, RunEnded)
    return last.reason


def until_failed_in_words(run: Run, file: Path) -> None:
    """Wait until a run has failed, with one sentence that names the file."""
    until_state(run, "failed")
    assert str(file) in reason(run)
    assert "\n" not in reason(run)
    assert "Traceback" not in jobs.output_of(run.path)


def goes_on(run: Run) -> None:
    """Check that all checkpoints open, and that the run goes on from the last, here, and records every epoch once."""
    for file in run.checkpoints():
        open_checkpoint(file).build()
    target = read_log(run.log_path).epochs[-1].epoch + 1
    legs = len(read_log(run.log_path).legs)
    finish_here(run, target)
    assert len(read_log(run.log_path).legs) == legs + 1
    assert epochs_told(run) == list(range(1, target + 1))
    steps = [record.step for record in read_log(run.log_path).steps]
    assert steps == sorted(set(steps))
    assert not list(run.path.glob(".*")), "nothing half written is left"
