"""The command that runs the benchmarks, where there are none."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from core.commands import evaluation
from core.data.dataset import open_dataset
from core.errors import ConfigError
from core.model.architectures import MOBILENET, build_model
from core.model.device import CPU
from tests.bench import gpu
from tests.thin_networks import make_networks_thin


def test_without_the_tests_there_is_nothing_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container carries no tests, and `bench` ended there with an IndexError."""
    monkeypatch.setattr(evaluation, "PROJECT_ROOT", tmp_path)
    with pytest.raises(ConfigError, match="run them from a clone"):
        evaluation.bench(argparse.Namespace(name=None))


def test_options_are_for_the_benchmark_that_has_them() -> None:
    with pytest.raises(ConfigError, match="--full is for the benchmark label_errors or labelling"):
        evaluation.bench(argparse.Namespace(name="training", data=None, full=True))


def test_without_a_gpu_there_is_nothing_to_measure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "accelerator", lambda: None)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1


@pytest.fixture
def own_tf32() -> Iterator[None]:
    """What the reference sets stays in its test."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.slow
@pytest.mark.usefixtures("own_tf32")
def test_every_part_of_the_gpu_s_benchmark_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On the CPU, with a small model for torchvision's, and in this process: tests have no GPU."""
    make_networks_thin(monkeypatch)
    monkeypatch.setattr(gpu, "report_model", lambda num_classes: build_model(MOBILENET, num_classes, output_stride=16))
    compiled: list[str] = []
    monkeypatch.setattr(nn.Module, "compile", lambda _module, backend, **_: compiled.append(backend))
    asked = {}

    def run_here(part: str, options: list[str], budget_s: float, _folder: Path) -> tuple[dict[str, float], str]:
        asked[part] = budget_s
        bench = gpu.Bench(CPU, open_dataset(Path(options[1])), gpu.time.monotonic() + 1e4, is_tiny="--tiny" in options)
        return dict(gpu.PARTS[part](bench)), ""

    monkeypatch.setattr(gpu, "_run_part", run_here)
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--tiny", "--seconds", "3000"])
    assert gpu.main() == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["cut"] == []
    assert compiled == ["eager", "eager"]
    assert set(document["ratios"]) == {
        "training_fp32", "training_bf16", "training_bf16_replayed", "training_bf16_compiled", "evaluation",
        "prediction",
    }  # fmt: skip
    assert all(value > 0 for name, value in document["figures"].items() if name.endswith("per_second"))
    assert {name.split("_")[0] for name in document["figures"]} == set(gpu.SHARES) == set(asked)
    assert document["figures"]["run_epochs"] == 1


def test_a_part_that_takes_too_long_leaves_what_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = """import time; print('["a", 2.5]\\n["b", null]', flush=True); time.sleep(600)"""
    monkeypatch.setattr(gpu, "PROGRAM", (sys.executable, "-S", "-c", slow))
    assert gpu._run_part("run", ["x"], 4.0, tmp_path) == ({"a": 2.5}, "its 4 s were over")
    monkeypatch.setattr(gpu, "PROGRAM", (sys.executable, "-S", "-c", "raise SystemExit(1)"))
    assert gpu._run_part("trial", ["x"], 60.0, tmp_path) == ({}, "it ended with exit code 1; see above")
