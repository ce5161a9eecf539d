"""Test-time augmentation (TTA): how often, and in which ways, a photo goes through the model.

*flip*    the mean of the probabilities of the photo and of its mirror image
*scales*  the mean over several sizes, such as 0.75, 1 and 1.25 times the model's
*tiles*   overlapping squares of the photo, each at the model's size: small objects of a large photo appear larger,
          and the model never sees the whole of an object larger than a tile

They combine, and each multiplies the number of forward passes. Imports no torch.
"""

import math
from dataclasses import dataclass

from core.errors import ConfigError, PhotoError

OVERLAP_SHARE = 0.25
"""Smallest share of a tile that the next one covers."""

LEAST_TILE_PX = 64
SCALE_BOUNDS = (0.25, 4.0)
MAX_SCALES = 8


@dataclass(frozen=True)
class TTA:
    """Test-time augmentation and tiles; values out of bounds raise `PhotoError`.

    flip     whether the mirrored photo counts too
    scales   multiples of the model's image size, 0.25 to 4
    tile_px  the side of the tiles; None for the photo as a whole
    """

    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    tile_px: int | None = None

    def __post_init__(self) -> None:
        low, high = SCALE_BOUNDS
        if not 1 <= len(self.scales) <= MAX_SCALES or not all(low <= scale <= high for scale in self.scales):
            raise PhotoError(f"The scales are {self.scales}; give 1 to {MAX_SCALES} of {low} to {high:g}.")
        if self.tile_px is not None and self.tile_px < LEAST_TILE_PX:
            raise PhotoError(f"A tile is {self.tile_px} px wide; give at least {LEAST_TILE_PX}.")

    @property
    def views(self) -> int:
        """The number of forward passes for a tile."""
        return len(self.scales) * (2 if self.flip else 1)

    def sizes(self, image_size: int) -> list[int]:
        """Return the size in px at which the model sees the photo, for each scale."""
        return [max(1, round(image_size * scale)) for scale in self.scales]

    def num_passes(self, width: int, height: int) -> int:
        """Return the number of forward passes for a photo; one at scale s costs about s squared."""
        return self.views * len(self.spans(width)) * len(self.spans(height))

    def spans(self, length: int) -> list[tuple[int, int]]:
        """Return the beginnings and ends of the tiles along a side of the photo, evenly spread, the last at its end."""
        tile_px = min(self.tile_px or length, length)
        if tile_px == length:
            return [(0, length)]
        overlap_px = math.ceil(OVERLAP_SHARE * tile_px)
        count = math.ceil((length - overlap_px) / (tile_px - overlap_px))
        starts = [round(number * (length - tile_px) / (count - 1)) for number in range(count)]
        return [(start, start + tile_px) for start in starts]


NO_TTA = TTA()
FLIP_AND_SCALES = TTA(flip=True, scales=(0.75, 1.0, 1.25))
"""As in papers: six passes that cost as much as 6.25 at the model's size."""


def refuse_temperature(tta: TTA, temperature: float | None) -> None:
    """Raise `ConfigError` for a temperature beside augmentation: it is fitted to the logits of one pass."""
    if temperature is not None and tta != NO_TTA:
        raise ConfigError(
            "A temperature is fitted to one pass; leave out the test-time augmentation and tiles, or the temperature."
        )
