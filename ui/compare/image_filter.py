"""The filter that a click on a chart sets: which photos the gallery shows, and which of their pixels are lit.

The query string holds it as text, with the side whose prediction it filters: `cell:b:8>12` (class 8 predicted as 12 by
B), `class:b:8` (wrong pixels of class 8), `kind:a:2` (an index in `errors.KINDS`), `bin:b:7` (a bin of confidence),
`size:b:3` (a bin of the share of the image that a class covers), `image:b:41` (one image, by its index).
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.classes import Classes
from core.metrics.calibration import BINS
from core.metrics.confusion import Counts
from core.metrics.errors import KINDS, error_kinds
from core.metrics.object_size import SIZE_EDGES, size_bins
from core.training.run.evaluations import Details
from core.voc import VOID

FORM = re.compile(r"(cell|class|kind|bin|size|image):([ab]):(\d{1,6})(?:>(\d{1,6}))?")

Which = Literal["cell", "kind", "bin", "class", "size", "image"]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageFilter:
    """A condition on photos; `numbers` as in the module's docstring, `side` whose prediction it filters."""

    which: Which
    numbers: tuple[int, ...]
    side: Literal["a", "b"] = "b"

    def text(self) -> str:
        """Return the form that `parse` reads."""
        return f"{self.which}:{self.side}:{'>'.join(map(str, self.numbers))}"

    def amounts(self, counts_NKK: Counts, details: Details | None) -> NDArray[np.float64]:
        """Return how many pixels of each photo match, from the counts of its side; 0 leaves the photo out."""
        first = self.numbers[0]
        found: NDArray[Any]
        match self.which:
            case "cell":
                found = counts_NKK[:, first, self.numbers[1]]
            case "class":
                touched = counts_NKK[:, first].sum(axis=1) + counts_NKK[:, :, first].sum(axis=1)
                found = touched - 2 * counts_NKK[:, first, first]
            case "kind":
                found = details.errors_N4[:, first] if details else np.zeros(len(counts_NKK))
            case "bin":
                found = details.bins_N3B[:, 0, first] if details else np.zeros(len(counts_NKK))
            case "size":
                found = (size_bins(counts_NKK) == first).sum(axis=1)
            case "image":
                found = np.arange(len(counts_NKK)) == first
        return np.asarray(found, dtype=np.float64)

    def lit(self, truth_HW: Mask, predicted_HW: Mask, num_classes: int) -> NDArray[np.bool_]:
        """Return the pixels that match, shape (H, W); the wrong pixels if it filters whole photos."""
        wrong_HW = (truth_HW != VOID) & (truth_HW != predicted_HW)
        match self.which:
            case "cell":
                lit_HW = (truth_HW == self.numbers[0]) & (predicted_HW == self.numbers[1])
            case "class":
                lit_HW = wrong_HW & ((truth_HW == self.numbers[0]) | (predicted_HW == self.numbers[0]))
            case "kind":
                lit_HW = error_kinds(truth_HW, predicted_HW, num_classes) == 1 + self.numbers[0]
            case _:
                lit_HW = wrong_HW
        return np.asarray(lit_HW, dtype=np.bool_)

    def words(self, classes: Classes, side_label: str) -> str:
        """Return the condition in words, as in `only photos with ...`."""
        first, names = self.numbers[0], classes.names
        match self.which:
            case "cell":
                called = names[self.numbers[1]]
                words = f"{names[first]} that {side_label} {'found' if called == names[first] else f'called {called}'}"
            case "class":
                words = f"pixels of {names[first]} wrong under {side_label}"
            case "kind":
                words = f"{KINDS[first]} pixels under {side_label}"
            case "bin":
                words = f"pixels that {side_label} was {100 * first // BINS} to {100 * (first + 1) // BINS} % sure of"
            case "size":
                words = f"an object class that covers {size_words(first)} of the photo"
            case "image":
                words = "the mark that was clicked"
        return words


def size_words(index: int) -> str:
    """Return the bounds of a bin of `SIZE_EDGES` in percent."""
    return f"{100 * SIZE_EDGES[index]:g} to {100 * SIZE_EDGES[index + 1]:g} %"


def parse(text: str, num_classes: int) -> ImageFilter | None:
    """Return the filter in a text; None if the text is not a filter or names an unknown class, kind or bin."""
    found = FORM.fullmatch(text)
    if not found:
        return None
    which, side, numbers = found[1], found[2], tuple(int(number) for number in found.groups()[2:] if number)
    limits = {"kind": len(KINDS), "bin": BINS, "size": len(SIZE_EDGES) - 1, "image": 10**6}
    if max(numbers) >= limits.get(which, num_classes) or len(numbers) != (2 if which == "cell" else 1):
        return None
    return ImageFilter(which, numbers, side)  # type: ignore[arg-type]
