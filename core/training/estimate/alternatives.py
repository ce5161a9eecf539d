"""What could be set otherwise to take less time, or less rounding, and what each of it gives up, in words."""

from typing import Any, NamedTuple

from core.training.settings.config import TrainingConfig

MOBILENET = "deeplabv3_mobilenet_v3_large"
SMALL_BACKBONES = (MOBILENET, "deeplabv3_efficientnet_lite0")
SMALLEST_IMAGE_PX = 32


class Change(NamedTuple):
    """Other settings: what a person calls them, what changes, and what that gives up."""

    label: str
    changes: dict[str, Any]
    gives_up: str


def changes_of(config: TrainingConfig, precision: str, *, has_fast_bf16: bool) -> list[Change]:
    """Return what could be set otherwise, each valid and different; `precision` is what the chosen settings come to."""
    changes = []
    if config.output_stride == 8:
        changes.append(_coarser())
    if config.image_size // 2 >= SMALLEST_IMAGE_PX:
        changes.append(_smaller(config.image_size // 2))
    if not config.store_features:
        changes.append(_head_alone(config))
    if config.architecture not in SMALL_BACKBONES:
        changes.append(_mobile())
    if precision == "bf16":
        changes.append(_exact())
    elif has_fast_bf16:
        changes.append(_rounded())
    return changes


def _coarser() -> Change:
    gives_up = (
        "Fine outlines: the model decides on a grid twice as coarse. Small and thin objects suffer first, large ones "
        "hardly."
    )
    return Change("Output stride 16", {"output_stride": 16}, gives_up)


def _smaller(image_size: int) -> Change:
    gives_up = (
        f"Detail: a photo keeps a quarter of its pixels. What is only a few pixels wide at {image_size} px is no "
        "longer seen."
    )
    return Change(f"{image_size} px instead of {2 * image_size}", {"image_size": image_size}, gives_up)


def _head_alone(config: TrainingConfig) -> Change:
    if config.init == "random":
        gives_up = (
            "Nearly everything: the backbone would stay as random as it starts. It makes sense only from a trained "
            "one, init=imagenet or init=coco-voc."
        )
    else:
        gives_up = (
            "What the backbone could learn from these photos. Little where they look like those it was trained on, "
            "much where they do not, as with scans or drawings."
        )
    if config.has_random_scale or config.aux_weight:
        gives_up += " Random scales and the auxiliary head go too."
    wanted = {"freeze": "backbone", "store_features": True, "scale_min": 1.0, "scale_max": 1.0, "aux_weight": 0.0}
    changes = {name: value for name, value in wanted.items() if getattr(config, name) != value}
    return Change("Head on stored features", changes, gives_up)


def _mobile() -> Change:
    gives_up = (
        "Accuracy: a small backbone made for phones, which learns fewer details. torchvision's own weights reach "
        "60.3 % mIoU with it, and 66.4 % with ResNet-50, on the same COCO photos with VOC's labels."
    )
    return Change("MobileNetV3-Large", {"architecture": MOBILENET, "output_stride": 16}, gives_up)


def _exact() -> Change:
    gives_up = "Nothing of the result, time at most: fp32 keeps 24 bits of every product, where bf16 keeps 8."
    return Change("fp32 arithmetic", {"precision": "fp32"}, gives_up)


def _rounded() -> Change:
    gives_up = (
        "Digits: products are rounded to 8 bits instead of 24, so a run does not repeat one in fp32. The scores "
        "usually do not suffer."
    )
    return Change("bf16 arithmetic", {"precision": "bf16"}, gives_up)
