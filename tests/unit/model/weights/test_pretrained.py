"""The models on offer: what is said of them is torchvision's, and stand-ins for their files open and segment."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import CheckpointError, WeightsError
from core.model.architectures import MOBILENET, build_model
from core.model.predict.predictor import open_predictor
from core.model.weights.initial import WHOLE_MODELS, fetch
from core.model.weights.pretrained import (
    MODELS,
    PretrainedModel,
    checkpoint_file,
    open_named,
    open_pretrained,
    pretrained_model,
)
from core.voc import CLASS_NAMES, IMAGE_MEAN, IMAGE_STD
from tests.small_models import is_equal


def stand_in(model: PretrainedModel, document: object) -> None:
    """Save a stand-in where the file of a model on offer lies."""
    model.path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(document, model.path)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_what_is_told_of_a_model_is_torchvision_s(model: PretrainedModel) -> None:
    weights = WHOLE_MODELS[model.architecture]
    scores = weights.meta["_metrics"]["COCO-val2017-VOC-labels"]
    preset = weights.transforms()
    assert model.url == weights.url
    assert model.size_bytes == pytest.approx(weights.meta["_file_size"] * 2**20, rel=1e-4)
    assert (model.miou, model.pixel_accuracy) == (scores["miou"] / 100, scores["pixel_acc"] / 100)
    assert (preset.resize_size, tuple(preset.mean), tuple(preset.std)) == ([520], IMAGE_MEAN, IMAGE_STD)


def test_classes_are_in_voc_s_order() -> None:
    names = WHOLE_MODELS[MOBILENET].meta["categories"]
    same = {"__background__": "background"}
    assert [same.get(name, name) for name in names] == [name.replace(" ", "") for name in CLASS_NAMES]


def test_a_downloaded_model_opens_and_segments() -> None:
    model = pretrained_model("coco-voc-mobilenet")
    assert not model.is_downloaded
    torch.manual_seed(0)
    theirs = build_model(MOBILENET, 21, output_stride=16, has_aux_head=True)
    stand_in(model, theirs.state_dict())
    assert model.is_downloaded
    opened = open_pretrained(model)
    assert is_equal(dict(opened.build().state_dict()), theirs.state_dict())
    assert (opened.problems, opened.repairs) == ((), ()), "nothing about it is assumed"
    assert (opened.format, opened.meta.image_size, opened.meta.class_names) == (model.name, 520, CLASS_NAMES)
    predictor, _ = open_predictor(opened)
    mask_HW = predictor.predict(Image.new("RGB", (40, 30))).mask_HW
    assert (mask_HW.shape, mask_HW.dtype) == ((30, 40), np.uint8)


def test_a_name_stands_for_its_file_and_a_file_of_that_name_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pretrained_model("coco-voc-resnet50")
    stand_in(model, {})
    assert checkpoint_file("coco-voc-resnet50") == model.path
    assert checkpoint_file(tmp_path / "best.pt") == tmp_path / "best.pt"
    monkeypatch.chdir(tmp_path)
    Path("coco-voc-resnet50").write_text("mine")
    assert checkpoint_file("coco-voc-resnet50") == Path("coco-voc-resnet50")


def test_an_unknown_name_is_a_path_and_its_sentence_that_of_a_missing_file() -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint coco-voc-resnet18"):
        open_named("coco-voc-resnet18")
    with pytest.raises(WeightsError, match="there are coco-voc-mobilenet, coco-voc-resnet50"):
        pretrained_model("coco-voc-resnet18")


def test_the_file_of_another_model_is_refused() -> None:
    model = pretrained_model("coco-voc-mobilenet")
    stand_in(model, build_model(MOBILENET, 2, output_stride=16).state_dict())
    with pytest.raises(WeightsError, match="holds another model than coco-voc-mobilenet"):
        open_pretrained(model)


@pytest.mark.parametrize("data", [b"", b"<html>404 not found</html>"])
def test_a_damaged_file_is_named(data: bytes) -> None:
    model = pretrained_model("coco-voc-mobilenet")
    stand_in(model, {})
    model.path.write_bytes(data)
    with pytest.raises(CheckpointError, match=model.path.name):
        open_pretrained(model)


def test_training_starts_from_the_same_file() -> None:
    model = pretrained_model("coco-voc-mobilenet")
    stand_in(model, {"weight": torch.ones(3)})
    assert is_equal(fetch(WHOLE_MODELS[MOBILENET]), {"weight": torch.ones(3)})
