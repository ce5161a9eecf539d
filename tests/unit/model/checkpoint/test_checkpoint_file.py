"""Our own checkpoints: written whole or not at all, verified, opened as what they were."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models.segmentation import DeepLabV3

from core.errors import CheckpointError
from core.home import PROJECT_ROOT
from core.model.architectures import MOBILENET, build_model
from core.model.checkpoint.checkpoint_file import (
    FORMAT,
    VERSION,
    open_checkpoint,
    save_checkpoint,
    verify_checkpoint,
)
from tests.small_models import META, is_equal, refused

Check = Callable[[object, Path], str]


def test_what_was_saved_comes_back(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    save_checkpoint(file, mobilenet, META, {"progress": {"epochs_done": 3}})
    opened = open_checkpoint(file)
    assert opened.meta == META
    assert opened.training == {"progress": {"epochs_done": 3}}
    assert (opened.problems, opened.repairs) == ((), ())
    assert is_equal(dict(opened.state), mobilenet.state_dict())
    assert not opened.build().training
    verify_checkpoint(file, mobilenet)


def test_verifying_leaves_the_model_in_the_mode_it_was_in(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    model = copy.deepcopy(mobilenet).train()
    before = copy.deepcopy(model.state_dict())
    save_checkpoint(tmp_path / "last.pt", model, META)
    verify_checkpoint(tmp_path / "last.pt", model)
    assert model.training
    assert is_equal(before, model.state_dict())


@pytest.mark.parametrize("key", ["backbone.0.0.weight", "classifier.4.bias", "backbone.1.block.0.1.running_var"])
def test_a_single_changed_weight_fails_the_verification(mobilenet: DeepLabV3, tmp_path: Path, key: str) -> None:
    """Logits alone did not see it: a small change in the first layers moved them by less than the tolerance."""
    file = tmp_path / "last.pt"
    changed = copy.deepcopy(mobilenet)
    changed.state_dict()[key].view(-1)[0] += 1e-3
    save_checkpoint(file, changed, META)
    with pytest.raises(CheckpointError, match=key):
        verify_checkpoint(file, mobilenet)


def test_a_wrong_output_stride_fails_the_verification(tmp_path: Path) -> None:
    """The weights are the same at either stride, the logits are not."""
    torch.manual_seed(0)
    model = build_model("deeplabv3_resnet50", 3, output_stride=8)
    for module in model.modules():  # far from a fresh model's near-equal logits
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(0.3)
    meta = replace(META, architecture="deeplabv3_resnet50", class_names=("a", "b", "c"), output_stride=16)
    save_checkpoint(tmp_path / "last.pt", model, meta)
    with pytest.raises(CheckpointError, match="other logits"):
        verify_checkpoint(tmp_path / "last.pt", model)


FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from core.errors import CheckpointError
from core.model.architectures import build_model
from core.model.checkpoint.checkpoint_file import CheckpointMeta, save_checkpoint
model = build_model("deeplabv3_mobilenet_v3_large", 2, output_stride=16)
meta = CheckpointMeta(architecture="deeplabv3_mobilenet_v3_large", class_names=("a", "b"), output_stride=16,
                      has_aux_head=False, image_size=64)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, resource.RLIM_INFINITY))
for file in sys.argv[1:]:
    try:
        save_checkpoint(Path(file), model, meta)
    except CheckpointError as error:
        print(error)
"""


def test_a_full_disk_leaves_the_file_before_and_nothing_half_written(
    mobilenet: DeepLabV3, tmp_path: Path, one_sentence: Check
) -> None:
    """No file may grow beyond 5 MB here, a ninth of the checkpoint: writing fails in the middle, as on a full disk."""
    old, new = tmp_path / "last.pt", tmp_path / "best.pt"
    save_checkpoint(old, mobilenet, META)
    command = [sys.executable, "-c", FULL_DISK, str(old), str(new)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=False)
    assert ended.returncode == 0, ended.stderr
    for file, sentence in zip((old, new), ended.stdout.splitlines(), strict=True):
        assert "Cannot write" in one_sentence(sentence, file)
    assert os.listdir(tmp_path) == ["last.pt"]  # noqa: PTH208 - hidden files too
    verify_checkpoint(old, mobilenet)


