"""Runs to look at."""

from pathlib import Path

import pytest

from core.training.presets import preset
from core.training.runs import Run, create_run


@pytest.fixture
def run(tiny_voc: Path) -> Run:
    return create_run("first try", tiny_voc, "demo", preset("demo"))
