"""A clean home for every test, and the data they share."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.__main__ import NEW_OBJECTS
from core.home import PROJECT_ROOT
from core.model.weights import starter
from tests.small_data import write_voc

MEMORY, ROOM_BYTES = Path("/dev/shm"), 8 * 2**30  # noqa: S108 - pytest makes folders of its own there
"""Where temporary files are written if there is room: Atrous syncs what it writes, for which a disk is slow."""

if "TMPDIR" not in os.environ and MEMORY.is_dir():
    free_bytes = min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available)
    if free_bytes > ROOM_BYTES:  # the suite needs 1 GB
        os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None  # of the processes that tests start too

gc.disable()  # until the tests are collected

VOC_ANIMALS = PROJECT_ROOT.parent / "shared" / "voc-animals"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes: at the end one process would work on them while the others wait."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let Python look for garbage from here on, never among modules and tests, which stay to the end."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
    gc.enable()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the real runs, data and pretrained weights, and from the model that is shipped."""
    monkeypatch.setattr(starter, "FOLDER", tmp_path / "starter")
    monkeypatch.setenv("ATROUS_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))
    return tmp_path


@pytest.fixture(scope="module")
def thin_networks() -> Iterator[None]:
    """Build networks of few layers in this process: what is done with them is the same, and takes a third."""
    from tests.thin_networks import make_networks_thin  # torch

    with pytest.MonkeyPatch.context() as patch:
        make_networks_thin(patch)
        yield


@pytest.fixture
def tiny_voc(tmp_path: Path) -> Path:
    """A VOC2012 folder with four drawn pairs to train on and two to validate."""
    return write_voc(tmp_path / "tiny" / "VOC2012")


@pytest.fixture(scope="session")
def voc_animals() -> Path:
    """The real VOC photos beside the repository."""
    if not VOC_ANIMALS.is_dir():
        pytest.skip(f"{VOC_ANIMALS} is not there: it holds photos that the project may not carry")
    return VOC_ANIMALS


@pytest.fixture
def one_sentence() -> Callable[[object, Path], str]:
    """Check that what a person reads is one line that names the file, and return it."""

    def check(error: object, file: Path) -> str:
        text = str(error)
        assert "\n" not in text
        assert str(file) in text
        assert text[-1] in ".)"
        return text

    return check
