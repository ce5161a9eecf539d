"""Starting weights without a network: stand-in files in torch hub's cache, and what is told where there are none."""

import socket
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchvision.models import mobilenet_v3_large, resnet50

from core.errors import WeightsError
from core.model.architectures import EFFICIENTNET, MOBILENET, build_model
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.weights.available import IMAGENET_FILES, start_in_words
from core.model.weights.hub import hub_file
from core.model.weights.initial import BACKBONES, WHOLE_MODELS, initialize, start_from
from core.voc import CLASS_NAMES
from tests.small_models import ship_stand_in

RESNET = "deeplabv3_resnet50"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection below urllib, as a machine without a network does."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def put(weights: object, document: object) -> Path:
    """Save a stand-in where torch hub looks for the file of these weights."""
    file = hub_file(weights.url)  # type: ignore[attr-defined]
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(document, file)
    return file


def filled(state: dict[str, torch.Tensor], value: float) -> OrderedDict[str, torch.Tensor]:
    """Return a state dict of the same shapes with one value everywhere."""
    return OrderedDict((key, torch.full_like(tensor, value)) for key, tensor in state.items())


def test_the_cache_is_that_of_this_test(tmp_path: Path) -> None:
    assert hub_file(BACKBONES[RESNET].url).is_relative_to(tmp_path)


@pytest.mark.parametrize(("init", "table"), [("imagenet", BACKBONES), ("coco-voc", WHOLE_MODELS)])
def test_without_a_network_the_sentence_says_where_to_put_the_file(init: str, table: dict[str, object]) -> None:
    model = build_model(MOBILENET, 21, output_stride=16)
    with pytest.raises(WeightsError) as caught:
        initialize(model, MOBILENET, init)
    text = str(caught.value)
    assert "\n" not in text
    assert str(hub_file(table[MOBILENET].url)) in text  # type: ignore[attr-defined]
    assert table[MOBILENET].url in text  # type: ignore[attr-defined]
    assert "No network" in text


def test_the_files_that_are_looked_for_are_torchvision_s() -> None:
    assert {name: weights.url.rpartition("/")[2] for name, weights in BACKBONES.items()} == IMAGENET_FILES


def test_auto_takes_coco_for_voc_s_classes_else_imagenet_else_says_that_it_is_random() -> None:
    voc, own = CLASS_NAMES, ("background", "cup", "spoon")
    model = build_model(MOBILENET, 3, output_stride=16)
    init, notes = start_from(model, MOBILENET, "auto", own)
    assert (init, len(notes)) == ("random", 2)
    assert "No network" in notes[0]
    assert notes[1] == "The model starts from random weights"
    assert start_in_words(MOBILENET, "auto", own).endswith("thousands of photos to become useful).")

    put(BACKBONES[MOBILENET], filled(mobilenet_v3_large(weights=None).state_dict(), 0.5))
    assert start_from(model, MOBILENET, "auto", own) == ("imagenet", [])
    assert start_in_words(MOBILENET, "auto", own) == "Starts from ImageNet weights, which are on this machine."
    init, notes = start_from(build_model(MOBILENET, 21, output_stride=16), MOBILENET, "auto", voc)
    assert (init, len(notes)) == ("imagenet", 1)
    assert "without a network from ImageNet weights." in start_in_words(MOBILENET, "auto", voc)

    put(WHOLE_MODELS[MOBILENET], filled(build_model(MOBILENET, 21, output_stride=16).state_dict(), 0.5))
    assert start_from(build_model(MOBILENET, 21, output_stride=16), MOBILENET, "auto", voc) == ("coco-voc", [])
    assert "COCO" in start_in_words(MOBILENET, "auto", voc)
    assert "enough for drawn scenes" in start_in_words(MOBILENET, "random", voc, is_drawn=True), "as the demo shows"
    assert start_from(model, MOBILENET, "auto", own) == ("imagenet", []), "other classes than VOC's"


def test_auto_needs_no_network_for_efficientnet() -> None:
    model = build_model(EFFICIENTNET, 21, output_stride=16)
    assert start_from(model, EFFICIENTNET, "auto", CLASS_NAMES) == ("imagenet", [])
    assert start_in_words(EFFICIENTNET, "auto", CLASS_NAMES).endswith("which are on this machine.")


