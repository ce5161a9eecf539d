"""Photos to annotate, and what every imported data set has to be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.data.dataset import open_dataset
from core.data.images import read_pair
from core.data.importers import Imported, import_data
from core.errors import DataError
from core.files import replacing
from tests.faulty_data import examine

SIZE = (12, 8)


@pytest.fixture
def draw_photo() -> Callable[..., Path]:
    """Write a photo of coarse noise, 12 x 8 px; no two numbers look alike."""

    def draw(file: Path, number: int, size: tuple[int, int] = SIZE, **options: object) -> Path:
        coarse_HW3 = np.random.default_rng(number).integers(0, 256, (8, 9, 3)).astype(np.uint8)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as target:
            kind = {".jpg": "JPEG", ".png": "PNG"}[file.suffix.lower()]
            Image.fromarray(coarse_HW3).resize(size, Image.Resampling.BICUBIC).save(target, format=kind, **options)
        return file

    return draw


@pytest.fixture
def sound() -> Callable[[Imported], dict[str, NDArray[np.uint8]]]:
    """Open what was imported, let the doctor look at it, and return its masks by name."""

    def check(imported: Imported) -> dict[str, NDArray[np.uint8]]:
        dataset = open_dataset(imported.root)
        assert dataset.classes == imported.classes
        errors = [found for found in examine(imported.root).findings if found.severity == "error"]
        assert [found for found in errors if found.kind != "empty split" or imported.images > 1] == []
        samples = [sample for split in dataset.splits.values() for sample in split]
        assert len({sample.name for sample in samples}) == len(samples) == imported.images
        return {sample.name: read_pair(sample.photo, sample.mask, dataset.num_classes)[1] for sample in samples}

    return check


@pytest.fixture
def listed() -> Callable[[Imported], dict[str, list[str]]]:
    """Return the names in each split of what was imported."""

    def names(imported: Imported) -> dict[str, list[str]]:
        splits = open_dataset(imported.root).splits
        return {split: [sample.name for sample in samples] for split, samples in splits.items()}

    return names


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Import what cannot be imported; return the one sentence, after seeing that nothing was left behind."""

    def check(name: str, source: Path, **options: Path) -> str:
        before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
        with pytest.raises(DataError) as error:
            import_data(name, source, tmp_path / "out", **options)
        assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before
        text = str(error.value)
        assert "\n" not in text
        assert text.endswith(".")
        return text

    return check
