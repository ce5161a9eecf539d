"""Pickled objects stay closed and run nothing, and whoever made the file is told the line that saves its weights."""

import argparse
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models.segmentation import DeepLabV3, deeplabv3_mobilenet_v3_large

from core.model.checkpoint import open_checkpoint
from tests.small_models import Malicious, refused, repacked, same_logits, thin_state

Check = Callable[[object, Path], str]


def evil_file(way: str, canary: Path, file: Path) -> None:
    """Write a file that makes the folder `canary` when its pickle is loaded."""
    document: Any = {"model": OrderedDict(), "epoch": Malicious(canary)}
    if way == "nested":
        document = {"model": {"backbone.conv1.weight": [{"deep": (Malicious(canary),)}]}}
    elif way == "object array":
        document = {"model": OrderedDict(), "best": np.array([Malicious(canary)], dtype=object)}
    elif way == "as a key":
        document = {"model": {("key", Malicious(canary)): torch.zeros(2)}}
    if way.startswith("pickle"):
        file.write_bytes(pickle.dumps(document, protocol=int(way[-1])))
    elif way == "data.pkl put in":
        torch.save(thin_state(), file.with_suffix(".good"))
        repacked(file.with_suffix(".good"), file, data_pkl=pickle.dumps(document, protocol=2))
    else:
        protocol = {"torch.save, protocol 4": 4}.get(way, 2)
        torch.save(document, file, pickle_protocol=protocol, _use_new_zipfile_serialization=way != "legacy")


EVIL_WAYS = (
    "torch.save", "torch.save, protocol 4", "legacy", "nested", "object array", "as a key", "data.pkl put in",
    "pickle 0", "pickle 1", "pickle 2", "pickle 3", "pickle 4", "pickle 5",
)  # fmt: skip


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl"])
@pytest.mark.parametrize("way", EVIL_WAYS)
def test_a_malicious_pickle_stays_closed(tmp_path: Path, way: str, suffix: str, one_sentence: Check) -> None:
    canary, file = tmp_path / "canary", tmp_path / f"evil{suffix}"
    evil_file(way, canary, file)
    text = one_sentence(refused(file), file)
    assert not canary.exists()
    assert "could run code" in text
    assert "mkdir" in text, "what it would run is named"
    assert "torch.save(model.state_dict()" in text
    assert "torch.load(" not in text, "nobody is told to open it after all"
    if way.startswith("pickle"):
        pickle.loads(file.read_bytes())
    else:
        torch.load(file, weights_only=False)
    assert canary.exists(), "the file would have run its code"


def test_a_malicious_pickle_called_safetensors_stays_closed(tmp_path: Path, one_sentence: Check) -> None:
    canary, file = tmp_path / "canary", tmp_path / "evil.safetensors"
    evil_file("torch.save", canary, file)
    assert "could run code" in one_sentence(refused(file), file)
    assert not canary.exists()


def test_a_whole_pickled_model_is_explained_with_the_line_that_converts_it(
    tmp_path: Path, one_sentence: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision's own model, as somebody elsewhere has it."""
    whole = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    torch.save(whole, tmp_path / "whole.pt")
    text = one_sentence(refused(tmp_path / "whole.pt"), tmp_path / "whole.pt")
    assert "a whole model, torchvision.models.segmentation.deeplabv3.DeepLabV3" in text
    monkeypatch.chdir(tmp_path)
    exec(text[text.index("torch.save(") :].removesuffix("."), {"torch": torch})  # noqa: S102 - a user would
    assert same_logits(open_checkpoint(tmp_path / "weights.pt").build(), whole)


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ({"args": argparse.Namespace(lr=1)}, "settings in an argparse.Namespace"),
        ({"best_miou": np.float64(0.7)}, "NumPy arrays or numbers"),
        ({"curve": np.arange(3)}, "NumPy arrays or numbers"),
        ({"args": argparse.Namespace(lr=1), "curve": np.arange(3)}, "argparse.Namespace, NumPy arrays"),
    ],
)
def test_what_people_pickle_beside_the_weights_is_named_with_the_line_that_leaves_it_out(
    mobilenet: DeepLabV3,
    tmp_path: Path,
    one_sentence: Check,
    monkeypatch: pytest.MonkeyPatch,
    beside: dict[str, Any],
    says: str,
) -> None:
    """torchvision's own reference puts its argparse Namespace into the checkpoint, which no longer opens."""
    torch.save({"model": mobilenet.state_dict(), **beside}, tmp_path / "args.pt")
    text = one_sentence(refused(tmp_path / "args.pt"), tmp_path / "args.pt")
    assert says in text
    monkeypatch.chdir(tmp_path)
    exec(text[text.index("torch.save(") :].removesuffix("."), {"torch": torch})  # noqa: S102 - a user would
    assert same_logits(open_checkpoint(tmp_path / "weights.pt").build(), mobilenet)
