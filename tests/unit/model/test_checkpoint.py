"""Checkpoints: written whole or not at all, verified, opened without running anything, foreign ones explained."""

import argparse
import copy
import os
import pickle
import random
import subprocess
import sys
from collections import OrderedDict
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
from core.model.checkpoint import (
    FORMAT,
    VERSION,
    CheckpointMeta,
    open_checkpoint,
    save_checkpoint,
    verify_checkpoint,
)
from core.voc import CLASS_NAMES

Check = Callable[[object, Path], str]

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


def is_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def refused(path: Path) -> CheckpointError:
    """Open and build, as every command does; return the error."""
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path).build()
    return caught.value


# --- our own --------------------------------------------------------------------------------------------------------


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
from core.model.checkpoint import CheckpointMeta, save_checkpoint
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
    for file, told in zip((old, new), ended.stdout.splitlines(), strict=True):
        assert "Cannot write" in one_sentence(told, file)
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
    ],
)
def test_a_file_of_ours_that_is_not_whole_is_refused(
    mobilenet: DeepLabV3, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    torch.save(saved_document(mobilenet, **changes), tmp_path / "last.pt")
    with pytest.raises(Exception, match=says) as caught:
        open_checkpoint(tmp_path / "last.pt").build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("is_own", [True, False])
def test_a_missing_weight_is_named_and_nothing_is_loaded_in_part(
    mobilenet: DeepLabV3, tmp_path: Path, is_own: bool, one_sentence: Check
) -> None:
    state = mobilenet.state_dict()
    del state["classifier.1.weight"]
    file = tmp_path / "part.pt"
    torch.save(saved_document(mobilenet, model=state) if is_own else state, file)
    assert "classifier.1.weight" in one_sentence(refused(file), file)


# --- files that are no weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"", b"hello world\n", b"<html>404</html>", b'{"epochs": 10}\n', b"version https://git-lfs.github.com/spec/v1\n",
     b"PK is no zip", b"\x89PNG\r\n\x1a\n"],
)  # fmt: skip
def test_what_is_no_pytorch_file_is_called_so(tmp_path: Path, data: bytes, one_sentence: Check) -> None:
    """A web page or a Git LFS pointer in place of weights was called "pickled Python objects"."""
    file = tmp_path / "weights.pt"
    file.write_bytes(data)
    assert "no PyTorch file or was cut short" in one_sentence(refused(file), file)


def test_any_garbage_is_refused_in_words(tmp_path: Path) -> None:
    """Some bytes sent IndexError or struct.error out of torch's unpickler."""
    rng = random.Random(0)
    file = tmp_path / "garbage.pt"
    for length in [*range(1, 60)] * 5:
        file.write_bytes(bytes(rng.randrange(128) for _ in range(length)))
        refused(file)
    for opcode in range(256):
        file.write_bytes(bytes([opcode]))
        refused(file)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(mobilenet: DeepLabV3, tmp_path: Path, share: float, one_sentence: Check) -> None:
    save_checkpoint(tmp_path / "whole.pt", mobilenet, META)
    data = (tmp_path / "whole.pt").read_bytes()
    file = tmp_path / "cut.pt"
    file.write_bytes(data[: int(share * len(data))])
    assert "cut short" in one_sentence(refused(file), file)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path, one_sentence: Check) -> None:
    assert "There is no checkpoint" in one_sentence(refused(tmp_path / "none.pt"), tmp_path / "none.pt")
    one_sentence(refused(tmp_path), tmp_path)


def test_a_single_tensor_is_no_model(tmp_path: Path, one_sentence: Check) -> None:
    torch.save(torch.zeros(3), tmp_path / "t.pt")
    assert "holds a Tensor" in one_sentence(refused(tmp_path / "t.pt"), tmp_path / "t.pt")


