"""Files from elsewhere, of every kind people have: opened to equal logits, or refused with the right words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models.segmentation import (
    DeepLabV3,
    deeplabv3_resnet50,
    fcn_resnet50,
    lraspp_mobilenet_v3_large,
)

from core.model.architectures import MOBILENET, build_model
from core.model.checkpoint.checkpoint_file import open_checkpoint
from tests.small_models import is_equal, prefixed, refused, same_logits

Check = Callable[[object, Path], str]
State = dict[str, Tensor]


def test_a_bare_state_dict_opens_and_says_what_was_assumed(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    torch.save(mobilenet.state_dict(), tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert is_equal(opened.build().state_dict(), mobilenet.state_dict())
    meta = opened.meta
    assert (meta.architecture, meta.output_stride, meta.image_size) == (MOBILENET, 16, 520)
    assert "520 px" in opened.repairs[0]
    assert len(opened.problems) == len(opened.repairs) == 2


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model."])
def test_a_prefix_on_every_key_is_taken_off_and_told(mobilenet: DeepLabV3, tmp_path: Path, prefix: str) -> None:
    torch.save({f"{prefix}{key}": value for key, value in mobilenet.state_dict().items()}, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert is_equal(opened.build().state_dict(), mobilenet.state_dict())
    assert any(f"'{prefix}'" in repair for repair in opened.repairs)


@pytest.mark.parametrize("name", ["model", "state_dict", "model_state_dict", "model_state", "net"])
def test_a_wrapping_is_taken_off_and_what_was_dropped_is_listed(
    mobilenet: DeepLabV3, tmp_path: Path, name: str
) -> None:
    optimizer = torch.optim.SGD(mobilenet.parameters(), 0.1).state_dict()
    document = {name: mobilenet.state_dict(), "optimizer": optimizer, "epoch": 7}
    torch.save(document, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert is_equal(opened.build().state_dict(), mobilenet.state_dict())
    assert any("epoch, optimizer" in problem for problem in opened.problems)
    assert any(f"'{name}' is unwrapped" in repair for repair in opened.repairs)


def test_what_lies_between_the_weights_is_dropped_and_listed(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    torch.save({**mobilenet.state_dict(), "epoch": 7, "note": "best"}, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert any("epoch, note" in problem for problem in opened.problems)
    opened.build()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_formats_become_fp32(mobilenet: DeepLabV3, tmp_path: Path, dtype: torch.dtype) -> None:
    """A half precision file opened well, and then every photo ended in a RuntimeError about types."""
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in mobilenet.state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert any("fp32" in repair for repair in opened.repairs)
    with torch.inference_mode():
        logits = opened.build()(torch.zeros(1, 3, 32, 32))["out"]
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("has_aux_head", [True, False])
def test_an_auxiliary_head_may_be_there_or_not(tmp_path: Path, has_aux_head: bool) -> None:
    """Tramac/awesome-semantic-segmentation-pytorch#81: missing keys, because one side had the head."""
    model = build_model(MOBILENET, 2, output_stride=16, has_aux_head=has_aux_head)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert opened.meta.has_aux_head is has_aux_head
    assert is_equal(opened.build().state_dict(), model.state_dict())


def test_two_classes_are_numbered_and_told(tmp_path: Path) -> None:
    torch.save(build_model(MOBILENET, 2, output_stride=16).state_dict(), tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert opened.meta.class_names == ("class 0", "class 1")
    assert any("2 classes without names" in problem for problem in opened.problems)


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "deeplabv3_resnet101"])
def test_the_backbone_is_recognized(tmp_path: Path, name: str) -> None:
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in build_model(name, 2).state_dict().items()}
    # One number shown as often as needed: a file of ResNet-101 would be 230 MB otherwise.
    torch.save({key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert (opened.meta.architecture, opened.meta.output_stride) == (name, 8)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (["backbone.conv1.weight", "classifier.project.0.weight", "classifier.aspp.convs.0.0.weight"], "DeepLabV3+"),
        (["encoder.conv1.weight", "decoder.aspp.0.weight"], "DeepLabV3+"),
        (["backbone.low_level.0.weight"], "DeepLabV3+"),
        (["conv1.weight", "fc.weight"], "conv1.weight, fc.weight"),
        (["classifier.4.weight", "backbone.stem.weight"], "backbone this project does not know"),
        (
            ["backbone.low_level_features.0.0.weight", "backbone.high_level_features.4.conv.0.0.weight",
             "classifier.classifier.0.convs.0.0.weight", "classifier.classifier.4.weight"],
            "holds a DeepLabV3 of VainF's DeepLabV3Plus-Pytorch on a backbone",
        ),
        (["module.backbone.conv1.weight", "module.classifier.project.0.weight",
          "module.classifier.aspp.convs.0.0.weight", "module.classifier.classifier.0.weight"], "a DeepLabV3+"),
        (["backbone.features.0.0.weight", "aspp.branch1.0.weight", "shortcut_conv.0.weight", "cat_conv.0.weight",
          "cls_conv.weight"], "a DeepLabV3+"),
        (["backbone.stem.conv1.weight", "sem_seg_head.decoder.res2.project_conv.weight"], "a DeepLabV3+ of Detectron2"),
        (["encoder.layer1.0.conv1.weight", "decoder.aspp.convs.0.0.weight", "segmentation_head.0.weight"],
         "holds a DeepLabV3 of segmentation_models_pytorch on a backbone"),
        ([], "holds no DeepLabV3"),
    ],
)  # fmt: skip
def test_another_model_is_named_and_refused(tmp_path: Path, keys: list[str], says: str, one_sentence: Check) -> None:
    """VainF/DeepLabV3Plus-Pytorch#112: DeepLabV3 and V3+ mistaken for each other."""
    torch.save({key: torch.zeros(21, 2) for key in keys}, tmp_path / "other.pt")
    assert says in one_sentence(refused(tmp_path / "other.pt"), tmp_path / "other.pt")