def test_the_starter_s_weights_are_taken_but_for_a_last_layer_of_other_classes() -> None:
    with pytest.raises(WeightsError, match="The starter model"):
        initialize(build_model(MOBILENET, 3, output_stride=16), MOBILENET, "starter")
    shipped = open_checkpoint(ship_stand_in()).state
    whole, own = (build_model(MOBILENET, count, output_stride=16) for count in (21, 3))
    assert start_from(whole, MOBILENET, "starter", CLASS_NAMES) == ("starter", [])
    assert all(torch.equal(shipped[key], value) for key, value in whole.state_dict().items())
    (note,) = initialize(own, MOBILENET, "starter")
    assert note == "classifier.4 starts from random weights, as it must: the starter model has other classes"
    assert all(torch.equal(shipped[key], value) for key, value in own.state_dict().items() if "classifier.4" not in key)
    assert "starter" in start_in_words(EFFICIENTNET, "starter", CLASS_NAMES)


def test_random_needs_no_file() -> None:
    model = build_model(MOBILENET, 2, output_stride=16)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert initialize(model, MOBILENET, "random") == []
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "stride", "classifier"),
    [(RESNET, 8, resnet50), (RESNET, 16, resnet50), (MOBILENET, 16, mobilenet_v3_large)],
)
def test_an_imagenet_backbone_is_loaded_whole_and_the_head_left_alone(
    name: str, stride: int, classifier: Callable[..., torch.nn.Module]
) -> None:
    put(BACKBONES[name], filled(classifier(weights=None).state_dict(), 0.5))
    model = build_model(name, 4, output_stride=stride)
    head = model.classifier[4].weight.clone()
    assert initialize(model, name, "imagenet") == []
    assert all((value == torch.full_like(value, 0.5)).all() for value in model.backbone.state_dict().values())
    assert torch.equal(model.classifier[4].weight, head)


def test_an_old_file_without_batch_counts_is_whole_too() -> None:
    """Weights from before BatchNorm counted batches made every stage "start from random weights" in the log."""
    state = filled(resnet50(weights=None).state_dict(), 0.5)
    put(BACKBONES[RESNET], {key: value for key, value in state.items() if "num_batches_tracked" not in key})
    assert initialize(build_model(RESNET, 4), RESNET, "imagenet") == []


def test_the_coco_model_is_loaded_and_what_has_no_place_is_told() -> None:
    put(
        WHOLE_MODELS[MOBILENET],
        filled(build_model(MOBILENET, 21, output_stride=16, has_aux_head=True).state_dict(), 0.5),
    )
    same = build_model(MOBILENET, 21, output_stride=16, has_aux_head=True)
    assert initialize(same, MOBILENET, "coco-voc") == []
    assert all((value == torch.full_like(value, 0.5)).all() for value in same.state_dict().values())
    without_aux = build_model(MOBILENET, 21, output_stride=16)
    notes = initialize(without_aux, MOBILENET, "coco-voc")
    assert len(notes) == 1
    assert notes[0].startswith("aux_classifier of the COCO model has no place")


def test_other_classes_get_a_new_head_and_that_is_told() -> None:
    put(WHOLE_MODELS[MOBILENET], filled(build_model(MOBILENET, 21, output_stride=16).state_dict(), 0.5))
    model = build_model(MOBILENET, 3, output_stride=16)
    head = model.classifier[4].weight.clone()
    notes = initialize(model, MOBILENET, "coco-voc")
    assert len(notes) == 1
    assert notes[0] == "classifier.4 starts from random weights, as it must: the COCO model has other classes"
    assert torch.equal(model.classifier[4].weight, head)
    assert (model.classifier[1].weight == 0.5).all()
    assert (model.backbone["0"][0].weight == 0.5).all()


@pytest.mark.parametrize("data", [b"", b"<html>404 not found</html>", b"]", b"\x80", b"PK\x03\x04 half a zip"])
def test_a_damaged_file_is_one_sentence_that_names_it(data: bytes) -> None:
    file = put(BACKBONES[RESNET], {})
    file.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        initialize(build_model(RESNET, 2), RESNET, "imagenet")
    text = str(caught.value)
    assert "\n" not in text
    assert str(file) in text
    assert "damaged" in text


@pytest.mark.parametrize("document", [{"conv9.weight": torch.zeros(3)}, {}])
def test_a_file_of_another_model_is_refused(document: dict[str, torch.Tensor]) -> None:
    put(WHOLE_MODELS[MOBILENET], document)
    with pytest.raises(WeightsError, match="no weights of this architecture"):
        initialize(build_model(MOBILENET, 2, output_stride=16), MOBILENET, "coco-voc")
