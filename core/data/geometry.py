"""How a photo of any shape lies in the square that a model sees: the one place that decides it.

*resize*  both sides of the photo become the square's, whatever its shape: nothing is padded, and shapes are distorted
*fit*     the longer side becomes the square's and the shorter one follows: shapes stay, and what is left is padded

Torch is not imported.
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
"""What whoever runs a model elsewhere has to do with a photo, by geometry."""


@dataclass(frozen=True)
class Place:
    """The middle of a square, which a photo fills: all but equal margins above and below, left and right, in px."""

    side_px: int
    above_px: int = 0
    beside_px: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the photo's part."""
        return self.side_px - 2 * self.above_px, self.side_px - 2 * self.beside_px

    def part(self, square_SS: Any) -> Any:
        """Return the photo's part of a tensor or array whose last two axes are the square's; a view of it."""
        (height, width), top, left = self.size, self.above_px, self.beside_px
        return square_SS[..., top : top + height, left : left + width]


def place_of(size: tuple[int, int], side_px: int, geometry: str) -> Place:
    """Return where a photo of (height, width) lies in a square.

    Both margins of a side are equal, so that mirroring the photo and mirroring the square are the same. A side is
    therefore up to 1 px off the photo's exact ratio; of the photo at least a line stays.
    """
    if geometry == RESIZE:
        return Place(side_px)
    longest = max(size)
    above_px, beside_px = (
        min((side_px * (longest - of) + longest) // (2 * longest), (side_px - 1) // 2) for of in size
    )
    return Place(side_px, above_px, beside_px)
