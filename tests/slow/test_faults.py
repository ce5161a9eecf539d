"""What befalls a run that nobody watches: killed, cut off, a full disk, data that goes, two at once. All of it real."""

import errno
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import jobs
from core.home import PROJECT_ROOT
from core.model.checkpoint import open_checkpoint
from core.training import runs
from core.training.config import TrainingConfig
from core.training.log import read_log
from core.training.records import Checkpoint, Epoch, Preparing, RunEnded
from core.training.runs import Run, create_run, run_state
from tests.processes import SETTINGS, epochs_told, trainers, until, until_record, until_state
from tests.small_data import write_voc

pytestmark = [
    pytest.mark.slow,
    # A trainer outlives the code that started it, on purpose: nobody waits for its process.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight drawn photos to train on, two to validate; a test may spoil them."""
    return write_voc(tmp_path / "data" / "VOC2012", num_train=8, num_val=2)


@pytest.fixture
def make_run(data: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Make runs, in `folder` if told; whatever trainer of theirs still lives after the test is killed."""

    def _make_run(name: str = "first", folder: Path | None = None, **settings: object) -> Run:
        config = TrainingConfig(**SETTINGS | {"epochs": 500} | settings)  # type: ignore[arg-type]
        return create_run(name, data, "report", config, folder=folder)

    yield _make_run
    for process in trainers(tmp_path):
        process.kill()
        process.wait()


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
    """Check that all checkpoints open, and that the run goes on from the last and tells every epoch once."""
    for file in run.checkpoints():
        open_checkpoint(file).build()
    target = read_log(run.log_path).epochs[-1].epoch + 1
    legs = len(read_log(run.log_path).legs)
    runs.start(run, extend_to=target)
    until(lambda: len(read_log(run.log_path).legs) > legs, "the next leg")
    until_state(run, "finished")
    assert epochs_told(run) == list(range(1, target + 1))
    steps = [record.step for record in read_log(run.log_path).steps]
    assert steps == sorted(set(steps))
    assert not list(run.path.glob(".*")), "nothing half written is left"


# --- ended from outside ---------------------------------------------------------------------------------------------

HALF_WRITER = """
import io, sys
from pathlib import Path
import torch
from core.jobs import hold
from core.training.runs import open_run
from core.training.trainer import train

run, save = open_run(Path(sys.argv[1])), torch.save

def save_half(document, file):
    if "training" not in document or not (run.path / "last.pt").exists():
        return save(document, file)
    whole = io.BytesIO()
    save(document, whole)
    file.write(whole.getvalue()[: whole.tell() // 2])
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()

torch.save = save_half
with hold(run.path):
    for _ in train(run):
        pass
"""


def test_killed_while_it_writes_a_checkpoint_a_run_has_the_one_before(make_run: Callable[..., Run]) -> None:
    run = make_run()
    command = [sys.executable, "-c", HALF_WRITER, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT_ROOT) as trainer:
        assert trainer.stdout is not None
        assert trainer.stdout.readline() == b"writing\n"
        trainer.kill()
    assert run_state(run, read_log(run.log_path)) == "crashed"
    assert [path for path in run.path.glob(".*.part") if path.stat().st_size > 10**7], "half of it was written"
    opened = open_checkpoint(run.path / "last.pt")
    assert opened.training is not None
    assert opened.training["progress"]["epochs_done"] == 1
    goes_on(run)


@pytest.mark.parametrize("moment", ["importing", "preparing"])
def test_terminated_before_its_first_step_a_run_has_stopped(
    make_run: Callable[..., Run], tmp_path: Path, moment: str
) -> None:
    """A machine that shuts down in that moment left a crashed run."""
    run = make_run(epochs=1)
    runs.start(run)  # torch takes seconds from here
    if moment == "preparing":
        until_record(run, Preparing)
    (process,) = trainers(tmp_path)
    process.terminate()
    until_state(run, "stopped")
    assert process.wait() == 0
    assert reason(run) == "asked to stop"
    assert run.checkpoints() == []
    runs.start(run)
    until_state(run, "finished")
    assert epochs_told(run) == [1]


def test_killed_while_it_gets_ready_a_run_begins_anew(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run(epochs=1)
    runs.start(run)
    until_record(run, Preparing)
    (process,) = trainers(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run_state(run, read_log(run.log_path)) == "crashed"
    runs.start(run)
    until_state(run, "finished")
    assert not list(run.path.glob(".*"))


# --- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 800 MB in memory, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=800m", "tmpfs", str(disk)]
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
    runs.start(run)
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
    (small_disk / "filler").write_bytes(b"\1" * 600_000_000)
    run = make_run(folder=small_disk / "checkpoints")
    runs.start(run)
    until_state(run, "failed")
    assert f"The disk of {run.path} has" in reason(run)
    assert read_log(run.log_path).legs == []
    assert run.checkpoints() == []
    assert not list(run.path.glob(".*"))


# --- data that goes -------------------------------------------------------------------------------------------------


def replace_by_junk(file: Path) -> bytes:
    """Put junk in the place of a file at once, and return what it held."""
    whole = file.read_bytes()
    junk = file.with_suffix(".junk")
    junk.write_bytes(b"junk" * 1000)
    junk.replace(file)
    return whole


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_photo_that_turns_to_junk_is_named_by_the_next_leg(
    make_run: Callable[..., Run], data: Path, num_workers: int
) -> None:
    """The leg that goes on has its pixels since it began, and needs the file no more."""
    run = make_run(num_workers=num_workers)
    photo = data / "JPEGImages" / "photo_3.jpg"
    runs.start(run)
    until_record(run, Epoch)
    whole = replace_by_junk(photo)
    until_record(run, Epoch, len(epochs_told(run)) + 2)
    jobs.request_stop(run.path)
    until_state(run, "stopped")
    runs.start(run)
    until_failed_in_words(run, photo)
    photo.write_bytes(whole)
    goes_on(run)


def test_a_mask_that_turns_to_junk_ends_a_run_in_words(make_run: Callable[..., Run], data: Path) -> None:
    run = make_run()
    mask = data / "SegmentationClass" / "photo_9.png"
    runs.start(run)
    until_record(run, Epoch)
    whole = replace_by_junk(mask)
    until_failed_in_words(run, mask)
    mask.write_bytes(whole)
    goes_on(run)


def test_without_kept_pixels_a_photo_that_turns_to_junk_ends_a_run_in_words(
    make_run: Callable[..., Run], data: Path, home: Path
) -> None:
    (home / "cache").write_text("a file in the place of the folder: nothing can be kept")
    run = make_run()
    photo = data / "JPEGImages" / "photo_3.jpg"
    runs.start(run)
    until_record(run, Epoch)
    whole = replace_by_junk(photo)
    until_failed_in_words(run, photo)
    photo.write_bytes(whole)
    goes_on(run)


def test_a_data_folder_that_goes_ends_a_run_in_words(make_run: Callable[..., Run], data: Path) -> None:
    run = make_run()
    runs.start(run)
    until_record(run, Epoch)
    away = data.rename(data.with_name("away"))
    until_failed_in_words(run, data)
    away.rename(data)
    goes_on(run)


# --- two at once ----------------------------------------------------------------------------------------------------

STARTER = """
import sys
from pathlib import Path
from core.errors import CoreError
from core.training import runs
run = runs.open_run(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
try:
    runs.start(run)
    print("started")
except CoreError as error:
    print(error)
"""


def at_once(*commands: list[str]) -> list[str]:
    """Run commands that say when they are ready, let all of them go together, and return what each says last."""
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT)
        for command in commands
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate(timeout=120)[0].strip() for process in started]


@pytest.mark.parametrize("is_same", [True, False], ids=["the same run", "two runs"])
def test_of_two_starters_at_once_one_wins(make_run: Callable[..., Run], is_same: bool) -> None:
    first = make_run()
    second = first if is_same else make_run("second")
    told = at_once(*([sys.executable, "-c", STARTER, str(run.path)] for run in (first, second)))
    assert sorted(sentence == "started" for sentence in told) == [False, True], told
    winner = (first, second)[told.index("started")]
    (sentence,) = (sentence for sentence in told if sentence != "started")
    assert sentence.startswith(f"{winner.path.name} is being trained")
    assert [live.path for live in runs.live_runs()] == [winner.path]
    if not is_same:
        loser = (second, first)[told.index("started")]
        runs.start(loser, beside=True)
        assert len(runs.live_runs()) == 2
        jobs.request_stop(loser.path)
        until_state(loser, "stopped")
    jobs.request_stop(winner.path)
    until_state(winner, "stopped")


def test_of_two_trainers_at_once_one_wins(make_run: Callable[..., Run]) -> None:
    """Started on the command line, without anybody who looks beforehand."""
    both = [make_run(name, epochs=1) for name in ("first", "second")]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "core", "train", str(run.path)], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, cwd=PROJECT_ROOT,
        )
        for run in both
    ]  # fmt: skip
    told = [process.communicate(timeout=120)[1] for process in started]
    codes = [process.returncode for process in started]
    assert sorted(codes) == [0, 1], told
    winner, loser = both[codes.index(0)], both[codes.index(1)]
    assert told[codes.index(1)].startswith(f"{winner.path.name} (in {winner.path.parent}) is being trained")
    assert len(told[codes.index(1)].splitlines()) == 1
    assert [run_state(run, read_log(run.log_path)) for run in (winner, loser)] == ["finished", "new"]
