"""What the tests of checkpoint files share: comparing states, refusals, and files that would run code."""

import hashlib
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models.segmentation import DeepLabV3

from core.errors import CheckpointError
from core.model.architectures import MOBILENET, build_model, without_weights
from core.model.checkpoint.checkpoint_file import CheckpointMeta, open_checkpoint, save_checkpoint
from core.model.checkpoint.export import export
from core.model.weights import starter
from core.voc import CLASS_NAMES

META = CheckpointMeta(
    architecture=MOBILENET,
    class_names=CLASS_NAMES,
    output_stride=16,
    has_aux_head=False,
    image_size=64,
    epoch=3,
    scores={"miou": 0.25, "boundary_iou": None},
    config={"epochs": 3, "flip": False},
    data="/data/VOC2012",
    fingerprint="f00d",
    versions={"torch": "2"},
    lineage=("random weights", "run, epoch 3"),
)


def save_lively_model(path: Path, *, seed: int = 0, image_size: int = 64) -> Path:
    """Write a checkpoint whose masks hold several classes; one of random weights sees one class everywhere."""
    torch.manual_seed(seed)
    model = build_model(MOBILENET, len(CLASS_NAMES), output_stride=16).train()
    with torch.no_grad():
        for _ in range(8):  # statistics of its own, so that what it says depends on what it sees
            model(torch.randn(4, 3, 96, 96))
        model.classifier[-1].weight.mul_(30)
    save_checkpoint(path, model.eval(), replace(META, image_size=image_size))
    return path


def ship_stand_in(*, finds_nothing: bool = False) -> Path:
    """Export a small model to where the starter lies, with its hash, and return the file.

    It sees VOC's classes everywhere, or background alone if it `finds_nothing`.
    """
    starter.FOLDER.mkdir(parents=True)
    checkpoint = save_lively_model(starter.FOLDER / "best.pt")
    opened = open_checkpoint(checkpoint)
    if finds_nothing:
        opened.state["classifier.4.weight"].zero_()
        opened.state["classifier.4.bias"].copy_(torch.arange(len(CLASS_NAMES)) == 0)
    file = export(opened, "safetensors", starter.starter_path(), half=True).file
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name("model.safetensors.sha256").write_text(f"{digest}  model.safetensors\n")
    checkpoint.unlink()
    return file


def is_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def prefixed(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def refused(path: Path) -> CheckpointError:
    """Open and build, as every command does; return the error."""
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path).build()
    return caught.value


def same_logits(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    """Whether two models answer alike, bit for bit, on a fixed image."""
    image = torch.randn((1, 3, 64, 48), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return torch.equal(first(image)["out"], second(image)["out"])


def thin_state(**options: Any) -> dict[str, torch.Tensor]:
    """A whole DeepLabV3's state dict in which every weight is one number, repeated without being stored: 100 kB."""
    with without_weights():
        model: DeepLabV3 = build_model(MOBILENET, 3, output_stride=16, **options)
    return {
        key: torch.full((), 0.5 if value.is_floating_point() else 1, dtype=value.dtype).expand(value.shape)
        for key, value in model.state_dict().items()
    }


def repacked(file: Path, target: Path, *, method: int = zipfile.ZIP_STORED, **replaced: bytes) -> Path:
    """Pack a zip file anew, with another content for entries whose names end so (data_pkl: data.pkl)."""
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(target, "w", method) as packed:
        for entry in source.infolist():
            ending = entry.filename.rpartition("/")[2].replace(".", "_")
            packed.writestr(entry.filename, replaced.get(ending, source.read(entry)))
    return target


class Malicious:
    """Makes a folder when a careless reader unpickles it."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)
