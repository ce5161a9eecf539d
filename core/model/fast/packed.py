"""Convolutions with packed weights, by operations of PyTorch that have no public name.

PyTorch packs a convolution's weights for oneDNN in every call, which for one photo takes as long as the multiplication.
Its compiler (`torch._inductor`) packs them once, by operations that have no public name and may change with any
release. This module and int8.py alone call them, which a test checks. `ATROUS_PRIVATE_OPERATIONS=0` switches them
off, and a PyTorch without them, or in which they compute something else, has the same effect: models then keep
`nn.Conv2d`, which is usually slower.
"""

import functools
import os
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.model.fast import dynamo

SWITCH = dynamo.SWITCH
TOLERANCE = 1e-4
"""Largest difference from `F.conv2d` on numbers near 1; correct code differs by rounding, 1e-6."""

Shape = tuple[int, ...]
Arguments = tuple[Any, ...]
"""Padding, stride, dilation and groups of a convolution."""
Activation = tuple[str, list[float], str]
"""An activation for oneDNN: its name, its numbers, its algorithm."""

ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.Identity: ("none", [], ""),
    nn.ReLU: ("relu", [], ""),
    nn.ReLU6: ("hardtanh", [0.0, 6.0], ""),
    nn.Hardswish: ("hardswish", [], ""),
}


def can_pack(precision: str = "fp32") -> bool:
    """Return whether convolutions of this precision can be packed: switched on, and the operations work."""
    if os.environ.get(SWITCH) == "0" or not _works():
        return False
    return precision == "fp32" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@functools.cache
def _works() -> bool:
    """Return whether a small packed convolution gives what `F.conv2d` gives; tried once in a process."""
    with torch.random.fork_rng([]), torch.inference_mode():  # a run's random numbers stay as they are
        convolution = nn.Conv2d(3, 4, 3, padding=1)
        images_NCHW = torch.linspace(-1, 1, 3 * 5 * 5).view(1, 3, 5, 5).contiguous(memory_format=torch.channels_last)
        expected_NKHW = F.relu(convolution(images_NCHW) + 1)
        try:
            packed = PackedConv2d(convolution, tuple(images_NCHW.shape))
            added_NKHW = packed.add_to(torch.ones_like(expected_NKHW), images_NCHW, "relu")
            plain_NKHW = F.relu(packed(images_NCHW) + 1)
        except (AttributeError, RuntimeError, TypeError):  # no oneDNN, no such operation, other arguments
            return False
    return all(bool((found - expected_NKHW).abs().max() < TOLERANCE) for found in (added_NKHW, plain_NKHW))


class PackedConv2d(nn.Module):
    """A convolution whose weights lie in the layout that oneDNN chooses for the input's shape.

    Weights in another layout are repacked by oneDNN in every call: 64 px through a model packed for 128 took 25 (fp32)
    to 55 (bf16) times as long. All shapes share one, two or three layouts; each is packed when it is first needed.
    """

    def __init__(self, convolution: nn.Conv2d, *input_shapes: Shape) -> None:
        super().__init__()
        self._arguments: Arguments = (
            tuple(convolution.padding), tuple(convolution.stride), tuple(convolution.dilation), convolution.groups,
        )  # fmt: skip
        weight = convolution.weight.detach()
        self._kernel = (tuple(weight.shape), weight.dtype)
        self.activation = ACTIVATIONS[nn.Identity]
        # Plain attributes: a packed tensor cannot be saved, copied or moved.
        self._packed = {self._layout(shape): _pack(weight, self._arguments, shape) for shape in input_shapes}
        self._bias = None if convolution.bias is None else convolution.bias.detach()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the convolution of the images, after the activation."""
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
            images_NCHW, self._weights_for(images_NCHW), self._bias, *self._arguments, *self.activation
        )
        return convolved

    def add_to(self, others_NCHW: Tensor, images_NCHW: Tensor, activation: str | None) -> Tensor:
        """Add the convolution of the images to `others_NCHW`, in place, and return the sum after the activation."""
        weights = self._weights_for(images_NCHW)
        added: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            others_NCHW, images_NCHW, weights, self._bias, *self._arguments, "add", None, activation, [], None
        )
        return added

    def _weights_for(self, images_NCHW: Tensor) -> Tensor:
        """Return the weights in the layout for these images; threads at once pack them twice at worst."""
        shape = tuple(images_NCHW.shape)
        layout = self._layout(shape)
        if layout not in self._packed:
            plain = next(iter(self._packed.values())).to_dense()
            self._packed[layout] = _pack(plain, self._arguments, shape)
        return self._packed[layout]

    def _layout(self, input_shape: Shape) -> bytes:
        return _layout_for(*self._kernel, self._arguments, input_shape, torch.get_num_threads())


@functools.lru_cache(maxsize=4096)
def _layout_for(
    kernel_shape: Shape, dtype: torch.dtype, arguments: Arguments, input_shape: Shape, _num_threads: int
) -> bytes:
    """Return oneDNN's description of the layout that it chooses, read from a packed kernel without values.

    The choice depends on the number of threads too. One call serves all kernels that are alike.
    """
    packed = _pack(torch.empty(kernel_shape, dtype=dtype), arguments, input_shape)
    described: bytes = torch.ops.mkldnn._get_mkldnn_serialized_md(packed).numpy().tobytes()
    return described


def _pack(weight: Tensor, arguments: Arguments, input_shape: Shape) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *arguments, input_shape)
    return packed
