"""The models on offer: torchvision's DeepLabV3, trained on COCO's photos of VOC's classes, downloaded on first use.

A name such as `coco-voc-resnet50` stands for its file wherever a checkpoint is asked for, and so does `starter`; both
are resolved here. A page lists the models without importing torch, so their facts are written out below; a test
compares them with torchvision's own.
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
"""Largest error of the sizes below, in bytes."""
SOURCE = "torchvision, trained on COCO's photos with VOC's classes"


@dataclass(frozen=True)
class PretrainedModel:
    """A model on offer; its scores are fractions, torchvision's on COCO's validation photos, not VOC's."""

    name: str
    architecture: str
    output_stride: int
    file_name: str
    size_bytes: int
    miou: float
    pixel_accuracy: float

    @property
    def url(self) -> str:
        """The address of its file."""
        return SERVER + self.file_name

    @property
    def path(self) -> Path:
        """The path of its file, downloaded or not."""
        return hub_file(self.url)

    @property
    def is_downloaded(self) -> bool:
        """Whether its file is on this machine."""
        return self.path.is_file()

    def download(self, on_progress: OnProgress | None = None) -> Path:
        """Return its file, downloaded if needed, its hash compared; raises `WeightsError`."""
        return download(self.url, self.size_bytes, on_progress)

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


def pretrained_model(name: str) -> PretrainedModel:
    """Return the model of a name; an unknown name raises `WeightsError`."""
    for model in MODELS:
        if model.name == name:
            return model
    raise WeightsError(f"There is no model '{name}' on offer; there are {', '.join(model.name for model in MODELS)}.")


def open_pretrained(model: PretrainedModel) -> "OpenedCheckpoint":
    """Open a model on offer, downloaded if needed, with its classes, photo size and output stride.

    A file that holds another model, or that cannot be downloaded, raises `WeightsError`; a damaged one
    `CheckpointError`.
    """
    from core.model.checkpoint.checkpoint_file import open_checkpoint
    from core.model.checkpoint.foreign import OtherClassesError

    given = Given(image_size=IMAGE_SIZE, output_stride=model.output_stride, classes=VOC_CLASSES)
    try:
        opened = open_checkpoint(model.download(), given)
        is_other = opened.meta.architecture != model.architecture
    except OtherClassesError:
        is_other = True
    if is_other:
        raise WeightsError(f"{model.path} holds another model than {model.name}; delete it and download it again.")
    return replace(opened, meta=replace(opened.meta, lineage=(SOURCE,)), format=model.name)


def is_published(path: Path) -> bool:
    """Return whether a file, under any name, is one that torchvision publishes, by its size and hash."""
    size = path.stat().st_size
    near = [model for model in MODELS if abs(model.size_bytes - size) <= SIZE_ROUNDING]
    if not near:
        return False
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return any(found.startswith(Path(model.file_name).stem.rpartition("-")[2]) for model in near)


def checkpoint_file(name_or_path: str | Path, on_progress: OnProgress | None = None) -> Path:
    """Return the file of a name, the starter's or a model's on offer, downloaded if needed; else the path itself."""
    if is_starter(name_or_path):
        return starter_file()
    if _is_offer(name_or_path):
        return pretrained_model(str(name_or_path)).download(on_progress)
    return Path(name_or_path)


def checkpoint_path(name_or_path: str | Path) -> Path:
    """Return the path of that file, downloaded or not."""
    if is_starter(name_or_path):
        return starter_path()
    return pretrained_model(str(name_or_path)).path if _is_offer(name_or_path) else Path(name_or_path)


def open_named(name_or_path: str | Path, given: Given = NOTHING) -> "OpenedCheckpoint":
    """Open the starter or a model on offer by its name, else a file, about which `given` says more."""
    from core.model.checkpoint.checkpoint_file import open_checkpoint

    if given != NOTHING and (_is_offer(name_or_path) or is_starter(name_or_path)):
        raise ConfigError(f"{name_or_path} is known here; open it without options that say what it is.")
    if _is_offer(name_or_path):
        return open_pretrained(pretrained_model(str(name_or_path)))
    return open_checkpoint(checkpoint_file(name_or_path), given)


def _is_offer(name_or_path: str | Path) -> bool:
    """Return whether it is the name of a model on offer, and of no file in this folder."""
    return str(name_or_path) in {model.name for model in MODELS} and not Path(name_or_path).is_file()
