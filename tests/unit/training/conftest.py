"""Runs to look at and to train."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.training.config import TrainingConfig
from core.training.presets import preset
from core.training.runs import Run, create_run
from tests.unit.training.legs import SETTINGS


@pytest.fixture
def run(tiny_voc: Path) -> Run:
    return create_run("first try", tiny_voc, "demo", preset("demo"))


@pytest.fixture
def make_run(tiny_voc: Path) -> Callable[..., Run]:
    return lambda **settings: create_run("first", tiny_voc, "report", TrainingConfig(**SETTINGS | settings))