def test_saving_into_a_folder_that_is_gone_is_one_sentence(
    mobilenet: DeepLabV3, tmp_path: Path, one_sentence: Check
) -> None:
    file = tmp_path / "gone" / "last.pt"
    with pytest.raises(CheckpointError) as caught:
        save_checkpoint(file, mobilenet, META)
    one_sentence(caught.value, file)


def saved_document(mobilenet: DeepLabV3, **changes: Any) -> dict[str, Any]:
    document = {"format": FORMAT, "version": VERSION, "model": mobilenet.state_dict(), "meta": META.as_dict()}
    return {name: value for name, value in (document | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": VERSION + 1}, "newer version"),
        ({"meta": None}, "not a whole checkpoint"),
        ({"model": None}, "not a whole checkpoint"),
        ({"model": [1, 2]}, "not a whole checkpoint"),
        ({"meta": {"architecture": MOBILENET}}, "not a whole checkpoint"),
        ({"meta": META.as_dict() | {"output_stride": 8}}, "16 only"),
        ({"meta": META.as_dict() | {"geometry": "stretch"}}, "its geometry is 'stretch'"),
    ],
)
def test_a_file_of_ours_that_is_not_whole_is_refused(
    mobilenet: DeepLabV3, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    torch.save(saved_document(mobilenet, **changes), tmp_path / "last.pt")
    with pytest.raises(Exception, match=says) as caught:
        open_checkpoint(tmp_path / "last.pt").build()
    assert "\n" not in str(caught.value)


def test_a_file_from_before_there_were_geometries_was_resized(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    meta = META.as_dict()
    del meta["geometry"]
    torch.save(saved_document(mobilenet, meta=meta), tmp_path / "last.pt")
    assert open_checkpoint(tmp_path / "last.pt").meta == META
    assert META.geometry == "resize"


VARIANCE = "backbone.1.block.0.1.running_var"


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize(
    ("key", "number", "says"),
    [
        (VARIANCE, -0.5, "variance below 0"),
        (VARIANCE, float("nan"), "NaN or infinity"),
        ("classifier.4.bias", float("inf"), "NaN or infinity"),
        ("aux_classifier.4.bias", float("nan"), "NaN or infinity"),
        ("backbone.0.0.weight", float("nan"), "NaN or infinity"),
    ],
)
def test_numbers_that_no_training_gives_are_refused(
    tmp_path: Path, is_own: bool, key: str, number: float, says: str, one_sentence: Check
) -> None:
    """A variance below 0 made torch's own model answer NaN, and ours, with BatchNorm folded, "aeroplane 100.0 %"; a
    checkpoint of our own was not looked at for NaN when it was opened."""
    model = build_model(MOBILENET, len(META.class_names), output_stride=16, has_aux_head=True)
    state = model.state_dict()
    state[key].view(-1)[-1] = number
    file = tmp_path / "odd.pt"
    meta = META.as_dict() | {"has_aux_head": True}
    torch.save(saved_document(model, model=state, meta=meta) if is_own else state, file)
    sentence = one_sentence(refused(file), file)
    assert says in sentence
    assert key in sentence
    assert "take an earlier checkpoint" in sentence


@pytest.mark.parametrize("is_own", [True, False])
def test_a_missing_weight_is_named_and_nothing_is_loaded_in_part(
    mobilenet: DeepLabV3, tmp_path: Path, is_own: bool, one_sentence: Check
) -> None:
    state = mobilenet.state_dict()
    del state["classifier.1.weight"]
    file = tmp_path / "part.pt"
    torch.save(saved_document(mobilenet, model=state) if is_own else state, file)
    assert "classifier.1.weight" in one_sentence(refused(file), file)
