"""Explanations: exact geometry on toys, contributions that add up, and every architecture."""

import itertools
import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.segmentation import DeepLabV3
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.ops.misc import SqueezeExcitation

from core.classes import classes_of
from core.data.geometry import FIT, RESIZE, place_of
from core.data.loading.transforms import photo_in_square
from core.errors import PhotoError
from core.explain.branches import branch_names, contributions
from core.explain.evidence import evidence
from core.explain.explaining import explain, target_at
from core.explain.kinds import KINDS
from core.explain.maps import ranks
from core.explain.taps import OUTSIDE, PADDING, PHOTO, axis_of, taps_at
from core.explain.tracing import Explainable, trace
from core.model.architectures import ARCHITECTURES, EFFICIENTNET, MOBILENET, SMP, Stages, build_model
from core.model.predict.predictor import Predictor
from tests.small_data import draw_pair

PATCH_PX, RATES, SIDE_PX = 4, (2, 3, 5), 64
CELLS = SIDE_PX // PATCH_PX


def to_explain(model: DeepLabV3, num_classes: int, image_size: int = SIDE_PX, geometry: str = RESIZE) -> Explainable:
    model = model.eval().requires_grad_(requires_grad=False)
    predictor = Predictor(model, image_size=image_size, geometry=geometry, device=torch.device("cpu"))
    return Explainable(model, predictor, classes_of(["background", *map(str, range(1, num_classes))]))


def toy() -> DeepLabV3:
    """Cells of 4 x 4 px that do not overlap, positive weights, no image pooling: what is reached has a gradient."""
    torch.manual_seed(0)
    backbone = nn.Sequential(OrderedDict(patch=nn.Conv2d(3, 8, PATCH_PX, PATCH_PX)))
    model = DeepLabV3(Stages(backbone, {"patch": "out"}), DeepLabHead(8, 3, RATES))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
        model.classifier[0].project[0].weight[:, -256:] = 0
    return model


def lively(architecture: str, output_stride: int = 16) -> DeepLabV3:
    """A model of random weights whose logits depend on what it sees."""
    torch.manual_seed(0)
    model = build_model(architecture, 4, output_stride=output_stride).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(torch.randn(2, 3, SIDE_PX, SIDE_PX))
    return model.eval()


# --- geometry ---------------------------------------------------------------------------------------------------------


def test_the_receptive_field_of_a_toy_is_exactly_what_its_kernels_reach() -> None:
    """Counted here by loops over cells of weight, the last 3 x 3 convolution, and the taps of every rate."""
    photo, at = Image.new("RGB", (SIDE_PX, SIDE_PX), "white"), (13, 41)
    explanation = explain(to_explain(toy(), 3), photo, at)
    expected_SS = np.zeros((SIDE_PX, SIDE_PX), bool)
    rows, columns = ([int((at_px + 0.5) / PATCH_PX - 0.5) + more for more in (0, 1)] for at_px in at[::-1])
    steps = [-1, 0, 1]
    for row, column, down, across in itertools.product(rows, columns, steps, steps):
        for rate, tap_down, tap_across in itertools.product(RATES, steps, steps):
            y, x = row + down + rate * tap_down, column + across + rate * tap_across
            inside = 0 <= row + down < CELLS and 0 <= column + across < CELLS
            if inside and 0 <= y < CELLS and 0 <= x < CELLS:
                expected_SS[PATCH_PX * y : PATCH_PX * (y + 1), PATCH_PX * x : PATCH_PX * (x + 1)] = True
    assert not expected_SS.all()
    assert np.array_equal(explanation.field_HW > 0, expected_SS)
    assert explanation.reach.reached_share == expected_SS.mean()


def test_the_taps_of_a_toy_are_exact_through_the_padding_of_fit() -> None:
    """A photo of 96 x 48 px fills rows 16 to 47 of a square of 64; cell (r, c) is centred at 4 r + 1.5, 4 c + 1.5."""
    size, cell = (48, 96), (6, 9)
    taps = taps_at(cell, RATES, axis_of(toy().backbone, SIDE_PX), place_of(size, SIDE_PX, FIT), size)
    assert len(taps) == 27
    for tap in taps:
        row, column = cell[0] + tap.rate * tap.row, cell[1] + tap.rate * tap.column
        assert tap.x == pytest.approx((4 * column + 2) * 1.5 - 0.5)
        assert tap.y == pytest.approx((4 * row + 2 - 16) * 1.5 - 0.5)
        assert (tap.width, tap.height) == (6, 6)
        is_outside = not (0 <= row < CELLS and 0 <= column < CELLS)
        assert tap.where == (OUTSIDE if is_outside else PHOTO if 4 <= row < 12 else PADDING)
    assert {tap.where for tap in taps} == {PHOTO, PADDING}
    explanation = explain(to_explain(toy(), 3, geometry=FIT), Image.new("RGB", size[::-1], "white"), (57, 14))
    assert explanation.taps == taps, "the pixel lies in that cell"


