"""Dilated convolutions that are faster than oneDNN's and give the same numbers but for rounding.

A convolution skips what falls into the padding, tap by tap, where that is faster. At an ASPP rate of 24 on a
map of 32 x 32, three quarters of what a 3 x 3 kernel meets beside its centre is padding; at 36 all of it. oneDNN skips
padding forwards and for the gradient of the inputs, but not for the gradient of the weights: at rate 36 that took
twenty times as long as for a 1 x 1 convolution. On processors with matrix units (AMX) its bf16 code for 2048 channels
is slow forwards too: three such convolutions took three quarters of a whole model's time.
"""

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.model.device import choose_precision, computed_in

WORTHWHILE = {torch.float32: 0.5, torch.bfloat16: 0.7}
"""Share of a kernel's products with pixels, not padding, below which taps are faster than oneDNN's code."""
WORTHWHILE_WITH_AVX2 = 0.6
"""The same in fp32 with AVX2 alone."""

CLEARLY_FASTER = 2.0
"""Factor from which taps are used: where they win, it is by 3 and more, elsewhere by 1.1 at most."""

PROBE_REPEATS = 3
"""Timed turns, after one to warm up."""

Slices = tuple[slice, slice, slice]
"""Images, rows and columns of images_NHWC."""


class DilatedConv2d(nn.Conv2d):
    """A dilated 3 x 3 convolution that keeps the map's size, as ASPP has them."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "DilatedConv2d":
        """Return a convolution that shares the weights and the rate of another; draws no random number."""
        rate = convolution.dilation[0]
        with torch.device("meta"):
            own = cls(convolution.in_channels, convolution.out_channels, 3, padding=rate, dilation=rate, bias=False)
        own.weight = convolution.weight
        return own

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the convolution of the images."""
        dtype, rate = computed_in(images_NCHW), self.dilation[0]
        if not taps_are_faster(dtype):
            is_trained = self.training and self.weight.requires_grad and torch.is_grad_enabled()
            if not is_trained or _met_share(images_NCHW, rate) > _worthwhile(dtype):
                return super().forward(images_NCHW)
        convolved: Tensor = _Dilated.apply(images_NCHW.to(dtype), self.weight.to(dtype), rate)
        return convolved if self.bias is None else convolved + self.bias[:, None, None]


def _worthwhile(dtype: torch.dtype) -> float:
    is_avx2 = dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return WORTHWHILE_WITH_AVX2 if is_avx2 else WORTHWHILE.get(dtype, 0.0)


def _met_share(images_NCHW: Tensor, rate: int) -> float:
    """Return the share of a 3 x 3 kernel's products that are with pixels, not padding."""
    share = 1.0
    for length in images_NCHW.shape[-2:]:
        share *= (1 + 2 * max(0, length - rate) / length) / 3
    return share


def taps_are_faster(dtype: torch.dtype) -> bool:
    """Return whether a whole dilated convolution is faster tap by tap on this CPU; tried once, in bf16 only.

    In fp32 oneDNN's code stays, so that a run gives the same bits on whichever CPU it is resumed.
    """
    return dtype == torch.bfloat16 and _taps_are_faster_in_bf16()


@functools.cache
def _taps_are_faster_in_bf16() -> bool:
    if choose_precision("auto", torch.device("cpu")) != "bf16":
        return False  # emulated, the trial alone would take minutes
    turns = [(probe_time(convolve_by_taps), probe_time(_convolve_plainly)) for _ in range(1 + PROBE_REPEATS)][1:]
    return CLEARLY_FASTER * min(by_taps_s for by_taps_s, _ in turns) < min(plain_s for _, plain_s in turns)


@torch.inference_mode()
def probe_time(convolve: Callable[[Tensor, Tensor, int], Tensor]) -> float:
    """Return the seconds of one convolution in bf16 as ASPP has them: 2048 channels to 256, 32 px.

    With fewer channels oneDNN's code is fast on every processor.
    """
    layout = torch.channels_last
    images_NCHW = torch.ones((1, 2048, 32, 32), dtype=torch.bfloat16).contiguous(memory_format=layout)
    weight_KC33 = torch.ones((256, 2048, 3, 3), dtype=torch.bfloat16).contiguous(memory_format=layout)
    began_s = time.perf_counter()
    convolve(images_NCHW, weight_KC33, 12)
    return time.perf_counter() - began_s


