"""A folder to examine and to repair, and a watch over files that nobody may read."""

from pathlib import Path

import pytest
from PIL import Image

from core.data.doctor import pair_checks
from tests.faulty_data import Patient


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path / "VOC2012")


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whoever reads a photo or mask."""

    def refuse(path: Path, what: str) -> Image.Image:
        pytest.fail(f"the {what} {path} is read")

    monkeypatch.setattr(pair_checks, "load_picture", refuse)
