"""DeepLabV3 is torchvision's: the same keys, the same numbers out, and stride 16 as a choice."""

import pytest
import torch
from torchvision.models.segmentation import deeplabv3_resnet50

from core.errors import ConfigError
from core.model.architectures import ARCHITECTURES, MOBILENET, build_model, count_parameters


def shapes_of(model: torch.nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in model.state_dict().items()}


def test_parameter_counts_are_torchvision_s() -> None:
    # 42,004,074 is what torchvision's documentation says of DeepLabV3_ResNet50_Weights (with its auxiliary head).
    with torch.device("meta"):
        with_aux = build_model("deeplabv3_resnet50", 21, has_aux_head=True)
        without = build_model("deeplabv3_resnet50", 21)
    assert count_parameters(with_aux) == 42_004_074
    assert count_parameters(without) == 39_638_869


@pytest.mark.parametrize("has_aux_head", [False, True])
def test_keys_and_shapes_are_torchvision_s_at_either_stride(has_aux_head: bool) -> None:
    with torch.device("meta"):
        reference = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=7, aux_loss=has_aux_head)
        for stride in (8, 16):
            own = build_model("deeplabv3_resnet50", 7, output_stride=stride, has_aux_head=has_aux_head)
            assert shapes_of(own) == shapes_of(reference)
            # The version of each module lies in the file too: a class of our own once left torchvision's out.
            assert own.state_dict()._metadata == reference.state_dict()._metadata  # type: ignore[attr-defined]


def test_stride_8_gives_torchvision_s_logits_exactly() -> None:
    torch.manual_seed(0)
    reference = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=5, aux_loss=True).eval()
    own = build_model("deeplabv3_resnet50", 5, has_aux_head=True).eval()
    own.load_state_dict(reference.state_dict())
    images = torch.randn(1, 3, 72, 64)
    with torch.inference_mode():
        expected, got = reference(images), own(images)
    assert got["out"].shape == (1, 5, 72, 64)
    assert torch.equal(got["out"], expected["out"])
    assert torch.equal(got["aux"], expected["aux"])


def test_the_feature_map_at_stride_16_is_half_as_large() -> None:
    sizes = {}
    for stride in (8, 16):
        model = build_model("deeplabv3_resnet50", 3, output_stride=stride).eval()
        with torch.inference_mode():
            sizes[stride] = model.backbone(torch.zeros(1, 3, 64, 64))["out"].shape[-2:]
            assert model(torch.zeros(1, 3, 64, 64))["out"].shape == (1, 3, 64, 64)
        rates = [branch[0].dilation[0] for branch in model.classifier[0].convs[1:4]]
        assert rates == {8: [12, 24, 36], 16: [6, 12, 18]}[stride]
    assert sizes == {8: (8, 8), 16: (4, 4)}


def test_mobilenet_has_stride_16_only_and_a_momentum_for_short_runs() -> None:
    """torchvision's momentum of 0.01 left evaluation at background everywhere while the training loss fell."""
    with pytest.raises(ConfigError, match="16 only"):
        build_model(MOBILENET, 21, output_stride=8)
    with torch.device("meta"):
        model = build_model(MOBILENET, 21, output_stride=16)
    momenta = {module.momentum for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)}
    assert momenta == {0.1}


@pytest.mark.parametrize(("name", "stride"), [("deeplabv3_vgg", 8), (ARCHITECTURES[0], 32)])
def test_what_does_not_exist_is_told_with_what_does(name: str, stride: int) -> None:
    with pytest.raises(ConfigError, match="deeplabv3_resnet50"):
        build_model(name, 21, output_stride=stride)
