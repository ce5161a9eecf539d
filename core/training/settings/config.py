"""The settings of a training run: one frozen dataclass, validated when it is created, and read from JSON.

Each setting is declared once, with its default, label, help and bounds. The declaration validates values, draws the
form and builds the help of `--set`.
"""

import dataclasses
import difflib
import functools
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from core.data.geometry import GEOMETRIES, RESIZE
from core.errors import ConfigError
from core.training.settings.fitting import EFFICIENTNET, MOBILENET, RESNET, misfits

ARCHITECTURES = (RESNET, "deeplabv3_resnet101", MOBILENET, EFFICIENTNET)

MAX_EPOCHS = 10_000


def setting(
    default: Any,
    label: str,
    help_text: str,
    *,
    group: str,
    bounds: tuple[float | None, float | None] = (None, None),
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """Declare one setting: inclusive bounds or choices, and the form's heading as `group`."""
    low, high = bounds
    about = {"label": label, "help": help_text, "low": low, "high": high, "choices": choices, "group": group}
    return field(default=default, metadata=about)


MAIN, OPTIMIZATION, MODEL, MACHINE, AUGMENTATION, DATA = (
    functools.partial(setting, group=group)
    for group in ("Main", "Optimization", "Model", "Machine", "Augmentation", "Data")
)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Every setting of a run. Creating one validates it; a bad value raises `ConfigError`."""

    epochs: int = MAIN(10, "Epochs", "How often the model sees every training photo.", bounds=(1, MAX_EPOCHS))
    batch_size: int = MAIN(
        16,
        "Batch size",
        "Photos per step, at least 2 for BatchNorm to have a variance; 0 takes as many as fit in memory, up to 64.",
        bounds=(0, 1024),
    )
    image_size: int = MAIN(
        256,
        "Image size (px)",
        "Side of the square to which photos are resized before the model sees them.",
        bounds=(32, 2048),
    )
    geometry: str = MAIN(
        RESIZE,
        "Geometry",
        "Resize sets both sides of a photo to the image size, which distorts it. Fit resizes "
        "the longer side, keeps the aspect ratio and pads the square; padding counts in no loss and no score.",
        choices=GEOMETRIES,
    )
    learning_rate: float = MAIN(
        1e-3, "Learning rate", "The highest step size the schedule reaches.", bounds=(1e-8, 10.0)
    )
    backbone_lr_mult: float = OPTIMIZATION(
        1.0,
        "Learning rate of the backbone (times)",
        "Factor on the backbone's learning rate: a pretrained backbone needs smaller steps than a new head.",
        bounds=(1e-6, 10.0),
    )
    optimizer: str = MAIN("adam", "Optimizer", "SGD runs with momentum 0.9.", choices=("adam", "adamw", "sgd"))
    weight_decay: float = OPTIMIZATION(0.0, "Weight decay", "Pull of the weights towards zero.", bounds=(0.0, 1.0))
    schedule: str = OPTIMIZATION(
        "constant",
        "Learning rate schedule",
        "How the learning rate moves from step to step: flat, poly (power 0.9), cosine, or up and down once.",
        choices=("constant", "poly", "cosine", "one-cycle"),
    )
    schedule_epochs: int = OPTIMIZATION(
        0,
        "Schedule length (epochs)",
        "Epochs that the schedule spans; 0 means the run's epochs. Give 50 to a run of 10 that will be extended to 50, "
        "and both together follow one schedule.",
        bounds=(0, MAX_EPOCHS),
    )
    clip_norm: float = OPTIMIZATION(
        0.0,
        "Largest gradient norm",
        "Longer gradients, over all weights together, are scaled down to this norm; 0 clips nothing.",
        bounds=(0.0, 1000.0),
    )
    ema_decay: float = OPTIMIZATION(
        0.0,
        "Decay of the averaged weights",
        "Validate and save an exponential moving average of the weights, such as 0.999; 0 turns it off.",
        bounds=(0.0, 0.99999),
    )
    class_weighting: str = OPTIMIZATION(
        "none",
        "Class weighting",
        "Balanced weighs pixels of rare classes more in training, by median frequency and at most 10 times; the "
        "validation loss weighs every pixel alike.",
        choices=("none", "balanced"),
    )
    patience: int = OPTIMIZATION(
        0,
        "Patience (epochs)",
        "Epochs without a better validation mIoU after which training ends early; 0 trains all epochs.",
        bounds=(0, MAX_EPOCHS),
    )
    architecture: str = MODEL(
        ARCHITECTURES[0],
        "Architecture",
        "DeepLabV3 with torchvision's head on this backbone. ImageNet weights of EfficientNet-Lite0 are installed with "
        "Atrous; those of the others are downloaded.",
        choices=ARCHITECTURES,
    )
    output_stride: int = MODEL(
        8,
        "Output stride",
        "Photo pixels per pixel of the model's own output: 8 is finer, 16 is twice as fast or more.",
        choices=(8, 16),
    )
    init: str = MODEL(
        "random",
        "Start from",
        "Random weights, a backbone trained on ImageNet, the whole model trained on COCO with VOC's labels, or the "
        "starter model. Auto takes the best available: COCO's for VOC's classes, else ImageNet's; random without a "
        "network.",
        choices=("auto", "random", "imagenet", "coco-voc", "starter"),
    )
    aux_weight: float = MODEL(
        0.0,
        "Auxiliary loss weight",
        "Weight of a second head's loss on the third backbone stage; 0 leaves the head out.",
        bounds=(0.0, 10.0),
    )
    freeze: str = MODEL(
        "none",
        "Freeze",
        "Do not train these weights and BatchNorm statistics: the backbone's early stages, which find edges and "
        "textures, all stages but the last two (middle) or the last (most), or the whole backbone. Of a ResNet, "
        "early, middle and most are the same: all but its last stage.",
        choices=("none", "early", "middle", "most", "backbone"),
    )
    freeze_batchnorm: bool = MODEL(
        default=False,
        label="Freeze BatchNorm statistics",
        help_text="Keep the mean and variance that the backbone's BatchNorm layers start with: a few photos a step "
        "estimate them worse than pretraining did.",
    )
    store_features: bool = MODEL(
        default=False,
        label="Store the backbone's features",
        help_text="Compute the frozen stages' output for every photo once, on disk, and train the other stages on it, "
        "which is faster the fewer they are. Flips are stored too, and four random scales of each photo, which all "
        "epochs then share; an auxiliary head does not work with it.",
    )
    precision: str = MACHINE(
        "auto",
        "Precision",
        "Number format of the arithmetic; auto uses bf16 where the hardware supports it, else fp32.",
        choices=("auto", "fp32", "bf16"),
    )
    device: str = MACHINE(
        "auto",
        "Device",
        "Auto tries an NVIDIA (cuda), Apple (mps) or Intel (xpu) GPU with one training step, and uses it if that gives "
        "what the CPU gives, faster. Any other choice is used untried.",
        choices=("auto", "cpu", "cuda", "mps", "xpu"),
    )
    num_workers: int = MACHINE(
        0,
        "Loader processes",
        "Processes that read photos beside the training; 0 reads them in the training process, or copies them to the "
        "GPU once if they take little of its memory.",
        bounds=(0, 64),
    )
    checkpoint_seconds: float = MACHINE(
        120.0,
        "Save at most every (s)",
        "best.pt and last.pt are written after the first epoch, the last, and any epoch that ends this long after the "
        "last save; 0 saves after every epoch. A killed run resumes from there.",
        bounds=(0.0, 86_400.0),
    )
    tensorboard: bool = MACHINE(
        default=False,
        label="Write TensorBoard events",
        help_text="Also write losses and scores to the run's folder tensorboard/; needs `pip install tensorboard`.",
    )
    flip: bool = AUGMENTATION(default=False, label="Random flip", help_text="Mirror half of the training photos.")
    scale_min: float = AUGMENTATION(
        1.0, "Smallest random scale", "Below 1, photos are scaled down and padded.", bounds=(0.25, 1.0)
    )
    scale_max: float = AUGMENTATION(
        1.0, "Largest random scale", "Above 1, photos are scaled up and cropped.", bounds=(1.0, 4.0)
    )
    train_fraction: float = DATA(
        1.0,
        "Share of the training photos",
        "Train on a seeded random part of the split, for a quick try.",
        bounds=(0.0001, 1.0),
    )
    seed: int = DATA(0, "Seed", "Decides initial weights, order and augmentation.", bounds=(0, 2**31 - 1))

    def __post_init__(self) -> None:
        for declared in fields(self):
            _check(declared, getattr(self, declared.name))
        for misfit in misfits(self):
            raise ConfigError(misfit.sentence)

    @property
    def has_random_scale(self) -> bool:
        """Whether photos are scaled at random."""
        return (self.scale_min, self.scale_max) != (1.0, 1.0)

    @property
    def total_schedule_epochs(self) -> int:
        """Epochs that the learning rate schedule spans, at least `epochs`."""
        return max(self.epochs, self.schedule_epochs)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return dict(vars(self))


SETTING_TYPES: dict[str, type] = typing.get_type_hints(TrainingConfig)


def with_settings(config: TrainingConfig, changes: Mapping[str, Any]) -> TrainingConfig:
    """Return a copy with some settings changed; an unknown name or a bad value raises `ConfigError`."""
    return from_dict({**config.as_dict(), **changes})


def from_dict(settings: Mapping[str, Any]) -> TrainingConfig:
    """Return the config in a JSON object; missing settings have their default, unknown ones raise `ConfigError`."""
    for name in settings:
        if name not in SETTING_TYPES:
            raise ConfigError(f"There is no setting '{name}'{suggestion(name)}.")
    return TrainingConfig(**settings)


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
    """Return the end of a sentence about an unknown setting: the one with the closest name, or all names."""
    close = difflib.get_close_matches(name, SETTING_TYPES, n=1)
    return f"; did you mean '{close[0]}'" if close else f"; the settings are {', '.join(SETTING_TYPES)}"
