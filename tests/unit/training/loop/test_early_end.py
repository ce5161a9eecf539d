"""A leg that patience ends, averaged weights in its files, and run folders from before either: through the trainer."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from core import jobs
from core.data.dataset import open_dataset
from core.metrics.image_scores import summarize
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training.evaluation import evaluate_checkpoint
from core.training.loop.progress import RunProgress
from core.training.loop.trainer import train
from core.training.run import evaluations
from core.training.run.folders import Run, create_run, open_run, run_state
from core.training.run.log import read_log
from core.training.run.records import Record, RunEnded
from core.training.settings.config import TrainingConfig

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32, "batch_size": 2,
    "precision": "fp32", "checkpoint_seconds": 0.0,
}  # fmt: skip
NEW_SETTINGS = ("clip_norm", "ema_decay", "class_weighting", "patience")


def leg(run: Run, extend_to: int | None = None) -> list[Record]:
    with jobs.hold(run.path):
        return list(train(run, extend_to=extend_to))


def test_a_run_that_patience_ends_is_finished_with_a_milestone_and_its_evaluation(
    tiny_voc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.loop.loop.RunProgress", functools.partial(RunProgress, best_miou=1.0))
    run = create_run("early", tiny_voc, "report", TrainingConfig(epochs=9, patience=2, ema_decay=0.9, **SETTINGS))
    ended = leg(run)[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.outcome, ended.epochs_done) == ("finished", 2)
    assert ended.reason == "no better validation mIoU for 2 epochs: ended after 2"
    assert run_state(run, read_log(run.log_path)) == "finished"

    file = run.path / "epoch_002.pt"
    (before,) = (evaluations.load(path) for path in evaluations.stored(run.eval_dir))
    dataset = open_dataset(tiny_voc)
    evaluated = evaluate_checkpoint(file, dataset, "val")
    assert summarize(evaluated.results, dataset.class_names) == before.scores

    more = leg(run, extend_to=10)[-1]
    assert isinstance(more, RunEnded)
    assert (more.outcome, more.epochs_done) == ("finished", 4), "whoever extends it wants more: patience starts anew"


def test_every_file_holds_the_averaged_weights_and_last_pt_those_in_training_too(tiny_voc: Path) -> None:
    run = create_run("averaged", tiny_voc, "report", TrainingConfig(epochs=1, ema_decay=0.9, **SETTINGS))
    leg(run)
    milestone, last = (open_checkpoint(run.path / name) for name in ("epoch_001.pt", "last.pt"))
    assert all(torch.equal(milestone.state[key], value) for key, value in last.state.items())
    assert milestone.training is None
    assert last.training is not None
    in_training = last.training["weights"]
    assert in_training.keys() == last.state.keys()
    assert not torch.equal(in_training["classifier.4.weight"], last.state["classifier.4.weight"])


def test_a_run_folder_from_before_the_settings_opens_and_goes_on(tiny_voc: Path) -> None:
    run = create_run("old", tiny_voc, "report", TrainingConfig(epochs=1, **SETTINGS))
    about = json.loads((run.path / "config.json").read_text())
    for name in NEW_SETTINGS:
        del about["settings"][name]
    (run.path / "config.json").write_text(json.dumps(about))
    leg(open_run(run.path))
    file = run.path / "last.pt"
    document = torch.load(file, weights_only=True)
    for name in NEW_SETTINGS:
        del document["meta"]["config"][name]
    training = document["training"]
    del training["progress"]["patience_since"]
    document["training"] = {name: training[name] for name in ("optimizer", "progress")}
    torch.save(document, file)
    ended = leg(open_run(run.path), extend_to=2)[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.outcome, ended.epochs_done) == ("finished", 2)
