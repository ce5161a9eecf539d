"""The depthwise and the 1 x 1 convolution whose gradients are computed otherwise, against torch's own."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from core.model.architectures import ARCHITECTURES, build_model
from core.model.fast.depthwise import DepthwiseConv2d, is_depthwise
from core.model.fast.pointwise import PointwiseConv2d, is_pointwise


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-5), ("bf16", 0.01)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "rate"),
    [
        (3, 1, 1, 1), (5, 1, 2, 1), (5, 1, 4, 2), (3, 2, 0, 1), (3, 2, 1, 1), (5, 1, 0, 1), (3, 1, 3, 1), (3, 1, 3, 3),
        ((5, 3), 1, (2, 2), (1, 2)), ((3, 5), 1, (2, 2), (2, 1)), ((1, 5), 1, (0, 8), (1, 4)), (2, 1, 1, 2),
        (7, 1, 3, 1),
    ],
)  # fmt: skip
def test_gradients_are_torch_s_own(
    kernel: Any, stride: int, padding: Any, rate: Any, precision: str, within: float
) -> None:
    """With the padding that keeps the size and with others, with strides and rates; but for rounding."""
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, kernel, stride, padding, rate, groups=6, bias=False)
    own = DepthwiseConv2d.of(copy.deepcopy(plain))
    images = torch.randn(2, 6, 11, 13).bfloat16().float().contiguous(memory_format=torch.channels_last)
    grads = []
    for convolution in (plain, own):
        seen = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=convolution is own and precision == "bf16"):
            given = convolution(seen)
        outer = torch.randn(given.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
        given.backward(outer.to(given.dtype))
        grads.append((seen.grad, convolution.weight.grad))
    assert type(given.grad_fn).__name__ == "_DepthwiseBackward"
    for expected, found in zip(*grads, strict=True):
        scale = float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=0.0, atol=within * scale)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_depthwise_convolution_is_trained_the_faster_way(architecture: str) -> None:
    model = build_model(architecture, 3, output_stride=16)
    depthwise = [module for module in model.modules() if is_depthwise(module)]
    assert all(isinstance(module, DepthwiseConv2d) for module in depthwise)
    assert bool(depthwise) == ("resnet" not in architecture)


def test_where_nothing_is_trained_it_is_a_plain_convolution() -> None:
    own = DepthwiseConv2d.of(nn.Conv2d(4, 4, 3, groups=4, bias=False))
    images = torch.randn(1, 4, 5, 5)
    assert type(own.train()(images).grad_fn).__name__ == "_DepthwiseBackward"
    assert type(own.eval()(images).grad_fn).__name__ == "ConvolutionBackward0"
    own.train().weight.requires_grad_(requires_grad=False)
    assert type(own(images.requires_grad_()).grad_fn).__name__ == "ConvolutionBackward0"


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_product_is_the_gradient_of_a_1_x_1_kernel(
    layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With AVX2, on small maps; elsewhere torch's own code stays."""
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 8, 1, bias=False)
    own = PointwiseConv2d.of(copy.deepcopy(plain))
    assert [is_pointwise(nn.Conv2d(6, 8, 1)), is_pointwise(plain)] == [False, True]
    images, found = torch.randn(2, 6, 7, 5).contiguous(memory_format=layout), []
    for convolution, capability in ((plain, "AVX2"), (own, "AVX512"), (own, "AVX2")):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda capability=capability: capability)
        seen = images.clone().requires_grad_()
        given = convolution(seen)
        convolution.weight.grad = None
        given.square().sum().backward()
        found.append((type(given.grad_fn).__name__, given, seen.grad, convolution.weight.grad))
    assert [name for name, *_ in found] == ["ConvolutionBackward0", "ConvolutionBackward0", "_PointwiseBackward"]
    for _, *numbers in found[1:]:
        for number, expected in zip(numbers, found[0][1:], strict=True):
            torch.testing.assert_close(number, expected)
    wide = own(torch.randn(1, 6, 2, 32))
    assert type(wide.grad_fn).__name__ == "ConvolutionBackward0"
