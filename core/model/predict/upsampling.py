"""Upsamples logits to a photo's size and ranks the classes there, a strip of rows and a class at a time.

All classes of a 12-megapixel photo at once are a gigabyte of scores. A strip of one class fits in the processor's
cache, where the dozen operations on a score are several times faster than in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.model.device import ACCELERATORS

STRIP_PIXELS = {"cpu": 1 << 17} | dict.fromkeys(ACCELERATORS, 1 << 22)
"""Number of pixels that are ranked at a time: on a GPU a photo, with the scores of all its classes at once."""

ScoresOf = Callable[[int, int], Iterable[Tensor]]
"""(first row, end) -> scores_hW, float32, of each class in order, for these rows of the photo."""


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for a photo, each array at the photo's own size.

    mask_HW        class ids, uint8
    confidence_HW  the probability of that class, float32 in [0, 1]; None unless asked for
    calibrated_HW  the same with all logits divided by a temperature; None without one
    runner_up_HW   the id of the second best class, uint8; None unless asked for
    """

    mask_HW: NDArray[np.uint8]
    confidence_HW: NDArray[np.float32] | None = None
    runner_up_HW: NDArray[np.uint8] | None = None
    calibrated_HW: NDArray[np.float32] | None = None

    @classmethod
    def empty(
        cls, size: tuple[int, int], *, with_confidence: bool, with_runner_up: bool, is_calibrated: bool = False
    ) -> "Prediction":
        """Return arrays of (height, width) for `rank_rows` to fill."""
        return cls(
            np.empty(size, np.uint8),
            np.empty(size, np.float32) if with_confidence else None,
            np.empty(size, np.uint8) if with_runner_up else None,
            np.empty(size, np.float32) if is_calibrated else None,
        )


class Ranking:
    """The two best classes of each pixel of a strip, and the best one's probability; of equals the lower id wins.

    `temperatures` are those at which the probability is wanted.
    """

    def __init__(
        self, shape: tuple[int, int], device: torch.device, *, temperatures: Sequence[float], runner_up: bool
    ) -> None:
        self._best_hW = torch.full(shape, -torch.inf, device=device)
        self._second_hW = torch.full_like(self._best_hW, -torch.inf) if runner_up else None
        self.first_hW = torch.zeros(shape, dtype=torch.uint8, device=device)
        self.runner_up_hW = torch.zeros_like(self.first_hW) if runner_up else None
        self._totals = {value: torch.zeros(shape, device=device) for value in temperatures}

    def offer(self, class_id: int, score_hW: Tensor) -> None:
        """Rank a class by its scores; classes must come in the order of their ids."""
        is_best_hW = score_hW > self._best_hW
        if self._second_hW is not None and self.runner_up_hW is not None:
            overtaken_hW = torch.where(score_hW > self._second_hW, class_id, self.runner_up_hW)
            self.runner_up_hW = torch.where(is_best_hW, self.first_hW, overtaken_hW)
            torch.maximum(self._second_hW, torch.minimum(self._best_hW, score_hW), out=self._second_hW)
        for value, total_hW in self._totals.items():
            # The softmax denominator relative to the best score so far, so that no exponential overflows.
            smaller_hW = (self._best_hW - score_hW).abs_().div_(-value).exp_()
            self._totals[value] = torch.where(is_best_hW, total_hW * smaller_hW + 1, total_hW + smaller_hW)
        self.first_hW.masked_fill_(is_best_hW, class_id)
        torch.maximum(self._best_hW, score_hW, out=self._best_hW)

    def confidence(self, temperature: float | None) -> Tensor | None:
        """Return the softmax probability of the best class so far, (h, W), at a temperature; None unless asked for."""
        return self._totals[temperature].reciprocal() if temperature in self._totals else None


@torch.inference_mode()
def resolve(
    logits_KSS: Tensor, size: tuple[int, int], *, with_confidence: bool = False, with_runner_up: bool = False,
    temperature: float | None = None,
) -> Prediction:  # fmt: skip
    """Upsample logits to (height, width) and return the best class of each pixel; a tie goes to the lower id.

    A `temperature` adds calibrated_HW and changes nothing else.
    """
    prediction = Prediction.empty(
        size, with_confidence=with_confidence, with_runner_up=with_runner_up, is_calibrated=temperature is not None
    )
    rank_rows(
        prediction, lambda first, end: upsampled_rows(logits_KSS, size, first, end), 0, size[0], logits_KSS.device,
        temperature,
    )  # fmt: skip
    return prediction


def rank_rows(
    prediction: Prediction, scores_of: ScoresOf, first: int, end: int, device: torch.device,
    temperature: float | None = None,
) -> None:  # fmt: skip
    """Fill rows `first` to `end` of the arrays that a prediction has, in strips of `STRIP_PIXELS`."""
    width = prediction.mask_HW.shape[1]
    num_rows = max(1, STRIP_PIXELS[device.type] // width)
    temperatures = [] if prediction.confidence_HW is None else [1.0]
    temperatures += [] if temperature is None else [temperature]
    for top in range(first, end, num_rows):
        rows = slice(top, min(top + num_rows, end))
        shape = (rows.stop - rows.start, width)
        ranking = Ranking(
            shape, device, temperatures=temperatures, runner_up=prediction.runner_up_HW is not None
        )  # fmt: skip
        for class_id, score_hW in enumerate(scores_of(rows.start, rows.stop)):
            ranking.offer(class_id, score_hW)
        found = (
            ranking.first_hW, ranking.confidence(1.0), ranking.runner_up_hW, ranking.confidence(temperature)
        )  # fmt: skip
        places = (prediction.mask_HW, prediction.confidence_HW, prediction.runner_up_HW, prediction.calibrated_HW)
        for place_HW, found_hW in zip(places, found, strict=True):
            if place_HW is not None and found_hW is not None:
                place_HW[rows] = found_hW.cpu().numpy()


def upsampled_rows(
    logits_KSS: Tensor, size: tuple[int, int], first: int, end: int, cut_off: int = 0
) -> Iterator[Tensor]:
    """Yield rows `first` to `end` of each class's logits, upsampled to (height, width): bilinear, corners not aligned.

    Args:
        logits_KSS: float, (K, S - cut_off, S).
        size: height and width of the whole photo.
        first: the first row.
        end: the row after the last one.
        cut_off: the number of rows missing at the top of `logits_KSS`; the rows asked for must not need them.
    """
    (height, width), num_rows = size, logits_KSS.shape[1] + cut_off
    row_h = torch.arange(first, end, dtype=torch.float64)  # on the CPU: Apple's GPUs have no float64
    place_h = ((row_h + 0.5) * (num_rows / height) - 0.5).clamp_(0, num_rows - 1)
    upper_h = place_h.floor().long()
    lower_h = (upper_h + 1).clamp_(max=num_rows - 1)
    share_h1 = (place_h - upper_h).to(torch.float32)[:, None].to(logits_KSS.device)
    upper_h, lower_h = upper_h.to(logits_KSS.device), lower_h.to(logits_KSS.device)
    for some_MSS in torch.split(logits_KSS, 1 if logits_KSS.device.type == "cpu" else len(logits_KSS)):
        upper_MhS, lower_MhS = (some_MSS[:, row_h - cut_off].float() for row_h in (upper_h, lower_h))
        rows_MhS = torch.lerp(upper_MhS, lower_MhS, share_h1)
        yield from F.interpolate(rows_MhS, width, mode="linear", align_corners=False)
