"""Commands that run in this process, a checkpoint for them, and what wrong inputs name."""

import shutil
from pathlib import Path

import pytest
import torch

from core.model.architectures import MOBILENET, build_model
from core.model.checkpoint.checkpoint_file import CheckpointMeta, save_checkpoint
from core.voc import CLASS_NAMES
from tests.small_data import draw_pair
from tests.unit.commands.calls import MOBILE


@pytest.fixture(scope="module", autouse=True)
def thin(thin_networks: None) -> None:
    """Commands read, write and say the same of a network of 40 layers as of one of 150."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights and VOC's classes."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("models") / "epoch_001.pt"
    meta = CheckpointMeta(
        architecture=MOBILENET, class_names=CLASS_NAMES, output_stride=16, has_aux_head=False, image_size=64
    )
    save_checkpoint(file, build_model(MOBILENET, 21, output_stride=16), meta)
    return file


@pytest.fixture
def places(tmp_path: Path, tiny_voc: Path, checkpoint: Path) -> dict[str, str]:
    """Make what the wrong inputs name."""
    (tmp_path / "text").write_text("no photo, no checkpoint, no folder")
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo_mask.png").write_text("mine")
    draw_pair(0)[0].save(tmp_path / "photo.png")
    damaged = shutil.copytree(tiny_voc, tmp_path / "damaged")
    (damaged / "classes.txt").write_text("".join(f"{name}\n" for name in CLASS_NAMES))  # nothing is said of names
    (damaged / "JPEGImages" / "photo_0.jpg").write_bytes(b"no photo")
    (damaged / "JPEGImages" / "photo_5.jpg").write_bytes(b"no photo")
    two_classes = shutil.copytree(tiny_voc, tmp_path / "two_classes")
    (two_classes / "classes.txt").write_text("ground\nobject\n")
    names = ("none", "text", "empty", "full", "out", "photo.png", "damaged", "two_classes")
    found = {name.removesuffix(".png"): str(tmp_path / name) for name in names}
    return found | {"voc": str(tiny_voc), "checkpoint": str(checkpoint), "mobile": " ".join(MOBILE)}
