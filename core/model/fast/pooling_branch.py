"""ASPP in training, without a map for its pooling branch.

That branch gives each channel one number for a whole photo. torchvision spreads it over the map, and the projection
multiplies the same numbers at each pixel: a fifth of its products. Here the projection's part for that branch is
computed once for a photo and added, which is the same but for rounding. In bf16 the sum would be rounded once more.
A GPU, where it was not measured, computes torchvision's own.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from core.model.fast.pointwise import pointwise


class SpatialMean(nn.AdaptiveAvgPool2d):
    """The mean of each channel, (N, C, 1, 1), whose gradient is a map in `channels_last`.

    PyTorch's is contiguous, and so is every sum of gradients after it: each is then read and written across the grain.
    """

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """Return the means of the features."""
        is_trained = self.training and torch.is_grad_enabled() and features_NCHW.device.type == "cpu"
        means: Tensor = _SpatialMean.apply(features_NCHW) if is_trained else super().forward(features_NCHW)
        return means


class _SpatialMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features_NCHW: Tensor) -> Tensor:
        ctx.shape = features_NCHW.shape
        return F.adaptive_avg_pool2d(features_NCHW, 1)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        height, width = ctx.shape[2:]
        spread_NCHW: Tensor = (outer[0] / (height * width)).expand(ctx.shape)
        return spread_NCHW.contiguous(memory_format=torch.channels_last)


class TrainedASPP(ASPP):  # type: ignore[misc]
    """An ASPP whose pooling branch is added to the projection of the others."""

    @classmethod
    def of(cls, aspp: ASPP) -> "TrainedASPP":
        """Return one that shares the layers of another; draws no random number."""
        own = cls.__new__(cls)
        nn.Module.__init__(own)
        own.convs, own.project = aspp.convs, aspp.project
        own.convs[-1][0] = SpatialMean(1)
        return own

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """Return the projection of all branches, (N, 256, h, w)."""
        is_trained = self.training and torch.is_grad_enabled() and features_NCHW.device.type in ("cpu", "meta")
        if not (is_trained and features_NCHW.dtype == torch.float32):
            projected: Tensor = super().forward(features_NCHW)
            return projected
        *branches, pooling = self.convs
        maps_NBhw = torch.cat([branch(features_NCHW) for branch in branches], dim=1)
        pooled_NC11 = features_NCHW
        for layer in pooling:  # its own forward spreads the result over the map
            pooled_NC11 = layer(pooled_NC11)
        projection, *others = self.project
        of_maps, of_pooling = projection.weight.split([maps_NBhw.shape[1], pooled_NC11.shape[1]], dim=1)
        projected = pointwise(maps_NBhw, of_maps) + F.conv2d(pooled_NC11, of_pooling)
        for layer in others:
            projected = layer(projected)
        return projected
