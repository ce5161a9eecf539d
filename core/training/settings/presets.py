"""Presets, with their strengths and limits, and the parser of `key=value` settings."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.home import demo_dir
from core.model.weights.starter import KNOWN
from core.training.settings.config import SETTING_TYPES, TrainingConfig, suggestion

PRESETS: dict[str, TrainingConfig] = {
    # Measured on 530 photos of VOC's animals (dev/LOG.md): frozen early stages save time and cost little accuracy;
    # random scales gain more than stored features save.
    "own-photos": TrainingConfig(
        architecture="deeplabv3_efficientnet_lite0",
        init="auto",
        freeze="early",
        freeze_batchnorm=True,
        epochs=16,
        batch_size=16,
        image_size=256,
        learning_rate=1e-3,
        backbone_lr_mult=0.2,
        optimizer="adamw",
        weight_decay=0.01,
        schedule="one-cycle",
        output_stride=16,
        flip=True,
        scale_min=0.6,
        scale_max=1.6,
    ),
    "report": TrainingConfig(precision="fp32"),
    # torchvision's references/segmentation: SGD at 0.02 for batches of 8 x 4, so 0.01 for 16; poly; 480 px crops of
    # photos scaled by 0.5 to 2. Ours resizes photos to a square and does not train the auxiliary head 10 times faster.
    "best": TrainingConfig(
        epochs=30,
        batch_size=16,
        image_size=480,
        learning_rate=0.01,
        optimizer="sgd",
        weight_decay=1e-4,
        schedule="poly",
        output_stride=8,
        init="auto",
        aux_weight=0.5,
        flip=True,
        scale_min=0.5,
        scale_max=2.0,
    ),
    # Outlines want a fine map more than many scenes (dev/LOG.md): a third of the scenes at stride 8 and 128 px.
    "demo": TrainingConfig(
        batch_size=8,
        image_size=128,
        learning_rate=1e-3,
        optimizer="adamw",
        weight_decay=0.01,
        schedule="one-cycle",
        schedule_epochs=50,
        output_stride=8,
        flip=True,
        train_fraction=0.33,
    ),
}


FEWEST_EPOCHS, MOST_EPOCHS, PHOTOS_IN_ALL = 12, 60, 360
SMALL_BATCHES = {80: 4, 240: 8}
"""Batch sizes of `few_photos` by the number of labelled photos below which they apply."""

FORMER_NAMES = {"cpu-fast": "own-photos"}
"""Former names of presets: old runs and scripts use them."""

PRESET_LABELS = {
    "own-photos": "Own photos", "report": "The report's recipe", "best": "Best accuracy (GPU)", "demo": "Demo",
}  # fmt: skip

PRESET_HELP = {
    "own-photos": "A few hundred photos of one's own, without a GPU or a network: the head and the later stages of an "
    "EfficientNet-Lite0 trained on ImageNet; 256 px, stride 16, about five minutes; gives up fine outlines.",
    "report": "The student's recipe: Adam at 0.001, 256 px, stride 8, fp32, no augmentation, 10 epochs.",
    "best": "torchvision's recipe from pretrained weights: 480 px, stride 8, 30 epochs; gives up speed, wants a GPU, "
    "and downloads the weights once.",
    "demo": "ResNet-50 on a third of the photos, 128 px, stride 8: 10 epochs in about two minutes on two cores, "
    "planned to be extended to 50.",
}


def preset(name: str) -> TrainingConfig:
    """Return a preset by its present or former name; an unknown name raises `ConfigError`."""
    name = present_name(name)
    if name not in PRESETS:
        raise ConfigError(f"There is no preset '{name}'; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def present_name(name: str) -> str:
    """Return the present name of a preset; any other name unchanged."""
    return FORMER_NAMES.get(name, name)


def few_photos(num_photos: int, class_names: Iterable[str] = ()) -> TrainingConfig:
    """Return *Own photos* for so few that one of its epochs would be a step or two; for more, as it is.

    Measured on 20 photos (dev/LOG.md): small batches take 87 % of the pixels right instead of 76 %, and the starter's
    weights 94 % in fewer epochs where its classes are wanted. 360 photos in all epochs take 40 s of a processor.
    """
    usual = PRESETS["own-photos"]
    epochs = min(MOST_EPOCHS, max(usual.epochs, round(PHOTOS_IN_ALL / max(1, num_photos))))
    batch_size = next((size for photos, size in SMALL_BATCHES.items() if num_photos < photos), usual.batch_size)
    settings = dataclasses.replace(usual, epochs=epochs, batch_size=batch_size)
    if any(name.casefold().removesuffix("s") in KNOWN for name in class_names):
        return dataclasses.replace(settings, init="starter", epochs=max(FEWEST_EPOCHS, epochs // 2))
    return settings


def usual_preset(data: Path) -> str:
    """Return the default preset for a data set."""
    return "demo" if data.absolute() == demo_dir() else "own-photos"


def parse_settings(assignments: list[str]) -> dict[str, Any]:
    """Return the typed values in `key=value` texts; an unknown name or a bad value raises `ConfigError`."""
    settings = {}
    for text in assignments:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"'{text}' is not a setting; write key=value, as in epochs=10.")
        if name not in SETTING_TYPES:
            raise ConfigError(f"There is no setting '{name}'{suggestion(name)}.")
        settings[name] = _parse_value(name, value)
    return settings


def _parse_value(name: str, text: str) -> Any:
    wanted = SETTING_TYPES[name]
    if wanted is bool:
        if text.lower() in ("true", "yes", "1", "false", "no", "0"):
            return text.lower() in ("true", "yes", "1")
        raise ConfigError(f"{name} is '{text}'; write true or false.")
    try:
        return wanted(text)
    except ValueError:
        kind = {int: "a whole number", float: "a number"}[wanted]
        raise ConfigError(f"{name} is '{text}'; it must be {kind}.") from None