def _convolve_plainly(images_NCHW: Tensor, weight_KC33: Tensor, rate: int) -> Tensor:
    return F.conv2d(images_NCHW, weight_KC33, padding=rate, dilation=rate)


def convolve_by_taps(images_NCHW: Tensor, weight_KC33: Tensor, rate: int) -> Tensor:
    """Return `F.conv2d(images, weight, padding=rate, dilation=rate)`: a matrix product for each tap, summed in fp32.

    Args:
        images_NCHW: floating point; fastest in `channels_last`, which is the layout of the result.
        weight_KC33: the kernel, in the same number format.
        rate: the dilation, and the padding on all sides.
    """
    images_NHWC = images_NCHW.permute(0, 2, 3, 1)
    num_out, num_in = weight_KC33.shape[:2]
    sums_type = torch.promote_types(torch.float32, images_NCHW.dtype)
    sums_NHWK = images_NHWC.new_zeros((*images_NHWC.shape[:3], num_out), dtype=sums_type)
    for tap, pixels, places in _taps(images_NHWC, rate):
        seen_NhwC = images_NHWC[pixels]
        products_PK = seen_NhwC.reshape(-1, num_in) @ weight_KC33[..., *tap].T
        sums_NHWK[places] += products_PK.view(*seen_NhwC.shape[:3], num_out)
    return sums_NHWK.to(images_NCHW.dtype).permute(0, 3, 1, 2)


class _Dilated(torch.autograd.Function):
    """A dilated 3 x 3 convolution whose gradient of the weights is computed tap by tap."""

    @staticmethod
    def forward(ctx: Any, images_NCHW: Tensor, weight_KC33: Tensor, rate: int) -> Tensor:
        ctx.save_for_backward(images_NCHW, weight_KC33)
        ctx.rate = rate
        convolve = convolve_by_taps if taps_are_faster(images_NCHW.dtype) else _convolve_plainly
        return convolve(images_NCHW, weight_KC33, rate)

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
        images_NCHW: the convolution's input.
        gradient_NKHW: the gradient of its output, in the same number format.
        rate: the dilation, and the padding on all sides.
    """
    images_NHWC, gradient_NHWK = images_NCHW.permute(0, 2, 3, 1), gradient_NKHW.permute(0, 2, 3, 1)
    num_in, num_out = images_NHWC.shape[-1], gradient_NHWK.shape[-1]
    taps_33KC = images_NHWC.new_zeros((3, 3, num_out, num_in))
    for tap, pixels, places in _taps(images_NHWC, rate):
        seen_PC, outer_PK = images_NHWC[pixels].reshape(-1, num_in), gradient_NHWK[places].reshape(-1, num_out)
        torch.mm(outer_PK.T, seen_PC, out=taps_33KC[tap])
    return taps_33KC.permute(2, 3, 0, 1)


def _taps(images_NHWC: Tensor, rate: int) -> Iterator[tuple[tuple[int, int], Slices, Slices]]:
    """Yield each tap that meets pixels (its row and column in the kernel), those pixels, and the outputs they reach."""
    height, width = images_NHWC.shape[1:3]
    for row, column in itertools.product(range(3), range(3)):
        rows, columns = _meetings((row - 1) * rate, height), _meetings((column - 1) * rate, width)
        if rows and columns:
            yield (row, column), (slice(None), rows[0], columns[0]), (slice(None), rows[1], columns[1])


def _meetings(offset: int, length: int) -> tuple[slice, slice] | None:
    """Return the pixels along a side that a tap at an offset meets and the outputs they reach; None for none."""
    first, end = max(0, -offset), min(length, length - offset)
    return (slice(first + offset, end + offset), slice(first, end)) if first < end else None
