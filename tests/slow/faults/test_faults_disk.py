"""What befalls a run that nobody watches on a disk that is full. All of it real."""

import errno
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import jobs
from core.training.run import folders
from core.training.run.folders import Run, run_state
from core.training.run.log import read_log
from core.training.run.records import Checkpoint
from tests.processes import trainers, until, until_record, until_state
from tests.slow.faults.ends import goes_on, reason

pytestmark = [
    pytest.mark.slow,
    # A trainer outlives the code that started it, on purpose: nobody waits for its process.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 MB in memory, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    yield disk
    for process in trainers(tmp_path):
        process.kill()
        process.wait()
    subprocess.run([shutil.which("umount") or "umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Take what room there is."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (10**7, 4096):
            try:
                while file.write(b"\1" * size) == size:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017


def test_a_disk_that_fills_up_ends_a_run_in_words(make_run: Callable[..., Run], small_disk: Path) -> None:
    run = make_run(folder=small_disk / "checkpoints")
    folders.start(run)
    until_record(run, Checkpoint, 3)

    def is_failed() -> bool:
        fill(small_disk)  # again: the checkpoint that was just replaced has left room
        state = run_state(run, read_log(run.log_path))
        assert state in ("running", "failed"), jobs.output_of(run.path)
        return state == "failed"

    until(is_failed, "the disk to be full")
    assert str(run.path) in reason(run)
    assert "No space left on device" in reason(run)
    assert "\n" not in reason(run)
    assert reason(run) in jobs.output_of(run.path)
    assert "Traceback" not in jobs.output_of(run.path)
    assert read_log(run.log_path).bad_lines == []
    (small_disk / "filler").unlink()
    goes_on(run)


def test_a_disk_too_small_is_told_before_an_epoch_is_spent(make_run: Callable[..., Run], small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"\1" * 230_000_000)
    run = make_run(folder=small_disk / "checkpoints")
    folders.start(run)
    until_state(run, "failed")
    assert f"The disk of {run.path} has" in reason(run)
    assert read_log(run.log_path).legs == []
    assert run.checkpoints() == []
    assert not list(run.path.glob(".*"))
