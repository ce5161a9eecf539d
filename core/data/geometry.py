"""Where a photo of any shape lies in the square input of the model.

*resize*  both sides become the square's: nothing is padded, the aspect ratio changes
*fit*     the longer side becomes the square's: the aspect ratio stays, the rest is padded

This module does not import torch.
"""

from dataclasses import dataclass
from typing import Any

RESIZE, FIT = "resize", "fit"
GEOMETRIES = (RESIZE, FIT)

HOW = {
    RESIZE: "both sides resized to {size} px",
    FIT: "the longer side resized to {size} px with the aspect ratio kept, the other side padded alike at both ends "
    "with the mean colour, and the padding cut off the logits",
}
"""The preprocessing of a photo in words, for users of an exported model, by geometry."""


@dataclass(frozen=True)
class Place:
    """The part of a square that a photo fills: centred, with these margins in px."""

    side_px: int
    above_px: int = 0
    beside_px: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the part."""
        return self.side_px - 2 * self.above_px, self.side_px - 2 * self.beside_px

    def part(self, square_SS: Any) -> Any:
        """Return the part of a tensor or array whose last two axes are the square's, as a view."""
        (height, width), top, left = self.size, self.above_px, self.beside_px
        return square_SS[..., top : top + height, left : left + width]


def place_of(size: tuple[int, int], side_px: int, geometry: str) -> Place:
    """Return the place of a photo of (height, width) in a square.

    Opposite margins are equal, so that flipping the photo and flipping the square are the same. A side is therefore up
    to 1 px off the exact ratio; it is at least 1 px.
    """
    if geometry == RESIZE:
        return Place(side_px)
    longest = max(size)
    above_px, beside_px = (
        min((side_px * (longest - of) + longest) // (2 * longest), (side_px - 1) // 2) for of in size
    )
    return Place(side_px, above_px, beside_px)
