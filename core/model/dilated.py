"""A dilated convolution whose weights' gradient leaves out what falls into the padding.

At an ASPP rate of 24 on a map of 32 x 32, three quarters of what a 3 x 3 kernel meets beside its centre is padding; at
36 all of it. oneDNN skips that forwards and for the gradient of the inputs, but not for the gradient of the weights,
where a convolution of rate 36 took twenty times as long as one by one. The numbers are the same but for rounding.
"""

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORTHWHILE = {torch.float32: 0.5, torch.bfloat16: 0.7}
"""Share of the products that are not with padding, below which leaving the others out is faster than oneDNN's code."""


class DilatedConv2d(nn.Conv2d):
    """A 3 x 3 convolution as ASPP has them: it keeps the map's size and has no bias. Differs in speed alone."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "DilatedConv2d":
        """Return a convolution with the weights and the rate of another; no random number is drawn."""
        rate = convolution.dilation[0]
        with torch.device("meta"):
            own = cls(convolution.in_channels, convolution.out_channels, 3, padding=rate, dilation=rate, bias=False)
        own.weight = convolution.weight
        return own

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - torch's name
        dtype = _computed_in(input)
        is_trained = self.training and weight.requires_grad and torch.is_grad_enabled()
        if not is_trained or _met_share(input, self.dilation[0]) > WORTHWHILE.get(dtype, 0.0):
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        convolved: Tensor = _Dilated.apply(input.to(dtype), weight.to(dtype), self.dilation[0])
        return convolved


def _computed_in(images_NCHW: Tensor) -> torch.dtype:
    """Return in what a convolution computes here; on a GPU, whose code is another, nothing is known."""
    if images_NCHW.device.type != "cpu":
        return torch.float16
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images_NCHW.dtype


def _met_share(images_NCHW: Tensor, rate: int) -> float:
    """Return the share of a 3 x 3 kernel's products that are with pixels, and not with padding."""
    share = 1.0
    for length in images_NCHW.shape[-2:]:
        share *= (1 + 2 * max(0, length - rate) / length) / 3
    return share


class _Dilated(torch.autograd.Function):
    """A 3 x 3 convolution, and its gradients; that of the weights tap by tap."""

    @staticmethod
    def forward(ctx: Any, images_NCHW: Tensor, weight_KC33: Tensor, rate: int) -> Tensor:
        ctx.save_for_backward(images_NCHW, weight_KC33)
        ctx.rate = rate
        return F.conv2d(images_NCHW, weight_KC33, padding=rate, dilation=rate)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor, None]:
        images_NCHW, weight_KC33 = ctx.saved_tensors
        (gradient_NKHW,) = outer
        of_images = None
        if ctx.needs_input_grad[0]:
            sides = [ctx.rate, ctx.rate]
            of_images = torch.ops.aten.convolution_backward(
                gradient_NKHW, images_NCHW, weight_KC33, bias_sizes=None, stride=[1, 1], padding=sides, dilation=sides,
                transposed=False, output_padding=[0, 0], groups=1, output_mask=[True, False, False],
            )[0]  # fmt: skip
        return of_images, weights_gradient(images_NCHW, gradient_NKHW, ctx.rate), None


def weights_gradient(images_NCHW: Tensor, gradient_NKHW: Tensor, rate: int) -> Tensor:
    """Return the gradient of a 3 x 3 kernel, (K, C, 3, 3): each tap is a product over the places where it meets pixels.

    Args:
        images_NCHW: what the convolution took; padded by `rate` on all sides.
        gradient_NKHW: the gradient of what it gave, in the same number format.
        rate: the dilation.
    """
    images_NHWC, gradient_NHWK = images_NCHW.permute(0, 2, 3, 1), gradient_NKHW.permute(0, 2, 3, 1)
    height, width = images_NHWC.shape[1:3]
    num_in, num_out = images_NHWC.shape[-1], gradient_NHWK.shape[-1]
    taps_33KC = images_NHWC.new_zeros((3, 3, num_out, num_in))
    for row, column in itertools.product(range(3), range(3)):
        from_rows, to_rows = _meetings((row - 1) * rate, height)
        from_columns, to_columns = _meetings((column - 1) * rate, width)
        seen_PC = images_NHWC[:, from_rows, from_columns].reshape(-1, num_in)
        if len(seen_PC):
            outer_PK = gradient_NHWK[:, to_rows, to_columns].reshape(-1, num_out)
            torch.mm(outer_PK.T, seen_PC, out=taps_33KC[row, column])
    return taps_33KC.permute(2, 3, 0, 1)


def _meetings(offset: int, length: int) -> tuple[slice, slice]:
    """Return which pixels along a side a tap at an offset meets, and from which places."""
    first, end = max(0, -offset), max(0, min(length, length - offset))
    return slice(first + offset, end + offset) if first < end else slice(0, 0), slice(first, end)
