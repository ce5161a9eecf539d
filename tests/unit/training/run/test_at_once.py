"""Two processes that store, read, rename, extend and delete the same runs and read the same changing data at once."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.home import PROJECT_ROOT, checkpoints_dir
from core.training.run import evaluations, folders
from tests.small_data import write_pairs


@pytest.fixture
def users(tmp_path: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Two living users of one home and one data set."""
    data = tmp_path / "data"
    write_pairs(data / "images", data / "masks", [f"pair_{number}" for number in range(6)])
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.programs.at_once", who, str(data)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT,
                )
            )
            for who in "ab"
        ]  # fmt: skip
        assert answers(started) == ["", ""], "both are ready"
        yield started
        for user in started:
            assert user.stdin
            user.stdin.close()


def answers(users: list["subprocess.Popen[str]"]) -> list[str]:
    """Return the next line that each says."""
    return [user.stdout.readline().rstrip("\n") for user in users if user.stdout]


@pytest.mark.parametrize("num_rounds", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_two_processes_do_everything_at_once(users: list["subprocess.Popen[str]"], num_rounds: int) -> None:
    """Two who evaluated the same met FileExistsError, one who listed while the other deleted "No such file".

    What each does is drawn from the number of the round; how their acts fall together is the machine's business, and
    nothing that is checked depends on it.
    """
    for number in range(num_rounds):
        for user in users:
            assert user.stdin
            user.stdin.write(f"{number}\n")
            user.stdin.flush()
        assert answers(users) == ["", ""], f"round {number}"
    there, broken = folders.read_runs()
    assert there
    assert not broken
    for run in there:
        for path in evaluations.stored(run.eval_dir):
            assert evaluations.load(path).counts()[0] == ["image_0", "image_1", "image_2"]
    left = [path for path in checkpoints_dir().rglob("*") if ".part" in path.name or ".replaced-" in path.name]
    assert not left, "nothing half written stays behind"
    assert all((path / "config.json").exists() for path in checkpoints_dir().iterdir()), "no ghost of a deleted run"
