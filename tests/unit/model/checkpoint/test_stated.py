"""What a person says of a file that does not say it: classes, photo size, output stride, raw or averaged weights."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from core.classes import VOC_CLASSES
from core.data.geometry import FIT
from core.errors import CheckpointError, CoreError
from core.model.checkpoint.checkpoint_file import open_checkpoint, save_checkpoint
from core.model.checkpoint.stated import Given, read_class_names
from core.model.weights import pretrained
from core.voc import CLASS_NAMES
from tests.small_models import META, is_equal, prefixed

Check = Callable[[object, Path], str]
State = dict[str, Tensor]


def test_voc_s_names_are_not_given_to_any_model_of_21_classes(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    """A model of 21 kinds of fruit was shown with aeroplane, bicycle, bird and the rest, and nothing was said."""
    torch.save(mobilenet.state_dict(), tmp_path / "weights.pt")
    opened = open_checkpoint(tmp_path / "weights.pt")
    assert opened.meta.class_names == tuple(f"class {number}" for number in range(21))
    assert "21 is VOC's number: give --classes voc if they are VOC's" in opened.repairs[-1]
    named = open_checkpoint(tmp_path / "weights.pt", Given(classes=read_class_names("voc")))
    assert named.meta.classes == VOC_CLASSES
    assert len(named.problems) == 1


def test_voc_s_names_stay_with_the_files_that_torchvision_publishes(
    mobilenet: DeepLabV3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a file is recognised by its hash, whatever it is called by now."""
    file = tmp_path / "renamed.pth"
    torch.save(mobilenet.state_dict(), file)
    data = file.read_bytes()
    offer = replace(
        pretrained.MODELS[0], file_name=f"x-{hashlib.sha256(data).hexdigest()[:8]}.pth", size_bytes=len(data)
    )
    monkeypatch.setattr(pretrained, "MODELS", (offer,))
    assert open_checkpoint(file).meta.class_names == CLASS_NAMES
    torch.save({**mobilenet.state_dict(), "x": 1}, file)
    assert open_checkpoint(file).meta.class_names[0] == "class 0"


NESTED_EMA: dict[str, Callable[[State, State], dict[str, Any]]] = {
    "a name each": lambda raw, averaged: {"model": raw, "model_ema": averaged},
    "timm's": lambda raw, averaged: {"state_dict": raw, "state_dict_ema": averaged},
    "an AveragedModel": lambda raw, averaged: {"model": raw, "ema": {"n_averaged": torch.tensor(3),
                                                                     **prefixed(averaged, "module.")}},
    "a prefix each": lambda raw, averaged: {**prefixed(raw, "model."), **prefixed(averaged, "ema_model.module.")},
}  # fmt: skip


@pytest.mark.parametrize("way", NESTED_EMA)
def test_of_weights_and_their_averages_a_person_chooses(mobilenet: DeepLabV3, tmp_path: Path, way: str) -> None:
    raw = mobilenet.state_dict()
    averaged = {key: value + 1 if value.is_floating_point() else value for key, value in raw.items()}
    torch.save(NESTED_EMA[way](raw, averaged), tmp_path / "both.pt")
    opened = open_checkpoint(tmp_path / "both.pt")
    assert is_equal(opened.state, raw)
    assert any("--weights ema takes those" in repair for repair in opened.repairs)
    assert is_equal(open_checkpoint(tmp_path / "both.pt", Given(weights="raw")).state, raw)
    assert is_equal(open_checkpoint(tmp_path / "both.pt", Given(weights="ema")).state, averaged)


@pytest.mark.parametrize(
    ("weights", "says"), [("ema", "holds no averaged weights"), ("raw", "holds averaged weights only")]
)
def test_weights_that_are_not_there_are_not_taken(
    mobilenet: DeepLabV3, tmp_path: Path, weights: str, says: str, one_sentence: Check
) -> None:
    torch.save({"model" if weights == "ema" else "model_ema": mobilenet.state_dict()}, tmp_path / "one.pt")
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(tmp_path / "one.pt", Given(weights=weights))
    assert says in one_sentence(caught.value, tmp_path / "one.pt")


def test_what_a_file_does_not_say_a_person_gives(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    torch.save(mobilenet.state_dict(), tmp_path / "weights.pt")
    names = [f"fruit {number}" for number in range(21)]
    (tmp_path / "classes.txt").write_text("\n".join(names))
    for text in (", ".join(names), str(tmp_path / "classes.txt")):
        given = Given(image_size=300, geometry=FIT, output_stride=16, classes=read_class_names(text))
        opened = open_checkpoint(tmp_path / "weights.pt", given)
        meta = opened.meta
        assert (meta.image_size, meta.geometry, meta.output_stride) == (300, FIT, 16)
        assert meta.class_names == tuple(names)
        assert opened.problems == ()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Given(image_size=0), "image size is 0 px"),
        (lambda: Given(geometry="stretch"), "geometry is stretch; give resize or fit"),
        (lambda: Given(output_stride=4), "output stride is 4"),
        (lambda: Given(weights="best"), "no weights 'best'"),
        (lambda: read_class_names("a,a"), "different classes"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(CoreError, match=says):
        wrong()


def test_of_a_file_that_says_it_itself_nothing_is_given(
    mobilenet: DeepLabV3, tmp_path: Path, one_sentence: Check
) -> None:
    save_checkpoint(tmp_path / "own.pt", mobilenet, META)
    for given in (Given(image_size=300), Given(geometry=FIT), Given(classes=VOC_CLASSES), Given(weights="raw")):
        with pytest.raises(CheckpointError, match="says itself what it is; open it without --"):
            open_checkpoint(tmp_path / "own.pt", given)


def test_as_many_names_as_classes_are_wanted(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    torch.save(mobilenet.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="has 21 classes, and 2 names were given"):
        open_checkpoint(tmp_path / "weights.pt", Given(classes=read_class_names("sky, sea")))
