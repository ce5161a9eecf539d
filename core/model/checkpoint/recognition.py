"""Recognises, from the names of the weights alone, their model and the program that named them.

VainF's DeepLabV3 on a ResNet (github.com/VainF/DeepLabV3Plus-Pytorch) is torchvision's function under other names. The
one of segmentation_models_pytorch (up to 0.6) is not: its stages are dilated from their first block on, its ASPP keeps
its rates at output stride 16, and its logits are upsampled with aligned corners. It is an architecture of its own here,
`architectures.SMP`. Names and defaults come from both programs' sources.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from core.model.architectures import EFFICIENTNET, MOBILENET, SMP_PREFIX

ANCHORS = ("classifier.4.weight", "classifier.0.convs.0.0.weight", "classifier.0.convs.1.0.weight", "classifier.4.bias")
"""Weights of torchvision's DeepLabV3 that show where its names begin, below any prefix."""

HEAD = "classifier."
"""No prefix: some programs name their head so, and its layers as torchvision does."""

KNOWN_PREFIXES = ("module.", "_orig_mod.", "model.")
"""Those of DataParallel and DistributedDataParallel, torch.compile, and Lightning."""

STAGE_3 = re.compile(r"backbone\.layer3\.(\d+)\.")
RESNET_OF_LAST_BLOCK = {5: "deeplabv3_resnet50", 22: "deeplabv3_resnet101"}


def prefixes_of(keys: Collection[str]) -> list[str]:
    """Return the prefixes of a DeepLabV3's names: "" where the names are bare, several for several models."""
    found = {key.removesuffix(anchor) for anchor in ANCHORS for key in keys if key.endswith(anchor)}
    return sorted(prefix for prefix in found if not prefix or (prefix.endswith(".") and not prefix.endswith(HEAD)))


def without_known_prefixes(keys: Collection[str]) -> list[str]:
    """Return the names without the usual prefixes, in any nesting, if all names have them."""
    bare = list(keys)
    while prefix := next((p for p in KNOWN_PREFIXES if bare and all(key.startswith(p) for key in bare)), None):
        bare = [key.removeprefix(prefix) for key in bare]
    return bare


def architecture_of(keys: Collection[str]) -> str | None:
    """Return the architecture of a DeepLabV3 with torchvision's head; None for an unknown backbone."""
    blocks = [int(found[1]) for found in map(STAGE_3.match, keys) if found]
    if blocks:
        return RESNET_OF_LAST_BLOCK.get(max(blocks)) if _has(keys, r"backbone\.layer1\.0\.conv3\.") else None
    if _has(keys, r"backbone\.stem\.", r"backbone\.stage7\.0\.layers\."):
        return EFFICIENTNET
    return MOBILENET if _has(keys, r"backbone\.1\.block\.") else None


def is_deeplab(keys: Collection[str]) -> bool:
    """Return whether bare names are those of torchvision's DeepLabV3 (its FCN shares some of them)."""
    return any(anchor in keys for anchor in ANCHORS) and name_other(keys) is None


def name_other(keys: Collection[str]) -> str | None:
    """Return in words the known model that has such names, if it is not torchvision's DeepLabV3; else None."""
    return next((name for name, *beginnings in OTHERS if _has(keys, *beginnings)), None)


def _has(keys: Collection[str], *beginnings: str) -> bool:
    """Return whether each of these expressions matches the beginning of a name."""
    return all(any(map(re.compile(beginning).match, keys)) for beginning in beginnings)


PLUS = "a DeepLabV3+ (it has a decoder)"
OTHERS = (
    ("a SegFormer of Hugging Face", r"segformer\."),
    ("a MobileNetV2 with DeepLabV3+ of Hugging Face", r"mobilenet_v2\.", r"segmentation_head\."),
    ("a MobileViT with DeepLabV3 of Hugging Face", r"mobilevit\."),
    ("a BEiT of Hugging Face", r"beit\."),
    ("a Mask2Former or MaskFormer", r"model\.pixel_level_module\."),
    ("a LRASPP of torchvision", r"classifier\.(cbr|low_classifier)\."),
    ("an FCN of torchvision", r"classifier\.0\.weight$", r"classifier\.4\.weight$"),
    ("a DeepLabV3+ of mmsegmentation", r"decode_head\.c1_bottleneck\."),
    ("a DeepLabV3 of mmsegmentation, which differs from torchvision's", r"decode_head\.aspp_modules\."),
    ("a model of mmsegmentation", r"backbone\.", r"decode_head\."),
    ("a U-Net of segmentation_models_pytorch", r"encoder\.", r"decoder\.blocks\.", r"segmentation_head\."),
    (
        "a DeepLabV3+ of segmentation_models_pytorch (it has a decoder)",
        r"encoder\.", r"decoder\.block1\.", r"segmentation_head\.",
    ),
    ("a model of segmentation_models_pytorch", r"encoder\.", r"decoder\.", r"segmentation_head\."),
    (PLUS, r"shortcut_conv\.", r"cat_conv\.", r"aspp\."),
    ("a DeepLabV3+ of Detectron2 (it has a decoder)", r"sem_seg_head\.decoder\."),
    ("a model of Detectron2", r"backbone\.", r"sem_seg_head\."),
    ("a DeepLabV2", r"aspp\.c0\."),
    ("a DeepLabV2", r"base\.", r"aspp\."),
    (PLUS, r".*low_level\."),  # not VainF's DeepLabV3 on a MobileNetV2, which has `low_level_features.`
    (PLUS, r"classifier\.project\."),
    (PLUS, r"decoder\.", r".*aspp"),
    (PLUS, r"backbone\.", r"decoder\."),
    ("a U-Net", r"inc\.", r"down1\.", r"up1\."),
    ("a YOLO", r"model\.0\.conv\."),
    ("a Segment Anything model", r"image_encoder\.", r"mask_decoder\."),
    ("a detector of torchvision", r"rpn\.", r"roi_heads\."),
    ("a ResNet that classifies whole pictures", r"layer4\.", r"fc\."),
    ("a MobileNet that classifies whole pictures", r"features\.", r"classifier\."),
)  # fmt: skip
"""Names of models, and expressions for the beginnings of their keys; tried in this order."""


@dataclass(frozen=True)
class Dialect:
    """A program's names for the weights of a DeepLabV3, and what its files do not say.

    Attributes:
        name: the program.
        anchors: ends of names that only this program uses.
        names: expressions for the beginnings of names, and torchvision's beginnings.
        dropped: beginnings of weights that serve another purpose.
        architecture: prefix of torchvision's name of the architecture.
        output_stride: the program's default.
        image_size: the program's default in px, if it has one.
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
    """Return the dialect of the names and their prefix; None for torchvision's names and unknown ones."""
    for dialect in DIALECTS:
        for anchor in dialect.anchors:
            found = [key.removesuffix(anchor) for key in keys if key.endswith(anchor)]
            if len(found) == 1 and (not found[0] or found[0].endswith(".")):
                return dialect, found[0]
    return None


def torchvision_name(key: str, dialect: Dialect, prefix: str) -> str | None:
    """Return torchvision's name of a weight, with the same prefix; None for a weight to drop."""
    if not key.startswith(prefix):
        return key
    own = key.removeprefix(prefix)
    if own.startswith(dialect.dropped or ("\0",)):
        return None
    for beginning, theirs in dialect.names:
        if re.match(beginning, own):
            return prefix + re.sub(beginning, theirs, own, count=1)
    return key
