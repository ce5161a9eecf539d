"""A depthwise convolution whose gradients are computed the faster way, which differs in speed alone.

In bf16 oneDNN takes three times as long for the gradient of a depthwise kernel as in fp32, casts included, and many
times as long for the gradient of a dilated convolution's input as for a convolution with the mirrored kernel, which is
the same. EfficientNet-Lite0's last stages train 1.6 times as fast with both.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.model.device import computed_in

Pair = tuple[int, int]


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of one channel at a time, without bias."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "DepthwiseConv2d":
        """Return a convolution with the weights and the shape of another; no random number is drawn."""
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        shape: dict[str, Any] = {name: getattr(convolution, name) for name in names}
        with torch.device("meta"):
            own = cls(**shape, bias=False)
        own.weight = convolution.weight
        return own

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - torch's name
        dtype = computed_in(input)
        if not (self.training and weight.requires_grad and torch.is_grad_enabled() and dtype == torch.bfloat16):
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        convolved: Tensor = _Depthwise.apply(
            input.to(dtype), weight.to(dtype), self.stride, self.padding, self.dilation
        )
        return convolved


def is_depthwise(module: nn.Module) -> bool:
    """Tell whether a module is a convolution that can be computed as a `DepthwiseConv2d`."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels > 1
        and module.bias is None
        and not isinstance(module.padding, str)
        and module.padding_mode == "zeros"
    )


class _Depthwise(torch.autograd.Function):
    """The convolution in bf16, and its gradients."""

    @staticmethod
    def forward(ctx: Any, images_NCHW: Tensor, weight_C1kk: Tensor, stride: Pair, padding: Pair, rate: Pair) -> Tensor:
        ctx.save_for_backward(images_NCHW, weight_C1kk)
        ctx.how = (stride, padding, rate)
        return F.conv2d(images_NCHW, weight_C1kk, None, stride, padding, rate, len(weight_C1kk))

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor, None, None, None]:
        images_NCHW, weight_C1kk = ctx.saved_tensors
        (gradient_NCHW,) = outer
        of_images = (
            _images_gradient(gradient_NCHW, images_NCHW, weight_C1kk, *ctx.how) if ctx.needs_input_grad[0] else None
        )
        whole = (gradient_NCHW.float(), images_NCHW.float(), weight_C1kk.float())
        return of_images, _gradients(*whole, *ctx.how, of_images=False), None, None, None


def _images_gradient(
    gradient_NCHW: Tensor, images_NCHW: Tensor, weight_C1kk: Tensor, stride: Pair, padding: Pair, rate: Pair
) -> Tensor:
    """Return the gradient of what went in."""
    spans = [each * (size - 1) for each, size in zip(rate, weight_C1kk.shape[2:], strict=True)]
    if stride == (1, 1) and spans == [2 * each for each in padding]:  # it keeps the size: the mirrored one does too
        return F.conv2d(gradient_NCHW, weight_C1kk.flip(2, 3), None, 1, padding, rate, len(weight_C1kk))
    return _gradients(gradient_NCHW, images_NCHW, weight_C1kk, stride, padding, rate, of_images=True)


def _gradients(
    gradient_NCHW: Tensor, images_NCHW: Tensor, weight_C1kk: Tensor, stride: Pair, padding: Pair, rate: Pair, *,
    of_images: bool,
) -> Tensor:  # fmt: skip
    """Return the gradient of the images or of the kernel as PyTorch computes it."""
    both: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient_NCHW, images_NCHW, weight_C1kk, bias_sizes=None, stride=stride, padding=padding, dilation=rate,
        transposed=False, output_padding=[0, 0], groups=len(weight_C1kk), output_mask=[of_images, not of_images, False],
    )  # fmt: skip
    return both[0] if of_images else both[1]
