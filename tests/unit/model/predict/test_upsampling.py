"""Logits at a photo's size: torch's own interpolation, softmax and sort, however they are cut in strips."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.model.predict import upsampling
from core.model.predict.upsampling import resolve, upsampled_rows


def random_logits(size: int = 16) -> torch.Tensor:
    return torch.randn(21, size, size, generator=torch.Generator().manual_seed(0)) * 5


@pytest.mark.parametrize("size", [(50, 70), (8, 8), (5, 90), (1, 1)])
@pytest.mark.parametrize("strip", [1, 300, 1 << 20])
def test_resolving_equals_interpolate_softmax_and_sort(
    size: tuple[int, int], strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(upsampling.STRIP_PIXELS, "cpu", strip)
    logits_KSS = random_logits()
    whole_KHW = F.interpolate(logits_KSS[None].double(), size, mode="bilinear", align_corners=False)[0]
    prediction = resolve(logits_KSS, size, with_confidence=True, with_runner_up=True, temperature=1.7)
    assert prediction.mask_HW.dtype == np.uint8
    best_2HW = whole_KHW.argsort(dim=0, descending=True, stable=True)[:2]
    np.testing.assert_array_equal(prediction.mask_HW, best_2HW[0])
    assert prediction.runner_up_HW is not None
    assert prediction.runner_up_HW.dtype == np.uint8
    np.testing.assert_array_equal(prediction.runner_up_HW, best_2HW[1])
    assert prediction.confidence_HW is not None
    np.testing.assert_allclose(prediction.confidence_HW, whole_KHW.softmax(0).amax(0), atol=5e-6)
    assert prediction.calibrated_HW is not None
    np.testing.assert_allclose(prediction.calibrated_HW, (whole_KHW / 1.7).softmax(0).amax(0), atol=5e-6)


def test_huge_logits_do_not_overflow_and_a_tie_goes_to_the_lower_id() -> None:
    logits_KSS = torch.tensor([-3e4, 3e4, 3e4, -3e4]).view(4, 1, 1).expand(4, 2, 2)
    prediction = resolve(logits_KSS, (3, 3), with_confidence=True, with_runner_up=True)
    assert (prediction.mask_HW == 1).all()
    assert (prediction.runner_up_HW == 2).all()
    np.testing.assert_allclose(prediction.confidence_HW, 0.5)


def test_what_is_not_asked_for_is_left_out_and_changes_nothing() -> None:
    plain, whole = (
        resolve(
            random_logits(), (40, 30), with_confidence=asked, with_runner_up=asked, temperature=2.0 if asked else None
        )
        for asked in (False, True)
    )
    assert plain.confidence_HW is None
    assert plain.runner_up_HW is None
    assert plain.calibrated_HW is None
    np.testing.assert_array_equal(plain.mask_HW, whole.mask_HW)


@pytest.mark.parametrize("first", [0, 7, 39])
def test_rows_of_logits_that_were_cut_off_are_not_missed(first: int) -> None:
    logits_KSS = random_logits()
    whole_KHW = F.interpolate(logits_KSS[None], (40, 30), mode="bilinear", align_corners=False)[0]
    cut_off = max(0, int((first + 0.5) * 16 / 40 - 0.5))
    rows_KhW = torch.stack(list(upsampled_rows(logits_KSS[:, cut_off:], (40, 30), first, 40, cut_off)))
    torch.testing.assert_close(rows_KhW, whole_KHW[:, first:], rtol=1e-5, atol=1e-5)
