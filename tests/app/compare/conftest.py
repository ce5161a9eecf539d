"""A run with two milestones to compare."""

from pathlib import Path

import pytest

from core.training.run.folders import Run
from tests.app.conftest import MakeRun, write_records
from tests.app.stored import guess_background, guess_half, store_milestone


@pytest.fixture
def run(make_run: MakeRun, demo_data: Path) -> Run:
    """A finished run with two milestones: the first predicts background everywhere."""
    run = make_run()
    write_records(run, 3, ended="finished")
    store_milestone(run, 1, guess_background)
    store_milestone(run, 3, guess_half)
    return run
