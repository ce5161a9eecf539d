"""One pass forwards and one backwards through a model, for the logit of a class at a pixel or over a region.

The model that predicts says which class; it cannot be differentiated, since its weights are packed for oneDNN and may
be bf16. So an explanation builds a second one from the checkpoint, in fp32. Its head is computed only at the cells that
the logit depends on: for a pixel that saves a third of the time, both ways.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from core.classes import Classes
from core.data.loading.transforms import normalize
from core.errors import NoRoomError
from core.free_memory import free_bytes
from core.model.architectures import AlignedDeepLabV3
from core.model.checkpoint.checkpoint_file import OpenedCheckpoint
from core.model.predict.predictor import Predictor
from core.wording import megabytes

PIXEL_BYTES, RESNET_PIXEL_BYTES = 2_500, 8_000
"""Memory of a second model and its passes per pixel of the square. Seen: 0.2 GB with EfficientNet-Lite0 at 320 px; with
ResNet-50 at 520 px and stride 8 a whole process of 2.9 GB, about 1 GB of it before."""


@dataclass(frozen=True)
class Explainable:
    """A model in fp32 that can be differentiated, the predictor of the same checkpoint, and its classes."""

    model: DeepLabV3
    predictor: Predictor
    classes: Classes


def explainable(opened: OpenedCheckpoint, predictor: Predictor) -> Explainable:
    """Return a checkpoint's model, ready to be explained.

    Weights that do not fit raise `CheckpointError`, a memory in which model and passes have no room `NoRoomError`.
    """
    if predictor.device.type == "cpu":
        pixel_bytes = RESNET_PIXEL_BYTES if "resnet" in opened.meta.architecture else PIXEL_BYTES
        needed, free = pixel_bytes * predictor.image_size**2, free_bytes()
        if needed > free:
            raise NoRoomError(
                f"An explanation at {predictor.image_size} px takes about {megabytes(needed)} of memory, and "
                f"{megabytes(free)} are free; close other programs."
            )
    model = opened.build().requires_grad_(requires_grad=False).to(predictor.device)
    model.aux_classifier = None
    return Explainable(model, predictor, opened.meta.classes)


@dataclass(frozen=True)
class Target:
    """The number to explain: the mean of a class's logits, weighted by weights_SS, which sum to 1."""

    class_id: int
    weights_SS: Tensor


Window = tuple[slice, slice]
"""Rows and columns of the backbone's last map."""


@dataclass(frozen=True)
class Trace:
    """What the two passes leave behind; h and w are the size of the backbone's last map, gradients are the target's.

    target         the number to explain, and means_K, the same mean for every class
    field_SS       the absolute gradient of each pixel of the square, summed over normalized colours
    features_Chw   the backbone's last map, and its gradient, gradient_Chw
    weights_hw     the target as weights of the logits before their upsampling; they sum to 1
    window         the cells that logits of weight depend on through the last 3 x 3 convolution
    branches       what each branch of ASPP gives to the projection there, (1, C, rows, columns), in its order
    """

    target: Target
    means_K: Tensor
    field_SS: Tensor
    features_Chw: Tensor
    gradient_Chw: Tensor
    weights_hw: Tensor
    window: Window
    branches: tuple[Tensor, ...]


def trace(explained: Explainable, square_3SS: Tensor, target: Target) -> Trace:
    """Run a photo in the model's square (uint8) forwards, and a target of it backwards."""
    model = explained.model
    image_13SS = normalize(square_3SS[None].to(explained.predictor.device)).requires_grad_()
    with torch.enable_grad():
        features_1Chw = model.backbone(image_13SS.contiguous(memory_format=torch.channels_last))["out"]
        weights_hw = cell_weights(model, target, features_1Chw.shape[-2:])
        window = window_of(weights_hw)
        branches = branches_at(model, features_1Chw, window)
        means_K = weighted(head_of(model, torch.cat(branches, dim=1)), weights_hw[window])
        of_image, of_features = torch.autograd.grad(means_K[target.class_id], (image_13SS, features_1Chw))
    return Trace(
        target,
        means_K.detach(),
        of_image[0].abs().sum(dim=0),
        features_1Chw[0].detach(),
        of_features[0],
        weights_hw,
        window,
        tuple(branch.detach() for branch in branches),
    )


def cell_weights(model: DeepLabV3, target: Target, cells: torch.Size) -> Tensor:
    """Return a target's weights_hw of the logits before their upsampling to the square, which is linear."""
    with torch.enable_grad():
        logits_11hw = target.weights_SS.new_zeros((1, 1, *cells), requires_grad=True)
        is_aligned = isinstance(model, AlignedDeepLabV3)
        size = target.weights_SS.shape
        upsampled_11SS = F.interpolate(logits_11hw, size, mode="bilinear", align_corners=is_aligned)
        (weights_11hw,) = torch.autograd.grad((upsampled_11SS * target.weights_SS).sum(), logits_11hw)
    return weights_11hw[0, 0]


def window_of(weights_hw: Tensor) -> Window:
    """Return the cells that logits of weight depend on, through the last 3 x 3 convolution."""
    spans = list[slice]()
    for axis in (1, 0):
        is_weighed = (weights_hw != 0).any(dim=axis)
        places = is_weighed.nonzero()
        spans.append(slice(max(0, int(places.min()) - 1), min(len(is_weighed), int(places.max()) + 2)))
    return spans[0], spans[1]


def branches_at(model: DeepLabV3, features_1Chw: Tensor, window: Window) -> list[Tensor]:
    """Return the outputs of ASPP's branches at the cells of a window."""
    first, *atrous, pooling = model.classifier[0].convs
    outputs = [first(features_1Chw[..., *window])]
    for convolution, *rest in atrous:
        rate = convolution.dilation[0]
        seen_1Cij = F.conv2d(_widened(features_1Chw, window, rate), convolution.weight, dilation=rate)
        for layer in rest:
            seen_1Cij = layer(seen_1Cij)
        outputs.append(seen_1Cij)
    pooled_1C11 = features_1Chw
    for layer in pooling:
        pooled_1C11 = layer(pooled_1C11)
    return [*outputs, pooled_1C11.expand_as(outputs[0])]


def _widened(features_1Chw: Tensor, window: Window, rate: int) -> Tensor:
    """Return the features of a window and of `rate` cells around it, zeros where there is no map."""
    spans, padding = list[slice](), list[int]()
    for span, cells in zip(window, features_1Chw.shape[-2:], strict=True):
        spans.append(slice(max(0, span.start - rate), span.stop + rate))
        padding = [max(0, rate - span.start), max(0, span.stop + rate - cells), *padding]  # F.pad takes the last first
    rows, columns = spans
    return F.pad(features_1Chw[..., rows, columns], padding)


def head_of(model: DeepLabV3, branches_1Cij: Tensor) -> Tensor:
    """Return logits_1Kij from the branches of ASPP at a window, right where `window_of` found weight."""
    for layer in (model.classifier[0].project, *list(model.classifier)[1:]):
        branches_1Cij = layer(branches_1Cij)
    return branches_1Cij


def weighted(logits_1Kij: Tensor, weights_ij: Tensor) -> Tensor:
    """Return the weighted sum of each class's logits, (K,)."""
    means_K: Tensor = (logits_1Kij[0] * weights_ij).sum(dim=(1, 2))
    return means_K
