"""Settings that exclude each other, in words, and what makes them fit."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

RESNET, MOBILENET, EFFICIENTNET = (
    "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "deeplabv3_efficientnet_lite0",
)  # fmt: skip

LEAST_BATCH_SIZE = 2
"""BatchNorm has no variance over one photo."""


class Misfit(NamedTuple):
    """Why some settings exclude each other and what to do, and the changes that do it.

    `otherwise` are the changes if one of those settings was chosen last.
    """

    why: str
    remedy: str
    changes: dict[str, Any]
    otherwise: dict[str, Any]

    @property
    def sentence(self) -> str:
        """The error in a sentence."""
        return f"{self.why}; {self.remedy}."


def misfits(config: Any) -> Iterator[Misfit]:
    """Yield what does not fit in the settings that `config` has as attributes; changes made meanwhile count."""
    if 0 < config.batch_size < LEAST_BATCH_SIZE:
        why = f"batch_size is {config.batch_size}, but BatchNorm needs {LEAST_BATCH_SIZE} photos or more"
        yield Misfit(why, "0 takes as many as fit in memory", {"batch_size": LEAST_BATCH_SIZE}, {})
    if config.architecture == MOBILENET and config.output_stride != 16:
        why = f"output_stride is {config.output_stride}, but {MOBILENET} has 16 only"
        yield Misfit(why, "set output_stride=16", {"output_stride": 16}, {})
    if config.architecture == EFFICIENTNET and config.init == "coco-voc":
        why = f"init is coco-voc, but {EFFICIENTNET} has ImageNet weights"
        yield Misfit(why, "set init=imagenet", {"init": "imagenet"}, {"architecture": RESNET})
    if config.architecture != EFFICIENTNET and config.init == "starter":
        why = f"init is starter, a {EFFICIENTNET}, but architecture is {config.architecture}"
        yield Misfit(why, "change one of them", {"init": "auto"}, {"architecture": EFFICIENTNET})
    needed = {"aux_weight": 0.0} | ({"freeze": "backbone"} if config.freeze == "none" else {})
    changes = {name: value for name, value in needed.items() if getattr(config, name) != value}
    if config.store_features and changes:
        why = "store_features=true needs freeze=early, middle, most or backbone, and aux_weight=0"
        yield Misfit(why, "change them, or set store_features=false", changes, {"store_features": False})


def fitted(values: Mapping[str, Any], chosen: str = "") -> tuple[dict[str, Any], list[Misfit]]:
    """Return all settings with those changed that did not fit, and the reasons with the changes made.

    The setting called `chosen` stays if the others can follow it.
    """
    config, made = SimpleNamespace(**values), []
    for misfit in misfits(config):
        changes = misfit.otherwise if chosen in misfit.changes and misfit.otherwise else misfit.changes
        vars(config).update(changes)
        made.append(misfit._replace(changes=changes))
    return vars(config), made