@pytest.mark.parametrize("side_px", [64, 97])
@pytest.mark.parametrize(
    ("architecture", "output_stride"),
    [("deeplabv3_resnet50", 8), ("deeplabv3_resnet50", 16), (MOBILENET, 16), (EFFICIENTNET, 8), (EFFICIENTNET, 16)],
)
def test_cells_have_their_centres_where_the_backbone_reads(architecture: str, output_stride: int, side_px: int) -> None:
    """Measured: with kernels of which only the middle is left, a cell depends on a single pixel, or a pool's window."""
    backbone = build_model(architecture, 2, output_stride=output_stride).eval().backbone
    axis = axis_of(backbone, side_px)
    for parent in list(backbone.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SqueezeExcitation):  # it sees the whole map
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):  # a maximum has its gradient anywhere
                setattr(parent, name, nn.AvgPool2d(3, 2, 1))
            elif isinstance(child, nn.Conv2d):
                middle = child.kernel_size[0] // 2
                child.weight.data.zero_()
                child.weight.data[..., middle, middle] = 1 / child.weight.shape[1]
    image_13SS = torch.full((1, 3, side_px, side_px), 1e-3, requires_grad=True)
    features_Chw = backbone(image_13SS)["out"][0]
    assert features_Chw.shape[1:] == (axis.cells, axis.cells)
    row, column = axis.cells // 2, axis.cells // 2 - 1
    (gradient,) = torch.autograd.grad(features_Chw[:, row, column].sum(), image_13SS)
    for cell, places in zip((row, column), gradient[0].abs().sum(0).nonzero().T, strict=True):
        assert (int(places.min()) + int(places.max())) / 2 == axis.first_px + axis.step_px * cell


# --- contributions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole_object", [False, True])
def test_contributions_are_shapley_values_and_add_up(whole_object: bool) -> None:
    """Against the definition: the mean over all 120 orders, by the model itself with branches switched off."""
    explained, photo = to_explain(lively(MOBILENET), 4), draw_pair(3)[0]
    size, at = (photo.height, photo.width), (30, 12)
    place, square_3SS = place_of(size, SIDE_PX, RESIZE), photo_in_square(photo, SIDE_PX)
    logits_KSS = explained.predictor.logits_of(square_3SS[None])[0]
    traced = trace(
        explained, square_3SS, target_at(logits_KSS, at=at, size=size, place=place, whole_object=whole_object)
    )
    found = contributions(explained.model, traced)
    off: set[int] = set()
    for number, branch in enumerate(explained.model.classifier[0].convs):
        branch.register_forward_hook(
            lambda _module, _inputs, output, number=number: output * 0 if number in off else output
        )

    def means_without(*numbers: int) -> torch.Tensor:
        off.clear()
        off.update(numbers)
        with torch.no_grad():
            logits_1Khw = explained.model.classifier(traced.features_Chw[None])
        return (logits_1Khw[0] * traced.weights_hw).sum(dim=(1, 2))

    every = range(len(branch_names(explained.model)))
    known = {
        frozenset(numbers): means_without(*numbers)
        for size_ in range(6)
        for numbers in itertools.combinations(every, size_)
    }
    expected_BK = torch.zeros_like(found.values_BK)
    orders = list(itertools.permutations(every))
    for order in orders:
        for place_, number in enumerate(order):
            before, after = frozenset(order[place_:]), frozenset(order[place_ + 1 :])
            expected_BK[number] += (known[after] - known[before]) / len(orders)
    assert found.names == ("1 x 1", "rate 12", "rate 24", "rate 36", "image pooling")
    rounding = 1e-6 * float(expected_BK.abs().max())
    assert torch.allclose(found.values_BK, expected_BK, atol=rounding)
    assert torch.allclose(found.silent_K + found.values_BK.sum(0), traced.means_K.double(), atol=rounding)
    assert expected_BK.abs().max() > 1e-2, "the check would see it"


