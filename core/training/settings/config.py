"""What a training run is asked to do: one frozen dataclass, checked as it is made, and read from JSON.

Each setting is declared once, with its default, label, help and bounds; the same declaration validates, draws the
form and builds the help of `--set`.
"""

import dataclasses
import difflib
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from core.data.geometry import GEOMETRIES, RESIZE
from core.errors import ConfigError

ARCHITECTURES = (
    "deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3_mobilenet_v3_large", "deeplabv3_efficientnet_lite0",
)  # fmt: skip

MAX_EPOCHS = 10_000

LEAST_BATCH_SIZE = 2
"""BatchNorm over one photo has no variance."""


def setting(
    default: Any,
    label: str,
    help_text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
    group: str = "More",
) -> Any:
    """Declare one setting; bounds are inclusive, `group` is the heading under which a form shows it."""
    about = {"label": label, "help": help_text, "low": low, "high": high, "choices": choices, "group": group}
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Every setting of a run. Creating one validates it; a bad value raises `ConfigError`."""

    epochs: int = setting(
        10, "Epochs", "How often the model sees every training photo.", low=1, high=MAX_EPOCHS, group="Main"
    )
    batch_size: int = setting(
        16,
        "Batch size",
        "Photos per step, at least 2 for BatchNorm to have a variance; 0 takes as many as fit in memory, up to 64.",
        low=0,
        high=1024,
        group="Main",
    )
    image_size: int = setting(
        256,
        "Image size (px)",
        "Side of the square to which photos are resized before the model sees them.",
        low=32,
        high=2048,
        group="Main",
    )
    geometry: str = setting(
        RESIZE, "Geometry", "Resize sets both sides of a photo to the image size, which distorts it. Fit resizes "
        "the longer side, keeps the aspect ratio and pads the square; padding counts in no loss and no score.",
        choices=GEOMETRIES, group="Main",
    )  # fmt: skip
    learning_rate: float = setting(
        1e-3, "Learning rate", "The highest step size the schedule reaches.", low=1e-8, high=10.0, group="Main"
    )
    backbone_lr_mult: float = setting(
        1.0,
        "Learning rate of the backbone (times)",
        "By what the learning rate is multiplied for the backbone: a pretrained one needs less than a new head.",
        low=1e-6,
        high=10.0,
        group="Optimization",
    )
    optimizer: str = setting(
        "adam",
        "Optimizer",
        "SGD runs with momentum 0.9.",
        choices=("adam", "adamw", "sgd"),
        group="Main",
    )
    weight_decay: float = setting(
        0.0, "Weight decay", "Pull of the weights towards zero.", low=0.0, high=1.0, group="Optimization"
    )
    schedule: str = setting(
        "constant",
        "Learning rate schedule",
        "How the learning rate moves from step to step: flat, poly (power 0.9), cosine, or up and down once.",
        choices=("constant", "poly", "cosine", "one-cycle"),
        group="Optimization",
    )
    schedule_epochs: int = setting(
        0,
        "Schedule length (epochs)",
        "Epochs the schedule is stretched over; 0 means as many as are trained. Give 50 to a run of 10 that will be "
        "extended to 50, and both together are one schedule.",
        low=0,
        high=MAX_EPOCHS,
        group="Optimization",
    )
    clip_norm: float = setting(
        0.0,
        "Largest gradient norm",
        "The gradients of all weights together are shortened to this length; 0 leaves them as they are.",
        low=0.0,
        high=1000.0,
        group="Optimization",
    )
    ema_decay: float = setting(
        0.0,
        "Decay of the averaged weights",
        "Validate and save an exponential moving average of the weights, such as 0.999; 0 saves them as they are.",
        low=0.0,
        high=0.99999,
        group="Optimization",
    )
    class_weighting: str = setting(
        "none",
        "Class weighting",
        "Balanced lets pixels of rare classes count more in training, by median frequency and at most 10 times; "
        "the validation loss counts every pixel alike.",
        choices=("none", "balanced"),
        group="Optimization",
    )
    patience: int = setting(
        0,
        "Patience (epochs)",
        "Epochs without a better validation mIoU after which training ends early; 0 trains all epochs.",
        low=0,
        high=MAX_EPOCHS,
        group="Optimization",
    )
    architecture: str = setting(
        ARCHITECTURES[0],
        "Architecture",
        "DeepLabV3 with torchvision's head on this backbone. ImageNet weights of EfficientNet-Lite0 are installed with "
        "Atrous; those of the others are downloaded.",
        choices=ARCHITECTURES,
        group="Model",
    )
    output_stride: int = setting(
        8,
        "Output stride",
        "Photo pixels per pixel of the model's own output: 8 is finer, 16 is twice as fast or more.",
        choices=(8, 16),
        group="Model",
    )
    init: str = setting(
        "random",
        "Start from",
        "Random weights, a backbone trained on ImageNet, the whole model trained on COCO with VOC's labels, or the "
        "starter model. Auto takes the best that can be had: COCO's for VOC's classes, else ImageNet's; random without "
        "a network.",
        choices=("auto", "random", "imagenet", "coco-voc", "starter"),
        group="Model",
    )
    aux_weight: float = setting(
        0.0,
        "Auxiliary loss weight",
        "Weight of a second head's loss on the third backbone stage; 0 leaves the head out.",
        low=0.0,
        high=10.0,
        group="Model",
    )
    freeze: str = setting(
        "none",
        "Freeze",
        "Keep weights and BatchNorm statistics as they are: of the backbone, so that the head alone is trained, or of "
        "its early stages, which find edges and textures.",
        choices=("none", "early", "backbone"),
        group="Model",
    )
    freeze_batchnorm: bool = setting(
        default=False,
        label="Freeze BatchNorm statistics",
        help_text="Keep the mean and variance that the backbone's BatchNorm layers start with: those of a pretrained "
        "backbone are better than what a few photos a step give.",
        group="Model",
    )
    store_features: bool = setting(
        default=False,
        label="Store the backbone's features",
        help_text="Compute what the frozen stages make of every photo once, on disk, and train the others on that, "
        "many times as fast. Flips are stored too; random scales and the auxiliary head cannot be had with it.",
        group="Model",
    )
    precision: str = setting(
        "auto",
        "Precision",
        "Number format of the arithmetic; auto takes bf16 where the machine computes it in hardware, else fp32.",
        choices=("auto", "fp32", "bf16"),
        group="Machine",
    )
    num_workers: int = setting(
        0,
        "Loader processes",
        "Processes that read photos beside the training; 0 reads in the training process, or on a GPU copies the "
        "photos there once, if they take little of its memory.",
        low=0,
        high=64,
        group="Machine",
    )
    checkpoint_seconds: float = setting(
        120.0,
        "Save at most every (s)",
        "best.pt and last.pt are written after the first epoch, after the last, and after each by which this much time "
        "has passed since; 0 saves after every epoch. A run that is killed goes on from there.",
        low=0.0,
        high=86_400.0,
        group="Machine",
    )
    tensorboard: bool = setting(
        default=False,
        label="Write TensorBoard events",
        help_text="Losses and scores also go to the run's folder tensorboard/; needs `pip install tensorboard`.",
        group="Machine",
    )
    flip: bool = setting(
        default=False, label="Random flip", help_text="Mirror half of the training photos.", group="Augmentation"
    )
    scale_min: float = setting(
        1.0, "Smallest random scale", "Below 1, photos are shrunk and padded.", low=0.25, high=1.0, group="Augmentation"
    )
    scale_max: float = setting(
        1.0,
        "Largest random scale",
        "Above 1, they are enlarged and cropped.",
        low=1.0,
        high=4.0,
        group="Augmentation",
    )
    train_fraction: float = setting(
        1.0,
        "Share of the training photos",
        "Train on a seeded random part of the split, for a quick try.",
        low=0.0001,
        high=1.0,
        group="Data",
    )
    seed: int = setting(0, "Seed", "Fixes weights, order and augmentation.", low=0, high=2**31 - 1, group="Data")

    def __post_init__(self) -> None:
        for declared in fields(self):
            _check(declared, getattr(self, declared.name))
        if 0 < self.batch_size < LEAST_BATCH_SIZE:
            raise ConfigError(
                f"batch_size is {self.batch_size}, but BatchNorm needs {LEAST_BATCH_SIZE} photos or more; "
                "0 takes as many as fit in memory."
            )
        if self.architecture == "deeplabv3_mobilenet_v3_large" and self.output_stride != 16:
            raise ConfigError("output_stride is 8, but deeplabv3_mobilenet_v3_large has 16 only; set output_stride=16.")
        if self.architecture == "deeplabv3_efficientnet_lite0" and self.init == "coco-voc":
            raise ConfigError(
                "init is coco-voc, but deeplabv3_efficientnet_lite0 has ImageNet weights; set init=imagenet."
            )
        if self.architecture != "deeplabv3_efficientnet_lite0" and self.init == "starter":
            raise ConfigError(
                f"init is starter, a deeplabv3_efficientnet_lite0, but architecture is {self.architecture}; set one of "
                "them otherwise."
            )
        if self.store_features and (self.freeze == "none" or self.aux_weight or self.has_random_scale):
            raise ConfigError(
                "store_features=true needs freeze=early or freeze=backbone, aux_weight=0, scale_min=1 and scale_max=1: "
                "what changes with every epoch cannot be stored."
            )

    @property
    def has_random_scale(self) -> bool:
        """Whether photos are shrunk or enlarged at random."""
        return (self.scale_min, self.scale_max) != (1.0, 1.0)

    @property
    def total_schedule_epochs(self) -> int:
        """Epochs the learning rate schedule spans: never less than what is trained."""
        return max(self.epochs, self.schedule_epochs)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return dataclasses.asdict(self)


SETTING_TYPES: dict[str, type] = typing.get_type_hints(TrainingConfig)


def with_settings(config: TrainingConfig, changes: Mapping[str, Any]) -> TrainingConfig:
    """Return a copy with some settings changed; an unknown name or a bad value raises `ConfigError`."""
    for name in changes:
        if name not in SETTING_TYPES:
            raise ConfigError(f"There is no setting '{name}'{suggestion(name)}.")
    return dataclasses.replace(config, **changes)


def from_dict(settings: Mapping[str, Any]) -> TrainingConfig:
    """Build a config from JSON; settings that are missing take their default, unknown ones raise `ConfigError`."""
    return with_settings(TrainingConfig(), settings)


def _check(declared: "dataclasses.Field[Any]", value: Any) -> None:
    name, wanted, about = declared.name, SETTING_TYPES[declared.name], declared.metadata
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if not (is_int if wanted is int else isinstance(value, wanted) or (wanted is float and is_int)):
        raise ConfigError(f"{name} is {value!r}; it must be of type {wanted.__name__}.")
    if about["choices"] and value not in about["choices"]:
        raise ConfigError(f"{name} is {value!r}; choose one of {', '.join(map(str, about['choices']))}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} is {value}; it must be a finite number.")
    low, high = about["low"], about["high"]
    if low is not None and not low <= value <= high:
        raise ConfigError(f"{name} is {value}; it must lie between {low} and {high}. {about['help']}")


def suggestion(name: str) -> str:
    """Return the end of a sentence about a setting that does not exist: the one that was meant, or all there are."""
    close = difflib.get_close_matches(name, SETTING_TYPES, n=1)
    return f"; did you mean '{close[0]}'" if close else f"; the settings are {', '.join(SETTING_TYPES)}"
