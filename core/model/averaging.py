"""The mean of what a model says to a photo mirrored and at several sizes.

Averaged are probabilities, since a logit has no scale that two passes share. They come back as logarithms, which are
logits of the same probabilities, so that whatever takes logits takes them.
"""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from core.data.transforms import squash_photo
from core.model.passes import ONCE, Passes
from core.model.predictor import Predictor

LEAST_PROBABILITY = 1e-12
"""Below it a class is impossible; the logarithm of nothing would spoil its neighbours as they are enlarged."""


def averaged_logits(predictor: Predictor, photo: Image.Image, passes: Passes = ONCE) -> Tensor:
    """Return logits_KSS, float32, of an RGB photo as a whole: the model's own for one pass, else of the mean.

    Every scale's probabilities are brought to the model's image size S. Mirroring the photo mirrors the result, exactly
    so where the squashed photos are mirror images.
    """
    if passes.views == 1 and passes.scales == ONCE.scales:
        return predictor.logits([photo])[0]
    sizes = passes.sizes(predictor.image_size)
    parts = [_at_scale(predictor, squash_photo(photo, size), passes) for size in sizes]
    mean_KSS = torch.stack(parts).mean(dim=0)
    return mean_KSS.clamp_min_(LEAST_PROBABILITY).log_()


@torch.inference_mode()
def _at_scale(predictor: Predictor, squashed_3TT: Tensor, passes: Passes) -> Tensor:
    """Return probabilities_KSS of a photo squashed to some size T, with those of its mirror image if asked for."""
    probabilities_KTT = predictor.logits_of(squashed_3TT[None])[0].softmax(dim=0)
    if passes.flip:
        mirrored_KTT = predictor.logits_of(squashed_3TT.flip(-1)[None])[0].softmax(dim=0)
        probabilities_KTT = (probabilities_KTT + mirrored_KTT.flip(-1)) / 2
    size = (predictor.image_size, predictor.image_size)
    return F.interpolate(probabilities_KTT[None], size, mode="bilinear", align_corners=False)[0]
