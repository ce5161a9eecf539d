"""Everything is tried before it counts, and nothing of that is ever noticed by the training."""

import copy
import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from core import jobs
from core.data.dataset import open_dataset
from core.errors import CheckpointError, CoreError, RunError
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training.loop import preflight as preflights
from core.training.loop.loop import TrainingLoop
from core.training.loop.preflight import needed_bytes, preflight
from core.training.loop.trainer import train
from core.training.run.folders import Run, create_run
from core.training.run.log import read_log
from core.training.run.records import Preflight, RunEnded
from core.training.settings.config import TrainingConfig

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32, "batch_size": 2,
    "precision": "fp32", "epochs": 2, "flip": True,
}  # fmt: skip
TOLD = Preflight(
    seconds=9.5, step_seconds=2.0, eval_seconds_per_image=0.25, checkpoint_bytes=10**8, needed_disk_bytes=3 * 10**8,
    free_disk_bytes=10**11, free_memory_bytes=10**10, peak_memory_bytes=10**9,
)  # fmt: skip


@pytest.fixture
def make_run(tiny_voc: Path) -> Callable[..., Run]:
    return lambda **settings: create_run("first", tiny_voc, "report", TrainingConfig(**SETTINGS | settings))


def leg(run: Run, extend_to: int | None = None) -> RunEnded:
    with jobs.hold(run.path):
        ended = list(train(run, extend_to=extend_to))[-1]
    assert isinstance(ended, RunEnded)
    return ended


def is_same(first: Any, second: Any) -> bool:
    """Tell whether two states are the same bit for bit."""
    if isinstance(first, torch.Tensor):
        return first.stride() == second.stride() and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(is_same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return type(first) is type(second) and all(map(is_same, first, second))
    return bool(first == second)


def state_of(loop: TrainingLoop) -> Any:
    """Return a copy of everything that decides how a training goes on."""
    states = loop.model.state_dict(), loop.state(), torch.get_rng_state(), random.getstate()
    return copy.deepcopy((*states, np.random.get_state()[1].tolist()))  # type: ignore[union-attr]


@pytest.mark.parametrize("steps_before", [0, 1, 2])
@pytest.mark.parametrize("settings", [{"optimizer": "adamw"}, {"optimizer": "sgd", "ema_decay": 0.9}])
def test_the_loop_is_afterwards_as_it_was(
    tiny_voc: Path, tmp_path: Path, settings: dict[str, Any], steps_before: int
) -> None:
    """Fresh, in mid-epoch, and at the end of an epoch that is not validated yet."""
    dataset = open_dataset(tiny_voc)
    config = TrainingConfig(**SETTINGS | settings)
    loop = TrainingLoop(
        config, dataset.split("train"), dataset.split("val"), dataset.classes, torch.device("cpu")
    )  # fmt: skip
    list(loop.train_epoch(lambda: loop.progress.steps_done >= steps_before))
    assert loop.progress.step_in_epoch == steps_before
    before = state_of(loop)
    while_saving = []

    def save(path: Path) -> None:
        while_saving.append(state_of(loop))
        path.write_bytes(b"x" * 1000)

    *_, tried = preflight(loop, tmp_path, save, {"last.pt": True})
    assert isinstance(tried, Preflight)
    assert is_same(state_of(loop), before)
    assert not is_same(while_saving[0][0], before[0]), "a real step was taken"
    assert not (tmp_path / preflights.PROBE).exists()


def test_a_run_is_bit_for_bit_the_one_without(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop and a second leg are in it, so that the second preflight has an optimizer's state to put back."""
    run = make_run()
    leg(run, extend_to=1)
    leg(run, extend_to=2)
    assert sum(b'"kind":"preflight"' in line for line in run.log_path.read_bytes().splitlines()) == 2
    monkeypatch.setattr("core.training.loop.leg.preflight", lambda *_: iter(()))
    without = make_run()
    leg(without)
    first, second = (open_checkpoint(each.path / "last.pt") for each in (run, without))
    assert is_same(dict(first.state), dict(second.state))
    assert first.training is not None
    assert second.training is not None
    assert is_same(first.training, second.training)
    losses = [
        [(epoch.train_loss, epoch.val_loss) for epoch in read_log(each.log_path).epochs] for each in (run, without)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("what", ["disk", "memory", "checkpoint", "nan"])
def test_what_does_not_work_ends_the_run_before_it_begins(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(*_: object) -> None:
        raise CheckpointError("It gives other logits.")

    if what == "disk":
        free = psutil.disk_usage("/")._replace(free=100_000_000)
        monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    elif what == "memory":
        monkeypatch.setattr(preflights, "available_bytes", lambda _: 150_000_000)
    elif what == "checkpoint":
        monkeypatch.setattr("core.training.loop.saving.verify_checkpoint", refuse)
    else:
        monkeypatch.setattr(preflights, "evaluate", lambda *_: iter([NanResult()]))
    run = make_run()
    with pytest.raises(CoreError) as caught:
        leg(run)
    expected = {"disk": "100 MB free", "memory": "150 MB of memory", "checkpoint": "other logits", "nan": "NaN"}
    assert expected[what] in str(caught.value)
    assert "\n" not in str(caught.value)
    log = read_log(run.log_path)
    assert (log.legs, log.steps, log.preflight) == ([], [], None)
    assert isinstance(log.last, RunEnded)
    assert (log.last.outcome, log.last.reason) == ("failed", str(caught.value))
    assert sorted(path.name for path in run.path.iterdir()) == ["config.json", "lock", "log.jsonl"]


@dataclasses.dataclass
class NanResult:
    loss: float = float("nan")


def test_files_that_are_there_already_take_no_new_room(tmp_path: Path) -> None:
    margin = preflights.DISK_MARGIN_BYTES
    assert needed_bytes(tmp_path, {"best.pt": 100, "last.pt": 300}) == 400 + 300 + margin
    (tmp_path / "last.pt").write_bytes(b"x" * 290)
    (tmp_path / "best.pt").write_bytes(b"x" * 120)
    assert needed_bytes(tmp_path, {"best.pt": 100, "last.pt": 300}) == 10 + 300 + margin


def test_enough_room_is_enough(tmp_path: Path, one_sentence: Callable[[object, Path], str]) -> None:
    preflights.check_room(dataclasses.replace(TOLD, free_disk_bytes=TOLD.needed_disk_bytes), tmp_path)
    with pytest.raises(RunError) as caught:
        preflights.check_room(dataclasses.replace(TOLD, free_disk_bytes=TOLD.needed_disk_bytes - 1), tmp_path)
    assert "need 300 MB" in one_sentence(caught.value, tmp_path)
