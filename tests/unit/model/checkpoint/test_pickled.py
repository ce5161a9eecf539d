"""Pickled objects stay closed and run nothing, and the error names the line that saves its weights."""

import argparse
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3, deeplabv3_mobilenet_v3_large

from core.model.checkpoint.archive import PlainData, read_weights_file
from core.model.checkpoint.checkpoint_file import open_checkpoint
from tests.small_models import Malicious, is_equal, refused, repacked, same_logits, thin_state

Check = Callable[[object, Path], str]
State = dict[str, Tensor]


class Own(nn.Module):
    """A model of somebody's own."""


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
    assert "torch.load(" not in text, "nobody is asked to open it after all"
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


# --- the line that saves the weights, run as whoever made the file would run it -------------------------------------


def whole_mobilenet(_state: State) -> Any:
    """torchvision's own model, as somebody elsewhere has it."""
    return deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, aux_loss=True)


def loaded(state: State) -> nn.Module:
    model = whole_mobilenet(state)
    model.load_state_dict(state, strict=False)
    return model.eval()


def lightning(state: State) -> dict[str, Any]:
    return {
        "epoch": 3, "state_dict": {f"model.{key}": value for key, value in state.items()},
        "optimizer_states": [{"state": {0: {"step": torch.ones(1)}}, "param_groups": []}],
        "callbacks": {"best": np.arange(2)}, "hyper_parameters": argparse.Namespace(model="deeplab", net=3),
    }  # fmt: skip


WAYS: dict[str, tuple[Callable[[State], Any], str]] = {
    "a whole model": (loaded, "a whole model, torchvision.models.segmentation.deeplabv3.DeepLabV3"),
    "a whole DataParallel": (lambda s: nn.DataParallel(loaded(s)), "a whole model, torch.nn.parallel.data_parallel"),
    "a whole model in a dict": (lambda s: {"epoch": 3, "model": loaded(s)}, "a whole model"),
    "a whole DataParallel in a dict": (lambda s: {"net": nn.DataParallel(loaded(s)), "args": "module"}, "a whole"),
    "a whole model in a list": (lambda s: ["deeplab", {"best": loaded(s)}], "a whole model"),
    "a whole model beside its optimizer": (
        lambda s: {"optimizer": torch.optim.SGD(loaded(s).parameters(), 0.1), "model": loaded(s)}, "a whole model"),
    "a model below a name of one's own": (lambda s: {"my best": {"deep": loaded(s)}}, "a whole model"),
    "a curve beside the model": (lambda s: {"model": s, "curve": np.arange(3)}, "NumPy arrays"),
    "settings that say model, and a curve": (
        lambda s: {"state_dict": s, "args": argparse.Namespace(model="deeplab", net=1), "curve": np.arange(3)},
        "settings in an argparse.Namespace, NumPy arrays"),
    "Lightning's": (lightning, "settings in an argparse.Namespace, NumPy arrays"),
    "a curve between the weights": (lambda s: {**s, "curve": np.arange(3)}, "NumPy arrays"),
    "weights below other names": (lambda s: {"curve": np.arange(3), "a": {"b": {"c": s}}}, "NumPy arrays"),
    "a path": (lambda s: {"model": s, "out": Path("runs")}, "pathlib"),
}  # fmt: skip
"""What is in the file, and what it is said to be."""


def pickled(document: Any, file: Path) -> None:
    with file.open("wb") as opened:
        pickle.dump(document, opened)


SAVE: dict[str, Callable[[Any, Path], None]] = {
    "zip": torch.save,
    "legacy": lambda document, file: torch.save(document, file, _use_new_zipfile_serialization=False),
    "protocol 1": lambda document, file: torch.save(document, file, pickle_protocol=1),
    "protocol 4": lambda document, file: torch.save(document, file, pickle_protocol=4),
    "protocol 5": lambda document, file: torch.save(document, file, pickle_protocol=5),
    "legacy, protocol 1": lambda document, file: torch.save(
        document, file, pickle_protocol=1, _use_new_zipfile_serialization=False
    ),
    "legacy, protocol 4": lambda document, file: torch.save(
        document, file, pickle_protocol=4, _use_new_zipfile_serialization=False
    ),
    "pickle.dump": pickled,
}


