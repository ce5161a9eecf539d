"""What befalls a run that nobody watches: killed, cut off, two at once. All of it real."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import jobs
from core.home import PROJECT_ROOT
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training.run import folders
from core.training.run.folders import Run, run_state
from core.training.run.log import read_log
from core.training.run.records import Preparing
from tests.processes import epochs_told, finish_here, trainers, until_record, until_state
from tests.slow.faults.ends import goes_on, reason

pytestmark = [
    pytest.mark.slow,
    # A trainer outlives the code that started it, on purpose: nobody waits for its process.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]

# --- ended from outside ---------------------------------------------------------------------------------------------

HALF_WRITER = """
import io, sys
from pathlib import Path
import torch
from core.jobs import hold
from core.training.run.folders import open_run
from core.training.loop.trainer import train
from tests.programs.thin import build_thin

build_thin()
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
    assert [path for path in run.path.glob(".*.part") if path.stat().st_size > 10**6], "half of it was written"
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
    folders.start(run)  # torch takes seconds from here
    if moment == "preparing":
        until_record(run, Preparing)
    (process,) = trainers(tmp_path)
    process.terminate()
    until_state(run, "stopped")
    assert process.wait() == 0
    assert reason(run) == "asked to stop"
    assert run.checkpoints() == []
    finish_here(run)
    assert epochs_told(run) == [1]


def test_killed_while_it_gets_ready_a_run_begins_anew(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run(epochs=1)
    folders.start(run)
    until_record(run, Preparing)
    (process,) = trainers(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run_state(run, read_log(run.log_path)) == "crashed"
    finish_here(run)
    assert not list(run.path.glob(".*"))


# --- two at once ----------------------------------------------------------------------------------------------------

STARTER = """
import sys
from pathlib import Path
from core.errors import CoreError
from core.training.run import folders
run = folders.open_run(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
try:
    folders.start(run)
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
    sentences = at_once(*([sys.executable, "-c", STARTER, str(run.path)] for run in (first, second)))
    assert sorted(sentence == "started" for sentence in sentences) == [False, True], sentences
    winner = (first, second)[sentences.index("started")]
    (sentence,) = (sentence for sentence in sentences if sentence != "started")
    assert sentence.startswith(f"{winner.path.name} is being trained")
    assert [live.path for live in folders.live_runs()] == [winner.path]
    if not is_same:
        loser = (second, first)[sentences.index("started")]
        jobs.launch(["train", str(loser.path), "--beside"], loser.path)
        assert len(folders.live_runs()) == 2
        jobs.request_stop(loser.path)
        until_state(loser, "stopped")
    jobs.request_stop(winner.path)
    until_state(winner, "stopped")


def test_of_two_trainers_at_once_one_wins(make_run: Callable[..., Run]) -> None:
    """Started on the command line, without anybody who looks beforehand."""
    both = [make_run(name, epochs=1) for name in ("first", "second")]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", jobs.PROGRAM, "train", str(run.path)],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT,
        )
        for run in both
    ]  # fmt: skip
    sentences = [process.communicate(timeout=120)[1] for process in started]
    codes = [process.returncode for process in started]
    assert sorted(codes) == [0, 1], sentences
    winner, loser = both[codes.index(0)], both[codes.index(1)]
    assert sentences[codes.index(1)].startswith(f"{winner.path.name} (in {winner.path.parent}) is being trained")
    assert len(sentences[codes.index(1)].splitlines()) == 1
    assert [run_state(run, read_log(run.log_path)) for run in (winner, loser)] == ["finished", "new"]
