"""The job and the command that estimate: the settings asked for, what they leave and print."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import jobs
from core.__main__ import main
from core.errors import RunError
from core.training.estimate import stored_estimates, timing
from core.training.estimate.stored_estimates import estimate_job_dir, find_estimate
from core.training.run.folders import create_run
from core.training.settings.config import TrainingConfig, with_settings
from core.training.settings.presets import parse_settings, preset
from tests.unit.training.estimate.estimated import AT_ONCE, SMALL


def test_the_job_is_asked_for_the_same_settings(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(jobs, "start", lambda *arguments: asked.append(arguments))
    config = replace(
        preset("demo"), flip=False, epochs=7, weight_decay=1e-7, architecture=SMALL.architecture, output_stride=16
    )
    stored_estimates.start_estimate(tiny_voc, "demo", config)
    folder, (command, _, data, _, name, *settings) = asked[0]
    assert (folder, command, data, name) == (estimate_job_dir(tiny_voc, config), "estimate", str(tiny_voc), "demo")
    assert with_settings(preset(name), parse_settings(settings[1::2])) == config


def test_nothing_is_timed_beside_a_run(tiny_voc: Path) -> None:
    run = create_run("busy", tiny_voc, "report", SMALL)
    with jobs.hold(run.path), pytest.raises(RunError, match=r"busy is being trained.*\.$"):
        stored_estimates.start_estimate(tiny_voc, "report", SMALL)
    assert not estimate_job_dir(tiny_voc, SMALL).exists()


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a command in this process, with little patience."""
    monkeypatch.setattr(os, "nice", lambda _: 0)
    for name in ("CHOSEN", "ALTERNATIVE"):
        monkeypatch.setattr(timing, name, AT_ONCE)

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["core", "estimate", *map(str, arguments)])
        return main()

    return run


def settings_of(config: TrainingConfig) -> list[str]:
    return [text for name, value in config.as_dict().items() for text in ("--set", f"{name}={value}")]


def test_the_job_leaves_what_the_command_prints(
    core: Callable[..., int], tiny_voc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = estimate_job_dir(tiny_voc, SMALL)
    folder.mkdir(parents=True)
    assert core("--data", tiny_voc, *settings_of(SMALL), "--json", "--job", folder) == 0
    printed = json.loads(capsys.readouterr().out)
    found = find_estimate(tiny_voc, SMALL)
    assert found
    assert json.loads(json.dumps(found.as_dict())) == printed
    assert jobs.error(folder) is None


def test_a_person_reads_a_table(core: Callable[..., int], tiny_voc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert core("--data", tiny_voc, *settings_of(SMALL)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "for 3 epochs of" in lines[0]
    assert "4 training and 2 validation photos" in lines[0]
    assert any("32 px instead of 64" in line for line in lines), "a row, or under load named as not faster"


def test_what_goes_wrong_in_the_job_is_told_where_the_page_looks(
    core: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    assert core("--data", tmp_path / "none", "--job", folder) == 1
    sentence = capsys.readouterr().err.strip()
    assert sentence == jobs.error(folder)
    assert "There is no folder" in sentence
    assert not (folder / stored_estimates.FILE).exists()
