"""DeepLabV3 as torchvision builds it, at output stride 8 or 16.

State dict keys and, at output stride 8, outputs are torchvision's own. Stride 16 has the same parameters, fewer dilated
stages and half the ASPP rates (arXiv 1706.05587), so both strides can load the same weights.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.models import resnet50, resnet101
from torchvision.models.segmentation import DeepLabV3, deeplabv3_mobilenet_v3_large
from torchvision.models.segmentation.deeplabv3 import ASPPConv, DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

from core.errors import ConfigError
from core.model.efficientnet import NUM_AUX_FEATURES, NUM_FEATURES, efficientnet_lite0
from core.model.fast.convolutions import DilatedConv2d
from core.model.fast.depthwise import DepthwiseConv2d, is_depthwise
from core.model.fast.pointwise import PointwiseConv2d, is_pointwise
from core.model.fast.pooling_branch import TrainedASPP

RESNETS = {"deeplabv3_resnet50": resnet50, "deeplabv3_resnet101": resnet101}
MOBILENET = "deeplabv3_mobilenet_v3_large"
EFFICIENTNET = "deeplabv3_efficientnet_lite0"
ARCHITECTURES = (*RESNETS, MOBILENET, EFFICIENTNET)
SMP_PREFIX = "smp_"
SMP = {f"{SMP_PREFIX}{name}": resnet for name, resnet in RESNETS.items()}
"""DeepLabV3 as segmentation_models_pytorch builds it: opened from files, not trained here."""

LAST_FROZEN_STAGES = {
    "early": dict.fromkeys(RESNETS, "layer3") | {MOBILENET: "12", EFFICIENTNET: "stage3"},
    "middle": dict.fromkeys(RESNETS, "layer3") | {MOBILENET: "12", EFFICIENTNET: "stage5"},
    "most": dict.fromkeys(RESNETS, "layer3") | {MOBILENET: "15", EFFICIENTNET: "stage6"},
}
"""By the value of `freeze`, the last stage that it freezes: ResNets are not divided after their third stage."""

EARLY_STAGES = dict.fromkeys(RESNETS, "layer1") | {MOBILENET: "3", EFFICIENTNET: "stage2"}
"""The last stage at a quarter of the photo's size: its features show light, noise and sharpness rather than things."""

ATROUS_RATES = {8: (12, 24, 36), 16: (6, 12, 18)}
DILATED_STAGES = {8: (False, True, True), 16: (False, False, True)}


