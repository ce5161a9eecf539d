"""What each branch of ASPP contributes to a logit: its Shapley value.

The branches are concatenated and projected, which is linear and so a sum over branches; BatchNorm, ReLU and the last
3 x 3 convolution follow, which are not. So no branch has a share of its own: what it adds depends on which others are
there. Shapley's value (1953) is the mean of what a branch adds over all orders in which the branches could be switched
on, each of them off (all zeros, as if it had found nothing) before. The values of all branches add up to the logit less
the logit with every branch off.
"""

from dataclasses import dataclass
from math import factorial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3

from core.explain.tracing import Trace, weighted


@dataclass(frozen=True)
class Contributions:
    """Shapley values of the branches for each class, values_BK, and the logits with every branch off, silent_K."""

    names: tuple[str, ...]
    values_BK: Tensor
    silent_K: Tensor


def branch_names(model: DeepLabV3) -> tuple[str, ...]:
    """Return the names of ASPP's branches: the 1 x 1 convolution, each rate, image pooling."""
    return ("1 x 1", *(f"rate {rate}" for rate in rates_of(model)), "image pooling")


def rates_of(model: DeepLabV3) -> tuple[int, ...]:
    """Return the atrous rates of ASPP."""
    return tuple(branch[0].dilation[0] for branch in model.classifier[0].convs[1:-1])


@torch.no_grad()
def contributions(model: DeepLabV3, trace: Trace) -> Contributions:
    """Return what each branch contributes to the target's mean logit, of every class."""
    aspp, num_branches = model.classifier[0], len(trace.branches)
    tail = nn.Sequential(*list(aspp.project)[1:], *list(model.classifier)[1:])
    weights_ij = trace.weights_hw[trace.window].double()
    kernels = aspp.project[0].weight.chunk(num_branches, dim=1)
    projected = [F.conv2d(branch, kernel) for branch, kernel in zip(trace.branches, kernels, strict=True)]
    means: list[Tensor] = []
    for coalition in range(2**num_branches):
        total_1Cij = torch.zeros_like(projected[0])
        for number, part_1Cij in enumerate(projected):
            if coalition >> number & 1:
                total_1Cij += part_1Cij
        means.append(weighted(tail(total_1Cij).double(), weights_ij))
    return Contributions(branch_names(model), _shapley(torch.stack(means), num_branches), means[0])


def _shapley(means_SK: Tensor, num_branches: int) -> Tensor:
    """Return values_BK from the means of all coalitions S, of which bit b says whether branch b is on."""
    values_BK = means_SK.new_zeros((num_branches, means_SK.shape[1]))
    for coalition in range(2**num_branches):
        size = coalition.bit_count()
        for number in range(num_branches):
            if not coalition >> number & 1:
                share = factorial(size) * factorial(num_branches - size - 1) / factorial(num_branches)
                values_BK[number] += share * (means_SK[coalition | 1 << number] - means_SK[coalition])
    return values_BK
