"""The command explain: its document, its pictures, and what it refuses."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.explain.kinds import KINDS
from tests.small_data import draw_pair
from tests.small_models import save_lively_model
from tests.unit.commands.calls import Command


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "a photo.png"
    draw_pair(0, (60, 40))[0].save(file)
    return file


def test_a_pixel_is_explained_in_pictures_words_and_figures(core: Command, photo: Path, tmp_path: Path) -> None:
    checkpoint, out = save_lively_model(tmp_path / "best.pt"), tmp_path / "out"
    call = ("explain", photo, "--checkpoint", checkpoint, "--at", "30,20", "--out", out)
    document = core(*call, "--object", "--json").document()
    assert (document["at"], document["size"]) == ([30, 20], [60, 40])
    assert [part["kind"] for part in document["evidence"]] == list(KINDS)
    assert all(part["shows"].endswith(".") and part["does_not_show"].endswith(".") for part in document["evidence"])
    files = [Path(part["file"]) for part in document["evidence"] if part["file"]]
    assert sorted(out.iterdir()) == sorted(files)
    assert len(files) >= len(KINDS) - 1
    assert all(Image.open(io.BytesIO(file.read_bytes())).mode == "RGB" for file in files)
    assert (document["evidence"][0]["file"] is None) != document["figures"]["class_map"]["is_offered"]
    assert {branch["name"] for branch in document["figures"]["branches"]} >= {"1 x 1", "image pooling"}
    before = [file.read_bytes() for file in files]
    assert "exists already" in core(*call).sentence()
    assert [file.read_bytes() for file in files] == before
    said = core("explain", photo, "--checkpoint", checkpoint, "--at", "30,20", "--out", tmp_path / "other")
    assert said.out.startswith(f"{document['class']} at 30,20: probability ")


@pytest.mark.parametrize(("name", "kind"), [("model.onnx", "ONNX program"), ("model.pt2", "program of torch.export")])
def test_a_program_for_another_runtime_is_not_explained(
    core: Command, photo: Path, tmp_path: Path, name: str, kind: str
) -> None:
    exported = tmp_path / name
    if name.endswith(".onnx"):
        exported.write_bytes(b"\x08\x08\x12\x07pytorch")
    else:
        torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.zeros(1),)), exported)
    sentence = core("explain", photo, "--checkpoint", exported, "--at", "0,0", "--out", tmp_path / "out").sentence()
    assert kind in sentence
    assert "open the checkpoint it was exported from" in sentence
    assert not (tmp_path / "out").exists()


def test_without_room_for_a_second_model_nothing_is_begun(
    core: Command, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.explain.tracing.free_bytes", lambda: 1_000_000)
    checkpoint, out = save_lively_model(tmp_path / "best.pt"), tmp_path / "out"
    assert (
        "close other programs"
        in core("explain", photo, "--checkpoint", checkpoint, "--at", "0,0", "--out", out).sentence()
    )
    assert not out.exists()


@pytest.mark.parametrize("at", ["1", "1,2,3", "a,b", "1.5,2", ""])
def test_what_is_not_a_pixel_is_wrong_usage(core: Command, photo: Path, tmp_path: Path, at: str) -> None:
    assert core("explain", photo, "--checkpoint", "c.pt", "--out", tmp_path / "out", f"--at={at}").code == 2
