"""Files for other programs: what they compute is what the checkpoint computes, checked by another reader than ours."""

import importlib.util
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torchvision.models.segmentation import DeepLabV3, deeplabv3_mobilenet_v3_large

from core.data.geometry import FIT
from core.errors import CheckpointError, ConfigError, CoreError, DataError
from core.model.architectures import EFFICIENTNET, build_model
from core.model.checkpoint import export as exports
from core.model.checkpoint.checkpoint_file import OpenedCheckpoint, open_checkpoint, save_checkpoint
from core.model.checkpoint.export import FORMATS, HALF_TOLERANCE, TOLERANCE, export
from tests.small_models import META, is_equal, same_logits
from tests.thin_networks import make_networks_thin

NAMES = ("background", "apple", "leaf")
APPLES = replace(
    META,
    class_names=NAMES,
    class_colors=("#000000", "#cc2222", "#22aa22"),
    has_aux_head=True,
    image_size=48,
    geometry=FIT,
)
EXPORTED = replace(APPLES, data="VOC2012")
"""What an exported file says of itself: the folder's name, and not where it lies."""


def lively_model() -> DeepLabV3:
    """Return a MobileNet of three classes whose logits differ clearly, as those of a trained one do."""
    torch.manual_seed(0)
    made = build_model(META.architecture, 3, output_stride=16, has_aux_head=True).train()
    with torch.no_grad():
        for _ in range(3):
            made(torch.rand(2, 3, 64, 64))
        made.classifier[4].weight *= 20
    return made.eval()


@pytest.fixture(scope="module")
def model() -> DeepLabV3:
    return lively_model()


@pytest.fixture(scope="module")
def few_layers() -> DeepLabV3:
    """One with every kind of block; programs of it take half the time."""
    with pytest.MonkeyPatch.context() as patch:
        make_networks_thin(patch)
        return lively_model()


