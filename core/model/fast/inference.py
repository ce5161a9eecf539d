"""A copy of a model made ready to predict: the same function, cheaper.

Batch statistics are folded into the convolutions before them, the auxiliary head is left out, and on a CPU the weights
are packed once into the layout in which oneDNN multiplies them: PyTorch packs them anew in every call, which for one
photo takes about as long as the multiplication itself. There, what follows a convolution (an activation, the sum of a
residual block) is done to each of its results while it is still in the processor, not in further passes over memory,
which in bf16 take a third of the time.
"""

import copy
import functools
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import Bottleneck
from torchvision.models.segmentation import DeepLabV3

from core.model.device import dtype_of
from core.model.efficientnet import InvertedResidual
from core.model.fast.convolutions import DilatedConv2d, taps_are_faster

Shape = tuple[int, ...]
Arguments = tuple[Any, ...]
"""Padding, stride, dilation and groups of a convolution."""


def ready_to_predict(model: nn.Module, *input_shapes: Shape, precision: str = "fp32") -> nn.Module:
    """Return a copy of a model in evaluation mode that computes the same but for rounding.

    Args:
        model: a DeepLabV3 of `build_model`, its backbone or its head, where it is to run; it is left as it is.
        input_shapes: the shapes of the inputs it will see most, (1, C, H, W); others work too, slower the first time.
        precision: fp32, or bf16 for weights, inputs and outputs alike.
    """
    ready = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    if isinstance(ready, DeepLabV3):
        ready.aux_classifier = None
    _fold_statistics(ready)
    _pool_at_once(ready)
    ready.to(dtype_of(precision)).to(memory_format=torch.channels_last)
    if next(ready.parameters()).device.type == "cpu" and can_pack(precision):
        _pack_weights(ready, input_shapes)
        _fuse_what_follows(ready)
    return ready


def can_pack(precision: str = "fp32") -> bool:
    """Tell whether this PyTorch has oneDNN and the operations that packing takes; its compiler uses them too."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    packing = ("_reorder_convolution_weight", "_get_mkldnn_serialized_md")
    operations = (*packing, "_convolution_pointwise", "_is_mkldnn_bf16_supported")
    if not has_onednn or not all(hasattr(torch.ops.mkldnn, name) for name in operations):
        return False
    return precision == "fp32" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _fold_statistics(model: nn.Module) -> None:
    """Fold every BatchNorm into the convolution before it: w' = w g / s, b' = (b - m) g / s + beta, s = sqrt(v + eps).

    In torchvision's models the two are neighbours among the children of a module, and follow one another there.
    """
    for parent in list(model.modules()):
        before: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
                parent._modules[before[0]] = fuse_conv_bn_eval(before[1], child)
                parent._modules[name] = nn.Identity()
            before = (name, child)


class MeanOfMap(nn.Module):
    """The mean over a map, (N, C, 1, 1), as `AdaptiveAvgPool2d(1)`, which in bf16 makes a copy in fp32 first."""

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the mean."""
        return F.avg_pool2d(images_NCHW, list(images_NCHW.shape[-2:]))


