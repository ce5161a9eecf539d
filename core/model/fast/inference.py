"""A copy of a model for prediction: the same function, computed cheaper.

BatchNorm is folded into the convolution before it, and the auxiliary head is left out. On a CPU the convolutions'
weights are packed for oneDNN, and the activation or residual sum after a convolution is computed while its
results are still in the processor's cache: as a pass over memory of its own it takes a third of the time in bf16.

PyTorch packs a convolution's weights for oneDNN in every call, which for one photo takes as long as the multiplication.
Its compiler (`torch._inductor`) packs them once, by operations that have no public name and may change with any
release. This module alone calls them. `ATROUS_PRIVATE_OPERATIONS=0` switches them off, and a PyTorch without them, or
in which they compute something else, has the same effect: models then keep `nn.Conv2d`, which is usually slower.
"""

import copy
import functools
import os
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import Bottleneck
from torchvision.models.segmentation import DeepLabV3

from core.model.device import dtype_of
from core.model.efficientnet import InvertedResidual
from core.model.fast.convolutions import DilatedConv2d, taps_are_faster

SWITCH = "ATROUS_PRIVATE_OPERATIONS"
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


def ready_to_predict(model: nn.Module, *input_shapes: Shape, precision: str = "fp32") -> nn.Module:
    """Return a copy of a model in evaluation mode that computes the same but for rounding.

    Args:
        model: a DeepLabV3 of `build_model`, its backbone or its head, on the device where it will run; unchanged.
        input_shapes: the shapes of the most frequent inputs, (1, C, H, W); others work too, slower the first time.
        precision: fp32 or bf16, for weights, inputs and outputs alike.
    """
    ready = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    if isinstance(ready, DeepLabV3):
        ready.aux_classifier = None
    for parent in list(ready.modules()):
        _fold_statistics(parent)
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size == 1:
                setattr(parent, name, MeanOfMap())
    ready.to(dtype_of(precision)).to(memory_format=torch.channels_last)
    if next(ready.parameters()).device.type == "cpu" and can_pack(precision):
        _pack_weights(ready, input_shapes)
        _fuse_what_follows(ready)
    return ready


def _fold_statistics(parent: nn.Module) -> None:
    """Fold every BatchNorm into the convolution before it: w' = w g / s, b' = (b - m) g / s + beta, s = sqrt(v + eps).

    In torchvision's models the two are neighbours among the children of a module and run one after the other.
    """
    before: tuple[str, nn.Module] | None = None
    for name, child in list(parent.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
            setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(parent, name, nn.Identity())
        before = (name, child)


class MeanOfMap(nn.Module):
    """The mean over a map, (N, C, 1, 1), as `AdaptiveAvgPool2d(1)`, which in bf16 makes a copy in fp32 first."""

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the mean."""
        return F.avg_pool2d(images_NCHW, list(images_NCHW.shape[-2:]))


def _pack_weights(model: nn.Module, input_shapes: Sequence[Shape]) -> None:
    seen, dtype = [_input_shapes(model, shape) for shape in input_shapes], next(model.parameters()).dtype
    for path, module in list(model.named_modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and not (isinstance(child, DilatedConv2d) and taps_are_faster(dtype)):
                whole = f"{path}.{name}" if path else name
                setattr(module, name, PackedConv2d(child, *(shapes[whole] for shapes in seen)))


def _input_shapes(model: nn.Module, input_shape: Shape) -> dict[str, Shape]:
    """Return the input shape of every convolution, by its name, for an input of the model, without computing it."""
    shapes: dict[str, Shape] = {}
    hollow = copy.deepcopy(model).to("meta")
    for name, module in hollow.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _module, inputs, _output, name=name: shapes.update({name: tuple(inputs[0].shape)})
            )
    hollow(torch.empty(input_shape, device="meta", dtype=next(model.parameters()).dtype))
    return shapes


class FusedBottleneck(nn.Module):
    """A residual block of torchvision's ResNets with packed convolutions."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self._conv1, self._conv2, self._conv3 = block.conv1, block.conv2, block.conv3
        self._conv1.activation = self._conv2.activation = ACTIVATIONS[nn.ReLU]
        self._downsample = block.downsample

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the block's output; without a downsampling branch it overwrites `images_NCHW`.

        Nothing else reads those: every stage whose output is also an output of the backbone is followed by a block with
        such a branch.
        """
        convolved_NCHW = self._conv2(self._conv1(images_NCHW))
        identity_NCHW = images_NCHW if self._downsample is None else self._downsample(images_NCHW)
        added: Tensor = self._conv3.add_to(identity_NCHW, convolved_NCHW, "relu")
        return added


class FusedInvertedResidual(nn.Module):
    """A block of EfficientNet with a shortcut and packed convolutions."""

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        self._layers = block.layers
        self._project = cast(PackedConv2d, block.layers.project)
        self._layers.project = nn.Identity()  # the layer after it is a BatchNorm, folded into the projection

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the block's output; it overwrites `images_NCHW`, which nothing else reads, as in a bottleneck."""
        added: Tensor = self._project.add_to(images_NCHW, self._layers(images_NCHW), None)
        return added


def _fuse_what_follows(model: nn.Module) -> None:
    """Move activations and residual sums into the packed convolutions before them."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Bottleneck):
                setattr(parent, name, FusedBottleneck(child))
        if isinstance(parent, (nn.Sequential, nn.ModuleDict)):  # a backbone is a ModuleDict that runs in order
            _fuse_activations(parent)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InvertedResidual) and child.has_shortcut:
                setattr(parent, name, FusedInvertedResidual(child))


def _fuse_activations(sequence: nn.Module) -> None:
    """Move activations into the convolutions before them, among modules that run one after the other."""
    before: nn.Module | None = None
    for name, child in list(sequence.named_children()):
        if isinstance(child, nn.Identity):  # a folded BatchNorm
            continue
        if isinstance(before, PackedConv2d) and type(child) in ACTIVATIONS:
            before.activation = ACTIVATIONS[type(child)]
            setattr(sequence, name, nn.Identity())
        before = child
