"""A small model, and a run that ended with it."""

from pathlib import Path

import pytest

from core.training.run.folders import Run
from tests.app.conftest import MakeRun, write_records
from tests.small_models import save_lively_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model as a checkpoint file; it sees classes everywhere."""
    return save_lively_model(tmp_path_factory.mktemp("weights") / "epoch_003.pt")


@pytest.fixture
def run(make_run: MakeRun, demo_data: Path, weights: Path) -> Run:
    """A finished run on the demo data with one milestone that opens."""
    run = make_run()
    write_records(run, 3, ended="finished")
    (run.path / "last.pt").unlink()
    (run.path / "epoch_003.pt").write_bytes(weights.read_bytes())
    return run
