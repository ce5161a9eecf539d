"""Where the settings of a run start: the presets, what they are called, and what each gives up."""

from core.errors import ConfigError
from core.training.config import TrainingConfig

PRESETS: dict[str, TrainingConfig] = {
    "report": TrainingConfig(precision="fp32"),
    "cpu-fast": TrainingConfig(
        epochs=50,
        batch_size=8,  # from random weights, steps are what is missing
        image_size=128,
        learning_rate=1e-3,
        optimizer="adamw",
        weight_decay=0.01,
        schedule="one-cycle",
        output_stride=16,
        flip=True,
        scale_min=0.75,
        scale_max=1.25,
    ),
    # torchvision's references/segmentation: SGD at 0.02 for batches of 8 x 4, so 0.01 for 16; poly; 480 px crops of
    # photos scaled by 0.5 to 2. Ours squashes photos to a square and does not train the auxiliary head 10 times faster.
    "best": TrainingConfig(
        epochs=30,
        batch_size=16,
        image_size=480,
        learning_rate=0.01,
        optimizer="sgd",
        weight_decay=1e-4,
        schedule="poly",
        output_stride=8,
        init="imagenet",
        aux_weight=0.5,
        flip=True,
        scale_min=0.5,
        scale_max=2.0,
    ),
    "demo": TrainingConfig(
        batch_size=16,
        image_size=96,
        learning_rate=1e-3,
        optimizer="adamw",
        weight_decay=0.01,
        schedule="one-cycle",
        schedule_epochs=50,
        output_stride=16,
        flip=True,
    ),
}


PRESET_LABELS = {"report": "Report", "cpu-fast": "CPU fast", "best": "Best accuracy", "demo": "Demo"}


PRESET_HELP = {
    "report": "The student's recipe: Adam at 0.001, 256 px, stride 8, fp32, no augmentation, 10 epochs.",
    "cpu-fast": "Photos without a GPU: 128 px at stride 16, 50 epochs; gives up fine outlines and small objects. "
    "With a network, init=imagenet makes it far better.",
    "best": "torchvision's recipe from an ImageNet backbone: 480 px, stride 8, 30 epochs; gives up speed, wants a GPU, "
    "and downloads the backbone once.",
    "demo": "ResNet-50 on small images: 10 epochs in about two minutes on two cores, planned to be extended to 50.",
}


def preset(name: str) -> TrainingConfig:
    """Return a preset by name, or raise `ConfigError` naming those that exist."""
    if name not in PRESETS:
        raise ConfigError(f"There is no preset '{name}'; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
