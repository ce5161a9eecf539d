"""Dilated 3 x 3 convolutions for prediction, computed column by column of the kernel.

oneDNN skips the rows of a kernel that fall into the padding, but not its columns: at an ASPP rate of 24 on a map of
65 x 65 a quarter of its products are with zeros. So each column is a convolution of its own, of the part of the map
that it meets. At a rate of 2 it gains too: oneDNN is slow at borders of two pixels.
"""

import torch
from torch import Tensor, nn

from core.model.fast.packed import ACTIVATIONS, PackedConv2d, Shape

RATES = (2, 12, 24, 36)
"""Dilations where columns were faster, by 1.1 to 1.3; at 4 they were not."""
SMALLEST_MAP = 48
"""The least width of a map in pixels; at 33, columns were slower, except at rate 6."""


def columns_are_faster(convolution: nn.Conv2d, input_shape: Shape) -> bool:
    """Return whether to compute a convolution by columns: measured with AVX2 in fp32; AVX-512 gains nothing."""
    (rate, _), (_, _, _, width) = convolution.dilation, input_shape
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX2"
        and convolution.weight.dtype == torch.float32
        and convolution.kernel_size == (3, 3)
        and convolution.groups == 1
        and convolution.padding == convolution.dilation == (rate, rate)
        and convolution.stride == (1, 1)
        and rate in RATES
        and width >= SMALLEST_MAP
    )


class ColumnsConv2d(nn.Module):
    """A dilated 3 x 3 convolution that keeps the map's size, as the sum of its kernel's three columns."""

    def __init__(self, convolution: nn.Conv2d, *input_shapes: Shape) -> None:
        super().__init__()
        self._rate = convolution.dilation[0]
        self.activation = ACTIVATIONS[nn.Identity]
        narrow = [(*shape[:3], max(1, shape[3] - self._rate)) for shape in input_shapes]
        self._left, self._middle, self._right = (
            PackedConv2d(_column(convolution, number), *(input_shapes if number == 1 else narrow))
            for number in range(3)
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the convolution of the images, after the activation: ReLU or none."""
        rate, met = self._rate, images_NCHW.shape[3] - self._rate
        sums_NKHW: Tensor = self._middle(images_NCHW)
        if met > 0:
            layout = torch.channels_last
            sums_NKHW[..., rate:] += self._left(images_NCHW[..., :met].contiguous(memory_format=layout))
            sums_NKHW[..., :met] += self._right(images_NCHW[..., rate:].contiguous(memory_format=layout))
        if self.activation == ACTIVATIONS[nn.ReLU]:
            return sums_NKHW.relu_()
        return sums_NKHW


def _column(convolution: nn.Conv2d, number: int) -> nn.Conv2d:
    """Return a convolution with one column of a kernel; the bias belongs to the middle one."""
    rate, bias = convolution.dilation[0], convolution.bias if number == 1 else None
    with torch.device("meta"):  # draws no random number
        column = nn.Conv2d(
            convolution.in_channels, convolution.out_channels, (3, 1), padding=(rate, 0), dilation=(rate, 1),
            bias=bias is not None,
        )  # fmt: skip
    weight_KC31 = convolution.weight.detach()[..., number : number + 1]
    column.weight = nn.Parameter(weight_KC31.contiguous(memory_format=torch.channels_last), requires_grad=False)
    column.bias = bias
    return column
