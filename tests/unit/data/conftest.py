"""A folder to examine and to repair."""

from pathlib import Path

import pytest

from tests.faulty_data import Patient


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path / "VOC2012")
