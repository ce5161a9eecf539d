"""The dilated convolution that skips padding, and ASPP around it, against torch's own."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from core.model.architectures import ARCHITECTURES, MOBILENET, build_model
from core.model.fast import convolutions
from core.model.fast.convolutions import DilatedConv2d, convolve_by_taps, probe_time, taps_are_faster, weights_gradient
from core.model.fast.inference import ready_to_predict
from core.model.fast.packed import can_pack
from core.model.fast.pooling_branch import SpatialMean, TrainedASPP


def tensors(size: tuple[int, int], dtype: torch.dtype = torch.float64) -> tuple[Tensor, nn.Conv2d]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((2, 5, *size), generator=generator, dtype=dtype)
    torch.manual_seed(1)
    return images.requires_grad_(), nn.Conv2d(5, 3, 3, padding=1, bias=False, dtype=dtype)


@pytest.mark.parametrize("rate", [1, 2, 5, 6, 7, 30])
@pytest.mark.parametrize("size", [(6, 6), (7, 3), (1, 9)])
def test_gradients_are_torch_s_own(size: tuple[int, int], rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All taps inside, some, or none but the centre; in double precision, so that nothing but an error shows."""
    monkeypatch.setitem(convolutions.WORTHWHILE, torch.float64, 1.0)
    images, plain = tensors(size)
    plain.padding = plain.dilation = (rate, rate)
    own, own_images = DilatedConv2d.of(copy.deepcopy(plain)), images.detach().clone().requires_grad_()
    outer = torch.randn((2, 3, *size), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for convolution, seen in ((plain, images), (own, own_images)):
        given = convolution(seen.to(memory_format=torch.channels_last))
        given.backward(outer)
    assert type(given.grad_fn).__name__ == "_DilatedBackward"
    torch.testing.assert_close(own.weight.grad, plain.weight.grad)
    torch.testing.assert_close(own_images.grad, images.grad)


@pytest.mark.parametrize("rate", [1, 2, 5, 6, 7, 30])
@pytest.mark.parametrize("size", [(6, 6), (7, 3), (1, 9)])
def test_tap_by_tap_it_is_the_same_convolution(size: tuple[int, int], rate: int) -> None:
    images, plain = tensors(size)
    expected = F.conv2d(images, plain.weight, padding=rate, dilation=rate)
    torch.testing.assert_close(convolve_by_taps(images, plain.weight, rate), expected)


def test_the_sum_over_taps_is_rounded_once() -> None:
    """256 and eight times 1: in bf16, where 257 is not a number, one after the other would stay at 256."""
    images, weight = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)
    weight[0, 0, 0, 0] = 256
    summed = convolve_by_taps(images.bfloat16(), weight.bfloat16(), 1)
    assert summed.dtype == torch.bfloat16
    assert summed[0, 0, 1, 1] == 264


