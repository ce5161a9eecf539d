"""Segments a photo with test-time augmentation (`tta`): whole or in tiles, mirrored, at several sizes.

Where tiles overlap, their logits are averaged with weights that fade towards a tile's edge, where the model has least
context. Tiles go through the model row by row. Once no further tile reaches a row of the photo, that row is ranked and
the logits above it are freed: memory holds only the overlap, in half precision, and never all scores of the photo.

Passes are averaged as probabilities, since logits of two have no common scale, and come back as logarithms,
which are logits of the same probabilities.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from core.data.geometry import place_of
from core.data.loading.transforms import photo_in_square
from core.model.predict.predictor import Predictor
from core.model.predict.tta import NO_TTA, TTA, refuse_temperature
from core.model.predict.upsampling import Prediction, rank_rows, resolve, upsampled_rows

MAX_LOGIT = 60_000.0
"""Within the range of half precision."""

LEAST_PROBABILITY = 1e-12
"""Lower probabilities are raised to it: the logarithm of 0 would spoil its neighbours in upsampling."""


@dataclass(frozen=True)
class Tile:
    """A tile of a photo: its place in px, and its logits_Khw, float16, without their upper `cut_off` rows."""

    left: int
    right: int
    top: int
    bottom: int
    logits_Khw: Tensor
    cut_off: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.bottom - self.top, self.right - self.left

    def from_row(self, row: int) -> "Tile":
        """Return the tile without the logits that only rows of the photo above `row` need."""
        num_rows = self.logits_Khw.shape[1] + self.cut_off
        cut_off = max(self.cut_off, int((row - self.top + 0.5) * num_rows / self.size[0] - 0.5))
        return replace(self, logits_Khw=self.logits_Khw[:, cut_off - self.cut_off :].clone(), cut_off=cut_off)


def segment(
    predictor: Predictor,
    photo: Image.Image,
    tta: TTA = NO_TTA,
    *,
    with_confidence: bool = False,
    with_runner_up: bool = False,
    temperature: float | None = None,
) -> Prediction:
    """Segment an RGB photo at its own size; without augmentation the result equals that of `Predictor.predict`.

    A temperature, which adds calibrated_HW, is for one pass: `ConfigError` with augmentation.
    """
    refuse_temperature(tta, temperature)
    columns, rows = tta.spans(photo.width), tta.spans(photo.height)
    size = (photo.height, photo.width)
    if len(columns) == len(rows) == 1:
        logits_Khw = averaged_logits(predictor, photo, tta)
        return resolve(
            logits_Khw, size, with_confidence=with_confidence, with_runner_up=with_runner_up, temperature=temperature
        )
    prediction = Prediction.empty(size, with_confidence=with_confidence, with_runner_up=with_runner_up)
    tiles: list[Tile] = []
    for (top, bottom), (end, _) in zip(rows, [*rows[1:], (photo.height, 0)], strict=True):
        for left, right in columns:
            logits_Khw = averaged_logits(predictor, photo.crop((left, top, right, bottom)), tta)
            tiles.append(Tile(left, right, top, bottom, logits_Khw.clamp(-MAX_LOGIT, MAX_LOGIT).half()))
        with torch.inference_mode():
            rank_rows(prediction, partial(_blended, tiles, photo.width), top, end, predictor.device)
        tiles = [tile.from_row(end) for tile in tiles if tile.bottom > end]
    return prediction


def _blended(tiles: Sequence[Tile], width: int, first: int, end: int) -> Iterator[Tensor]:
    """Yield the mean logits of each class in rows `first` to `end` of a photo, weighted by the tiles' windows."""
    device, num_classes = tiles[0].logits_Khw.device, len(tiles[0].logits_Khw)
    reaching = [tile for tile in tiles if tile.top < end and tile.bottom > first]
    spans = [(max(first, tile.top), min(end, tile.bottom)) for tile in reaching]
    places = [
        np.s_[top - first : bottom - first, tile.left : tile.right]
        for tile, (top, bottom) in zip(reaching, spans, strict=True)
    ]
    weights = [_window(tile, top, bottom) for tile, (top, bottom) in zip(reaching, spans, strict=True)]
    scores = [
        upsampled_rows(tile.logits_Khw, tile.size, top - tile.top, bottom - tile.top, tile.cut_off)
        for tile, (top, bottom) in zip(reaching, spans, strict=True)
    ]
    total_hW = torch.zeros((end - first, width), device=device)
    for place, weight_hw in zip(places, weights, strict=True):
        total_hW[place] += weight_hw
    for _ in range(num_classes):
        mean_hW = torch.zeros_like(total_hW)
        for place, weight_hw, score in zip(places, weights, scores, strict=True):
            mean_hW[place] += weight_hw * next(score)
        yield mean_hW.div_(total_hW)


def _window(tile: Tile, first: int, end: int) -> Tensor:
    """Return a tile's weights in rows `first` to `end` of the photo: a raised cosine in both directions."""
    height, width = tile.size
    device = tile.logits_Khw.device
    down_h, across_w = (
        torch.sin(torch.pi * (torch.arange(start, stop, device=device) + 0.5) / length).square()
        for start, stop, length in ((first - tile.top, end - tile.top, height), (0, width, width))
    )
    return down_h[:, None] * across_w[None]


def averaged_logits(predictor: Predictor, photo: Image.Image, tta: TTA = NO_TTA) -> Tensor:
    """Return logits_Khw, float32, of a whole RGB photo: the model's own for one pass, else those of the mean.

    They cover the photo's part of the model's square (`geometry`), to whose size every scale's probabilities are
    resized. Mirroring the photo mirrors the result, exactly so where the resized photos are mirror images.
    """
    size = (photo.height, photo.width)
    if tta.views == 1 and tta.scales == NO_TTA.scales:
        return predictor.part_of(predictor.logits([photo])[0], size)
    squares = (photo_in_square(photo, side, predictor.geometry) for side in tta.sizes(predictor.image_size))
    parts = [predictor.part_of(_at_scale(predictor, square_3TT, flip=tta.flip), size) for square_3TT in squares]
    own_size = place_of(size, predictor.image_size, predictor.geometry).size
    mean_Khw = torch.stack(
        [F.interpolate(part_Khw[None], own_size, mode="bilinear", align_corners=False)[0] for part_Khw in parts]
    ).mean(dim=0)
    return mean_Khw.clamp_min_(LEAST_PROBABILITY).log_()


@torch.inference_mode()
def _at_scale(predictor: Predictor, square_3TT: Tensor, *, flip: bool) -> Tensor:
    """Return probabilities_KTT of a photo in a square of any side T, averaged with its mirror image's for `flip`."""
    probabilities_KTT = predictor.logits_of(square_3TT[None])[0].softmax(dim=0)
    if flip:
        mirrored_KTT = predictor.logits_of(square_3TT.flip(-1)[None])[0].softmax(dim=0)
        probabilities_KTT = (probabilities_KTT + mirrored_KTT.flip(-1)) / 2
    return probabilities_KTT
