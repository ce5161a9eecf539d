"""The mean of what a model says to a photo mirrored and at several sizes.

Averaged are probabilities, since a logit has no scale that two passes share. They come back as logarithms, which are
logits of the same probabilities, so that whatever takes logits takes them.
"""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from core.data.geometry import place_of
from core.data.loading.transforms import photo_in_square
from core.model.passes import ONCE, Passes
from core.model.predictor import Predictor

LEAST_PROBABILITY = 1e-12
"""Below it a class is impossible; the logarithm of nothing would spoil its neighbours as they are enlarged."""


def averaged_logits(predictor: Predictor, photo: Image.Image, passes: Passes = ONCE) -> Tensor:
    """Return logits_Khw, float32, of an RGB photo as a whole: the model's own for one pass, else of the mean.

    They are the photo's part of the model's square (`geometry`), to which every scale's probabilities are brought.
    Mirroring the photo mirrors the result, exactly so where the resized photos are mirror images.
    """
    size = (photo.height, photo.width)
    if passes.views == 1 and passes.scales == ONCE.scales:
        return predictor.part_of(predictor.logits([photo])[0], size)
    squares = (photo_in_square(photo, side, predictor.geometry) for side in passes.sizes(predictor.image_size))
    parts = [predictor.part_of(_at_scale(predictor, square_3TT, passes), size) for square_3TT in squares]
    own_size = place_of(size, predictor.image_size, predictor.geometry).size
    mean_Khw = torch.stack(
        [F.interpolate(part_Khw[None], own_size, mode="bilinear", align_corners=False)[0] for part_Khw in parts]
    ).mean(dim=0)
    return mean_Khw.clamp_min_(LEAST_PROBABILITY).log_()


@torch.inference_mode()
def _at_scale(predictor: Predictor, square_3TT: Tensor, passes: Passes) -> Tensor:
    """Return probabilities_KTT of a photo in a square of any side T, with those of its mirror image if asked for."""
    probabilities_KTT = predictor.logits_of(square_3TT[None])[0].softmax(dim=0)
    if passes.flip:
        mirrored_KTT = predictor.logits_of(square_3TT.flip(-1)[None])[0].softmax(dim=0)
        probabilities_KTT = (probabilities_KTT + mirrored_KTT.flip(-1)) / 2
    return probabilities_KTT
