"""Real processes under torchrun: two train what one trains, leave together, and never wait for one that has ended."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import jobs
from core.data.dataset import open_dataset
from core.home import PROJECT_ROOT
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training.distributed import ALONE
from core.training.evaluation import evaluate_checkpoint
from core.training.run.folders import list_runs
from core.training.run.log import read_log
from core.training.run.records import RunEnded
from tests.programs.ten_losses import ten_losses
from tests.small_data import write_voc

pytestmark = pytest.mark.slow

SETTINGS = (
    "architecture=deeplabv3_mobilenet_v3_large", "output_stride=16", "image_size=32", "batch_size=4", "precision=fp32",
    "epochs=2", "checkpoint_seconds=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight drawn photos to train on, eleven to validate: a number that two batches of eight do not share evenly."""
    return write_voc(tmp_path_factory.mktemp("data") / "VOC2012", num_train=8, num_val=11)


def under_torchrun(module: str, *arguments: str, trouble: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program in two processes, which have four minutes, and each one thread."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [sys.executable, *launcher, "-m", module, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TROUBLE": trouble},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def new_run(data: Path) -> list[str]:
    return [
        "train",
        "--json",
        "--new",
        "two",
        "--data",
        str(data),
        "--preset",
        "report",
        *(f"--set={each}" for each in SETTINGS),
    ]


def reported(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the processes themselves wrote to stderr, without torchrun's report of who failed."""
    own = ended.stderr.split("Traceback (most recent call last)")[0]
    return [line for line in own.splitlines() if "torch/distributed/" not in line and line.strip()]


def test_two_processes_train_and_judge_what_one_does(data: Path) -> None:
    """With class weights, the auxiliary head, clipping, an average, and halves of parts against a whole batch.

    Void pixels fall unevenly: the mean of the processes' own means would differ in the third digit.
    """
    ended = under_torchrun("tests.programs.ten_losses", str(data))
    assert ended.returncode == 0, ended.stderr
    two, one = json.loads(ended.stdout), ten_losses(data, ALONE)
    assert len(two["losses"]) == 10
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert two["losses"][-1] < 0.95 * two["losses"][0]
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-7)
    assert two["results"] == one["results"], "the same photos in the same order, to the last bit"


def test_a_signal_to_one_ends_all_at_one_step_and_a_second_leg_finishes_the_run(data: Path) -> None:
    ended = under_torchrun("tests.programs.troubled", *new_run(data), trouble="signal")
    assert ended.returncode == 0, ended.stderr
    (run,) = list_runs()
    assert json.loads(ended.stdout)["outcome"] == "stopped"
    training = open_checkpoint(run.path / "last.pt").training
    assert training is not None
    assert training["progress"]["steps_done"] == 3

    ended = under_torchrun(jobs.PROGRAM, "train", "--json", str(run.path))
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert (document["outcome"], document["epochs_done"]) == ("finished", 2)
    lines = [json.loads(line) for line in run.log_path.read_text().splitlines()]
    kinds = [line["kind"] for line in lines]
    assert [kinds.count(kind) for kind in ("run_started", "preflight", "epoch", "run_ended")] == [2, 2, 2, 2]
    log = read_log(run.log_path)
    assert [leg.num_processes for leg in log.legs] == [2, 2]
    assert log.epochs[-1].step == 4
    assert [record.message[:34] for record in log.warnings] == ["BatchNorm counts over the 2 photos"] * 2

    evaluated = evaluate_checkpoint(run.path / "epoch_002.pt", open_dataset(data), "val")
    assert len(evaluated.results) == 11
    assert document["scores"]["miou"] == log.epochs[-1].miou


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("memory", "Memory ran out in process 1 of 2; free memory and resume"),
        ("death", "Another process of the training ended without giving a reason; start all again"),
    ],
)
def test_what_ends_one_ends_all_with_one_sentence(data: Path, trouble: str, sentence: str) -> None:
    ended = under_torchrun("tests.programs.troubled", *new_run(data), trouble=trouble)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert [line for line in reported(ended) if line.startswith(sentence)] == reported(ended)[-1:]
    (run,) = list_runs()
    last = read_log(run.log_path).last
    assert isinstance(last, RunEnded)
    assert last.outcome == "failed"
    assert last.reason.startswith(sentence)