def run_line(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> DeepLabV3:
    """Run the line at the end of a sentence, as a user would, and open what it wrote."""

    def opened(name: str, _mode: str) -> IO[bytes]:  # closed by itself, without a ResourceWarning
        return io.BytesIO((folder / name).read_bytes())

    monkeypatch.chdir(folder)
    exec(text[text.index("torch.save(") :].removesuffix("."), {"torch": torch, "pickle": pickle, "open": opened})  # noqa: S102
    return open_checkpoint(folder / "weights.pt").build()


@pytest.mark.parametrize(
    ("way", "container"), [(way, "zip") for way in WAYS] + [("a whole model in a dict", c) for c in SAVE]
)
def test_the_line_for_a_pickled_file_gives_its_weights(
    mobilenet: DeepLabV3, tmp_path: Path, way: str, container: str, one_sentence: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dict that held a whole model, a DataParallel and settings with `model=` in them had lines that failed."""
    make, says = WAYS[way]
    SAVE[container](make(mobilenet.state_dict()), tmp_path / "file.pt")
    text = one_sentence(refused(tmp_path / "file.pt"), tmp_path / "file.pt")
    assert says in text
    assert same_logits(run_line(text, tmp_path, monkeypatch), mobilenet)


@pytest.mark.parametrize("container", [name for name in SAVE if name not in ("zip", "legacy")])
def test_weights_alone_in_another_protocol_are_called_so_with_the_line_that_saves_them_again(
    mobilenet: DeepLabV3, tmp_path: Path, container: str, one_sentence: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain state dict of protocol 4 "holds pickled Python objects", below two lines of UserWarning."""
    SAVE[container]({"model": mobilenet.state_dict(), "epoch": 3}, tmp_path / "file.pt")
    text = one_sentence(refused(tmp_path / "file.pt"), tmp_path / "file.pt")
    assert ("pickle.load" if container == "pickle.dump" else "was saved with pickle protocol") in text
    assert same_logits(run_line(text, tmp_path, monkeypatch), mobilenet)


def test_protocol_0_in_which_pytorch_does_not_find_its_weights_again_has_the_model_s_own_line(
    tmp_path: Path, one_sentence: Check
) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / "file.pt", pickle_protocol=0)
    text = one_sentence(refused(tmp_path / "file.pt"), tmp_path / "file.pt")
    assert "protocol 0" in text
    assert "torch.save(model.state_dict(), 'weights.pt')" in text


def test_protocol_3_opens_and_warns_of_nothing(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    torch.save(mobilenet.state_dict(), tmp_path / "file.pt", pickle_protocol=3)
    assert same_logits(open_checkpoint(tmp_path / "file.pt").build(), mobilenet)


def test_a_model_of_one_s_own_class_has_a_line_for_the_program_that_knows_it(
    tmp_path: Path, one_sentence: Check
) -> None:
    torch.save({"model": Own()}, tmp_path / "file.pt")
    text = one_sentence(refused(tmp_path / "file.pt"), tmp_path / "file.pt")
    assert f"a whole model, {Own.__module__}.Own" in text
    assert "torch.save(model.state_dict(), 'weights.pt')" in text
    assert "torch.load(" not in text


@pytest.mark.parametrize(
    "name",
    ["torch.load", "torch.nn.modules.module.sys", "torch.nn.modules.os.system", "numpy.core.numeric.fromfile",
     "torch.hub.load", "torch.storage._load_from_bytes.x", "torch.optim.os.system", "torch.fx.graph_module.exec"],
)  # fmt: skip
def test_what_only_looks_familiar_has_no_line_that_opens_it(tmp_path: Path, name: str, one_sentence: Check) -> None:
    """Names that begin as PyTorch's layers do lead to functions that run anything; the line would have run them."""
    module, _, short = name.rpartition(".")
    weights = b"X\x05\x00\x00\x00model}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(tRs"
    beside = b"X\x01\x00\x00\x00xc" + f"{module}\n{short}\n".encode() + b"(tR"
    (tmp_path / "file.pkl").write_bytes(b"\x80\x02}(" + weights + beside + b"u.")
    text = one_sentence(refused(tmp_path / "file.pkl"), tmp_path / "file.pkl")
    assert "torch.load(" not in text
    assert "pickle.load(" not in text


def test_a_pickle_within_a_pickle_is_looked_into(tmp_path: Path, one_sentence: Check) -> None:
    """`torch.storage._load_from_bytes` was harmless by its name, and opens any pickle it is given."""
    evil = pickle.dumps(Malicious(tmp_path / "canary"))
    inner = b"\x80\x03ctorch.storage\n_load_from_bytes\nC" + bytes([len(evil)]) + evil + b"\x85R."
    (tmp_path / "file.pkl").write_bytes(inner)
    text = one_sentence(refused(tmp_path / "file.pkl"), tmp_path / "file.pkl")
    assert "mkdir" in text
    assert "pickle.load(" not in text
    assert not (tmp_path / "canary").exists()


# --- what opens as data ---------------------------------------------------------------------------------------------

SETTINGS = argparse.Namespace(lr=0.01, model="deeplab", out=None, sizes=(1, 2), inner=argparse.Namespace(a=1))


@pytest.mark.parametrize("container", ["zip", "legacy"])
@pytest.mark.parametrize(
    "beside",
    [
        {"args": SETTINGS},
        {"best": np.float64(0.7), "step": np.int64(3), "is_best": np.bool_(True), "name": np.str_("best")},
        {"args": argparse.Namespace(lr=np.float32(0.5)), "epoch": 3},
    ],
    ids=["settings", "numbers", "numbers in settings"],
)
def test_settings_and_numpy_numbers_beside_the_weights_open(
    mobilenet: DeepLabV3, tmp_path: Path, container: str, beside: dict[str, Any]
) -> None:
    """torchvision's own train.py puts its argparse Namespace into the checkpoint, which did not open."""
    SAVE[container]({"model": mobilenet.state_dict(), **beside}, tmp_path / "model_3.pth")
    opened = open_checkpoint(tmp_path / "model_3.pth")
    assert same_logits(opened.build(), mobilenet)
    assert set(opened.keys.dropped) == set(beside)


def test_settings_and_numbers_become_no_objects_of_their_classes(tmp_path: Path) -> None:
    torch.save(
        {"args": SETTINGS, "best": np.float64(0.7), "curve": [np.int16(-3)], "w": torch.ones(2)}, tmp_path / "f.pt"
    )
    document = read_weights_file(tmp_path / "f.pt").document
    assert {type(document["args"]), type(document["best"]), type(document["curve"][0])} == {PlainData}
    assert vars(document["args"]) == {}
    assert is_equal({"w": document["w"]}, {"w": torch.ones(2)})
    assert (PlainData, "argparse.Namespace") not in torch.serialization.get_safe_globals(), "nothing stays allowed"


def test_a_malicious_pickle_inside_a_namespace_runs_nothing(tmp_path: Path, one_sentence: Check) -> None:
    canary = tmp_path / "canary"
    for inside in (Malicious(canary), [Malicious(canary)], argparse.Namespace(x=Malicious(canary))):
        torch.save({"model": OrderedDict(), "args": argparse.Namespace(lr=1, out=inside)}, tmp_path / "evil.pt")
        text = one_sentence(refused(tmp_path / "evil.pt"), tmp_path / "evil.pt")
        assert "mkdir" in text
        assert "torch.load(" not in text
    assert not canary.exists()


NAMESPACE = b"cargparse\nNamespace\n)\x81"
DTYPE = b"cnumpy\ndtype\n"


@pytest.mark.parametrize(
    "data",
    [
        NAMESPACE + b"}X\x0c\x00\x00\x00__setstate__cnumpy.core.multiarray\nscalar\nsb(K\x01K\x02tb.",
        DTYPE + b"X\x0a\x00\x00\x00V999999999\x85R.",
        DTYPE + b"X\x01\x00\x00\x00O\x85R.",
        b"cnumpy.core.multiarray\nscalar\n" + DTYPE + b"X\x02\x00\x00\x00f8\x85R\x85R.",
        b"cnumpy.core.multiarray\nscalar\nK\x01K\x02\x86R.",
    ],
    ids=["a Namespace that would call", "a gigabyte of nothing", "objects", "a number of no bytes", "no number"],
)
def test_what_the_names_of_plain_data_are_misused_for_is_refused(
    tmp_path: Path, data: bytes, one_sentence: Check
) -> None:
    torch.save({}, tmp_path / "good.pt")
    repacked(tmp_path / "good.pt", tmp_path / "evil.pt", data_pkl=b"\x80\x02" + data)
    one_sentence(refused(tmp_path / "evil.pt"), tmp_path / "evil.pt")
