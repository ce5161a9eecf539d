"""1 x 1 convolutions whose kernel's gradient is a plain matrix product, where that is faster.

With AVX2 oneDNN takes the gradient of these kernels at 63 to 84 GFLOP/s, MKL's product at 91 to 107, on maps of 16 px;
on maps of 64 px, and with AVX-512 on all of them, oneDNN is the faster one (dev/LOG.md).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.model.device import computed_in

LARGEST_MAP = 31
"""The greatest width of a map in pixels on which a product is faster."""


class PointwiseConv2d(nn.Conv2d):
    """A convolution of each pixel by itself, without bias."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "PointwiseConv2d":
        """Return a convolution that shares the weights of another; draws no random number."""
        with torch.device("meta"):
            own = cls(convolution.in_channels, convolution.out_channels, 1, bias=False)
        own.weight = convolution.weight
        return own

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the convolution of the images."""
        return pointwise(images_NCHW, self.weight) if self.training else super().forward(images_NCHW)


def pointwise(images_NCHW: Tensor, weight_KC11: Tensor) -> Tensor:
    """Return the convolution of images with a 1 x 1 kernel."""
    if not (weight_KC11.requires_grad and torch.is_grad_enabled() and products_are_faster(images_NCHW)):
        return F.conv2d(images_NCHW, weight_KC11)
    convolved: Tensor = _Pointwise.apply(images_NCHW, weight_KC11)
    return convolved


def is_pointwise(module: nn.Module) -> bool:
    """Return whether a module is a convolution that `PointwiseConv2d` can compute."""
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == module.stride == (1, 1)
        and module.padding == (0, 0)
        and module.groups == 1
        and module.bias is None
    )


def products_are_faster(images_NCHW: Tensor) -> bool:
    """Return whether to compute the kernel's gradient as a product; by what was measured, so that bits stay the same.

    A trial would now and then decide otherwise when a run is resumed.
    """
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX2"
        and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        and images_NCHW.device.type == "cpu"
        and computed_in(images_NCHW) == images_NCHW.dtype == torch.float32
        and 1 < images_NCHW.shape[-1] <= LARGEST_MAP
    )


class _Pointwise(torch.autograd.Function):
    """A 1 x 1 convolution whose kernel's gradient is a matrix product."""

    @staticmethod
    def forward(ctx: Any, images_NCHW: Tensor, weight_KC11: Tensor) -> Tensor:
        ctx.save_for_backward(images_NCHW, weight_KC11)
        return F.conv2d(images_NCHW, weight_KC11)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor]:
        images_NCHW, weight_KC11 = ctx.saved_tensors
        (gradient_NKHW,) = outer
        of_images = None
        if ctx.needs_input_grad[0]:
            of_images = torch.ops.aten.convolution_backward(
                gradient_NKHW, images_NCHW, weight_KC11, bias_sizes=None, stride=[1, 1], padding=[0, 0],
                dilation=[1, 1], transposed=False, output_padding=[0, 0], groups=1, output_mask=[True, False, False],
            )[0]  # fmt: skip
        gradient_PK, images_PC = (
            each.permute(0, 2, 3, 1).reshape(-1, each.shape[1]) for each in (gradient_NKHW, images_NCHW)
        )
        return of_images, (gradient_PK.T @ images_PC)[..., None, None]
