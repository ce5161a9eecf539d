"""Data that a test may spoil, and runs on it that no test leaves alive."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.training.run.folders import Run, create_run
from core.training.settings.config import TrainingConfig
from tests.processes import SETTINGS, trainers
from tests.small_data import write_voc


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight drawn photos to train on, two to validate; a test may spoil them."""
    return write_voc(tmp_path / "data" / "VOC2012", num_train=8, num_val=2)


@pytest.fixture
def make_run(data: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Make runs, in `folder` if given; any trainer of theirs that still lives after the test is killed."""

    def _make_run(name: str = "first", folder: Path | None = None, **settings: object) -> Run:
        config = TrainingConfig(**SETTINGS | {"epochs": 500} | settings)  # type: ignore[arg-type]
        return create_run(name, data, "report", config, folder=folder)

    yield _make_run
    for process in trainers(tmp_path):
        process.kill()
        process.wait()
