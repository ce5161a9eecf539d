"""The loss against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from core.training.loss import cross_entropy, pixel_weight, segmentation_loss
from core.voc import VOID


def batch(share_void: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 8, 9, generator=generator)
    masks = torch.randint(0, 5, (3, 8, 9), generator=generator)
    masks[torch.rand(masks.shape, generator=generator) < share_void] = VOID
    return logits, masks


@pytest.mark.parametrize("share_void", [0.0, 0.3, 0.9])
def test_it_is_torch_s_mean_over_what_is_not_void(share_void: float) -> None:
    logits, masks = batch(share_void)
    expected = F.cross_entropy(logits, masks, ignore_index=VOID, reduction="mean")
    torch.testing.assert_close(cross_entropy(logits, masks), expected)


def test_void_alone_gives_zero_and_no_gradient_not_nan() -> None:
    logits, masks = batch(2.0)
    logits.requires_grad_()
    loss = cross_entropy(logits, masks)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_half_precision_logits_are_summed_in_fp32() -> None:
    logits, masks = batch()
    loss = cross_entropy(logits.bfloat16(), masks)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, cross_entropy(logits.bfloat16().float(), masks))


def test_the_auxiliary_head_counts_with_its_weight() -> None:
    logits, masks = batch()
    outputs = {"out": logits, "aux": logits.flip(1)}
    main, aux = cross_entropy(logits, masks), cross_entropy(logits.flip(1), masks)
    torch.testing.assert_close(segmentation_loss(outputs, masks, 0.5), main + 0.5 * aux)
    torch.testing.assert_close(segmentation_loss({"out": logits}, masks), main)


@pytest.mark.parametrize("share_void", [0.0, 0.3, 0.99])
def test_with_class_weights_it_is_torch_s_weighted_mean_over_what_is_not_void(share_void: float) -> None:
    logits, masks = batch(share_void)
    weights = torch.tensor([0.2, 1.0, 10.0, 0.0, 3.5])
    expected = F.cross_entropy(logits, masks, weight=weights, ignore_index=VOID, reduction="mean")
    torch.testing.assert_close(segmentation_loss({"out": logits}, masks, 0.0, weights), expected)
    outputs = {"out": logits, "aux": logits.flip(1)}
    aux = F.cross_entropy(logits.flip(1), masks, weight=weights, ignore_index=VOID, reduction="mean")
    torch.testing.assert_close(segmentation_loss(outputs, masks, 0.5, weights), expected + 0.5 * aux)


def test_void_alone_gives_zero_with_class_weights_too() -> None:
    logits, masks = batch(2.0)
    assert segmentation_loss({"out": logits}, masks, 0.0, torch.full((5,), 0.5)).item() == 0


@pytest.mark.parametrize("weights", [None, torch.tensor([0.2, 1.0, 10.0, 0.0, 3.5])])
def test_the_parts_of_a_batch_add_up_to_its_loss(weights: torch.Tensor | None) -> None:
    """Also where void is spread unevenly: a mean of the parts' means would weigh their pixels differently."""
    logits, masks = batch()
    masks[0, :6] = VOID
    outputs = {"out": logits, "aux": logits.flip(1)}
    total = pixel_weight(masks, weights)
    parts = [
        segmentation_loss(
            {name: part[n : n + 1] for name, part in outputs.items()}, masks[n : n + 1], 0.5, weights, total
        )
        for n in range(len(masks))
    ]
    torch.testing.assert_close(sum(parts), segmentation_loss(outputs, masks, 0.5, weights))
