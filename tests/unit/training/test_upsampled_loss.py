"""The loss that never saves upsampled logits, against torch's interpolate and cross-entropy."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.training import loss as loss_module
from core.training.loss import pixel_weight, upsampled_cross_entropy, upsampling_matrix
from core.voc import VOID

WEIGHTS_K = torch.tensor([0.2, 1.0, 10.0, 0.0, 3.5])


def batch(coarse: tuple[int, int], fine: tuple[int, int], share_void: float = 0.3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(3, 5, *coarse, generator=generator)
    masks = torch.randint(0, 5, (3, *fine), generator=generator)
    masks[torch.rand(masks.shape, generator=generator) < share_void] = VOID
    return logits, masks


def by_torch(logits: Tensor, masks: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return loss and gradient, upsampled first; in double precision, so that only ours rounds."""
    logits = logits.double().requires_grad_()
    upsampled = F.interpolate(logits, masks.shape[-2:], mode="bilinear", align_corners=False)
    weights = None if weights is None else weights.double()
    loss = F.cross_entropy(upsampled, masks, weight=weights, ignore_index=VOID)
    loss.backward()
    assert logits.grad is not None
    return loss.detach(), logits.grad


def ours(logits: Tensor, masks: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    loss = upsampled_cross_entropy(logits, masks, weights, pixel_weight(masks, weights))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.dtype == logits.dtype
    return loss.detach(), logits.grad


@pytest.mark.parametrize("weights", [None, WEIGHTS_K])
@pytest.mark.parametrize(
    ("coarse", "fine"), [((4, 4), (64, 64)), ((5, 7), (33, 50)), ((8, 9), (8, 9)), ((1, 1), (9, 9)), ((13, 3), (97, 7))]
)
@pytest.mark.parametrize("block_bytes", [1, 4 * 5 * 50 * 7, 2**30])
def test_loss_and_gradient_are_those_of_enlarging_first(
    coarse: tuple[int, int],
    fine: tuple[int, int],
    weights: Tensor | None,
    block_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In blocks of one row, of a few, and of all of them."""
    monkeypatch.setattr(loss_module, "BLOCK_BYTES", block_bytes)
    logits, masks = batch(coarse, fine)
    (loss, gradient), (expected_loss, expected) = ours(logits, masks, weights), by_torch(logits, masks, weights)
    torch.testing.assert_close(loss.double(), expected_loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-8)


def test_void_alone_gives_zero_and_no_gradient_not_nan() -> None:
    logits, masks = batch((4, 4), (16, 16), share_void=2.0)
    loss, gradient = ours(logits, masks, None)
    assert loss == 0
    assert (gradient == 0).all()


def test_huge_logits_do_not_overflow() -> None:
    logits, masks = batch((4, 4), (16, 16))
    loss, gradient = ours(1e4 * logits, masks, None)
    expected_loss, expected = by_torch(1e4 * logits, masks, None)
    torch.testing.assert_close(loss.double(), expected_loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=1e-6)


def test_half_precision_logits_are_summed_in_fp32() -> None:
    logits, masks = batch((4, 4), (16, 16))
    loss, gradient = ours(logits.bfloat16(), masks, None)
    assert loss.dtype == torch.float32
    exact, exact_gradient = ours(logits.bfloat16().float(), masks, None)
    assert loss == exact
    torch.testing.assert_close(gradient, exact_gradient.bfloat16())


def test_a_loss_that_is_not_finite_is_told() -> None:
    logits, masks = batch((4, 4), (16, 16))
    logits[1, 2, 0, 0] = torch.nan
    assert not upsampled_cross_entropy(logits, masks, None, torch.tensor(1.0)).isfinite()


def test_what_is_kept_for_the_backward_pass_is_coarse() -> None:
    logits, masks = batch((4, 4), (64, 64))
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        upsampled_cross_entropy(logits.requires_grad_(), masks, None, torch.tensor(1.0))
    assert sizes == [logits.numel()]


@pytest.mark.parametrize(("coarse", "fine"), [(1, 5), (4, 4), (7, 33), (16, 256)])
def test_the_matrix_upsamples_a_row_as_interpolate_does(coarse: int, fine: int) -> None:
    row = torch.randn(1, 1, coarse, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(row, fine, mode="linear", align_corners=False)[0, 0]
    torch.testing.assert_close(upsampling_matrix(coarse, fine, torch.device("cpu")) @ row[0, 0], expected)
