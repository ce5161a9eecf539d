"""The depthwise convolution whose gradients are computed otherwise, against torch's own."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from core.model.architectures import ARCHITECTURES, build_model
from core.model.fast.depthwise import DepthwiseConv2d, is_depthwise


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
