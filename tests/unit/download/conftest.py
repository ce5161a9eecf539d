"""VOC as it is published, packed and on a mirror, and no way to anywhere else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.voc2012 import download_voc
from tests.small_data import write_list, write_voc
from tests.unit.download.mirrors import NAME, Mirror, md5_of, pack, serving


@pytest.fixture(autouse=True)
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that nobody runs for all but this machine: no test gets out."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="session")
def voc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VOC as it is published: six pairs, and a megabyte of what segmentation does not need."""
    folder = write_voc(tmp_path_factory.mktemp("voc") / "VOC2012")
    write_list(folder, "trainval", [f"photo_{number}" for number in range(6)])
    for name in ("Annotations/photo_0.xml", "ImageSets/Main/train.txt", "SegmentationObject/photo_0.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(np.random.default_rng(0).bytes(350_000))
    return folder


@pytest.fixture(scope="session")
def packed(voc_folder: Path) -> bytes:
    return pack(voc_folder)


@pytest.fixture
def mirror(packed: bytes) -> Iterator[Mirror]:
    with serving(packed) as server:
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "datasets" / "voc2012"


@pytest.fixture
def part(root: Path) -> Path:
    root.mkdir(parents=True)
    return root / f"{NAME}.part"


@pytest.fixture
def fetch(packed: bytes) -> Callable[..., Path]:
    """Download from these mirrors, with the MD5 of the packed data."""

    def fetch(*mirrors: Mirror | str, **options: Any) -> Path:
        urls = [mirror if isinstance(mirror, str) else mirror.url for mirror in mirrors]
        return download_voc(urls=urls, **{"md5": md5_of(packed)} | options)

    return fetch