def test_taps_are_taken_in_bf16_where_they_are_clearly_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors with matrix units took 200 to 360 ms for a convolution of ASPP that tap by tap takes 14 to 43."""
    monkeypatch.setattr(convolutions, "choose_precision", lambda *_: "bf16")
    for plain_s, expected in ((3.5, True), (1.1, False)):
        times_s = {convolve_by_taps: 1.0, convolutions._convolve_plainly: plain_s}
        monkeypatch.setattr(convolutions, "probe_time", times_s.__getitem__)
        convolutions._taps_are_faster_in_bf16.cache_clear()
        assert [taps_are_faster(dtype) for dtype in (torch.bfloat16, torch.float32)] == [expected, False]
    convolutions._taps_are_faster_in_bf16.cache_clear()


def test_nothing_is_tried_where_bf16_is_emulated_or_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "choose_precision", lambda *_: "fp32")
    monkeypatch.setattr(convolutions, "probe_time", lambda _: pytest.fail("tried"))
    convolutions._taps_are_faster_in_bf16.cache_clear()
    assert not taps_are_faster(torch.float32)
    assert not taps_are_faster(torch.bfloat16)
    convolutions._taps_are_faster_in_bf16.cache_clear()


def test_what_is_tried_takes_time() -> None:
    assert 0 < probe_time(lambda images_NCHW, weight_KC33, rate: images_NCHW + weight_KC33[0, 0, 0, 0] * rate) < 10


@pytest.mark.parametrize("is_training", [True, False])
def test_a_model_is_the_same_with_taps_and_without(is_training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained under autocast, or made ready to predict, folded statistics and all."""
    torch.manual_seed(0)
    model = build_model(MOBILENET, 3, output_stride=16).train(is_training)
    for module in model.classifier.modules():
        if isinstance(module, nn.BatchNorm2d):  # which becomes the bias of the convolution before it
            nn.init.uniform_(module.bias, 0.5, 1.5)
    images = torch.randn((2, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    found: list[tuple[Tensor, Tensor]] = []
    for are_faster in (True, False):
        monkeypatch.setattr(convolutions, "_taps_are_faster_in_bf16", lambda are_faster=are_faster: are_faster)
        if is_training:
            trained = copy.deepcopy(model)
            torch.manual_seed(2)  # of the dropout
            with torch.autocast("cpu", torch.bfloat16):
                logits = trained(images)["out"].float()
            logits.square().mean().backward()
            gradient = trained.classifier[0].convs[1][0].weight.grad
        else:
            ready = ready_to_predict(model, (1, 3, 64, 64), precision="bf16")
            assert any(isinstance(module, DilatedConv2d) for module in ready.modules()) == are_faster or not can_pack(
                "bf16"
            )
            logits = ready(images.bfloat16())["out"].float()
            gradient = torch.ones(())
        found.append((logits.detach(), gradient))
    for by_taps, plain in zip(*found, strict=True):
        assert float((by_taps - plain).norm()) < 0.03 * float(plain.norm())


def test_no_gradient_of_the_input_is_computed_where_none_is_wanted() -> None:
    images, plain = tensors((4, 4), torch.float32)
    plain.padding = plain.dilation = (9, 9)
    own = DilatedConv2d.of(plain)
    own(images.detach()).sum().backward()
    assert images.grad is None
    assert own.weight.grad is not None
    assert (own.weight.grad[:, :, 1, 1] != 0).all()
    assert own.weight.grad.abs().sum() == own.weight.grad[:, :, 1, 1].abs().sum(), "the other taps meet padding alone"


def test_under_autocast_it_computes_in_bf16_and_gives_fp32_gradients() -> None:
    images, plain = tensors((4, 4), torch.float32)
    plain.padding = plain.dilation = (3, 3)
    own = DilatedConv2d.of(copy.deepcopy(plain))
    for convolution in (plain, own):
        with torch.autocast("cpu", torch.bfloat16):
            given = convolution(images)
        assert given.dtype == torch.bfloat16
        given.float().square().sum().backward()
    assert own.weight.grad is not None
    assert own.weight.grad.dtype == torch.float32
    torch.testing.assert_close(own.weight.grad, plain.weight.grad, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("is_training", [True, False])
def test_torch_s_own_code_is_kept_where_it_is_the_faster_one(is_training: bool) -> None:
    images, plain = tensors((32, 32), torch.float32)
    plain.padding = plain.dilation = (2, 2) if is_training else (30, 30)
    own = DilatedConv2d.of(plain).train(is_training)
    assert type(own(images).grad_fn).__name__ == "ConvolutionBackward0"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_models_have_it_in_the_head_with_the_same_weights_and_keys(architecture: str) -> None:
    model = build_model(architecture, 3, output_stride=16)
    found = [name for name, module in model.named_modules() if isinstance(module, DilatedConv2d)]
    assert found == [f"classifier.0.convs.{number}.0" for number in (1, 2, 3)]
    rates = [model.get_submodule(name).dilation for name in found]
    assert rates == ([(12, 12), (24, 24), (36, 36)] if "mobilenet" in architecture else [(6, 6), (12, 12), (18, 18)])


def test_the_gradient_lies_in_the_weights_shape() -> None:
    gradient = weights_gradient(torch.ones(1, 2, 5, 4), torch.ones(1, 3, 5, 4), 1)
    assert gradient.shape == (3, 2, 3, 3)
    assert gradient[0, 0].tolist() == [[12, 16, 12], [15, 20, 15], [12, 16, 12]]


def test_aspp_adds_its_pooling_branch_as_torchvision_s_does() -> None:
    """Same weights, results and gradients, without a map of that branch; in prediction it is torchvision's own."""
    torch.manual_seed(0)
    plain = ASPP(5, (1, 2, 3), 4)
    plain.project[-1].p = 0.0
    own = TrainedASPP.of(copy.deepcopy(plain))
    assert own.state_dict().keys() == plain.state_dict().keys()
    assert isinstance(own.convs[-1][0], SpatialMean)
    features, found = torch.randn(3, 5, 6, 7), []
    for aspp in (plain, own):
        seen = features.clone().requires_grad_()
        given = aspp(seen)
        given.square().sum().backward()
        found.append([given, seen.grad, *(parameter.grad for parameter in aspp.parameters())])
    for expected, number in zip(*found, strict=True):
        torch.testing.assert_close(number, expected, rtol=1e-3, atol=1e-4)
    own.load_state_dict(plain.state_dict())
    assert torch.equal(plain.eval()(features), own.eval()(features))


def test_the_gradient_of_a_spatial_mean_is_torch_s_and_lies_as_the_other_gradients_do() -> None:
    images_NCHW = torch.randn(2, 5, 4, 6).contiguous(memory_format=torch.channels_last)
    gradients = []
    for mean in (SpatialMean(1), nn.AdaptiveAvgPool2d(1)):
        images = images_NCHW.clone(memory_format=torch.preserve_format).requires_grad_()
        means_NC11 = mean(images)
        assert torch.equal(means_NC11, F.adaptive_avg_pool2d(images_NCHW, 1))
        (gradient,) = torch.autograd.grad((means_NC11**2).sum(), images)
        gradients.append(gradient)
    assert torch.equal(*gradients)
    assert gradients[0].is_contiguous(memory_format=torch.channels_last)
