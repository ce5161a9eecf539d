"""From photo to mask: exact against torch's own argmax and softmax, at the photo's size, the same as validation."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3

from core.classes import VOC_CLASSES
from core.data.dataset import Sample
from core.data.geometry import FIT, GEOMETRIES, place_of
from core.data.images import write_mask
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.transforms import normalize, photo_in_square
from core.model.architectures import EFFICIENTNET, MOBILENET, build_model, early_stage
from core.model.predict import predictor as predictor_module
from core.model.predict.predictor import Predictor, mask_precision
from core.model.predict.tiling import segment
from core.model.predict.tta import NO_TTA, TTA
from core.training.evaluation import evaluate
from tests.small_data import draw_pair
from tests.unit.model.predict.color_model import Reading

CPU = torch.device("cpu")


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("size", [(48, 40), (31, 97), (300, 20), (1, 2000), (1, 1)])
def test_a_mask_has_the_photo_s_own_size(mobilenet: DeepLabV3, size: tuple[int, int], geometry: str) -> None:
    photo, _ = (Image.new("RGB", size), None) if 1 in size else draw_pair(0, size)
    predictor = Predictor(mobilenet, image_size=64, geometry=geometry, device=CPU)
    prediction = predictor.predict(photo, with_confidence=True)
    assert prediction.mask_HW.shape == (size[1], size[0])
    assert prediction.confidence_HW is not None
    assert prediction.confidence_HW.shape == (size[1], size[0])
    assert ((prediction.confidence_HW > 1 / 21 - 1e-6) & (prediction.confidence_HW <= 1 + 1e-6)).all()


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_logits_are_the_model_s_on_the_one_preprocessing(mobilenet: DeepLabV3, geometry: str) -> None:
    photo, _ = draw_pair(1)
    model = copy.deepcopy(mobilenet).train()
    logits = Predictor(model, image_size=64, geometry=geometry, device=CPU).logits([photo])[0]
    assert model.training, "a model in training goes on as it was"
    with torch.inference_mode():
        expected = mobilenet(normalize(photo_in_square(photo, 64, geometry))[None])["out"][0]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_page_predicts_what_validation_counted(mobilenet: DeepLabV3, tmp_path: Path, geometry: str) -> None:
    """Two preprocessings, one in training and one in the demo, are the classic way to a demo that disappoints."""
    photo, mask_HW = draw_pair(2)
    photo.save(tmp_path / "p.png")
    write_mask(tmp_path / "m.png", mask_HW)
    predictor = Predictor(mobilenet, image_size=64, geometry=geometry, device=CPU)
    pairs = SquarePairs([Sample("p", tmp_path / "p.png", tmp_path / "m.png")], 21, 64, geometry)
    result = next(evaluate(predictor, pairs, VOC_CLASSES))
    (tmp_path / "predicted.png").write_bytes(result.mask_png)
    with Image.open(tmp_path / "predicted.png") as stored:
        np.testing.assert_array_equal(np.asarray(stored), predictor.predict(photo).mask_HW)


class CatInThePadding(nn.Module):
    """Reads the photo's colours as classes 1 to 3, and is sure to see class 8 where all is the mean colour."""

    def __init__(self, cat: float) -> None:
        super().__init__()
        self.cat = nn.Parameter(torch.tensor(cat))

    def forward(self, images_N3SS: Tensor) -> dict[str, Tensor]:
        is_padding_N1SS = images_N3SS.abs().amax(dim=1, keepdim=True) < 0.02
        colors_N3SS, none_N1SS = 2 * images_N3SS, torch.zeros_like(images_N3SS[:, :1])
        cat_N1SS = torch.where(is_padding_N1SS, self.cat, none_N1SS)
        return {"out": torch.cat([none_N1SS, colors_N3SS, *[none_N1SS] * 4, cat_N1SS, *[none_N1SS] * 12], dim=1)}


