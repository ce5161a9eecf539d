"""The command that runs the benchmarks, where there are none."""

import argparse
from pathlib import Path

import pytest

from core.commands import evaluation
from core.errors import ConfigError


def test_without_the_tests_there_is_nothing_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container carries no tests, and `bench` ended there with an IndexError."""
    monkeypatch.setattr(evaluation, "PROJECT_ROOT", tmp_path)
    with pytest.raises(ConfigError, match="run them from a clone"):
        evaluation.bench(argparse.Namespace(name=None))


def test_options_are_for_the_benchmark_that_has_them() -> None:
    with pytest.raises(ConfigError, match="--full is for the benchmark label_errors or labelling"):
        evaluation.bench(argparse.Namespace(name="training", data=None, full=True))