class Malicious:
    """Makes a folder when a careless reader unpickles it."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("way", ["torch.save", "legacy torch.save", "pickle", "old pickle"])
def test_a_malicious_pickle_stays_closed(tmp_path: Path, way: str, one_sentence: Check) -> None:
    canary, file = tmp_path / "canary", tmp_path / "evil.pt"
    document = {"model": OrderedDict(), "epoch": Malicious(canary)}
    if way.endswith("torch.save"):
        torch.save(document, file, _use_new_zipfile_serialization=way == "torch.save")
    else:
        file.write_bytes(pickle.dumps(document, protocol=2 if way == "old pickle" else 4))
    text = one_sentence(refused(file), file)
    assert "could run code" in text
    assert "torch.save(model.state_dict()" in text
    assert not canary.exists()
    if "torch" in way:
        torch.load(file, weights_only=False)
        assert canary.exists(), "the file would have run its code"


def test_a_whole_pickled_model_and_a_namespace_are_explained(
    mobilenet: DeepLabV3, tmp_path: Path, one_sentence: Check
) -> None:
    """torchvision's own reference puts its argparse Namespace into the checkpoint, which no longer opens."""
    torch.save(mobilenet, tmp_path / "whole.pt")
    assert "pickled Python objects" in one_sentence(refused(tmp_path / "whole.pt"), tmp_path / "whole.pt")
    torch.save({"model": mobilenet.state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "args.pt")
    assert "pickled Python objects" in one_sentence(refused(tmp_path / "args.pt"), tmp_path / "args.pt")


# --- files from elsewhere -------------------------------------------------------------------------------------------


def test_a_bare_state_dict_opens_and_says_what_was_assumed(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    torch.save(mobilenet.state_dict(), tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert is_equal(opened.build().state_dict(), mobilenet.state_dict())
    meta = opened.meta
    assert (meta.architecture, meta.class_names, meta.output_stride, meta.image_size) == (
        MOBILENET,
        CLASS_NAMES,
        16,
        520,
    )
    assert "520 px" in opened.repairs[0]
    assert len(opened.problems) == len(opened.repairs) == 1


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model."])
def test_a_prefix_on_every_key_is_taken_off_and_told(mobilenet: DeepLabV3, tmp_path: Path, prefix: str) -> None:
    torch.save({f"{prefix}{key}": value for key, value in mobilenet.state_dict().items()}, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert is_equal(opened.build().state_dict(), mobilenet.state_dict())
    assert any(f"'{prefix}'" in repair for repair in opened.repairs)


@pytest.mark.parametrize("name", ["model", "state_dict", "model_state_dict", "model_state", "net"])
def test_a_wrapping_is_taken_off_and_what_was_dropped_is_listed(
    mobilenet: DeepLabV3, tmp_path: Path, name: str
) -> None:
    optimizer = torch.optim.SGD(mobilenet.parameters(), 0.1).state_dict()
    document = {name: mobilenet.state_dict(), "optimizer": optimizer, "epoch": 7}
    torch.save(document, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert is_equal(opened.build().state_dict(), mobilenet.state_dict())
    assert any("epoch, optimizer" in problem for problem in opened.problems)
    assert any(f"'{name}' is unwrapped" in repair for repair in opened.repairs)


def test_what_lies_between_the_weights_is_dropped_and_listed(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    torch.save({**mobilenet.state_dict(), "epoch": 7, "note": "best"}, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert any("epoch, note" in problem for problem in opened.problems)
    opened.build()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_formats_become_fp32(mobilenet: DeepLabV3, tmp_path: Path, dtype: torch.dtype) -> None:
    """A half precision file opened well, and then every photo ended in a RuntimeError about types."""
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in mobilenet.state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert any("fp32" in repair for repair in opened.repairs)
    with torch.inference_mode():
        logits = opened.build()(torch.zeros(1, 3, 32, 32))["out"]
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("has_aux_head", [True, False])
def test_an_auxiliary_head_may_be_there_or_not(tmp_path: Path, has_aux_head: bool) -> None:
    """Tramac/awesome-semantic-segmentation-pytorch#81: missing keys, because one side had the head."""
    model = build_model(MOBILENET, 2, output_stride=16, has_aux_head=has_aux_head)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert opened.meta.has_aux_head is has_aux_head
    assert is_equal(opened.build().state_dict(), model.state_dict())


def test_two_classes_are_numbered_and_told(tmp_path: Path) -> None:
    torch.save(build_model(MOBILENET, 2, output_stride=16).state_dict(), tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert opened.meta.class_names == ("class 0", "class 1")
    assert any("2 classes without names" in problem for problem in opened.problems)


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "deeplabv3_resnet101"])
def test_the_backbone_is_recognized(tmp_path: Path, name: str) -> None:
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in build_model(name, 2).state_dict().items()}
    # One number shown as often as needed: a file of ResNet-101 would be 230 MB otherwise.
    torch.save({key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}, tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert (opened.meta.architecture, opened.meta.output_stride) == (name, 8)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (["backbone.conv1.weight", "classifier.project.0.weight", "classifier.aspp.convs.0.0.weight"], "DeepLabV3+"),
        (["encoder.conv1.weight", "decoder.aspp.0.weight"], "DeepLabV3+"),
        (["backbone.low_level.0.weight"], "DeepLabV3+"),
        (["conv1.weight", "fc.weight"], "conv1.weight, fc.weight"),
        (["classifier.4.weight", "backbone.stem.weight"], "backbone this project does not know"),
        ([], "holds no DeepLabV3"),
    ],
)
def test_another_model_is_named_and_refused(tmp_path: Path, keys: list[str], says: str, one_sentence: Check) -> None:
    """VainF/DeepLabV3Plus-Pytorch#112: DeepLabV3 and V3+ mistaken for each other."""
    torch.save({key: torch.zeros(21, 2) for key in keys}, tmp_path / "other.pt")
    assert says in one_sentence(refused(tmp_path / "other.pt"), tmp_path / "other.pt")


def test_a_class_count_that_disagrees_within_the_file_is_refused(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    state = mobilenet.state_dict()
    state["classifier.4.bias"] = torch.zeros(2)
    torch.save(state, tmp_path / "weights.pt")
    assert "classifier.4.bias" in str(refused(tmp_path / "weights.pt"))