@pytest.mark.parametrize("passes", [NO_TTA, TTA(flip=True), TTA(scales=(0.5, 1.0, 1.25)), TTA(flip=True, tile_px=100)])
@pytest.mark.parametrize("size", [(150, 70), (70, 150), (9, 200)])
def test_what_is_predicted_in_the_padding_counts_nowhere(size: tuple[int, int], passes: TTA) -> None:
    photo = Image.fromarray(
        (np.random.default_rng(0).integers(0, 2, (size[1], size[0], 3)) * 40 + (200, 20, 10)).astype(np.uint8)
    )  # nowhere near the mean colour, not in a blend of its own colours either
    found = [
        segment(Predictor(CatInThePadding(cat), image_size=64, geometry=FIT, device=CPU), photo, passes,
                with_confidence=True, with_runner_up=True)
        for cat in (0.0, 50.0)
    ]  # fmt: skip
    for one, other in zip(vars(found[0]).values(), vars(found[1]).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert 8 not in found[1].mask_HW


def test_a_photo_with_padding_scores_as_if_there_were_none(tmp_path: Path) -> None:
    """Counts, loss and calibration alike: the same whatever the padding is taken for."""
    photo, mask_HW = Image.new("RGB", (90, 40), "red"), np.ones((40, 90), dtype=np.uint8)
    mask_HW[:, :20] = 2
    photo.save(tmp_path / "p.png")
    write_mask(tmp_path / "m.png", mask_HW)
    pairs = SquarePairs([Sample("p", tmp_path / "p.png", tmp_path / "m.png")], 21, 64, FIT)
    predictors = [Predictor(CatInThePadding(cat), image_size=64, geometry=FIT, device=CPU) for cat in (0.0, 50.0)]
    one, other = (next(evaluate(predictor, pairs, VOC_CLASSES)) for predictor in predictors)
    assert int(other.counts_KK.sum()) == 90 * 40
    assert int(other.counts_KK[1, 1]) == 70 * 40
    assert one.loss == other.loss
    for name in ("counts_KK", "bins_3B"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    logits_KSS = predictors[1].logits([photo])[0]
    assert (logits_KSS.argmax(dim=0) == 8).float().mean() > 0.5, "or nothing was tested"


def test_a_photo_at_the_square_s_own_size_is_seen_as_it_is() -> None:
    """A fitted photo whose longer side is the square's is not resized: every pixel is answered by itself."""
    photo, _ = draw_pair(4, (64, 40))
    found_HW = Predictor(Reading(), image_size=64, geometry=FIT, device=CPU).predict(photo).mask_HW
    expected_3HW = normalize(torch.from_numpy(np.array(photo)).permute(2, 0, 1))
    np.testing.assert_array_equal(found_HW, expected_3HW.argmax(dim=0))


class Opinion(nn.Module):
    """Answers which colour is strongest at each pixel; with an `offset` so large that bf16 cannot tell them apart."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(self, images_N3SS: Tensor) -> dict[str, Tensor]:
        return {"out": images_N3SS + self.offset}


@pytest.mark.parametrize(
    ("offset", "wanted", "expected"), [(0.0, "auto", "bf16"), (1000.0, "auto", "fp32"), (0.0, "fp32", "fp32")]
)
def test_masks_are_made_in_bf16_only_where_it_keeps_them_and_fp32_was_not_asked_for(
    offset: float, wanted: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in fp32 was once judged in bf16 after its last epoch alone: 5 + 5 epochs were not 10 any more."""
    monkeypatch.setattr(predictor_module, "choose_precision", lambda *_: "bf16")
    assert mask_precision(Opinion(offset), image_size=64, device=CPU, wanted=wanted) == expected


@pytest.mark.parametrize("architecture", [MOBILENET, EFFICIENTNET, "deeplabv3_resnet50"])
def test_features_are_those_of_the_whole_photo_and_of_a_stage_at_a_quarter_of_its_size(architecture: str) -> None:
    """Against the model before anything was folded or packed, with padding beside the photo."""
    model, photo, seen = build_model(architecture, 3, output_stride=16).eval(), draw_pair(1, (60, 45))[0], []
    found = Predictor(model, image_size=64, geometry=FIT, device=CPU).features(photo)
    early_stage(model.backbone).register_forward_hook(lambda _module, _inputs, stage: seen.append(stage[0]))
    with torch.inference_mode():
        last_Chw = model.backbone(normalize(photo_in_square(photo, 64, FIT))[None])["out"][0]
    part_Chw = place_of((45, 60), 16, FIT).part(seen[0])
    assert (seen[0].shape[1:], part_Chw.shape[1:]) == ((16, 16), (12, 16))
    torch.testing.assert_close(
        found.last_C, place_of((45, 60), last_Chw.shape[-1], FIT).part(last_Chw).mean((1, 2)), rtol=1e-3, atol=1e-4
    )
    early_C = torch.cat([part_Chw.mean((1, 2)), (part_Chw.std((1, 2), correction=0) + 1e-3).log()])
    torch.testing.assert_close(found.early_C, early_C, rtol=1e-3, atol=1e-4)
