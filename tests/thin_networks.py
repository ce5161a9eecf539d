"""Networks of few layers, in a test's process or in a trainer that it starts, which need not import pytest."""

import functools
from typing import TYPE_CHECKING

from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.segmentation import DeepLabV3, deeplabv3
from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabHead

from core.model import architectures, efficientnet
from core.model.architectures import LAST_FROZEN_STAGES, MOBILENET
from core.model.checkpoint import fitting
from core.training.loop import memory

if TYPE_CHECKING:
    import pytest

THIN_BLOCKS = (
    (16, 3, 16, 16, False, "RE", 1, 1), (16, 3, 32, 16, False, "RE", 2, 1), (16, 5, 32, 24, True, "RE", 2, 1),
    (24, 3, 48, 32, False, "HS", 2, 1), (32, 5, 48, 40, True, "HS", 2, 2),
)  # fmt: skip
"""Of every kind that MobileNetV3 has: with and without squeeze and excitation, strided, dilated, a shortcut."""


THIN_STAGES = (
    (1, 3, 1, 1, 8), (1, 3, 2, 2, 16), (1, 5, 2, 2, 16), (1, 3, 2, 2, 24), (2, 5, 1, 2, 32), (1, 5, 2, 2, 40),
    (1, 3, 1, 2, 48),
)  # fmt: skip
"""EfficientNet-Lite0's kernels and strides."""


THIN_HEAD = 32
"""Channels of the head instead of 256: it has most of the weights, and a checkpoint is written and read many times."""


class ThinHead(DeepLabHead):
    """DeepLab's head with fewer channels, but on ResNet."""

    def __init__(self, in_channels: int, num_classes: int, atrous_rates: tuple[int, ...] = (12, 24, 36)) -> None:
        width = THIN_HEAD if in_channels < 2048 else 256
        nn.Sequential.__init__(
            self,
            ASPP(in_channels, atrous_rates, width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, num_classes, 1),
        )


def make_networks_thin(patch: "pytest.MonkeyPatch") -> None:
    """Let this process build MobileNet with 5 blocks instead of 15, EfficientNet-Lite0 with 8 instead of 16.

    They have a tenth of the bytes, and a run takes a third. Strides, outputs and names are those of the whole ones.
    Where a test starts a process, that one builds the whole, unless it is `tests.programs.thin`.
    """
    blocks = [InvertedResidualConfig(*block, 1.0) for block in THIN_BLOCKS]

    def build(*, num_classes: int, aux_loss: bool, **_no_weights: None) -> DeepLabV3:
        return deeplabv3._deeplabv3_mobilenetv3(MobileNetV3(blocks, last_channel=64), num_classes, aux_loss)

    patch.setattr(architectures, "deeplabv3_mobilenet_v3_large", build)
    patch.setattr(deeplabv3, "DeepLabHead", ThinHead)
    patch.setattr(architectures, "DeepLabHead", ThinHead)
    for freeze, stage in (("early", "4"), ("middle", "4"), ("most", "5")):
        patch.setitem(LAST_FROZEN_STAGES[freeze], MOBILENET, stage)
    patch.setattr(efficientnet, "STAGES", THIN_STAGES)
    patch.setattr(architectures, "NUM_AUX_FEATURES", THIN_STAGES[4][-1])
    patch.setattr(architectures, "NUM_FEATURES", THIN_STAGES[-1][-1])
    # What is remembered of the whole network must not serve for this one, nor the other way round.
    for module, name in ((memory, "_photo_bytes"), (fitting, "wanted_shapes")):
        patch.setattr(module, name, functools.lru_cache(getattr(module, name).__wrapped__))
