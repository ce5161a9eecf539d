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
from core.data.images import write_mask
from core.data.pixels import SquashedPairs
from core.data.transforms import photo_to_tensor
from core.model import predictor as predictor_module
from core.model.predictor import Predictor, mask_precision
from core.training.evaluation import evaluate
from tests.small_data import draw_pair

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(48, 40), (31, 97), (300, 20), (1, 1)])
def test_a_mask_has_the_photo_s_own_size(mobilenet: DeepLabV3, size: tuple[int, int]) -> None:
    photo, _ = (Image.new("RGB", size), None) if size == (1, 1) else draw_pair(0, size)
    prediction = Predictor(mobilenet, image_size=64, device=CPU).predict(photo, with_confidence=True)
    assert prediction.mask_HW.shape == (size[1], size[0])
    assert prediction.confidence_HW is not None
    assert prediction.confidence_HW.shape == (size[1], size[0])
    assert ((prediction.confidence_HW > 1 / 21 - 1e-6) & (prediction.confidence_HW <= 1 + 1e-6)).all()


def test_logits_are_the_model_s_on_the_one_preprocessing(mobilenet: DeepLabV3) -> None:
    photo, _ = draw_pair(1)
    model = copy.deepcopy(mobilenet).train()
    logits = Predictor(model, image_size=64, device=CPU).logits([photo])[0]
    assert model.training, "a model in training goes on as it was"
    with torch.inference_mode():
        expected = mobilenet(photo_to_tensor(photo, 64)[None])["out"][0]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_a_page_predicts_what_validation_counted(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    """Two preprocessings, one in training and one in the demo, are the classic way to a demo that disappoints."""
    photo, mask_HW = draw_pair(2)
    photo.save(tmp_path / "p.png")
    write_mask(tmp_path / "m.png", mask_HW)
    predictor = Predictor(mobilenet, image_size=64, device=CPU)
    pairs = SquashedPairs([Sample("p", tmp_path / "p.png", tmp_path / "m.png")], 21, 64)
    result = next(evaluate(predictor, pairs, VOC_CLASSES))
    (tmp_path / "predicted.png").write_bytes(result.mask_png)
    with Image.open(tmp_path / "predicted.png") as stored:
        np.testing.assert_array_equal(np.asarray(stored), predictor.predict(photo).mask_HW)


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
