"""Bytes cut off and bits turned over, by the hundred: an answer in words or a whole model, never a part of one."""

import io
import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from core.errors import CheckpointError
from core.model.checkpoint.checkpoint_file import FORMAT, META_KEY, VERSION, open_checkpoint
from core.model.checkpoint.fitting import wanted_shapes
from tests.small_models import META, thin_state

NUMBER = itertools.count()
WHOLE = {key for key in wanted_shapes(META.architecture, 3) if not key.startswith("aux_classifier.")}


def saved(document: object, *, is_zip: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(document, file, _use_new_zipfile_serialization=is_zip)
    return file.getvalue()


def small_files() -> dict[str, bytes]:
    """Valid files of 100 kB and less, one of each kind that opens."""
    meta = META.as_dict() | {"class_names": ["background", "cat", "dog"]}
    own = {"format": FORMAT, "version": VERSION, "model": thin_state(), "meta": meta}
    few = {"classifier.4.weight": torch.ones(3, 2, 1, 1), "backbone.0.0.weight": torch.ones(2)}
    return {
        "own": saved(own),
        "zip": saved({"model": thin_state(), "epoch": 3}),
        "legacy": saved({"model": thin_state(), "epoch": 3}, is_zip=False),
        "safetensors": save(few, metadata={META_KEY: '{"architecture": "x"}'}),
    }


FILES = small_files()


@pytest.mark.parametrize("kind", ["own", "zip", "legacy"])
def test_the_files_open_as_they_are(tmp_path: Path, kind: str) -> None:
    (tmp_path / "small.pt").write_bytes(FILES[kind])
    opened = open_checkpoint(tmp_path / "small.pt")
    opened.build()
    assert set(opened.state) == WHOLE


def what_becomes_of(file: Path, data: bytes) -> str:
    """Open and build; return the sentence with which the file is refused, or nothing."""
    file.write_bytes(data)
    try:
        opened = open_checkpoint(file)
        opened.build()
    except CheckpointError as error:
        return str(error)
    finally:
        file.unlink()
    assert set(opened.state) == WHOLE
    return ""


@pytest.mark.parametrize("kind", FILES)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_file_with_damage_opens_whole_or_says_why(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    whole = FILES[kind]
    end = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))), "end")
    damaged = bytearray(whole[:end])
    places = st.one_of(st.integers(0, max(0, end - 1)), st.integers(0, min(300, max(0, end - 1))))
    for place in data.draw(st.lists(places, max_size=6), "places") if end else []:
        damaged[place] = data.draw(st.integers(0, 255), "value")
    # A name of its own each time: what is mapped must not be written to.
    said = what_becomes_of(tmp_path_factory.getbasetemp() / f"damaged-{next(NUMBER)}.pt", bytes(damaged))
    assert "\n" not in said
