"""Depthwise convolutions whose gradients are faster than oneDNN's and the same but for rounding.

Where a convolution keeps the map's size:

- The gradient of the images is the convolution of the outputs' gradient with the mirrored kernel. oneDNN takes 7 times
  as long for a dilated one.
- A dilated convolution works on the grids of every r-th pixel by themselves ("a trous"). oneDNN has fast code for the
  kernel's gradient of an undilated one alone.
- oneDNN is slow for kernels wider than 3, but not for higher ones: 5 columns as 2 + 1 + 2 take half the time.

In bf16 it takes three times as long for the kernel's gradient as in fp32 with both casts. Measured for 1152 channels of
16 x 16 with a 5 x 5 kernel at rate 2, one AVX2 core, fp32: 110 ms for both gradients of 8 images as oneDNN computes
them, about 17 ms here (dev/LOG.md).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.model.device import computed_in

Pair = tuple[int, int]

WIDE = 5
"""Width of the kernels whose columns are computed in three parts."""


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself, without bias."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "DepthwiseConv2d":
        """Return a convolution that shares the weights and the shape of another; draws no random number."""
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        shape: dict[str, Any] = {name: getattr(convolution, name) for name in names}
        with torch.device("meta"):
            own = cls(**shape, bias=False)
        own.weight = convolution.weight
        return own

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the convolution of the images."""
        dtype, weight = computed_in(images_NCHW), self.weight
        is_trained = self.training and weight.requires_grad and torch.is_grad_enabled()
        if not is_trained or images_NCHW.device.type != "cpu" or dtype not in (torch.float32, torch.bfloat16):
            return super().forward(images_NCHW)
        how = (self.stride, self.padding, self.dilation)
        convolved: Tensor = _Depthwise.apply(images_NCHW.to(dtype), weight.to(dtype), *how)
        return convolved


def is_depthwise(module: nn.Module) -> bool:
    """Return whether a module is a convolution that `DepthwiseConv2d` can compute."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels > 1
        and module.bias is None
        and not isinstance(module.padding, str)
        and module.padding_mode == "zeros"
    )


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution; the gradient of its kernel is computed in fp32."""

    @staticmethod
    def forward(ctx: Any, images_NCHW: Tensor, weight_C1kk: Tensor, stride: Pair, padding: Pair, rate: Pair) -> Tensor:
        ctx.save_for_backward(images_NCHW, weight_C1kk)
        ctx.how = (stride, padding, rate)
        return F.conv2d(images_NCHW, weight_C1kk, None, stride, padding, rate, len(weight_C1kk))

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor, None, None, None]:
        images_NCHW, weight_C1kk = ctx.saved_tensors
        (gradient_NCHW,) = outer
        stride, padding, rate = ctx.how
        spans = [each * (size - 1) for each, size in zip(rate, weight_C1kk.shape[2:], strict=True)]
        is_odd = all(size % 2 for size in weight_C1kk.shape[2:])
        keeps_size = is_odd and stride == (1, 1) and spans == [2 * each for each in padding]
        of_images = None
        if ctx.needs_input_grad[0] and keeps_size:
            of_images = F.conv2d(gradient_NCHW, weight_C1kk.flip(2, 3), None, 1, padding, rate, len(weight_C1kk))
        elif ctx.needs_input_grad[0]:
            of_images = _gradients(gradient_NCHW, images_NCHW, weight_C1kk, *ctx.how, of_images=True)
        whole = (gradient_NCHW.float(), images_NCHW.float())
        if keeps_size:
            of_kernel = kernel_gradient(*whole, tuple(weight_C1kk.shape[2:]), rate)
        else:
            of_kernel = _gradients(*whole, weight_C1kk.float(), *ctx.how, of_images=False)
        return of_images, of_kernel, None, None, None


def kernel_gradient(gradient_NCHW: Tensor, images_NCHW: Tensor, kernel: Pair, rate: Pair) -> Tensor:
    """Return the gradient of the kernel, (C, 1, *kernel), of a depthwise convolution that keeps the map's size.

    Args:
        gradient_NCHW: the gradient of its output, float32; fastest in `channels_last`, as are the images.
        images_NCHW: its input, float32.
        kernel: height and width, odd.
        rate: the dilation of rows and of columns; the padding is half the dilated kernel.
    """
    gradient_NCHW, images_NCHW = (_grids(each, *rate) for each in (gradient_NCHW, images_NCHW))
    height, width = kernel

    def columns(shift: int, count: int) -> Tensor:
        """Return `count` columns of the kernel's gradient, centred `shift` columns right of its middle.

        A shift cuts a column of outputs off, so the kernel's middle column is right only without one.
        """
        shifted_NCHW = F.pad(gradient_NCHW, (shift, -shift)) if shift else gradient_NCHW
        weight_C1kk = images_NCHW.new_empty((images_NCHW.shape[1], 1, height, count))
        how = ((1, 1), (height // 2, count // 2), (1, 1))
        return _gradients(shifted_NCHW, images_NCHW, weight_C1kk, *how, of_images=False)

    if width != WIDE:
        return columns(0, width)
    return torch.cat([columns(-1, 3)[..., :2], columns(0, 1), columns(1, 3)[..., 1:]], dim=-1)


def _grids(images_NCHW: Tensor, row_rate: int, column_rate: int) -> Tensor:
    """Return the grids of every r-th row and column as images, `channels_last`; zeros fill them up to one size."""
    if row_rate == column_rate == 1:
        return images_NCHW
    height, width = images_NCHW.shape[2:]
    missing = (0, -width % column_rate, 0, -height % row_rate)
    padded_NCHW = F.pad(images_NCHW, missing) if any(missing) else images_NCHW
    num_images, channels, height, width = padded_NCHW.shape
    split = (num_images, height // row_rate, row_rate, width // column_rate, column_rate, channels)
    split_NhrwsC = padded_NCHW.permute(0, 2, 3, 1).reshape(split)
    grids_MhwC = split_NhrwsC.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return grids_MhwC.permute(0, 3, 1, 2)


def _gradients(
    gradient_NCHW: Tensor, images_NCHW: Tensor, weight_C1kk: Tensor, stride: Pair, padding: Pair, rate: Pair, *,
    of_images: bool,
) -> Tensor:  # fmt: skip
    """Return the gradient of the images, or else of the kernel, as PyTorch computes it."""
    both: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient_NCHW, images_NCHW, weight_C1kk, bias_sizes=None, stride=stride, padding=padding, dilation=rate,
        transposed=False, output_padding=[0, 0], groups=len(weight_C1kk), output_mask=[of_images, not of_images, False],
    )  # fmt: skip
    return both[0] if of_images else both[1]