def test_a_class_count_that_disagrees_within_the_file_is_refused(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    state = mobilenet.state_dict()
    state["classifier.4.bias"] = torch.zeros(2)
    torch.save(state, tmp_path / "weights.pt")
    assert "classifier.4.bias" in str(refused(tmp_path / "weights.pt"))


# --- wrappings and prefixes, in every nesting -----------------------------------------------------------------------


SAVE: dict[str, Callable[[Any, Path], None]] = {
    "zip": torch.save,
    "legacy": lambda document, file: torch.save(document, file, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("container", SAVE)
@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "model.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model._orig_mod.module.",
        "net.model.",
    ],
)
@pytest.mark.parametrize("wrappings", [(), ("model",), ("state_dict",), ("checkpoint", "model"), ("state_dict", "net")])
def test_any_nesting_opens_to_the_same_model(
    mobilenet: DeepLabV3, tmp_path: Path, container: str, prefix: str, wrappings: tuple[str, ...]
) -> None:
    document: dict[str, Any] = prefixed(mobilenet.state_dict(), prefix)
    for name in reversed(wrappings):
        document = {name: document, "epoch": 3}
    SAVE[container](document, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert is_equal(opened.state, mobilenet.state_dict())
    assert any(f"'{prefix}' is taken off" in repair for repair in opened.repairs)
    assert opened.keys.dropped == ("epoch",) * len(wrappings)
    opened.build()


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_safetensors_open_too(mobilenet: DeepLabV3, tmp_path: Path, prefix: str) -> None:
    state = {key: value.contiguous() for key, value in prefixed(mobilenet.state_dict(), prefix).items()}
    save_file(state, tmp_path / "weights.safetensors")
    opened = open_checkpoint(tmp_path / "weights.safetensors")
    assert opened.format == "safetensors"
    assert same_logits(opened.build(), mobilenet)


def test_a_lightning_checkpoint_opens_and_what_else_it_kept_is_listed(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    state = prefixed(mobilenet.state_dict(), "model.")
    state |= {"criterion.weight": torch.ones(21), "val_iou.confmat": torch.zeros(21, 21)}
    document = {
        "state_dict": state,
        "epoch": 3,
        "global_step": 100,
        "pytorch-lightning_version": "2.5.0",
        "optimizer_states": [{}],
        "lr_schedulers": [],
    }
    torch.save(document, tmp_path / "epoch=3.ckpt")
    opened = open_checkpoint(tmp_path / "epoch=3.ckpt")
    assert same_logits(opened.build(), mobilenet)
    assert {"criterion.weight", "val_iou.confmat", "optimizer_states", "epoch"} <= set(opened.keys.dropped)
    assert any("the keys of the model begin with 'model.'" in problem for problem in opened.problems)


@pytest.mark.parametrize("name", ["model_ema", "ema", "state_dict_ema"])
def test_averaged_weights_alone_are_taken_and_called_so(mobilenet: DeepLabV3, tmp_path: Path, name: str) -> None:
    averaged = {"n_averaged": torch.tensor(5), **prefixed(mobilenet.state_dict(), "module.")}
    torch.save({name: averaged, "epoch": 3}, tmp_path / "ema.pt")
    opened = open_checkpoint(tmp_path / "ema.pt")
    assert same_logits(opened.build(), mobilenet)
    assert any(f"averaged weights) are wrapped in '{name}'" in problem for problem in opened.problems)
    assert "n_averaged" in opened.keys.dropped


def test_beside_the_weights_averaged_ones_are_dropped_and_listed(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    averaged = {key: torch.zeros_like(value) for key, value in mobilenet.state_dict().items()}
    torch.save({"model_ema": averaged, "model": mobilenet.state_dict()}, tmp_path / "both.pt")
    opened = open_checkpoint(tmp_path / "both.pt")
    assert same_logits(opened.build(), mobilenet)
    assert opened.keys.dropped == ("model_ema",)


def test_two_models_in_one_file_are_not_chosen_from(mobilenet: DeepLabV3, tmp_path: Path, one_sentence: Check) -> None:
    state = mobilenet.state_dict()
    torch.save({**prefixed(state, "teacher."), **prefixed(state, "student.")}, tmp_path / "two.pt")
    text = one_sentence(refused(tmp_path / "two.pt"), tmp_path / "two.pt")
    assert "several models, below 'student.' and 'teacher.'" in text


def test_parameters_open_as_the_tensors_they_are(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    """`dict(model.named_parameters())` beside the buffers: a parameter in a buffer's place ended in a TypeError."""
    state = {key: torch.nn.Parameter(v) if v.is_floating_point() else v for key, v in mobilenet.state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    assert same_logits(open_checkpoint(tmp_path / "weights.pt").build(), mobilenet)


# --- other models, by what they really call their weights -----------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: fcn_resnet50(weights=None, weights_backbone=None, num_classes=2), "an FCN of torchvision"),
        (
            lambda: lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2),
            "a LRASPP of torchvision",
        ),
    ],
    ids=["FCN", "LRASPP"],
)
def test_other_models_of_torchvision_are_named(
    tmp_path: Path, build: Callable[[], torch.nn.Module], says: str, one_sentence: Check
) -> None:
    with torch.device("meta"):
        state = build().state_dict()
    thin = {key: torch.zeros(()).expand(value.shape) for key, value in state.items()}
    for prefix in ("", "module."):
        torch.save({"model": prefixed(thin, prefix)}, tmp_path / "other.pt")
        assert says in one_sentence(refused(tmp_path / "other.pt"), tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("encoder.conv1.weight decoder.blocks.0.conv1.0.weight segmentation_head.0.weight", "U-Net of segm"),
        ("encoder.conv1.weight decoder.0.convs.0.0.weight segmentation_head.0.weight", "DeepLabV3 of segm"),
        ("encoder.conv1.weight decoder.aspp.0.weight decoder.block1.0.weight segmentation_head.0.weight", "DeepLabV3+"),
        ("encoder.conv1.weight decoder.p5.weight segmentation_head.0.weight", "a model of segmentation_models_pytorch"),
        ("backbone.stem.0.weight decode_head.aspp_modules.0.conv.weight auxiliary_head.0.weight", "mmsegmentation"),
        ("backbone.stem.0.weight decode_head.conv_seg.weight", "a model of mmsegmentation"),
        ("segformer.encoder.block.0.weight decode_head.linear_c.0.proj.weight", "SegFormer of Hugging Face"),
        ("mobilenet_v2.conv_stem.first_conv.weight segmentation_head.conv_pool.weight", "of Hugging Face"),
        ("inc.double_conv.0.weight down1.maxpool_conv.weight up1.conv.weight outc.conv.weight", "a U-Net"),
        ("backbone.conv1.weight aspp.aspp1.weight decoder.conv1.weight", "DeepLabV3+"),
        ("conv1.weight layer4.0.conv1.weight fc.weight", "classifies whole pictures"),
        ("features.0.0.weight classifier.3.weight", "classifies whole pictures"),
        ("image_encoder.pos_embed mask_decoder.weight", "Segment Anything"),
        ("model.0.conv.weight model.24.m.0.weight", "a YOLO"),
    ],
)  # fmt: skip
def test_models_of_other_libraries_are_named(tmp_path: Path, keys: str, says: str, one_sentence: Check) -> None:
    torch.save({"state_dict": {key: torch.zeros(2, 2) for key in keys.split()}}, tmp_path / "other.pt")
    assert says in one_sentence(refused(tmp_path / "other.pt"), tmp_path / "other.pt")


def test_torchvision_s_own_model_gives_its_own_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=5, aux_loss=True).eval()
    torch.save({"model": theirs.state_dict(), "epoch": 1}, tmp_path / "model_1.pth")
    ours = open_checkpoint(tmp_path / "model_1.pth").build()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(theirs(image)["out"], ours(image)["out"], atol=1e-5)
