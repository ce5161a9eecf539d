"""The models on offer: torchvision's DeepLabV3, trained on COCO's photos of VOC's classes, downloaded on first use.

A name such as `coco-voc-resnet50` stands for its file wherever a checkpoint is asked for, and so does `starter`
(`starter.py`); here both are resolved. What is known of the models is written down here, so that a page can
list them without importing torch; a test holds it against torchvision's own.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.classes import VOC_CLASSES
from core.errors import ConfigError, WeightsError
from core.jobs import OnProgress
from core.model.checkpoint.stated import NOTHING, Given
from core.model.weights.hub import download, hub_file
from core.model.weights.starter import is_starter, starter_file, starter_path

if TYPE_CHECKING:
    from core.model.checkpoint.checkpoint_file import OpenedCheckpoint

SERVER = "https://download.pytorch.org/models/"
IMAGE_SIZE = 520
SIZE_ROUNDING = 1000
"""By which the sizes below may be off, in bytes."""
SOURCE = "torchvision, trained on COCO's photos with VOC's classes"


@dataclass(frozen=True)
class PretrainedModel:
    """A model on offer; its scores are fractions, told by torchvision for COCO's validation photos, not VOC's."""

    name: str
    architecture: str
    output_stride: int
    file_name: str
    size_bytes: int
    miou: float
    pixel_accuracy: float

    @property
    def url(self) -> str:
        """Where it is downloaded from."""
        return SERVER + self.file_name

    @property
    def path(self) -> Path:
        """Where its file lies, or will."""
        return hub_file(self.url)

    @property
    def is_downloaded(self) -> bool:
        """Whether its file is there."""
        return self.path.is_file()

    def as_dict(self) -> dict[str, str | float | bool]:
        """Return it as JSON types."""
        about = {name: getattr(self, name) for name in ("name", "architecture", "size_bytes", "miou", "pixel_accuracy")}
        return about | {"is_downloaded": self.is_downloaded, "file": str(self.path), "url": self.url}


MODELS = (
    PretrainedModel(
        "coco-voc-mobilenet", "deeplabv3_mobilenet_v3_large", 16, "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        44_357_000, 0.603, 0.912,
    ),
    PretrainedModel(
        "coco-voc-resnet50", "deeplabv3_resnet50", 8, "deeplabv3_resnet50_coco-cd0a2569.pth",
        168_312_000, 0.664, 0.924,
    ),
    PretrainedModel(
        "coco-voc-resnet101", "deeplabv3_resnet101", 8, "deeplabv3_resnet101_coco-586e9e4e.pth",
        244_545_000, 0.674, 0.924,
    ),
)  # fmt: skip


def pretrained_models() -> tuple[PretrainedModel, ...]:
    """Return the models on offer, the smallest first."""
    return MODELS


def pretrained_model(name: str) -> PretrainedModel:
    """Return the model of a name; one that is not on offer raises `WeightsError`."""
    for model in MODELS:
        if model.name == name:
            return model
    raise WeightsError(f"There is no model '{name}' on offer; there are {', '.join(model.name for model in MODELS)}.")


def download_pretrained(model: PretrainedModel, on_progress: OnProgress | None = None) -> Path:
    """Return the model's file, downloaded if need be and its hash compared; `WeightsError` says what to do instead."""
    return download(model.url, model.size_bytes, on_progress)


def open_pretrained(model: PretrainedModel, on_progress: OnProgress | None = None) -> "OpenedCheckpoint":
    """Open a model on offer, downloading it if need be, for `open_predictor`.

    What its file does not tell is known here: classes, photo size, output stride. A file that is not what its name says
    raises `CheckpointError`, one that cannot be had `WeightsError`.
    """
    from core.model.checkpoint.checkpoint_file import open_checkpoint
    from core.model.checkpoint.foreign import OtherClassesError

    given = Given(image_size=IMAGE_SIZE, output_stride=model.output_stride, classes=VOC_CLASSES)
    file = download_pretrained(model, on_progress)
    try:
        opened = open_checkpoint(file, given)
        is_other = opened.meta.architecture != model.architecture
    except OtherClassesError:
        is_other = True
    if is_other:
        raise WeightsError(f"{model.path} holds another model than {model.name}; delete it and download it again.")
    return replace(opened, meta=replace(opened.meta, lineage=(SOURCE,)), format=model.name)


def is_published(path: Path) -> bool:
    """Tell whether a file, under whatever name, is one of those that torchvision publishes: by its size and hash."""
    size = path.stat().st_size
    near = [model for model in MODELS if abs(model.size_bytes - size) <= SIZE_ROUNDING]
    if not near:
        return False
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return any(found.startswith(Path(model.file_name).stem.rpartition("-")[2]) for model in near)


def checkpoint_file(name_or_path: str | Path, on_progress: OnProgress | None = None) -> Path:
    """Return the file that is meant: that of the starter or a model on offer by its name, else a path."""
    if is_starter(name_or_path):
        return starter_file()
    if _is_name(name_or_path):
        return download_pretrained(pretrained_model(str(name_or_path)), on_progress)
    return Path(name_or_path)


def checkpoint_path(name_or_path: str | Path) -> Path:
    """Return where the file that is meant lies, or will once it is downloaded."""
    if is_starter(name_or_path):
        return starter_path()
    return pretrained_model(str(name_or_path)).path if _is_name(name_or_path) else Path(name_or_path)


def open_named(
    name_or_path: str | Path, on_progress: OnProgress | None = None, given: Given = NOTHING
) -> "OpenedCheckpoint":
    """Open the checkpoint that is meant: the starter or a model on offer by its name, else a file.

    Of a file, `given` says more.
    """
    from core.model.checkpoint.checkpoint_file import open_checkpoint

    is_offer = _is_name(name_or_path)
    if given != NOTHING and (is_offer or is_starter(name_or_path)):
        raise ConfigError(f"{name_or_path} is known here; open it without options that say what it is.")
    if is_offer:
        return open_pretrained(pretrained_model(str(name_or_path)), on_progress)
    return open_checkpoint(checkpoint_file(name_or_path), given)


def _is_name(name_or_path: str | Path) -> bool:
    """Whether it is a name on offer, and no file of that name is there."""
    return str(name_or_path) in {model.name for model in MODELS} and not Path(name_or_path).is_file()
