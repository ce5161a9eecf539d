"""A model made ready to predict computes what it computed before."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.segmentation import DeepLabV3

from core.model.architectures import ARCHITECTURES, EFFICIENTNET, MOBILENET, build_model
from core.model.fast import columns, inference, int8, packed
from core.model.fast.columns import ColumnsConv2d
from core.model.fast.inference import folded, ready_to_predict
from core.model.fast.packed import PackedConv2d, can_pack
from core.model.predict.predictor import open_predictor
from core.model.weights.starter import sample_photos
from tests.small_models import save_lively_model

SIZE = 65


def model_with_statistics(architecture: str, output_stride: int) -> DeepLabV3:
    """Return a model whose BatchNorm shifts and scales, so that folding it wrongly shows."""
    torch.manual_seed(0)
    model = build_model(architecture, 5, output_stride=output_stride, has_aux_head=True)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in (
                (module.running_mean, -0.1, 0.1), (module.running_var, 0.5, 2.0), (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.1, 0.1),
            ):  # fmt: skip
                values.uniform_(low, high)  # type: ignore[union-attr]
    return model.eval()


@pytest.mark.parametrize(
    ("architecture", "output_stride"),
    [(name, stride) for name in ARCHITECTURES for stride in (8, 16) if (name, stride) != (MOBILENET, 8)],
)
@pytest.mark.parametrize("is_packed", [True, False])
def test_logits_are_the_same_at_any_size_and_in_any_batch(
    architecture: str, output_stride: int, is_packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_packed:
        monkeypatch.setenv(packed.SWITCH, "0")
    model = model_with_statistics(architecture, output_stride)
    ready = ready_to_predict(model, (1, 3, SIZE, SIZE))
    assert any(isinstance(module, PackedConv2d) for module in ready.modules()) == (is_packed and can_pack())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ready.modules())
    has_relu = any(isinstance(module, nn.ReLU) for module in ready.backbone.modules())
    if "resnet" in architecture:
        assert has_relu == (not is_packed or not can_pack()), "they are part of the convolutions"
    for shape in ((1, 3, SIZE, SIZE), (3, 3, SIZE, SIZE), (1, 3, 48, 80)):
        images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            expected, logits = (each(images.to(memory_format=torch.channels_last))["out"] for each in (model, ready))
        assert logits.shape == expected.shape
        assert float((logits - expected).abs().max()) < 1e-4 * float(expected.abs().max())


@pytest.mark.parametrize(
    ("architecture", "output_stride"), [("deeplabv3_resnet50", 8), (MOBILENET, 16), (EFFICIENTNET, 8)]
)
def test_weights_are_packed_for_the_shapes_of_a_real_pass(architecture: str, output_stride: int) -> None:
    model, seen = folded(build_model(architecture, 5, output_stride=output_stride)), {}
    found = inference._input_shapes(model, (1, 3, 70, 81))
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, inputs, __, name=name: seen.update({name: tuple(inputs[0].shape)}))
    model(torch.zeros(1, 3, 70, 81))
    assert found == seen


def test_without_private_operations_masks_and_confidences_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another release of PyTorch may drop or change them; `nn.Conv2d` is the public way."""
    checkpoint, photo = (
        save_lively_model(tmp_path / "best.pt", image_size=128),
        Image.open(sample_photos()[0].file).convert("RGB").resize((200, 150)),
    )
    found = []
    for switch in ("1", "0"):
        monkeypatch.setenv(packed.SWITCH, switch)
        predictor, _ = open_predictor(checkpoint)
        is_packed = any(isinstance(module, PackedConv2d) for module in predictor._model.modules())
        assert is_packed == (switch == "1" and packed._works())
        found.append((predictor.logits([photo]), predictor.predict(photo, with_confidence=True)))
    (private_NKSS, private), (public_NKSS, public) = found
    assert len(np.unique(public.mask_HW)) > 3
    if predictor.precision == "fp32":
        torch.testing.assert_close(private_NKSS, public_NKSS, rtol=1e-4, atol=1e-4)
    assert (private.mask_HW == public.mask_HW).mean() > (0.9999 if predictor.precision == "fp32" else 0.98)
    assert private.confidence_HW is not None
    assert public.confidence_HW is not None
    assert np.abs(private.confidence_HW - public.confidence_HW).mean() < 0.01