def _pool_at_once(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size == 1:
                parent._modules[name] = MeanOfMap()


class PackedConv2d(nn.Module):
    """A convolution whose weights lie in the layout of oneDNN's own that it chooses for an input's shape.

    Given weights in another layout, oneDNN repacks them in every call: 64 px through a model packed for 128 took 25
    (fp32) to 55 (bf16) times as long. All shapes share one, two or three layouts; each is packed when needed.
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
        """Return what the convolution does, and then the activation."""
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
            images_NCHW, self._weights_for(images_NCHW), self._bias, *self._arguments, *self.activation
        )
        return convolved

    def add_to(self, others_NCHW: Tensor, images_NCHW: Tensor, activation: str | None) -> Tensor:
        """Add what the convolution does to `others_NCHW`, in place, and return that after the activation."""
        weights = self._weights_for(images_NCHW)
        added: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            others_NCHW, images_NCHW, weights, self._bias, *self._arguments, "add", None, activation, [], None
        )
        return added

    def _weights_for(self, images_NCHW: Tensor) -> Tensor:
        """Return the weights in the layout for these images; safe from several threads, which at worst pack twice."""
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
    """Return oneDNN's description of the layout that it chooses, which packing a kernel of any values shows.

    It chooses by the number of threads too. Kernels that are alike are asked about once in a process.
    """
    packed = _pack(torch.empty(kernel_shape, dtype=dtype), arguments, input_shape)
    described: bytes = torch.ops.mkldnn._get_mkldnn_serialized_md(packed).numpy().tobytes()
    return described


def _pack(weight: Tensor, arguments: Arguments, input_shape: Shape) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *arguments, input_shape)
    return packed


class FusedBottleneck(nn.Module):
    """A residual block of torchvision's ResNets, whose convolutions are packed."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self._conv1, self._conv2, self._conv3 = block.conv1, block.conv2, block.conv3
        self._conv1.activation = self._conv2.activation = ACTIVATIONS[nn.ReLU]
        self._downsample = block.downsample

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return what the block does; without a downsampling branch it writes over `images_NCHW`.

        Nobody else needs those: a stage whose result is handed on is followed by one that begins with such a branch.
        """
        convolved_NCHW = self._conv2(self._conv1(images_NCHW))
        identity_NCHW = images_NCHW if self._downsample is None else self._downsample(images_NCHW)
        added: Tensor = self._conv3.add_to(identity_NCHW, convolved_NCHW, "relu")
        return added


class FusedInvertedResidual(nn.Module):
    """A block of EfficientNet with a shortcut, whose convolutions are packed."""

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        self._layers = block.layers
        self._project = cast(PackedConv2d, block.layers.project)
        self._layers.project = nn.Identity()  # what else is left of it is a BatchNorm folded into the projection

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return what the block does; it writes over `images_NCHW`, which nobody else needs, as in a bottleneck."""
        added: Tensor = self._project.add_to(images_NCHW, self._layers(images_NCHW), None)
        return added


Activation = tuple[str, list[float], str]
"""An activation for oneDNN: its name, its numbers, its algorithm."""

ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.Identity: ("none", [], ""),
    nn.ReLU: ("relu", [], ""),
    nn.ReLU6: ("hardtanh", [0.0, 6.0], ""),
    nn.Hardswish: ("hardswish", [], ""),
}


def _fuse_what_follows(model: nn.Module) -> None:
    """Hand activations and residual sums to the packed convolutions before them."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Bottleneck):
                parent._modules[name] = FusedBottleneck(child)
        if isinstance(parent, (nn.Sequential, IntermediateLayerGetter)):
            _fuse_activations(parent)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InvertedResidual) and child.has_shortcut:
                parent._modules[name] = FusedInvertedResidual(child)


def _fuse_activations(sequence: nn.Module) -> None:
    """Hand activations to the convolutions before them, among modules that run one after the other."""
    before: nn.Module | None = None
    for name, child in list(sequence.named_children()):
        if isinstance(child, nn.Identity):  # what is left of a BatchNorm
            continue
        if isinstance(before, PackedConv2d) and type(child) in ACTIVATIONS:
            before.activation = ACTIVATIONS[type(child)]
            sequence._modules[name] = nn.Identity()
        before = child


def _pack_weights(model: nn.Module, input_shapes: Sequence[Shape]) -> None:
    seen, dtype = [_input_shapes(model, shape) for shape in input_shapes], next(model.parameters()).dtype
    for path, module in list(model.named_modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and not (isinstance(child, DilatedConv2d) and taps_are_faster(dtype)):
                whole = f"{path}.{name}" if path else name
                module._modules[name] = PackedConv2d(child, *(shapes[whole] for shapes in seen))


def _input_shapes(model: nn.Module, input_shape: Shape) -> dict[str, Shape]:
    """Return the shape of every convolution's input, by its name, for an input of the model; no number is computed."""
    shapes: dict[str, Shape] = {}
    hollow = copy.deepcopy(model).to("meta")
    for name, module in hollow.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _module, inputs, _output, name=name: shapes.update({name: tuple(inputs[0].shape)})
            )
    hollow(torch.empty(input_shape, device="meta", dtype=next(model.parameters()).dtype))
    return shapes