@pytest.fixture(scope="module")
def exported(few_layers: DeepLabV3, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Export `few_layers` once in each format, with rights of its own; a program takes several seconds."""
    folder = tmp_path_factory.mktemp("exported")
    save_checkpoint(folder / "best.pt", few_layers, APPLES)

    @cache
    def write(export_format: str) -> Path:
        before = os.umask(0o027)
        try:
            with pytest.MonkeyPatch.context() as patch:
                make_networks_thin(patch)
                written = export(open_checkpoint(folder / "best.pt"), export_format, folder / f"best.{export_format}")
        finally:
            os.umask(before)
        assert written.difference <= written.tolerance <= TOLERANCE
        return written.file

    return write


@pytest.fixture
def opened(model: DeepLabV3, tmp_path: Path) -> OpenedCheckpoint:
    save_checkpoint(tmp_path / "best.pt", model, APPLES)
    return open_checkpoint(tmp_path / "best.pt")


def logits_of(model: DeepLabV3, images_N3HW: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(images_N3HW)["out"]


def test_a_model_of_another_program_s_function_stays_one(tmp_path: Path) -> None:
    """Its weights have torchvision's names and shapes by then; opened as torchvision's it would answer otherwise."""
    meta = replace(APPLES, architecture="smp_deeplabv3_resnet50", has_aux_head=False, output_stride=8)
    save_checkpoint(tmp_path / "own.pt", build_model(meta.architecture, 3), meta)
    export(open_checkpoint(tmp_path / "own.pt"), "safetensors", tmp_path / "out.safetensors")
    assert open_checkpoint(tmp_path / "out.safetensors").meta == replace(meta, data="VOC2012")


@pytest.mark.parametrize("export_format", ["state-dict", "safetensors"])
def test_weights_come_back_bit_for_bit_with_classes_size_and_stride(
    opened: OpenedCheckpoint, tmp_path: Path, export_format: str
) -> None:
    written = export(opened, export_format, tmp_path / "out.file")
    assert (written.difference, written.tolerance, written.agreement) == (0, 0, 1)
    again = open_checkpoint(written.file)
    assert again.meta == EXPORTED
    assert (again.problems, again.repairs) == ((), ())
    assert is_equal(again.state, dict(opened.state))
    assert same_logits(again.build(), opened.build())


@pytest.mark.parametrize("export_format", ["state-dict", "safetensors"])
def test_half_the_size_with_vectors_as_they_were_and_the_rest_within_fp16_s_rounding(
    opened: OpenedCheckpoint, tmp_path: Path, export_format: str
) -> None:
    """In fp16, 130 variances of a trained EfficientNet-Lite0 were 0."""
    opened.state["backbone.0.1.running_var"].fill_(1e-9)  # which fp16 does not hold
    whole = export(opened, export_format, tmp_path / "whole.file")
    written = export(opened, export_format, tmp_path / "half.file", half=True)
    assert written.size_bytes == pytest.approx(whole.size_bytes / 2, rel=0.03)
    assert 0 < written.difference <= written.tolerance == HALF_TOLERANCE
    assert written.agreement > 0.98
    again = open_checkpoint(written.file)
    assert (again.meta, again.repairs) == (EXPORTED, ())
    assert again.format.endswith(", fp16")
    for key, value in opened.state.items():
        assert again.state[key].dtype == value.dtype
        if value.dim() > 1:  # 11 bits, and nothing below 2^-25
            assert ((again.state[key] - value).abs() <= (value.abs() * 2**-11).clamp_min(2**-25)).all(), key
        else:
            assert torch.equal(again.state[key], value), key


def test_half_precision_once_opened_is_fp32_for_every_other_format(opened: OpenedCheckpoint, tmp_path: Path) -> None:
    export(opened, "safetensors", tmp_path / "half.safetensors", half=True)
    again = export(open_checkpoint(tmp_path / "half.safetensors"), "state-dict", tmp_path / "whole.pt")
    assert again.difference == 0
    assert open_checkpoint(again.file).format == "atrous-checkpoint as state dict"


def test_the_state_dict_loads_into_torchvision_s_own_model(
    opened: OpenedCheckpoint, model: DeepLabV3, tmp_path: Path
) -> None:
    export(opened, "state-dict", tmp_path / "weights.pt")
    theirs = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3, aux_loss=True)
    theirs.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True), strict=True)
    assert same_logits(theirs.eval(), model)


def test_safetensors_are_plain_ones(opened: OpenedCheckpoint, model: DeepLabV3, tmp_path: Path) -> None:
    export(opened, "safetensors", tmp_path / "w.safetensors")
    assert is_equal(load_file(tmp_path / "w.safetensors"), dict(model.state_dict()))
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["atrous"])["class_names"] == list(NAMES)


def test_onnx_gives_the_same_logits_at_any_batch_and_size(
    few_layers: DeepLabV3, exported: Callable[[str], Path]
) -> None:
    """Exported with the size of its example, it answered a photo of another size with an error of ONNX Runtime."""
    file = exported("onnx")
    assert [path.name for path in file.parent.iterdir() if "onnx" in path.name] == ["best.onnx"], "weights inside"
    onnx.checker.check_model(file)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["atrous"])["class_names"] == list(NAMES)
    for shape in ((1, 3, 48, 48), (3, 3, 33, 80), (1, 3, 200, 17)):
        images_N3HW = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        expected_NKHW = logits_of(few_layers, images_N3HW).numpy()
        (found_NKHW,) = session.run(None, {"images": images_N3HW.numpy()})
        assert found_NKHW.shape == expected_NKHW.shape
        assert np.abs(found_NKHW - expected_NKHW).max() <= TOLERANCE * np.abs(expected_NKHW).max()


def test_torch_export_gives_the_same_logits_at_any_batch_and_size(
    few_layers: DeepLabV3, exported: Callable[[str], Path]
) -> None:
    stated = {"atrous.json": ""}
    program = torch.export.load(exported("torch-export"), extra_files=stated).module()
    assert json.loads(stated["atrous.json"])["class_names"] == list(NAMES)
    for shape in ((1, 3, 48, 48), (3, 3, 33, 80)):
        images_N3HW = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        expected_NKHW = logits_of(few_layers, images_N3HW)
        assert (program(images_N3HW) - expected_NKHW).abs().max() <= TOLERANCE * expected_NKHW.abs().max()
    with pytest.raises(CheckpointError, match=r"is a program of torch\.export"):
        open_checkpoint(exported("torch-export"))


def test_padding_that_depends_on_the_size_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EfficientNet pads an odd side otherwise than an even one; `export` compares sizes of both kinds.

    ONNX alone, which begins with torch.export, and of few layers, with each kernel and stride.
    """
    make_networks_thin(monkeypatch)
    torch.manual_seed(0)
    model = build_model(EFFICIENTNET, 3, output_stride=16).eval()
    meta = replace(APPLES, architecture=EFFICIENTNET, has_aux_head=False)
    save_checkpoint(tmp_path / "best.pt", model, meta)
    opened = open_checkpoint(tmp_path / "best.pt")
    assert export(opened, "onnx", tmp_path / "out.file").difference <= TOLERANCE


# --- what is not written --------------------------------------------------------------------------------------------


def refused(
    kind: type[CoreError], opened: OpenedCheckpoint, export_format: str, out: Path, *, half: bool = False
) -> str:
    """Export in vain and return the sentence; nothing is left beside what was there."""
    before = {path.name: path.read_bytes() for path in opened.path.parent.iterdir() if path.is_file()}
    with pytest.raises(kind) as caught:
        export(opened, export_format, out, half=half)
    assert {path.name: path.read_bytes() for path in opened.path.parent.iterdir() if path.is_file()} == before
    assert not list(opened.path.parent.glob(".export*"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_onnx_program_s_free_axes_have_names(exported: Callable[[str], Path]) -> None:
    """They were called s88 and s30, which says nothing to the program that is to feed it."""
    graph = onnx.load(exported("onnx")).graph
    axes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert axes == {"images": ["batch", 3, "height", "width"], "logits": ["batch", 3, "height", "width"]}


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
@pytest.mark.parametrize("export_format", FORMATS)
def test_whoever_may_read_other_files_may_read_an_exported_one(
    exported: Callable[[str], Path], export_format: str
) -> None:
    """A safetensors file was for its owner alone: the web server that was to serve it could not open it."""
    assert stat.S_IMODE(exported(export_format).stat().st_mode) == 0o640


@pytest.mark.parametrize("export_format", FORMATS)
def test_nothing_is_overwritten(opened: OpenedCheckpoint, tmp_path: Path, export_format: str) -> None:
    (tmp_path / "there.file").write_text("mine")
    assert "nothing is overwritten" in refused(DataError, opened, export_format, tmp_path / "there.file")


@pytest.mark.parametrize("export_format", ["state-dict", "safetensors"])
def test_a_folder_that_is_not_there_is_told(opened: OpenedCheckpoint, tmp_path: Path, export_format: str) -> None:
    assert "cannot be written" in refused(DataError, opened, export_format, tmp_path / "gone" / "w.file")


def test_a_format_that_does_not_exist_is_told(opened: OpenedCheckpoint, tmp_path: Path) -> None:
    text = refused(ConfigError, opened, "tflite", tmp_path / "w.tflite")
    assert "choose one of state-dict, safetensors, onnx, torch-export" in text


@pytest.mark.parametrize("export_format", ["onnx", "torch-export"])
def test_a_program_in_half_precision_is_refused(opened: OpenedCheckpoint, tmp_path: Path, export_format: str) -> None:
    text = refused(ConfigError, opened, export_format, tmp_path / "w.file", half=True)
    assert text == f"Half precision is for state-dict and safetensors alone; export {export_format} without it."


def test_a_weight_beyond_fp16_is_refused(opened: OpenedCheckpoint, tmp_path: Path) -> None:
    opened.state["backbone.0.0.weight"][0, 0, 0, 0] = 65520  # the least that fp16 rounds to infinity
    text = refused(CheckpointError, opened, "safetensors", tmp_path / "w.file", half=True)
    assert "backbone.0.0.weight" in text
    assert "beyond fp16's range (65504)" in text


def test_without_its_packages_onnx_says_what_to_install(
    opened: OpenedCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else object())
    text = refused(ConfigError, opened, "onnx", tmp_path / "w.onnx")
    assert "needs onnxruntime; install with: python -m pip install -r requirements-onnx.txt" in text


def wrong_by(distance: float) -> Callable[..., Any]:
    """Return a writer whose file gives logits that are off."""

    def write(_opened: OpenedCheckpoint, model: torch.nn.Module, file: Path) -> Callable[..., torch.Tensor]:
        file.write_bytes(b"a program")
        return lambda images_N3HW: model(images_N3HW) + distance

    return write


@pytest.mark.parametrize(("distance", "says"), [(0.5, "of the largest, more than"), (float("nan"), "by inf")])
def test_a_program_that_computes_something_else_is_not_kept(
    opened: OpenedCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distance: float, says: str
) -> None:
    monkeypatch.setitem(exports.FORMATS, "onnx", wrong_by(distance))
    text = refused(CheckpointError, opened, "onnx", tmp_path / "w.onnx")
    assert "would give other logits" in text
    assert says in text


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_exported_weights_that_somebody_halved_open_as_fp32_with_their_classes(
    opened: OpenedCheckpoint, tmp_path: Path, dtype: torch.dtype
) -> None:
    export(opened, "safetensors", tmp_path / "w.safetensors")
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        metadata = file.metadata()
    halved = {key: value.to(dtype) for key, value in load_file(tmp_path / "w.safetensors").items()}
    save_file(halved, tmp_path / "half.safetensors", metadata=metadata)
    again = open_checkpoint(tmp_path / "half.safetensors")
    assert again.meta == EXPORTED
    assert again.repairs == (() if dtype == torch.float16 else ("they are converted to fp32",)), "fp16 is ours, too"


def test_a_meta_that_was_damaged_is_told(opened: OpenedCheckpoint, tmp_path: Path) -> None:
    export(opened, "safetensors", tmp_path / "w.safetensors")
    state = load_file(tmp_path / "w.safetensors")
    for stated in ("{", '{"architecture": 3}', "[" * 100_000, '{"class_names": null}'):
        save_file(state, tmp_path / "odd.safetensors", metadata={"atrous": stated})
        with pytest.raises(CheckpointError, match=r"The meta of .* is damaged"):
            open_checkpoint(tmp_path / "odd.safetensors")
