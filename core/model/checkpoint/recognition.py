"""Recognises, from the names of the weights alone, their model and the program that named them.

VainF's DeepLabV3 on a ResNet (github.com/VainF/DeepLabV3Plus-Pytorch) is torchvision's function under other names. The
one of segmentation_models_pytorch (up to 0.6) is not: its stages are dilated from their first block on, its ASPP keeps
its rates at output stride 16, and its logits are upsampled with aligned corners. It is an architecture of its own here,
`architectures.SMP`. Names and defaults come from both programs' sources.
"""

import re
from collections.abc import Callable, Collection
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
        return RESNET_OF_LAST_BLOCK.get(max(blocks)) if _has(keys, "backbone.layer1.0.conv3.") else None
    if _has(keys, "backbone.stem.", "backbone.stage7.0.layers."):
        return EFFICIENTNET
    return MOBILENET if _has(keys, "backbone.1.block.") else None


def is_deeplab(keys: Collection[str]) -> bool:
    """Return whether bare names are those of torchvision's DeepLabV3 (its FCN shares some of them)."""
    return any(anchor in keys for anchor in ANCHORS) and name_other(keys) is None


def name_other(keys: Collection[str]) -> str | None:
    """Return in words the known model that has such names, if it is not torchvision's DeepLabV3; else None."""
    return next((name for name, is_it in OTHERS if is_it(keys)), None)


def _has(keys: Collection[str], *beginnings: str) -> bool:
    """Return whether each of these is the beginning of a name."""
    return all(any(key.startswith(beginning) for key in keys) for beginning in beginnings)


def _begins(*beginnings: str) -> Callable[[Collection[str]], bool]:
    return lambda keys: _has(keys, *beginnings)


def _is_lraspp(keys: Collection[str]) -> bool:
    return _has(keys, "classifier.cbr.") or _has(keys, "classifier.low_classifier.")


def _is_fcn(keys: Collection[str]) -> bool:
    return "classifier.0.weight" in keys and "classifier.4.weight" in keys and not _has(keys, "classifier.0.convs.")


def _is_plus(keys: Collection[str]) -> bool:
    # VainF's MobileNetV2 has `low_level_features` in its DeepLabV3 as well.
    is_with_low_level = any("low_level." in key or key.startswith("classifier.project.") for key in keys)
    is_with_decoder = _has(keys, "decoder.") and any("aspp" in key for key in keys)
    return is_with_low_level or is_with_decoder or _has(keys, "backbone.", "decoder.")


OTHERS: tuple[tuple[str, Callable[[Collection[str]], bool]], ...] = (
    ("a SegFormer of Hugging Face", _begins("segformer.")),
    ("a MobileNetV2 with DeepLabV3+ of Hugging Face", _begins("mobilenet_v2.", "segmentation_head.")),
    ("a MobileViT with DeepLabV3 of Hugging Face", _begins("mobilevit.")),
    ("a BEiT of Hugging Face", _begins("beit.")),
    ("a Mask2Former or MaskFormer", _begins("model.pixel_level_module.")),
    ("a LRASPP of torchvision", _is_lraspp),
    ("an FCN of torchvision", _is_fcn),
    ("a DeepLabV3+ of mmsegmentation", _begins("decode_head.c1_bottleneck.")),
    (
        "a DeepLabV3 of mmsegmentation, which differs from torchvision's",
        _begins("decode_head.aspp_modules."),
    ),
    ("a model of mmsegmentation", _begins("backbone.", "decode_head.")),
    ("a U-Net of segmentation_models_pytorch", _begins("encoder.", "decoder.blocks.", "segmentation_head.")),
    (
        "a DeepLabV3+ of segmentation_models_pytorch (it has a decoder)",
        _begins("encoder.", "decoder.block1.", "segmentation_head."),
    ),
    ("a model of segmentation_models_pytorch", _begins("encoder.", "decoder.", "segmentation_head.")),
    ("a DeepLabV3+ (it has a decoder)", _begins("shortcut_conv.", "cat_conv.", "aspp.")),
    ("a DeepLabV3+ of Detectron2 (it has a decoder)", _begins("sem_seg_head.decoder.")),
    ("a model of Detectron2", _begins("backbone.", "sem_seg_head.")),
    ("a DeepLabV2", _begins("aspp.c0.")),
    ("a DeepLabV2", _begins("base.", "aspp.")),
    ("a DeepLabV3+ (it has a decoder)", _is_plus),
    ("a U-Net", _begins("inc.", "down1.", "up1.")),
    ("a YOLO", _begins("model.0.conv.")),
    ("a Segment Anything model", _begins("image_encoder.", "mask_decoder.")),
    ("a detector of torchvision", _begins("rpn.", "roi_heads.")),
    ("a ResNet that classifies whole pictures", _begins("layer4.", "fc.")),
    ("a MobileNet that classifies whole pictures", _begins("features.", "classifier.")),
)
"""Names of models and their tests, tried in this order."""


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