class _Undrawn(TorchFunctionMode):
    """Leaves new weights as they are."""

    def __torch_function__(
        self, func: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return the tensor that a function would fill with random numbers, and call any other function."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init" or func in (Tensor.normal_, Tensor.uniform_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def without_weights() -> Iterator[None]:
    """Build models on the meta device, where weights have a shape alone.

    For random numbers there torch would import SymPy: 0.4 s.
    """
    with torch.device("meta"), _Undrawn():
        yield


def build_model(
    architecture: str, num_classes: int, *, output_stride: int = 8, has_aux_head: bool = False
) -> DeepLabV3:
    """Return a model with random weights from torch's global generator.

    Called with images_N3HW it returns a dict: `out`, logits_NKHW at the input's size, and with an auxiliary head `aux`
    of the same shape. An unknown architecture or output stride raises `ConfigError`.
    """
    if architecture not in (*ARCHITECTURES, *SMP):
        raise ConfigError(f"There is no architecture '{architecture}'; choose one of {', '.join(ARCHITECTURES)}.")
    if architecture == MOBILENET:
        return _trained_fast(_build_mobilenet(num_classes, output_stride, has_aux_head=has_aux_head))
    if output_stride not in ATROUS_RATES:
        raise ConfigError(
            f"output_stride is {output_stride}; {architecture} has {' and '.join(map(str, ATROUS_RATES))}."
        )
    if architecture == EFFICIENTNET:
        return _trained_fast(_build_efficientnet(num_classes, output_stride, has_aux_head=has_aux_head))
    resnet = (RESNETS | SMP)[architecture](weights=None, replace_stride_with_dilation=DILATED_STAGES[output_stride])
    rates, build = ATROUS_RATES[output_stride], DeepLabV3
    if architecture in SMP:
        rates, build = ATROUS_RATES[8], AlignedDeepLabV3
        for stage in (resnet.layer3, resnet.layer4):
            # The first block is dilated like the others; torchvision gives it the dilation of the stage before.
            stage[0].conv2.dilation = stage[0].conv2.padding = stage[1].conv2.dilation
    stages = {"layer4": "out"} | ({"layer3": "aux"} if has_aux_head else {})
    return _trained_fast(
        build(
            Stages(resnet, stages),
            DeepLabHead(2048, num_classes, rates),
            FCNHead(1024, num_classes) if has_aux_head else None,
        )
    )


class Stages(nn.ModuleDict):
    """A backbone's stages in order, up to the last one that a head reads.

    torchvision's own class for this, which its MobileNetV3 model has, is private (`IntermediateLayerGetter`).
    """

    _version = 2
    """torchvision's, which is stored with every state dict: files stay equal to the byte."""

    def __init__(self, backbone: nn.Module, outputs: dict[str, str]) -> None:
        stages = dict(backbone.named_children())
        last = max(list(stages).index(name) for name in outputs)
        super().__init__(dict(list(stages.items())[: last + 1]))
        self._outputs = outputs

    def forward(self, images_N3HW: Tensor) -> dict[str, Tensor]:
        """Return the features of the stages that `outputs` names, under the names that it gives them."""
        outputs, features_NCHW = {}, images_N3HW
        for name, stage in self.items():
            features_NCHW = stage(features_NCHW)
            if name in self._outputs:
                outputs[self._outputs[name]] = features_NCHW
        return outputs


class AlignedDeepLabV3(DeepLabV3):  # type: ignore[misc]
    """A DeepLabV3 that upsamples its logits with aligned corners, as segmentation_models_pytorch does."""

    def forward(self, images_N3HW: Tensor) -> dict[str, Tensor]:
        """Return `out`, logits_NKHW."""
        logits_NKhw = self.classifier(self.backbone(images_N3HW)["out"])
        size = images_N3HW.shape[-2:]
        return {"out": F.interpolate(logits_NKhw, size=size, mode="bilinear", align_corners=True)}


def _trained_fast(model: DeepLabV3) -> DeepLabV3:
    """Replace the layers that are slow in training on a CPU by those that compute the same but for rounding."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if is_depthwise(child):
                setattr(parent, name, DepthwiseConv2d.of(child))
            elif is_pointwise(child):
                setattr(parent, name, PointwiseConv2d.of(child))
    model.classifier[0] = TrainedASPP.of(model.classifier[0])
    for branch in model.classifier[0].convs:
        if isinstance(branch, ASPPConv):
            branch[0] = DilatedConv2d.of(branch[0])
    return model


def _build_mobilenet(num_classes: int, output_stride: int, *, has_aux_head: bool) -> DeepLabV3:
    if output_stride != 16:
        raise ConfigError(f"output_stride is {output_stride}, but {MOBILENET} has 16 only.")
    model: DeepLabV3 = deeplabv3_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=has_aux_head
    )
    # torchvision's 0.01 needs thousands of steps: after a short training the running statistics lag behind, and the
    # model predicts background everywhere in evaluation while its training loss falls.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return model


def _build_efficientnet(num_classes: int, output_stride: int, *, has_aux_head: bool) -> DeepLabV3:
    stages = {"stage7": "out"} | ({"stage5": "aux"} if has_aux_head else {})
    return DeepLabV3(
        Stages(efficientnet_lite0(output_stride), stages),
        DeepLabHead(NUM_FEATURES, num_classes, ATROUS_RATES[output_stride]),
        FCNHead(NUM_AUX_FEATURES, num_classes) if has_aux_head else None,
    )


def split_backbone(model: DeepLabV3, architecture: str, freeze: str) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the backbone's stages that `freeze` freezes, and the others, each in order; one may be empty."""
    stages = list(model.backbone.items())
    names = [name for name, _ in stages]
    ends = {"none": 0, "backbone": len(stages)}
    num_frozen = ends[freeze] if freeze in ends else names.index(LAST_FROZEN_STAGES[freeze][architecture]) + 1
    frozen, trained = (OrderedDict(part) for part in (stages[:num_frozen], stages[num_frozen:]))
    return nn.Sequential(frozen), nn.Sequential(trained)


def early_stage(backbone: nn.Module) -> nn.Module:
    """Return the stage of `EARLY_STAGES` that a backbone of any of these architectures has."""
    return next(stage for name, stage in backbone.named_children() if name in EARLY_STAGES.values())


class CoarseLogits(nn.Module):
    """The trained part of a DeepLabV3; it returns the model's dict, but with logits_NKhw before their upsampling.

    With `stages`, the last ones of the backbone, its input is theirs instead of images_N3HW, and it has no auxiliary
    head.
    """

    def __init__(self, model: DeepLabV3, stages: nn.Sequential | None = None) -> None:
        super().__init__()
        self.backbone: nn.Module = model.backbone if stages is None else stages
        self.classifier = model.classifier
        self.aux_classifier: nn.Module | None = model.aux_classifier if stages is None else None

    def forward(self, inputs_NCHW: Tensor) -> dict[str, Tensor]:
        """Return `out` and, with an auxiliary head, `aux`."""
        features = self.backbone(inputs_NCHW)
        if isinstance(features, Tensor):
            features = {"out": features}
        logits = {"out": self.classifier(features["out"])}
        if self.aux_classifier is not None:
            logits["aux"] = self.aux_classifier(features["aux"])
        return logits


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
