"""A model on the Segment page written for other programs: where it lies, how near it is, and what goes wrong."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from core.errors import CheckpointError
from core.home import exports_dir
from core.model.checkpoint import export as exports
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.predict import quantization
from core.training.run.folders import Run
from tests.app.conftest import Visit, texts, write_records
from tests.small_models import is_equal, save_lively_model
from ui.segment.exports import FORMATS


@pytest.fixture
def run(make_run: Callable[..., Run], demo_data: Path) -> Run:
    """A finished run with one milestone that opens."""
    run = make_run()
    write_records(run, 3, ended="finished")
    (run.path / "last.pt").unlink()
    save_lively_model(run.path / "epoch_003.pt")
    return run


def press_export(app: AppTest, chosen: str) -> AppTest:
    app.radio(key="export format").set_value(chosen)
    return app.button(key="export").click().run()


def test_every_format_of_the_core_is_offered() -> None:
    assert set(FORMATS) == set(exports.FORMATS)


def test_a_state_dict_is_written_beside_the_earlier_one(visit: Visit, run: Run) -> None:
    app = visit("segment")
    assert not exports_dir().exists()
    for name in (f"{run.path.name}_epoch_003.pt", f"{run.path.name}_epoch_003-2.pt"):
        press_export(app, "state-dict")
        assert not app.exception
        file = exports_dir() / name
        megabytes = round(file.stat().st_size / 1e6)
        assert f"`{file}`, {megabytes} MB. Reopened and compared: logits bit for bit the same." in texts(app)
        assert is_equal(torch.load(file, weights_only=True), dict(open_checkpoint(run.path / "epoch_003.pt").state))
    assert len(list(exports_dir().iterdir())) == 2


@pytest.mark.parametrize("keeps", [True, False])
def test_int8_is_asked_for_and_refused_where_masks_would_change(
    visit: Visit, run: Run, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    def calibrated(opened: Any, train: Any, val: Any, on_progress: Any) -> Any:
        on_progress(1, 8)
        assert (len(train), len(val)) == (4, 2)
        if keeps:
            return opened, 0.9973
        raise CheckpointError("In int8 98.9 % of the pixels of 2 photos keep their class; export it without --int8.")

    monkeypatch.setattr(quantization, "calibrated", calibrated)
    app = visit("segment")
    assert not app.checkbox(key="export int8").value, "off unless it is asked for"
    app.checkbox(key="export int8").set_value(True)
    press_export(app, "safetensors")
    assert not app.exception
    if keeps:
        assert "In int8, 99.73 % of the tried pixels keep their class." in texts(app)
    else:
        (error,) = app.error
        assert error.value.endswith("keep their class. No file was written: leave int8 off.")
    assert len(list(exports_dir().iterdir())) == keeps
    assert app.radio(key="export format").set_value("onnx").run().checkbox(key="export int8").disabled


def test_what_is_not_installed_is_told_in_one_sentence(visit: Visit, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "onnx" else find(name, *rest))
    app = press_export(visit("segment"), "onnx")
    assert not app.exception
    (error,) = app.error
    assert error.value.startswith("The format onnx needs onnx; install with: python -m pip install -r")
    assert list(exports_dir().iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(visit: Visit, run: Run) -> None:
    exports_dir().write_bytes(b"a file where the folder would be")
    app = press_export(visit("segment"), "state-dict")
    assert not app.exception
    assert "cannot be made: File exists" in app.error[0].value


def test_logits_that_differ_leave_no_file(visit: Visit, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        exports.FORMATS, "torch-export", lambda _opened, model, _file: lambda images_N3HW: model(images_N3HW) + 1
    )
    app = press_export(visit("segment"), "torch-export")
    assert "would give other logits than" in app.error[0].value
    assert list(exports_dir().iterdir()) == []
