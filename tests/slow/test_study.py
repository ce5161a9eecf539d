"""A study in real processes: killed twice on the way and resumed, it has the numbers of one that was left alone."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import jobs
from core.home import PROJECT_ROOT
from core.study.folder import open_study
from tests.small_data import write_voc
from tests.unit.commands.calls import Command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = ("architecture=deeplabv3_efficientnet_lite0", "image_size=32", "batch_size=2", "precision=fp32", "epochs=2")


def killed_after(sentence: str, *arguments: object) -> None:
    """Run the command in a process of its own, and kill it once it has printed this to stderr."""
    with subprocess.Popen(
        [sys.executable, "-m", jobs.PROGRAM, "study", *map(str, arguments)],
        cwd=PROJECT_ROOT, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if sentence in line:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL, "".join(said)


def test_killed_twice_and_resumed_it_has_the_numbers_of_one_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, core: Command
) -> None:
    """The one that is left alone, and the last leg of the other, are commands in this process."""
    data = write_voc(tmp_path / "data" / "VOC2012", num_train=4, num_val=2)
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    asked = ["stride", "--data", data, "--preset", "report", *settings, "--vary", "output_stride=8,16", "--seeds", "1"]
    monkeypatch.setenv("ATROUS_HOME", str(alone))
    left_alone = core("study", *asked, "--json").document()
    monkeypatch.setenv("ATROUS_HOME", str(killed))
    killed_after("epoch 1/2", *asked)
    killed_after("Run 2 of 2", "stride")
    resumed = core("study", "stride", "--json").document()
    assert (resumed["done"], resumed["trainings"]) == (2, 2)
    assert resumed["recipes"][0]["settings"] == {"output_stride": 8}

    def scores_in(home: Path) -> list[Any]:
        monkeypatch.setenv("ATROUS_HOME", str(home))
        states = open_study("stride").cells()
        assert len(open_study("stride").runs()) == 2
        return [each.evaluation.counts() for each in states if each.evaluation]

    for (names, counts_NKK), (others, other_NKK) in zip(scores_in(alone), scores_in(killed), strict=True):
        assert names == others
        np.testing.assert_array_equal(counts_NKK, other_NKK)
    assert [each["miou"] for each in left_alone["recipes"]] == [each["miou"] for each in resumed["recipes"]]
