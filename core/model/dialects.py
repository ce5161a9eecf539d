"""DeepLabV3 as other programs call its weights: VainF's repository and segmentation_models_pytorch.

VainF's DeepLabV3 on a ResNet (github.com/VainF/DeepLabV3Plus-Pytorch) is torchvision's function under other names.
That of segmentation_models_pytorch (0.6 and before) is not: its stages are dilated from their first block on, its ASPP
keeps its rates at output stride 16, and its logits are upsampled with their corners aligned. It has an architecture of
its own here, `architectures.SMP`. Names and defaults were read in both programs' sources.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from core.model.architectures import SMP_PREFIX


@dataclass(frozen=True)
class Dialect:
    """How a program calls the weights of a DeepLabV3, and what its files do not say.

    Attributes:
        name: the program.
        anchors: how the name of a weight ends that no other model has.
        names: expressions for the beginnings of names, and torchvision's in their place.
        dropped: beginnings of what serves another purpose.
        architecture: what stands before torchvision's name of the architecture.
        output_stride: the program's own default.
        image_size: likewise, in px; None where it has none.
    """

    name: str
    anchors: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...] = ()
    architecture: str = ""
    output_stride: int | None = None
    image_size: int | None = None


VAINF = Dialect(
    name="VainF's DeepLabV3Plus-Pytorch",
    anchors=("classifier.classifier.0.convs.0.0.weight",),
    names=((r"classifier\.classifier\.", "classifier."),),
    output_stride=16,  # main.py: --output_stride, --crop_size
    image_size=513,
)
SMP = Dialect(
    name="segmentation_models_pytorch",
    anchors=("decoder.aspp.convs.0.0.weight", "decoder.0.convs.0.0.weight"),  # from 0.5 on, and before
    names=(
        (r"encoder\.", "backbone."),
        (r"decoder\.(aspp|0)\.", "classifier.0."),
        (r"decoder\.(conv|1)\.", "classifier.1."),
        (r"decoder\.(bn|2)\.", "classifier.2."),
        (r"segmentation_head\.0\.", "classifier.4."),
    ),
    dropped=("classification_head.",),
    architecture=SMP_PREFIX,
    output_stride=8,  # DeepLabV3(encoder_output_stride=8)
)
DIALECTS = (VAINF, SMP)


def dialect_of(keys: Collection[str]) -> tuple[Dialect, str] | None:
    """Return in which dialect names are, and what stands before all of them; None for torchvision's and others."""
    for dialect in DIALECTS:
        for anchor in dialect.anchors:
            found = [key.removesuffix(anchor) for key in keys if key.endswith(anchor)]
            if len(found) == 1 and (not found[0] or found[0].endswith(".")):
                return dialect, found[0]
    return None


def torchvision_name(key: str, dialect: Dialect, prefix: str) -> str | None:
    """Return torchvision's name of a weight, below the same prefix; None for what is dropped."""
    if not key.startswith(prefix):
        return key
    own = key.removeprefix(prefix)
    if own.startswith(dialect.dropped or ("\0",)):
        return None
    for beginning, theirs in dialect.names:
        if re.match(beginning, own):
            return prefix + re.sub(beginning, theirs, own, count=1)
    return key
