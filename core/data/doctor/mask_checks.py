"""Checks of a mask's values: whether they are class ids, and of which classes."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes, are_greys_out_of_order
from core.data.doctor.problems import Problem
from core.data.images import MASK_MODES
from core.voc import BACKGROUND, PALETTE, VOID

MIN_BINARY_SHARE = 0.005
"""Least share of id 255 in a 0/255 mask; less may be the void border of an unlabelled object."""
MIN_LEVEL, MIN_LEVEL_GAP = 32, 12
"""Least brightness of the darkest grey level and least distance between two levels (255 / 21 classes)."""
LOSSY_FORMATS = ("JPEG", "MPO")

Colors = Literal["usual", "other", "grey"]


@dataclass(frozen=True)
class MaskFacts:
    """A mask that can be opened: size (width, height), Pillow's mode and format, and its values.

    values   those that occur, for masks of 8 bits a pixel, else none
    colors   whether its palette is that of the classes (usual), another one, or missing (grey)
    palette  red, green and blue of each id if it is another one, else empty
    """

    size: tuple[int, int]
    mode: str
    format: str
    values: frozenset[int]
    colors: Colors
    palette: bytes = b""

    def color_of(self, value: int) -> int | None:
        """Return the colour (0xRRGGBB) of a value in another palette, None if it has none."""
        color = self.palette[3 * value : 3 * value + 3]
        return int.from_bytes(color) if color else None


def check_mask(mask: Image.Image, classes: Classes) -> tuple[MaskFacts, Problem | None, NDArray[np.uint8] | None]:
    """Return the facts of a mask, its worst problem, and its ids, (H, W) uint8, if training accepts them."""
    problem = _problem_of_file(mask)
    if mask.mode not in MASK_MODES:
        return MaskFacts(mask.size, mask.mode, mask.format or "", frozenset(), "grey"), problem, None
    mask_HW = np.array(mask, dtype=np.uint8)
    counts_256 = np.bincount(mask_HW.ravel(), minlength=256)
    values = frozenset(np.flatnonzero(counts_256).tolist())
    colors = _colors(mask, values, classes)
    palette = palette_of_mask(mask).tobytes() if colors == "other" else b""
    facts = MaskFacts(mask.size, mask.mode, mask.format or "", values, colors, palette)
    problem = problem or _problem_of_strays(facts, classes)
    if not problem:
        void_share = float(counts_256[VOID] / counts_256.sum())
        void_color = palette_of_mask(mask)[VOID : VOID + 1]  # VOC's makes 255 void
        has_void_color = len(void_color) > 0 and bool((void_color == PALETTE[VOID]).all())
        problem = _problem_of_ids(values, void_share, has_void_color=has_void_color)
    if not problem and are_greys_out_of_order(palette_of_mask(mask), sorted(values)):
        detail = "Its palette holds greys out of order, so the greys may be the ids; import the folder as id-masks."
        problem = Problem("other palette", detail, "warning")
    return facts, problem, None if strays(values, len(classes)) else mask_HW


def strays(values: Iterable[int], num_classes: int) -> list[int]:
    """Return the values that are neither a class id nor void, sorted."""
    return sorted(value for value in values if value >= num_classes and value != VOID)


@lru_cache(maxsize=8)
def luminances(classes: Classes) -> dict[int, int | None]:
    """Return ids by the grey of their colour (ITU-R 601, as Pillow); None where classes share a grey."""
    greys_256 = np.asarray(Image.fromarray(classes.palette[None]).convert("L"))[0].tolist()
    ids: dict[int, int | None] = {}
    for class_id in (*range(len(classes)), VOID):
        ids[greys_256[class_id]] = None if greys_256[class_id] in ids else class_id
    return ids


def are_grey_levels(values: frozenset[int], classes: Classes) -> bool:
    """Return whether values outside the classes are grey levels: greys of the classes' colours, or spread out."""
    if not strays(values, len(classes)):
        return False
    if values <= luminances(classes).keys():
        return True
    levels = sorted(values - {BACKGROUND})
    gaps = np.diff(levels).tolist()
    return levels[0] >= max(MIN_LEVEL, len(classes)) and min(gaps, default=VOID) >= MIN_LEVEL_GAP


def _problem_of_file(mask: Image.Image) -> Problem | None:
    if mask.format in LOSSY_FORMATS:
        harm = "The mask is a JPEG, which smears ids along every edge, so training stops at it or learns wrong classes"
        return Problem("lossy mask", f"{harm}; export it again as PNG.")
    if mask.mode in MASK_MODES:
        return None
    if mask.mode.startswith(("I", "F")):
        kind, what, remedy = "deep mask", "has more than 8 bits a pixel", "save one id per pixel, 8 bits"
    elif mask.mode.upper() in ("LA", "PA", "RGBA"):
        kind, what, remedy = "alpha mask", f"has transparency ({mask.mode})", "save one id per pixel, without alpha"
    else:
        kind, what = "colour mask", f"is a colour picture ({mask.mode})"
        remedy = "save one id per pixel, 8 bits, or import the folder as color-table, with a table of its colours"
    return Problem(kind, f"The mask {what} instead of plain class ids, and training stops at it; {remedy}.")


def _problem_of_strays(facts: MaskFacts, classes: Classes) -> Problem | None:
    unknown = strays(facts.values, len(classes))
    if not unknown:
        return None
    listed = ", ".join(map(str, unknown[:5])) + (" and more" if len(unknown) > 5 else "")
    if facts.colors == "grey" and are_grey_levels(facts.values, classes):
        remedy = "number the levels 0, 1, 2 …, as the repair does"
        return Problem("grey mask", f"It holds grey levels ({listed}), no class ids, and training stops; {remedy}.")
    remedy = "correct the ids, or name all classes in classes.txt"
    return Problem("stray ids", f"Id {listed} has no class, and training stops at it; {remedy}.")


def _problem_of_ids(ids: frozenset[int], void_share: float, *, has_void_color: bool) -> Problem | None:
    if ids == {VOID}:
        return Problem("all void", "All of it is void (255): nothing here is trained or scored; draw the mask again.")
    if ids == {BACKGROUND, VOID} and void_share > MIN_BINARY_SHARE and not has_void_color:
        remedy = "write the object's class id instead of 255"
        return Problem("binary mask", f"A 0/255 mask: 255 means void, so the object is never trained on; {remedy}.")
    if ids <= {BACKGROUND, VOID}:
        detail = "Only background: the photo teaches no class; draw what is in it, unless it is meant to be empty."
        return Problem("empty mask", detail, "warning")
    return None


def palette_of_mask(mask: Image.Image) -> NDArray[np.uint8]:
    """Return the colours that the file stores, (N, 3); (0, 3) if it is not a palette picture."""
    stored = mask.getpalette("RGB") if mask.mode == "P" else None
    return np.array(stored or [], dtype=np.uint8).reshape(-1, 3)


def _colors(mask: Image.Image, values: frozenset[int], classes: Classes) -> Colors:
    palette_N3 = palette_of_mask(mask)
    if (palette_N3 == palette_N3[:, :1]).all():
        return "grey"
    used = [value for value in values if value < min(VOID, len(palette_N3))]
    return "usual" if (palette_N3[used] == classes.palette[used]).all() else "other"
