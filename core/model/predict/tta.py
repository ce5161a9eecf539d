"""How often, and in which ways, a photo goes through the model: once, or more often for a calmer or finer mask.

*flip*    the photo mirrored as well, and the mean of both probabilities
*scales*  the photo at 0.75, 1 and 1.25 times the model's size, say, and the mean
*tiles*   square pieces that overlap, each seen at the model's size: small things in a large photo are seen larger,
          while what is larger than a piece is never seen whole

They may be combined; each multiplies the number of forward passes. Torch is not imported.
"""

import math
from dataclasses import dataclass

from core.errors import PhotoError

OVERLAP_SHARE = 0.25
"""How much of a tile the next one covers at least."""

LEAST_TILE_PX = 64
SCALE_BOUNDS = (0.25, 4.0)
MAX_SCALES = 8


@dataclass(frozen=True)
class Passes:
    """How a photo goes through the model; values out of bounds raise `PhotoError`.

    flip     whether the mirrored photo counts too
    scales   multiples of the model's image size, 0.25 to 4
    tile_px  the side of the tiles, None for the photo as a whole; a photo that is no larger is one tile
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
        """How many forward passes a tile takes."""
        return len(self.scales) * (2 if self.flip else 1)

    def sizes(self, image_size: int) -> list[int]:
        """Return at how many px a model of some image size sees the photo, scale by scale."""
        return [max(1, round(image_size * scale)) for scale in self.scales]

    def count(self, width: int, height: int) -> int:
        """Return how many forward passes a photo takes; at scale s one costs about s squared."""
        return self.views * len(self.spans(width)) * len(self.spans(height))

    def spans(self, length: int) -> list[tuple[int, int]]:
        """Return where tiles begin and end along a side of the photo, evenly spread, the last at its end."""
        tile_px = min(self.tile_px or length, length)
        if tile_px == length:
            return [(0, length)]
        overlap_px = math.ceil(OVERLAP_SHARE * tile_px)
        count = math.ceil((length - overlap_px) / (tile_px - overlap_px))
        starts = [round(number * (length - tile_px) / (count - 1)) for number in range(count)]
        return [(start, start + tile_px) for start in starts]


ONCE = Passes()
CALM = Passes(flip=True, scales=(0.75, 1.0, 1.25))
"""Mirrored and at three scales, as papers report it: six passes that cost about as much as 6.25."""
