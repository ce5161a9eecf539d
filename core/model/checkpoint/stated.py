"""What a person says about a checkpoint file that does not: photo size, geometry, output stride, classes, weights."""

from dataclasses import dataclass
from pathlib import Path

from core.classes import VOC_CLASSES, Classes, classes_of, read_classes
from core.data.geometry import GEOMETRIES
from core.errors import ConfigError

MAX_IMAGE_SIZE = 8192
"""The largest size in px to which a model's photos are resized."""
RAW, AVERAGED = "raw", "ema"
WEIGHTS = (RAW, AVERAGED)
"""The trained weights or their running average, for files that hold both."""
VOC = "voc"
STRIDES = (8, 16)


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a person says about a file, None for what they do not say; wrong values raise `ConfigError`."""

    image_size: int | None = None
    geometry: str | None = None
    output_stride: int | None = None
    classes: Classes | None = None
    weights: str | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None and not 1 <= self.image_size <= MAX_IMAGE_SIZE:
            raise ConfigError(f"The image size is {self.image_size} px; give one of 1 to {MAX_IMAGE_SIZE}.")
        if self.geometry not in (None, *GEOMETRIES):
            raise ConfigError(f"The geometry is {self.geometry}; give {' or '.join(GEOMETRIES)}.")
        if self.output_stride not in (None, *STRIDES):
            raise ConfigError(f"The output stride is {self.output_stride}; give 8 or 16.")
        if self.weights not in (None, *WEIGHTS):
            raise ConfigError(f"There are no weights '{self.weights}'; give {' or '.join(WEIGHTS)}.")

    @property
    def about_the_model(self) -> list[str]:
        """The options given that a file of this project states itself."""
        named = {
            "--image-size": self.image_size,
            "--geometry": self.geometry,
            "--output-stride": self.output_stride,
            "--classes": self.classes,
        }
        return [name for name, value in named.items() if value is not None]


NOTHING = Given()


def classes_in(text: str) -> Classes:
    """Return the classes that a text names, `voc` or names between commas; wrong ones raise `DataError`."""
    if text.strip().lower() == VOC:
        return VOC_CLASSES
    return classes_of([name.strip() for name in text.split(",")])


def read_class_names(text: str) -> Classes:
    """Return the classes of a text as in `classes_in`, or of a file with a name on each line."""
    is_file = "," not in text and text.strip().lower() != VOC
    return read_classes(Path(text)) if is_file else classes_in(text)
