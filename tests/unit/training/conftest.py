"""Runs to look at and to train."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.training.run.folders import Run, create_run
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import preset
from tests.unit.training.loop.legs import SETTINGS


@pytest.fixture(scope="module", autouse=True)
def thin(thin_networks: None) -> None:
    """Training, saving and resuming are the same for a network of 40 layers as for one of 150."""


@pytest.fixture
def run(tiny_voc: Path) -> Run:
    return create_run("first try", tiny_voc, "demo", preset("demo"))


@pytest.fixture
def make_run(tiny_voc: Path) -> Callable[..., Run]:
    return lambda **settings: create_run("first", tiny_voc, "report", TrainingConfig(**SETTINGS | settings))