@pytest.mark.parametrize("fault", ["gone", "other arguments", "other numbers"])
def test_private_operations_that_changed_are_not_used(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_numbers(self: PackedConv2d, images_NCHW: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images_NCHW), 4, *images_NCHW.shape[2:])

    def gone(*_: object) -> None:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute")

    if fault == "other numbers":
        monkeypatch.setattr(PackedConv2d, "forward", other_numbers)
    else:
        monkeypatch.setattr(packed, "_pack", gone if fault == "gone" else lambda weight: weight)
    packed._works.cache_clear()
    assert not can_pack()
    ready = ready_to_predict(model_with_statistics(MOBILENET, 16), (1, 3, SIZE, SIZE))
    assert not any(isinstance(module, PackedConv2d) for module in ready.modules())
    monkeypatch.undo()
    packed._works.cache_clear()


def test_the_model_itself_is_left_as_it_is_and_may_change_afterwards() -> None:
    model = model_with_statistics(MOBILENET, 16).train()
    before = copy.deepcopy(model.state_dict())
    ready = ready_to_predict(model, (1, 3, SIZE, SIZE))
    images = torch.ones(1, 3, SIZE, SIZE)
    with torch.inference_mode():
        first = ready(images)["out"]
    assert model.training
    assert model.aux_classifier is not None
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    with torch.inference_mode():
        assert torch.equal(ready(images)["out"], first)


