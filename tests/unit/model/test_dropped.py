"""A checkpoint dropped on a page: opened like any file, called by its own name, kept nowhere."""

import argparse
import io
import os
import tempfile
from pathlib import Path

import pytest
import torch
from torchvision.models.segmentation import DeepLabV3

from core.errors import CheckpointError
from core.model.checkpoint import save_checkpoint
from core.model.dropped import open_dropped
from core.model.fitting import MisfitError
from tests.small_models import META, same_logits, thin_state


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def saved(document: object) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(document, file)
    return file


@pytest.mark.parametrize("name", ["best.pt", "../../etc/best.pt", "", "/", "a\nb.pt", "x" * 5000])
def test_it_opens_whatever_it_is_called_and_is_kept_nowhere(
    mobilenet: DeepLabV3, tmp_path: Path, temporary: Path, name: str
) -> None:
    save_checkpoint(tmp_path / "own.pt", mobilenet, META)
    opened = open_dropped(io.BytesIO((tmp_path / "own.pt").read_bytes()), name)
    assert os.listdir(temporary) == []  # noqa: PTH208 - hidden files too
    assert opened.meta == META
    assert same_logits(opened.build(), mobilenet)


def test_a_refusal_calls_it_by_its_own_name(temporary: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_dropped(saved({"model": thin_state(), "args": argparse.Namespace()}), "mine.pt")
    text = str(caught.value)
    assert text.startswith("mine.pt holds pickled Python objects")
    assert "torch.load('mine.pt'" in text
    assert str(temporary) not in text
    assert os.listdir(temporary) == []  # noqa: PTH208


def test_what_is_missing_is_listed_still(temporary: Path) -> None:
    state = thin_state()
    del state["classifier.4.bias"]
    with pytest.raises(MisfitError, match=r"^The weights in part\.pt") as caught:
        open_dropped(saved(state), "part.pt")
    assert caught.value.keys.missing == ("classifier.4.bias",)


def test_a_file_that_is_too_large_is_not_copied(temporary: Path) -> None:
    class Endless(io.BytesIO):
        def seek(self, _position: int, whence: int = 0) -> int:
            return 3 * 10**9 if whence == 2 else 0

        def read(self, *_: object) -> bytes:
            pytest.fail("it was read")

    with pytest.raises(CheckpointError, match=r"huge\.pt has 3\.0 GB"):
        open_dropped(Endless(), "huge.pt")
