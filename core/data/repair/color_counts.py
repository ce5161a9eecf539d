"""The colours of a set's masks, counted, and the one that is likely the background."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from core.data.repair.remedies import colors_of

MAX_COLORS = 64
"""Masks with more colours than this, not counting greys, are photos, or their edges are blended."""


@dataclass
class ColorCount:
    """Pixels by colour (0xRRGGBB), and number of masks with the colour at their border; transparent pixels are black.

    A mask with more than `MAX_COLORS` colours is in `pictures`; once all masks together exceed that, counting stops.
    """

    pixels: Counter[int] = field(default_factory=Counter)
    at_border: Counter[int] = field(default_factory=Counter)
    num_masks: int = 0
    pictures: set[str] = field(default_factory=set)

    def add(self, name: str, picture: Image.Image) -> None:
        """Count the colours of a mask."""
        color_HW, is_clear_HW = colors_of(picture)
        color_HW = np.where(is_clear_HW, 0, color_HW)
        found, counts = np.unique(color_HW, return_counts=True)
        if num_bright(found.tolist()) > MAX_COLORS:
            self.pictures.add(name)
        elif num_bright(self.pixels) <= MAX_COLORS:
            border = np.concatenate([color_HW[0], color_HW[-1], color_HW[:, 0], color_HW[:, -1]])
            self.pixels.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
            self.at_border.update(np.unique(border).tolist())
            self.num_masks += 1

    def background(self) -> int:
        """Return black if any mask has it, else the most frequent colour among those at most masks' borders."""
        if 0 in self.pixels or len(self.pixels) < 2:
            return 0
        return max(self.pixels, key=lambda its: (2 * self.at_border[its] > self.num_masks, self.pixels[its], -its))


def num_bright(colors: Iterable[int]) -> int:
    """Return the number of colours that are not grey."""
    return sum(not color >> 16 == color >> 8 & 255 == color & 255 for color in colors)