def test_backbone_and_head_made_ready_apart_are_the_whole() -> None:
    model = model_with_statistics(MOBILENET, 16)
    images = torch.randn(2, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        features = ready_to_predict(model.backbone, (1, 3, SIZE, SIZE))(images)["out"]
        coarse = ready_to_predict(model.classifier, (1, *features.shape[1:]))(features)
        expected = model.classifier(model.backbone(images)["out"])
    torch.testing.assert_close(coarse, expected, rtol=1e-4, atol=1e-5)


def repackings(ready: nn.Module, size_px: int, capfd: pytest.CaptureFixture[str]) -> int:
    """Return how many kernels oneDNN itself says it moved to another layout, while a model sees a photo again."""
    dtype = next(iter(ready.parameters()), torch.empty(0)).dtype
    images = torch.zeros(1, 3, size_px, size_px, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        ready(images)
        capfd.readouterr()
        with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):  # type: ignore[no-untyped-call]
            ready(images)
    printed = capfd.readouterr().out
    assert ",exec,cpu,convolution," in printed
    return printed.count(",exec,cpu,reorder,")


@pytest.mark.skipif(not can_pack(), reason="this PyTorch has no oneDNN to pack weights for")
def test_weights_are_repacked_for_no_size(capfd: pytest.CaptureFixture[str]) -> None:
    """Three scales of a 64 px model took up to ten times their share: weights packed for one size were repacked in
    every call for another, from one of oneDNN's layouts to the next, by its slowest code."""
    ready = ready_to_predict(model_with_statistics("deeplabv3_resnet50", 16), (1, 3, 64, 64))
    for size_px in (64, 48, 80, 128, 64, 256):
        assert repackings(ready, size_px, capfd) == 0, size_px
    kept = [len(module._packed) for module in ready.modules() if isinstance(module, PackedConv2d)]
    assert max(kept) <= 3, "a layout is kept once, not for every size"


def test_in_bf16_everything_is_bf16() -> None:
    ready = ready_to_predict(model_with_statistics(MOBILENET, 16), (1, 3, 32, 32), precision="bf16")
    with torch.inference_mode():
        assert ready(torch.zeros(1, 3, 32, 32, dtype=torch.bfloat16))["out"].dtype == torch.bfloat16


@pytest.mark.skipif(not int8.can_compute(), reason="this PyTorch has no convolutions in int8")
@pytest.mark.parametrize("architecture", ["deeplabv3_resnet50", "deeplabv3_efficientnet_lite0", MOBILENET])
def test_in_int8_logits_are_near_at_any_size_and_in_any_batch(architecture: str) -> None:
    model = model_with_statistics(architecture, 16)
    images = [torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    seen = int8.calibrate(folded(model), images)
    ready = ready_to_predict(model, (1, 3, SIZE, SIZE), int8=seen)
    whole = [module for module in ready.modules() if isinstance(module, int8.Int8Conv2d)]
    assert len(whole) == len(seen) > 45
    hand_on = sum(each.emits is not None for each in whole)
    assert hand_on > 0.3 * len(whole) or architecture == MOBILENET, "many results stay in 8 bits"
    for shape in ((1, 3, SIZE, SIZE), (3, 3, SIZE, SIZE), (1, 3, 48, 80)):
        seen_NCHW = torch.randn(shape, generator=torch.Generator().manual_seed(9)).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            exact, logits = (each(seen_NCHW)["out"] for each in (model, ready))
        spread = exact.std()
        assert float((logits - exact).square().mean().sqrt()) < 0.2 * spread, (float(spread), shape)


@pytest.mark.skipif(not int8.can_compute(), reason="this PyTorch has no convolutions in int8")
@pytest.mark.parametrize("neighbours", [(1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (-1.0, -1.0), (0.3, 1.0)])
def test_in_int8_the_largest_inputs_and_weights_do_not_overflow(neighbours: tuple[float, float]) -> None:
    """AVX2 adds two neighbours in 16 bits; with weights of 127 side by side half of the sum was lost."""
    convolution = nn.Conv2d(16, 16, 3, padding=1)
    with torch.inference_mode():
        convolution.weight.copy_(torch.tensor(neighbours * 8)[None, :, None, None])
        images_NCHW = torch.ones(1, 16, 8, 8).to(memory_format=torch.channels_last)
        exact = convolution(images_NCHW)
        found = int8.Int8Conv2d(convolution, (0.0, 1.0, *[0.0] * 16), (1, 16, 8, 8))(images_NCHW)
    assert float((found - exact).abs().max()) <= 0.01 * 8 * 9 * sum(map(abs, neighbours))


@pytest.mark.parametrize("channels", [1, 5, 16])
def test_in_int8_two_neighbours_leave_room_in_16_bits(channels: int) -> None:
    """The property itself, which the test above cannot see on a processor with VNNI."""
    random = torch.randn(8, channels, 3, 3, generator=torch.Generator().manual_seed(0))
    for weight in (random, random.abs(), -torch.ones_like(random), random * 1e-6):
        whole, scales_K = int8._rounded(weight)
        assert (whole * scales_K[:, None, None, None] - weight).abs().max() <= 0.501 * scales_K.max()
        for signed in (whole.int().clamp_min(0), (-whole.int()).clamp_min(0)):
            pairs = torch.stack([signed[:, first : first + 2].sum(1) for first in range(0, channels, 2)])
            assert int8.LARGEST_INPUT * int(pairs.max()) <= torch.iinfo(torch.int16).max, int(pairs.max())


@pytest.mark.parametrize(
    ("rate", "width", "activation"),
    [(2, 9, nn.ReLU), (12, 20, nn.ReLU), (12, 12, nn.ReLU), (24, 9, nn.ReLU), (2, 9, nn.Hardswish)],
)
def test_by_columns_a_convolution_is_the_same(rate: int, width: int, activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(16, 8, 3, padding=rate, dilation=rate)
    by_columns = nn.Sequential(ColumnsConv2d(convolution, (1, 16, 20, width)), activation())
    inference._fuse_activations(by_columns)
    assert isinstance(by_columns[1], nn.Identity) == (activation is nn.ReLU)
    for shape in ((1, 16, 20, width), (2, 16, 7, 30)):
        images_NCHW = torch.randn(shape).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            exact_NKHW = activation()(convolution(images_NCHW))
            torch.testing.assert_close(by_columns(images_NCHW), exact_NKHW, atol=1e-5, rtol=0)


def test_where_columns_are_faster_a_model_computes_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "SMALLEST_MAP", 4)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    model, shape = model_with_statistics("deeplabv3_resnet50", 8), (1, 3, SIZE, SIZE)
    ready = ready_to_predict(model, shape)
    assert sum(isinstance(module, ColumnsConv2d) for module in ready.modules()) == (9 if can_pack() else 0)
    images_NCHW = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        exact_NKHW, found_NKHW = (each(images_NCHW)["out"] for each in (model, ready))
    assert float((found_NKHW - exact_NKHW).abs().max() / exact_NKHW.abs().max()) < 1e-4
