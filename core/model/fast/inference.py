"""A copy of a model for prediction: the same function, computed cheaper.

BatchNorm is folded into the convolution before it, and the auxiliary head is left out. On a CPU the convolutions'
weights are packed for oneDNN, and the activation or residual sum after a convolution is computed while its
results are still in the processor's cache: as a pass over memory of its own it takes a third of the time in bf16.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import Bottleneck
from torchvision.models.segmentation import DeepLabV3

from core.model.device import dtype_of
from core.model.efficientnet import InvertedResidual, SamePad
from core.model.fast.columns import ColumnsConv2d, columns_are_faster
from core.model.fast.convolutions import DilatedConv2d, taps_are_faster
from core.model.fast.int8 import Int8Conv2d, Seen
from core.model.fast.packed import ACTIVATIONS, PackedConv2d, Shape, can_pack


def ready_to_predict(
    model: nn.Module, *input_shapes: Shape, precision: str = "fp32", int8: Mapping[str, Seen] | None = None
) -> nn.Module:
    """Return a copy of a model in evaluation mode that computes the same but for rounding.

    Args:
        model: a DeepLabV3 of `build_model`, its backbone or its head, on the device where it will run; unchanged.
        input_shapes: the shapes of the most frequent inputs, (1, C, H, W); others work too, slower the first time.
        precision: fp32 or bf16, for weights, inputs and outputs alike.
        int8: what each convolution that is to compute in int8 saw in a calibration, by its name; for a CPU on which
            `int8.can_compute`, and fp32.
    """
    ready = folded(model)
    ready.to(dtype_of(precision)).to(memory_format=torch.channels_last)
    if next(ready.parameters()).device.type == "cpu" and can_pack(precision):
        _pack_weights(ready, input_shapes, int8 or {})
        _fuse_what_follows(ready)
    return ready


def folded(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode without BatchNorm and auxiliary head."""
    ready = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    if isinstance(ready, DeepLabV3):
        ready.aux_classifier = None
    for parent in list(ready.modules()):
        _fold_statistics(parent)
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size == 1:
                setattr(parent, name, MeanOfMap())
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


def _pack_weights(model: nn.Module, input_shapes: Sequence[Shape], int8: Mapping[str, Seen]) -> None:
    seen, dtype = [_input_shapes(model, shape) for shape in input_shapes], next(model.parameters()).dtype
    for path, module in list(model.named_modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and not (isinstance(child, DilatedConv2d) and taps_are_faster(dtype)):
                whole = f"{path}.{name}" if path else name
                shapes = [each[whole] for each in seen]
                if whole in int8:
                    setattr(module, name, Int8Conv2d(child, int8[whole], *shapes))
                elif shapes and columns_are_faster(child, shapes[0]):
                    setattr(module, name, ColumnsConv2d(child, *shapes))
                else:
                    setattr(module, name, PackedConv2d(child, *shapes))


def _input_shapes(model: nn.Module, input_shape: Shape) -> dict[str, Shape]:
    """Return the input shape of every convolution, by its name, for an input of the folded model.

    No convolution is computed: each hands on one channel of zeros, which is enough, as no other layer knows how many it
    gets. On the meta device nothing would be computed either, but for that torch imports SymPy: 0.4 s.
    """
    shapes: dict[str, Shape] = {}
    convolutions = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}

    def stand_in(name: str, convolution: nn.Conv2d) -> Callable[[Tensor], Tensor]:
        def forward(images_NCHW: Tensor) -> Tensor:
            shapes[name] = (len(images_NCHW), convolution.in_channels, *images_NCHW.shape[2:])
            return images_NCHW.new_zeros((len(images_NCHW), 1, *_output_size(convolution, images_NCHW)))

        return forward

    for name, convolution in convolutions.items():
        vars(convolution)["forward"] = stand_in(name, convolution)
    try:
        model(torch.zeros(input_shape, dtype=next(model.parameters()).dtype))
    finally:
        for convolution in convolutions.values():
            del vars(convolution)["forward"]
    return shapes


def _output_size(convolution: nn.Conv2d, images_NCHW: Tensor) -> list[int]:
    sizes = images_NCHW.shape[2:], convolution.kernel_size, cast(tuple[int, int], convolution.padding)
    return [
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, padding, dilation, stride in zip(
            *sizes, convolution.dilation, convolution.stride, strict=True
        )
    ]


class FusedBottleneck(nn.Module):
    """A residual block of torchvision's ResNets with packed convolutions."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self._conv1, self._conv2, self._conv3 = block.conv1, block.conv2, block.conv3
        self._conv1.activation = self._conv2.activation = ACTIVATIONS[nn.ReLU]
        _hand_on(self._conv1, self._conv2)
        _hand_on(self._conv2, self._conv3)
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
        if isinstance(child, (nn.Identity, SamePad)):  # a folded BatchNorm, or zeros, which are zeros in 8 bits too
            continue
        fusible = ACTIVATIONS if isinstance(before, PackedConv2d) else (nn.ReLU,)
        if isinstance(before, (PackedConv2d, ColumnsConv2d)) and type(child) in fusible:
            before.activation = ACTIVATIONS[type(child)]
            setattr(sequence, name, nn.Identity())
            continue
        _hand_on(before, child)
        before = child


def _hand_on(before: nn.Module | None, after: nn.Module) -> None:
    """Let a convolution give its results in 8 bits to the one that follows it, and alone reads them."""
    if isinstance(before, Int8Conv2d) and isinstance(after, Int8Conv2d):
        before.emits = after