# --- an explanation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", [RESIZE, FIT])
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, next(iter(SMP))])
def test_every_architecture_is_explained(architecture: str, geometry: str) -> None:
    explained, photo, at = to_explain(lively(architecture), 4, geometry=geometry), draw_pair(2, (90, 40))[0], (70, 9)
    explanation = explain(explained, photo, at)
    predicted = explained.predictor.predict(photo, with_confidence=True)
    assert predicted.confidence_HW is not None
    assert explanation.class_name == explained.classes.names[predicted.mask_HW[at[::-1]]]
    assert explanation.probability == pytest.approx(float(predicted.confidence_HW[at[::-1]]), abs=1e-3)
    contributed = sum(branch.contribution for branch in explanation.branches)
    assert explanation.silent + contributed == pytest.approx(explanation.logit, abs=1e-3)
    height, width = (SIDE_PX, SIDE_PX) if geometry == RESIZE else (28, SIDE_PX)
    assert explanation.field_HW.shape == (height, width)
    assert explanation.field_HW.max() > 0
    figures = json.loads(json.dumps(explanation.figures(), allow_nan=False))
    assert len(figures["taps"]) == 27
    assert (figures["receptive_field"]["padding_share"] > 0) == (geometry == FIT)
    parts = evidence(explanation, photo)
    assert tuple(part.kind for part in parts) == KINDS
    assert (parts[0].picture is None) == (explanation.map_HW is None)
    assert all(part.picture for part in parts[1:])


def test_an_object_is_the_connected_pixels_of_the_class() -> None:
    logits_KSS = torch.zeros(3, 8, 8)
    logits_KSS[1, 1:4, 1:4] = 1
    logits_KSS[1, 6:, 6:] = 1
    target = target_at(logits_KSS, at=(5, 5), size=(16, 16), place=place_of((16, 16), 8, RESIZE), whole_object=True)
    assert target.class_id == 1
    assert torch.equal(target.weights_SS > 0, (logits_KSS[1] > 0) & (torch.arange(8) < 5))
    assert float(target.weights_SS.sum()) == pytest.approx(1)


@pytest.mark.parametrize("at", [(-1, 0), (48, 0), (0, 40), (0, -1)])
def test_a_pixel_outside_the_photo_is_refused(mobilenet_to_explain: Explainable, at: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match=r"48 x 40 px, and .* is outside it; give x from 0 to 47 and y from 0 to 39\."):
        explain(mobilenet_to_explain, draw_pair(0)[0], at)


@pytest.mark.parametrize("geometry", [RESIZE, FIT])
@pytest.mark.parametrize("size", [(1, 1), (1, 300)])
def test_the_smallest_photos_are_explained(
    mobilenet_to_explain: Explainable, size: tuple[int, int], geometry: str
) -> None:
    explained = to_explain(mobilenet_to_explain.model, 4, geometry=geometry)
    photo = Image.new("RGB", size, "red")
    explanation = explain(explained, photo, (0, 0), whole_object=True)
    assert json.dumps(explanation.figures(), allow_nan=False)
    assert len(evidence(explanation, photo)) == len(KINDS)


@pytest.fixture(scope="module")
def mobilenet_to_explain() -> Explainable:
    """A small model of random weights."""
    return to_explain(lively(MOBILENET), 4)


# --- the check of a map -----------------------------------------------------------------------------------------------


def test_ranks_follow_the_evidence_and_equal_evidence_is_in_random_order() -> None:
    map_HW = np.array([[0, 3, 0], [1, 0, 2]], np.float32)
    ranks_HW = ranks(map_HW)
    assert np.allclose(sorted(ranks_HW.ravel()), np.arange(6) / 6)
    assert (ranks_HW[0, 1], ranks_HW[1, 2], ranks_HW[1, 0]) == pytest.approx((0, 1 / 6, 2 / 6))
    assert any(not np.array_equal(ranks(map_HW, seed), ranks_HW) for seed in range(1, 6))


def test_a_map_that_marks_nothing_of_use_is_not_offered(mobilenet_to_explain: Explainable) -> None:
    """A model that says the same whatever it sees has no reason to show."""
    model = lively(MOBILENET)
    model.classifier[4].weight.data.zero_()
    explanation = explain(to_explain(model, 4), draw_pair(0)[0], (20, 20))
    assert explanation.map_HW is None
    part = evidence(explanation, draw_pair(0)[0])[0]
    assert part.picture is None
    assert part.shows.startswith("No map. ")
