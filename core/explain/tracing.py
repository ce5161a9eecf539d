"""One pass forwards and one backwards through a model, for the logit of a class at a pixel or over a region.

The model that predicts cannot be differentiated: its weights are packed for oneDNN and may be bf16. So an explanation
builds a second one from the checkpoint, in fp32, and computes the class again; where two classes nearly tie, it can
name the other one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from core.classes import Classes
from core.data.loading.transforms import normalize
from core.model.checkpoint.checkpoint_file import OpenedCheckpoint
from core.model.predict.predictor import Predictor


@dataclass(frozen=True)
class Explainable:
    """A model in fp32 that can be differentiated, the predictor of the same checkpoint, and its classes."""

    model: DeepLabV3
    predictor: Predictor
    classes: Classes


def explainable(opened: OpenedCheckpoint, predictor: Predictor) -> Explainable:
    """Return a checkpoint's model, ready to be explained; weights that do not fit raise `CheckpointError`."""
    model = opened.build().requires_grad_(requires_grad=False).to(predictor.device)
    model.aux_classifier = None
    return Explainable(model, predictor, opened.meta.classes)


@dataclass(frozen=True)
class Target:
    """The number to explain: the mean of a class's logits, weighted by weights_SS, which sum to 1."""

    class_id: int
    weights_SS: Tensor

    def means(self, logits_NKSS: Tensor) -> Tensor:
        """Return the weighted mean of each class's logits, (N, K)."""
        means_NK: Tensor = (logits_NKSS * self.weights_SS).sum(dim=(2, 3))
        return means_NK


@dataclass(frozen=True)
class Trace:
    """What the two passes leave behind; h and w are the size of the backbone's last map, gradients are the target's.

    target         the number to explain, and means_K, the same mean for every class
    field_SS       the absolute gradient of each pixel of the square, summed over normalized colours
    features_Chw   the backbone's last map, and its gradient, gradient_Chw
    branches       what each branch of ASPP gives to the projection, (C, h, w), in its order
    weights_hw     the target as weights of the logits before their upsampling; they sum to 1
    """

    target: Target
    means_K: Tensor
    field_SS: Tensor
    features_Chw: Tensor
    gradient_Chw: Tensor
    branches: tuple[Tensor, ...]
    weights_hw: Tensor


def trace(explained: Explainable, square_3SS: Tensor, choose: Callable[[Tensor], Target]) -> Trace:
    """Run a photo in the model's square (uint8) forwards and backwards; `choose` gets its logits_KSS."""
    image_13SS = normalize(square_3SS[None].to(explained.predictor.device)).requires_grad_()
    with torch.enable_grad(), _outputs_of(explained.model) as seen:
        logits_1KSS = explained.model(image_13SS.contiguous(memory_format=torch.channels_last))["out"]
        target = choose(logits_1KSS[0].detach())
        means_K = target.means(logits_1KSS)[0]
        read = (image_13SS, seen["features"], seen["logits"])
        of_image, of_features, of_logits = torch.autograd.grad(means_K[target.class_id], read)
    return Trace(
        target,
        means_K.detach(),
        of_image[0].abs().sum(dim=0),
        seen["features"][0].detach(),
        of_features[0],
        tuple(seen[name][0].detach() for name in seen if name.startswith("branch")),
        of_logits[0, target.class_id],
    )


@contextmanager
def _outputs_of(model: DeepLabV3) -> Iterator[dict[str, Tensor]]:
    """Yield a dict that the next pass fills: `branch 0` and so on, `features` and `logits` before upsampling."""
    seen: dict[str, Tensor] = {}
    modules = {f"branch {number}": branch for number, branch in enumerate(model.classifier[0].convs)}
    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: seen.update({name: output}))
        for name, module in (modules | {"logits": model.classifier}).items()
    ]
    handles.append(
        model.backbone.register_forward_hook(lambda _m, _i, output: seen.update({"features": output["out"]}))
    )
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
