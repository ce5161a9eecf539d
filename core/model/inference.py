"""A copy of a model made ready to predict: the same function, cheaper.

Batch statistics are folded into the convolutions before them, the auxiliary head is left out, and on a CPU the weights
are packed once into the layout in which oneDNN multiplies them. PyTorch packs them anew in every call, which for one
photo takes about as long as the multiplication itself.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.segmentation import DeepLabV3

from core.model.device import dtype_of


def ready_to_predict(model: nn.Module, input_shape: tuple[int, ...], precision: str = "fp32") -> nn.Module:
    """Return a copy of a model in evaluation mode that computes the same but for rounding.

    Args:
        model: a DeepLabV3 of `build_model`, its backbone or its head, where it is to run; it is left as it is.
        input_shape: the shape of the inputs it will see most, (1, C, H, W); others work too.
        precision: fp32, or bf16 for weights, inputs and outputs alike.
    """
    ready = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    if isinstance(ready, DeepLabV3):
        ready.aux_classifier = None
    _fold_statistics(ready)
    ready.to(dtype_of(precision)).to(memory_format=torch.channels_last)
    if next(ready.parameters()).device.type == "cpu" and can_pack(precision):
        _pack_weights(ready, input_shape)
    return ready


def can_pack(precision: str = "fp32") -> bool:
    """Tell whether this PyTorch has oneDNN and the two operations that packing takes; its compiler uses them too."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    operations = ("_reorder_convolution_weight", "_convolution_pointwise", "_is_mkldnn_bf16_supported")
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


class PackedConv2d(nn.Module):
    """A convolution whose weights lie in oneDNN's own layout, chosen for inputs of `input_shape`, (N, C, H, W)."""

    def __init__(self, convolution: nn.Conv2d, input_shape: list[int]) -> None:
        super().__init__()
        self._arguments: tuple[Any, ...] = (
            list(convolution.padding), list(convolution.stride), list(convolution.dilation), convolution.groups,
        )  # fmt: skip
        weight = convolution.weight.detach()
        # Plain attributes: a packed tensor cannot be saved, copied or moved.
        self._packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *self._arguments, input_shape)
        self._bias = None if convolution.bias is None else convolution.bias.detach()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return what the convolution does."""
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
            images_NCHW, self._packed, self._bias, *self._arguments, "none", [], ""
        )
        return convolved


def _pack_weights(model: nn.Module, input_shape: tuple[int, ...]) -> None:
    shapes = _input_shapes(model, input_shape)
    for path, module in list(model.named_modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d):
                module._modules[name] = PackedConv2d(child, shapes[f"{path}.{name}" if path else name])


def _input_shapes(model: nn.Module, input_shape: tuple[int, ...]) -> dict[str, list[int]]:
    """Return the shape of every convolution's input, by its name, for an input of the model; no number is computed."""
    shapes: dict[str, list[int]] = {}
    hollow = copy.deepcopy(model).to("meta")
    for name, module in hollow.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _module, inputs, _output, name=name: shapes.update({name: list(inputs[0].shape)})
            )
    hollow(torch.empty(input_shape, device="meta", dtype=next(model.parameters()).dtype))
    return shapes
