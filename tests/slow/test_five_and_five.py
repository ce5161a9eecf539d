"""5 + 5 epochs are 10 epochs, bit for bit, on a CPU in fp32, however the first five ended. Every leg a real process."""

import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from core import jobs
from core.home import PROJECT_ROOT
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training.run.folders import Run, create_run, run_state
from core.training.run.log import read_log
from core.training.run.records import Epoch
from core.training.settings.config import TrainingConfig
from tests.processes import SETTINGS
from tests.small_data import write_voc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AUGMENTED: dict[str, Any] = SETTINGS | {
    "optimizer": "adamw", "weight_decay": 0.01, "schedule": "one-cycle", "schedule_epochs": 10,
    "flip": True, "scale_min": 0.5, "scale_max": 1.5, "checkpoint_seconds": 1000.0,
    "architecture": "deeplabv3_efficientnet_lite0", "freeze": "early", "freeze_batchnorm": True,
    "backbone_lr_mult": 0.2,
}  # fmt: skip
"""The recipe for own photos: all that is drawn at random (the dropout is DeepLab's own), an optimizer with a state and
two groups, a schedule over both legs."""

OF_TIME = {"time_s", "uptime_s", "seconds", "train_seconds", "data_seconds", "images_per_second", "peak_memory_bytes"}
"""What a record says of the machine, not of the training."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four drawn photos to train on, two steps an epoch; three to validate."""
    return write_voc(tmp_path_factory.mktemp("data") / "VOC2012", num_train=4, num_val=3)


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Ten epochs in one leg."""
    run = create_run("straight", data, "report", TrainingConfig(**AUGMENTED), folder=tmp_path_factory.mktemp("runs"))
    assert trained(run) == 0
    return run


def trained(run: Run, *arguments: str, trouble: str = "", step: int = 0) -> int:
    """Train a leg in a process of its own, which may have trouble in a step, and return how it ended."""
    program = "tests.programs.troubled" if trouble else jobs.PROGRAM
    command = [sys.executable, "-m", program, "train", *arguments, str(run.path)]
    environment = os.environ | {"TROUBLE": trouble, "STEP": str(step)}
    ended = subprocess.run(command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode


def finish_first_leg(run: Run) -> None:
    assert trained(run) == 0
    assert run_state(run, read_log(run.log_path)) == "finished"
    assert trained(run, "--extend", "10") == 0


def stop_in_mid_epoch(run: Run) -> None:
    assert trained(run, trouble="stop", step=11) == 0
    assert run_state(run, read_log(run.log_path)) == "stopped"
    assert trained(run) == 0


def kill_in_mid_epoch(run: Run) -> None:
    assert trained(run, trouble="death", step=12) == -signal.SIGKILL
    assert run_state(run, read_log(run.log_path)) == "crashed"
    assert trained(run) == 0


@pytest.mark.parametrize(
    ("changes", "train_twice", "steps_done"),
    [
        ({"epochs": 5}, finish_first_leg, 10),
        ({}, stop_in_mid_epoch, 11),
        ({"checkpoint_seconds": 0.0}, kill_in_mid_epoch, 10),
    ],
    ids=["finished and extended", "stopped in epoch 6", "killed in epoch 6"],
)
def test_five_and_five_epochs_are_ten(
    data: Path, straight: Run, tmp_path: Path, changes: dict[str, Any], train_twice: Any, steps_done: int
) -> None:
    run = create_run("twice", data, "report", TrainingConfig(**AUGMENTED | changes), folder=tmp_path)
    train_twice(run)
    whole, log = read_log(straight.log_path), read_log(run.log_path)
    assert [leg.steps_done for leg in log.legs] == [0, steps_done], "the second leg begins where it should"
    assert [epoch.epoch for epoch in log.epochs] == list(range(1, 11))
    assert [outcome(epoch) for epoch in log.epochs] == [outcome(epoch) for epoch in whole.epochs]
    losses, expected = [[epoch.val_loss for epoch in each.epochs] for each in (log, whole)]
    if changes.get("epochs") == 5:
        # The end of a leg is validated photo by photo, as `evaluate` does it, which rounds otherwise than batches do.
        assert losses.pop(4) == pytest.approx(expected.pop(4), rel=1e-6)
    assert losses == expected
    steps = [record.step for record in log.steps]
    assert steps == sorted(set(steps)), "none is logged twice"
    assert (log.bad_lines, log.warnings) == ([], [])
    of_run, of_straight = weights(run), weights(straight)
    assert of_run.keys() == of_straight.keys()
    assert [key for key in of_run if not torch.equal(of_run[key], of_straight[key])] == []


def weights(run: Run) -> dict[str, torch.Tensor]:
    return open_checkpoint(run.path / "epoch_010.pt").build().state_dict()


def outcome(epoch: Epoch) -> dict[str, Any]:
    """Return the training loss and the scores of an epoch, that of each class too."""
    return {name: value for name, value in asdict(epoch).items() if name not in OF_TIME | {"val_loss"}}
