"""Loads a model's starting weights: random, an ImageNet backbone, or a whole model (COCO's or the starter).

torchvision's weights are downloaded once into torch hub's cache folder (`hub`); EfficientNet's come with an installed
package (`core.model.efficientnet`).
"""

import sys
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models import MobileNet_V3_Large_Weights, ResNet50_Weights, ResNet101_Weights, WeightsEnum
from torchvision.models.segmentation import (
    DeepLabV3,
    DeepLabV3_MobileNet_V3_Large_Weights,
    DeepLabV3_ResNet50_Weights,
    DeepLabV3_ResNet101_Weights,
)
from tqdm import tqdm

from core.errors import CheckpointError, WeightsError
from core.model.architectures import EFFICIENTNET
from core.model.checkpoint.archive import read_weights_file
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.efficientnet import imagenet_weights
from core.model.weights.available import inits_of
from core.model.weights.hub import download
from core.model.weights.starter import starter_file

BACKBONES: dict[str, WeightsEnum] = {
    "deeplabv3_resnet50": ResNet50_Weights.IMAGENET1K_V1,
    "deeplabv3_resnet101": ResNet101_Weights.IMAGENET1K_V1,
    "deeplabv3_mobilenet_v3_large": MobileNet_V3_Large_Weights.IMAGENET1K_V1,
}
WHOLE_MODELS: dict[str, WeightsEnum] = {
    "deeplabv3_resnet50": DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
    "deeplabv3_resnet101": DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1,
    "deeplabv3_mobilenet_v3_large": DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
}


def start_from(model: DeepLabV3, architecture: str, init: str, class_names: Sequence[str]) -> tuple[str, list[str]]:
    """Load the starting weights of a setting; return which they are, and notes on them.

    `auto` tries those of `inits_of` in order, and leaves the model's random weights if it gets none. For the others see
    `initialize`.
    """
    if init != "auto":
        return init, initialize(model, architecture, init)
    notes: list[str] = []
    for tried in inits_of(architecture, class_names):
        try:
            return tried, [*notes, *initialize(model, architecture, tried)]
        except WeightsError as error:
            notes.append(f"No {tried} weights: {str(error).removesuffix('.')}")
    return "random", [*notes, "The model starts from random weights"]


def initialize(model: DeepLabV3, architecture: str, init: str) -> list[str]:
    """Load weights (random, imagenet, coco-voc, starter); return in words the parts that have none or found no place.

    Weights that are damaged, or neither here nor downloadable, raise `WeightsError`.
    """
    if init == "random":
        return []
    if init == "imagenet":
        pretrained = imagenet_weights() if architecture == EFFICIENTNET else fetch(BACKBONES[architecture])
        return _load_matching(model.backbone, _keys_of(pretrained, model.backbone), "the ImageNet backbone")
    if init == "starter":
        return _load_matching(model, _starter_weights(), "the starter model")
    return _load_matching(model, fetch(WHOLE_MODELS[architecture]), "the COCO model")


def _starter_weights() -> dict[str, Tensor]:
    try:
        return open_checkpoint(starter_file()).state
    except CheckpointError as error:
        raise WeightsError(str(error)) from error


def fetch(weights: WeightsEnum) -> dict[str, Tensor]:
    """Return the state dict of torchvision's weights, downloaded if needed, its hash compared."""
    size = round(weights.meta["_file_size"] * 2**20)
    with tqdm(desc="weights", unit="B", unit_scale=True, disable=None, file=sys.stderr, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        file = download(weights.url, size, show)
    again = f"delete the file, or download {weights.url} elsewhere and save it as {file}"
    try:
        state = read_weights_file(file).document
    except CheckpointError as error:
        raise WeightsError(f"The weights {file} are damaged ({str(error).removesuffix('.')}); {again}.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"The weights {file} are damaged (they are not a state dict); {again}.")
    return state


def _keys_of(state: dict[str, Tensor], module: torch.nn.Module) -> dict[str, Tensor]:
    """Return the weights of a classification model that a backbone has; MobileNet's are one level down."""
    wanted = module.state_dict().keys()
    plain = {key.removeprefix("features."): value for key, value in state.items()}
    return {key: plain[key] for key in wanted if key in plain}


def _load_matching(module: torch.nn.Module, state: dict[str, Tensor], source: str) -> list[str]:
    """Load every tensor that fits the module, and return in words the parts that did not fit, on either side."""
    own = module.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    if not fitting:
        raise WeightsError(f"The file of {source} holds no weights of this architecture; delete it and try again.")
    module.load_state_dict({**own, **fitting})
    # Files from before 2018 lack BatchNorm's count of batches, which nothing here reads.
    missing = {key for key in own.keys() - fitting.keys() if not key.endswith(".num_batches_tracked")}
    fresh = sorted({_part(key) for key in missing})
    unused = sorted({_part(key) for key in state.keys() - own.keys()})
    absent = {_part(key) for key in missing - state.keys()}  # of the others the shape differs: by the classes
    notes = [
        f"{part} is not in {source} and starts from random weights"
        if part in absent
        else f"{part} starts from random weights, as it must: {source} has other classes"
        for part in fresh
    ]
    return notes + [f"{part} of {source} has no place in this model and was left out" for part in unused]


def _part(key: str) -> str:
    """Return the part of the model that has a tensor: `classifier.4`, `aux_classifier`, `backbone`."""
    head, *rest = key.split(".")
    return f"{head}.{rest[0]}" if head == "classifier" else head
